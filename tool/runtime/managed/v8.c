// SPDX-License-Identifier: Apache-2.0
// The reader of V8 (node, chromium, electron, deno): version and settings; its memory is held. Tool
// world; no state.
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/locate.h"
#include "runtime/locate_memory.h"
#include "runtime/opaque.h"

// Hosts built without exports have no symbol left, but V8 is ten MiB of code, its built-in
// functions alone are one and a half: what only speaks of its flags is smaller.
static bool proves_v8(const struct target *target, const struct image *image)
{
    enum { CODE_BYTES_MIN = 4 << 20 };
    uint64_t bytes = 0;
    (void)target;
    for (size_t i = 0; i < image->segment_count; i++)
        if (image->segments[i].flags & PF_X)
            bytes += image->segments[i].file_bytes;
    return bytes >= CODE_BYTES_MIN;
}

// Source: src/flags/flag-definitions.h of V8.
static const struct locate_rule v8_rule = {
    .names = {"libnode.so", "libv8.so"},
    .marks = MARK_V8_OLD_SPACE | MARK_V8_SEMI_SPACE,
    .proves = proves_v8,
};

// In a library of its own (node), in another one (libcef.so), or in the program.
static bool v8_find(const struct target *target)
{
    return locate_image(target, &v8_rule) != NULL;
}

// "11.3.244.8-node.38" or "12.4.254.20": four numbers, alone in a string, the first at least 3.
// Source: V8_VERSION_STRING of include/v8-version-string.h, with V8_EMBEDDER_STRING of the host
// behind it.
static bool is_version(struct text text)
{
    uint64_t part = 0;
    for (int i = 0; i < 4; i++) {
        if ((i > 0 && !text_take_prefix(&text, ".")) || !text_take_u64(&text, &part))
            return false;
        // 1.2.840.… is an object identifier, 127.0.0.1 an address.
        if ((i == 0 && (part < 4 || part > 40)) || (i == 2 && part < 2))
            return false;
    }
    return text.len == 0 || text_starts_with(text, "-node.") ||
           text_starts_with(text, "-electron.") || text_starts_with(text, " (candidate)");
}

// The version is a literal of its own; the first one that has its form is V8's.
// A window may begin in the middle of a string: what looks like a version there was whole in the
// window before, which ends behind it.
static bool visit_version(void *context, const char *data, size_t len, uint64_t linked_address)
{
    (void)linked_address;
    for (size_t at = 0; at + 8 < len;) {
        const char *stop = memchr(data + at, '\0', len - at);
        size_t field = stop ? (size_t)(stop - data) - at : len - at;
        if (field >= 8 && field <= 32 && is_version((struct text){data + at, field})) {
            text_copy((struct text){data + at, field}, context, 64);
            return true;
        }
        at += field + 1;
    }
    return false;
}

// Adds an option of the command line that starts with `prefix` ("--max-old-space-size=").
// V8 takes dashes and underscores alike (flags.cc), and the last one wins; the limits themselves
// follow the host's memory where no flag is given, which only the heap's own counters would tell.
static int add_argument(struct runtime_report *report, struct text arguments, char separator,
                        const char *source)
{
    static const char *const names[] = {"--max-old-space-size",  "--max_old_space_size",
                                        "--max-semi-space-size", "--max_semi_space_size",
                                        "--optimize-for-size",   "--expose-gc"};
    struct text argument;
    while (text_next_field(&arguments, separator, &argument)) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            struct text value = argument;
            char copy[96];
            if (!text_take_prefix(&value, names[i]) || (value.len > 0 && value.data[0] != '='))
                continue;
            text_take_prefix(&value, "=");
            text_copy(value.len ? value : text_of("true"), copy, sizeof copy);
            int error = report_add_setting(report, names[i], copy, source);
            if (error)
                return error;
        }
    }
    return 0;
}

// NODE_OPTIONS stands for node; other hosts pass flags on the command line.
static int add_settings(const struct target *target, struct runtime_report *report)
{
    enum { CMDLINE_MAX = 256 << 10 };
    struct buffer cmdline = {0};
    struct text options;
    int error = 0;
    if (process_read_file(target->process, "cmdline", CMDLINE_MAX, &cmdline) == 0)
        error = add_argument(report, buffer_text(&cmdline), '\0', "command line");
    buffer_free(&cmdline);
    if (!error && proc_environ_find(target->environ_text, "NODE_OPTIONS", &options))
        error = add_argument(report, options, ' ', "environment NODE_OPTIONS");
    return error;
}

// Pages of the heap have no header that can be proved from outside: the memory is held.
// Blink's and node's own memory comes from malloc or PartitionAlloc: what is held here is V8's
// together with whatever else maps memory by itself.
static int v8_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = locate_image(target, &v8_rule);
    if (!image)
        return -ENOENT;
    char version[64] = "";
    const char *known = locate_memory_get_version(target->memory, image);
    if (known)
        text_copy(text_of(known), version, sizeof version);
    else
        locate_scan(image, ".rodata", 64, visit_version, version);
    locate_memory_put_version(target->memory, image, version);
    opaque_name(ret_report, "V8", image, version);
    ret_report->facts |= FACT_MANAGED;
    int error = add_settings(target, ret_report);
    ret_report->facts |= FACT_OPAQUE;
    return error ? error : target_claim_rest(target, ret_report, false);
}

const struct runtime_reader v8_reader = {"V8", v8_find, v8_read};
