// SPDX-License-Identifier: Apache-2.0
// The reader of tcmalloc, gperftools' and Google's: finds it, names it, tells its settings. Tool
// world; no state.
//
// Sources: gperftools 2.10 src/page_heap.cc, src/system-alloc.cc (on Linux a release is
// MADV_DONTNEED unless it was built with TCMALLOC_USE_MADV_FREE), src/common.h for the default
// sizes; Google's docs/tuning.md.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/allocators/tcmalloc_ask.h"
#include "runtime/locate.h"
#include "runtime/opaque.h"
#include "runtime/settings.h"

// Neither of the two can be built under a prefix: whoever links it defines malloc(). What only
// speaks of it, as programs that read its variables do, takes malloc() from elsewhere.
// A static program always has a malloc() in it: what tells there is that the C library's own was
// not linked, whose free() cannot do without its message.
static bool proves_tcmalloc(const struct target *target, const struct image *image)
{
    static const struct locate_marker glibc_free = {"free(): inv", "alid pointer"};
    uint64_t at;
    (void)target;
    if (image->is_static && locate_string(image, ".rodata", glibc_free, 0, &at) == 0)
        return false;
    return locate_defines_malloc(image);
}

static const struct locate_rule gperftools_rule = {
    .names = {"libtcmalloc.so", "libtcmalloc_minimal", "libtcmalloc_and_profiler",
              "libtcmalloc_debug"},
    .marks = MARK_TCMALLOC_FREE | MARK_TCMALLOC_FREELIST | MARK_TCMALLOC_RATE,
    .proves = proves_tcmalloc,
};

static const struct locate_rule google_rule = {
    .marks = MARK_TCMALLOC_PER_CPU | MARK_TCMALLOC_UNMAPPED,
    .proves = proves_tcmalloc,
};

// The two share names and ancestry, but no option: gperftools speaks through its variables,
// Google's through its properties.
static const struct image *tcmalloc_image(const struct target *target, bool *ret_is_google)
{
    const struct image *image = locate_image(target, &gperftools_rule);
    *ret_is_google = !image;
    return image ? image : locate_image(target, &google_rule);
}

static bool tcmalloc_find(const struct target *target)
{
    bool is_google;
    return tcmalloc_image(target, &is_google) != NULL;
}

// "gperftools 2.10" stands in read-only data, for tc_version().
// The same words stand in other strings: the first that goes on with a number is the version.
static void read_version(const struct image *image, char *ret_version, size_t size)
{
    static const struct locate_marker marker = {"gperf", "tools "};
    uint64_t at = 0;
    ret_version[0] = '\0';
    for (int i = 0; i < 8 && locate_string(image, ".rodata", marker, at, &at) == 0; i++) {
        char text[48];
        struct setting_version version;
        at += strlen("gperftools ");
        if (locate_read_string(image, at, text, sizeof text) == 0 &&
            setting_version_parse(text_of(text), &version)) {
            text_copy(text_of(text), ret_version, size);
            return;
        }
    }
}

// A variable with the default that holds without it.
struct variable {
    const char *setting, *name, *fallback;
};

// Sources: FLAGS_tcmalloc_release_rate of src/page_heap.cc and kDefaultOverallThreadCacheSize of
// src/common.h.
static const struct variable main_variables[] = {
    {"release_rate", "TCMALLOC_RELEASE_RATE", "1.0"},
    {"max_total_thread_cache_bytes", "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES", "33554432"},
    {"aggressive_decommit", "TCMALLOC_AGGRESSIVE_DECOMMIT", "false"},
};
static const char *const other_variables[] = {
    "TCMALLOC_HEAP_LIMIT_MB",    "TCMALLOC_DISABLE_MEMORY_RELEASE", "TCMALLOC_SKIP_SBRK",
    "TCMALLOC_SKIP_MMAP",        "TCMALLOC_MEMFS_MALLOC_PATH",      "TCMALLOC_SAMPLE_PARAMETER",
    "TCMALLOC_TRANSFER_NUM_OBJ",
};

// Read once when the library is loaded, so the environment at the start is what holds.
static int add_variable(const struct target *target, const struct variable *variable,
                        struct runtime_report *report)
{
    struct text text;
    char value[96], source[96];
    if (proc_environ_find(target->environ_text, variable->name, &text)) {
        text_copy(text, value, sizeof value);
        snprintf(source, sizeof source, "environment %s", variable->name);
    } else {
        text_copy(text_of(variable->fallback), value, sizeof value);
        snprintf(source, sizeof source, "default of %s",
                 report->version[0] ? report->version : "gperftools");
    }
    return report_add_setting(report, variable->setting, value, source);
}

// release_rate decides how soon free spans go back; the cache limit how much threads may keep.
// MallocExtension can change all of them later, which leaves no trace that could be read.
static int add_gperftools_settings(const struct target *target, struct runtime_report *report)
{
    int error = report_add_setting(report, "implementation", "gperftools", "its strings");
    for (size_t i = 0; i < sizeof main_variables / sizeof main_variables[0] && !error; i++)
        error = add_variable(target, &main_variables[i], report);
    for (size_t i = 0; i < sizeof other_variables / sizeof other_variables[0] && !error; i++)
        error = opaque_add_environment(target, report, other_variables[i]);
    return error ? error : opaque_add_lost_environment(target, report);
}

// Its parameters are set by calls in the program, which leave no trace outside.
static int add_google_settings(const struct target *target, struct runtime_report *report)
{
    int error = report_add_setting(report, "implementation", "Google's TCMalloc", "its strings");
    if (!error)
        error = report_add_setting(report, "background release", "off unless the program starts it",
                                   "documentation");
    return error ? error : opaque_add_environment(target, report, "TCMALLOC_PERCPU_CACHES");
}

// Its page heap has no form that can be proved from outside: the memory is held, until it is asked.
// The page heap could be read through its page map, whose spans name their first page (src/span.h);
// this version does not.
static int tcmalloc_read(const struct target *target, struct runtime_report *ret_report)
{
    bool is_google;
    const struct image *image = tcmalloc_image(target, &is_google);
    if (!image)
        return -ENOENT;
    char version[48] = "";
    if (!is_google)
        read_version(image, version, sizeof version);
    opaque_name(ret_report, "tcmalloc", image, version);
    int error = is_google ? add_google_settings(target, ret_report)
                          : add_gperftools_settings(target, ret_report);
    if (error)
        return error;
    // Google's has its properties under other names, and its parts are others: no answer of it was
    // ever compared.
    if (is_google)
        return opaque_claim_silent(target, image, "libtcmalloc", ret_report,
                                   "nothing in this version: Google's tcmalloc is not asked");
    // gperftools takes memory from brk first.
    error = opaque_claim_malloc(target, image, "libtcmalloc", ret_report, true);
    return error ? error : opaque_ask_malloc(target, image, tcmalloc_ask, ret_report);
}

const struct runtime_reader tcmalloc_reader = {"tcmalloc", tcmalloc_find, tcmalloc_read};
