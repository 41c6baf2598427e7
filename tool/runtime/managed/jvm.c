// SPDX-License-Identifier: Apache-2.0
// The reader of the JVM (HotSpot): version, settings, and the figures of its performance data. Tool
// world; no state.
//
// The data is read from the target's own mapping of it, never from the file of that name, which
// could be anything.
#include "runtime/managed/jvm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/locate.h"
#include "runtime/opaque.h"
#include "runtime/managed/hsperf.h"

static const struct locate_rule jvm_rule = {.names = {"libjvm.so"}};

// Every launcher and every program that embeds the JVM loads this library.
static bool jvm_find(const struct target *target)
{
    return locate_by_name(target, &jvm_rule) != NULL;
}

enum { HSPERF_MAX = 1 << 20, PAGE = 4096, CMDLINE_MAX = 256 << 10 };

// Copies the mapping of hsperfdata; pages that are not in memory stay zero. NULL when there is
// none.
// Source: mmap_create_shared() of os/posix/perfMemory_posix.cpp: a file named by the PID as the JVM
// sees it, in hsperfdata_USER. With -XX:+PerfDisableSharedMem it is private memory without a name.
static char *read_hsperf(const struct target *target, size_t *ret_len)
{
    for (size_t i = 0; i < target->mappings->count; i++) {
        const struct mapping *mapping = &target->mappings->items[i];
        uint64_t size = mapping->end - mapping->start;
        if (!strstr(mappings_path(target->mappings, mapping), "/hsperfdata_") || size > HSPERF_MAX)
            continue;
        char *data = calloc(1, (size_t)size);
        if (!data)
            return NULL;
        for (uint64_t at = 0; at < size; at += PAGE)
            if (process_peek(target->process, mapping->start + at, data + at, PAGE))
                memset(data + at, 0, PAGE);
        *ret_len = (size_t)size;
        return data;
    }
    return NULL;
}

// The counters that are reported, as the JVM names them and as people do.
struct counter {
    const char *counter, *figure;
    enum figure_unit unit;
};

// Source: src/hotspot/share/gc/shared/{collectorCounters,generationCounters,hSpaceCounters}.cpp and
// memory/metaspaceCounters.cpp.
static const struct counter counters[] = {
    {"sun.gc.metaspace.used", "metaspace used", FIGURE_BYTES},
    {"sun.gc.metaspace.capacity", "metaspace committed", FIGURE_BYTES},
    {"sun.gc.compressedclassspace.used", "class space used", FIGURE_BYTES},
    {"sun.gc.collector.0.invocations", "young collections", FIGURE_COUNT},
    {"sun.gc.collector.1.invocations", "full collections", FIGURE_COUNT},
    {"sun.gc.collector.2.invocations", "concurrent pauses", FIGURE_COUNT},
    {"java.threads.live", "threads", FIGURE_COUNT},
    {"java.cls.loadedClasses", "loaded classes", FIGURE_COUNT},
};

enum { GENERATIONS_MAX = 4, SPACES_MAX = 8 };

// Sums "sun.gc.generation.G.space.S.NAME" over all generations and spaces. False when there is
// none.
// Eden, two survivors and the old generation for Serial, Parallel and G1; other collectors show
// what they have in the same places, or nothing. G1 brings its counters up to date at the end of a
// collection, so "used" is what that one left.
static bool sum_spaces(const struct hsperf *hsperf, const char *what, uint64_t *ret_bytes)
{
    bool found = false;
    uint64_t bytes = 0;
    for (int generation = 0; generation < GENERATIONS_MAX; generation++) {
        for (int space = 0; space < SPACES_MAX; space++) {
            char name[64];
            int64_t value;
            snprintf(name, sizeof name, "sun.gc.generation.%d.space.%d.%s", generation, space,
                     what);
            if (hsperf_find_long(hsperf, name, &value) || value < 0)
                break;
            found = true;
            bytes += (uint64_t)value;
        }
    }
    if (found)
        *ret_bytes = bytes;
    return found;
}

// Counters that this collector does not have are left out.
static int add_heap_figures(struct runtime_report *report, const struct hsperf *hsperf)
{
    uint64_t bytes;
    int error = 0;
    if (sum_spaces(hsperf, "used", &bytes))
        error = report_add_bytes(report, "heap used", bytes);
    if (!error && sum_spaces(hsperf, "capacity", &bytes))
        error = report_add_bytes(report, "heap committed", bytes);
    for (size_t i = 0; i < sizeof counters / sizeof counters[0] && !error; i++) {
        int64_t value;
        if (hsperf_find_long(hsperf, counters[i].counter, &value) == 0 && value >= 0)
            error =
                report_add_figure(report, counters[i].figure, counters[i].unit, (uint64_t)value, 0);
    }
    return error;
}

// Without the data (it can be switched off) version and settings still come from elsewhere.
static int add_hsperf(const struct target *target, struct runtime_report *report)
{
    size_t len = 0;
    char *data = read_hsperf(target, &len);
    struct hsperf hsperf;
    if (!data || hsperf_open((struct text){data, len}, &hsperf)) {
        free(data);
        return report_add_unread(
            report, "heap and metaspace figures of the JVM",
            "a JVM with performance data (-XX:+UsePerfData), read as its user or as root");
    }
    struct text text;
    char value[96];
    int error = 0;
    if (hsperf_find_string(&hsperf, "java.property.java.vm.version", &text) == 0)
        text_copy(text, report->version, sizeof report->version);
    if (hsperf_find_string(&hsperf, "sun.gc.collector.0.name", &text) == 0) {
        text_copy(text, value, sizeof value);
        error = report_add_setting(report, "young collector", value, "hsperfdata");
    }
    if (!error)
        error = add_heap_figures(report, &hsperf);
    free(data);
    return error;
}

// The JVM reads JAVA_TOOL_OPTIONS first and _JAVA_OPTIONS last; the source stands beside each.
// Source: Arguments::parse() of runtime/arguments.cpp. JDK_JAVA_OPTIONS is read by the launcher
// alone, which puts it before the command line's own.
static int add_texts(const struct target *target, struct runtime_report *report)
{
    static const char *const variables[] = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS",
                                            "_JAVA_OPTIONS"};
    struct buffer cmdline = {0};
    int error = 0;
    if (process_read_file(target->process, "cmdline", CMDLINE_MAX, &cmdline) == 0)
        error = jvm_settings_from_arguments(report, buffer_text(&cmdline));
    buffer_free(&cmdline);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0] && !error; i++) {
        struct text value;
        char source[48];
        snprintf(source, sizeof source, "environment %s", variables[i]);
        if (proc_environ_find(target->environ_text, variables[i], &value))
            error = jvm_settings_from_variable(report, value, source);
    }
    return error;
}

// "OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1) for linux-amd64 ..." is one literal of the
// library.
// Source: internal_vm_info_string() of runtime/abstract_vm_version.cpp.
static void read_release(const struct image *image, char *ret_version, size_t size)
{
    static const struct locate_marker marker = {"Server", " VM ("};
    uint64_t at;
    ret_version[0] = '\0';
    if (locate_string(image, ".rodata", marker, 0, &at) ||
        locate_read_string(image, at + strlen("Server VM ("), ret_version, size))
        return;
    ret_version[strcspn(ret_version, ")")] = '\0';
}

// Which part of the heap is garbage only the collector knows: its memory is held.
// Heap, metaspace, code cache and the arenas of the compilers are all mapped by the JVM itself;
// what its C++ code takes from malloc stands under malloc's name.
static int jvm_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = locate_by_name(target, &jvm_rule);
    if (!image)
        return -ENOENT;
    char version[64];
    read_release(image, version, sizeof version);
    opaque_name(ret_report, "JVM", image, version);
    ret_report->facts |= FACT_MANAGED;
    int error = add_hsperf(target, ret_report);
    if (!error)
        error = add_texts(target, ret_report);
    ret_report->facts |= FACT_OPAQUE;
    return error ? error : target_claim_rest(target, ret_report, false);
}

const struct runtime_reader jvm_reader = {"JVM", jvm_find, jvm_read};
