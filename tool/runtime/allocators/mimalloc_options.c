// SPDX-License-Identifier: Apache-2.0
// mimalloc's option table, see mimalloc_options.h. Tool world; no state.
#include "runtime/allocators/mimalloc_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/locate.h"
#include "runtime/settings.h"

// Offsets inside an entry, and the sizes that entries have had.
// Source: mi_option_desc_t of src/options.c: value (long), init (enum), option (enum), name, and in
// later versions a legacy name.
enum {
    AT_INIT = 8,
    AT_INDEX = 12,
    AT_NAME = 16,
    STRIDE_MIN = 24,
    STRIDE_MAX = 40,
    DATA_MAX = 8 << 20
};

// An entry is believed when its index is the expected one and its name is a name in the same image.
// The index makes it sure: no other table counts its own entries at this place.
static bool read_entry(const struct target *target, const struct image *image, uint64_t entry,
                       uint32_t index, struct mimalloc_option *ret_option)
{
    uint64_t words[3];
    if (process_peek(target->process, entry, words, sizeof words))
        return false;
    uint32_t init = (uint32_t)words[1], position = (uint32_t)(words[1] >> 32);
    if (init > MIMALLOC_SET || position != index || words[2] < image->low ||
        words[2] >= image->high)
        return false;
    struct mimalloc_option option = {.value = (int64_t)words[0], .init = (enum mimalloc_init)init};
    if (locate_read_string(image, words[2] - image->bias, option.name, sizeof option.name))
        return false;
    for (const char *byte = option.name; *byte; byte++)
        if (!islower((unsigned char)*byte) && !isdigit((unsigned char)*byte) && *byte != '_')
            return false;
    *ret_option = option;
    return option.name[0] != '\0';
}

// Reads the table that begins at `first`. True when at least ten entries follow each other.
// The stride is found, not known: what fits for ten entries in a row is the entry's size.
static bool read_table(const struct target *target, const struct image *image, uint64_t first,
                       struct mimalloc_options *options)
{
    for (uint64_t stride = STRIDE_MIN; stride <= STRIDE_MAX; stride += 8) {
        options->count = 0;
        while (options->count < MIMALLOC_OPTIONS_MAX &&
               read_entry(target, image, first + options->count * stride, (uint32_t)options->count,
                          &options->items[options->count]))
            options->count++;
        if (options->count >= 10)
            return true;
    }
    options->count = 0;
    return false;
}

// .data is small; each word of it that points to the first option's name may be the table's start.
// The table is read where it is in force, in the target's memory: mi_option_set() writes there, and
// nowhere else does a program's own choice show.
int mimalloc_options_read(const struct target *target, const struct image *image,
                          struct mimalloc_options *ret_options)
{
    static const struct locate_marker first_name = {"show_", "errors"};
    ret_options->count = 0;
    const struct image_section *data = image_section(image, ".data");
    uint64_t name;
    if (!data || data->size > DATA_MAX || locate_string(image, ".rodata", first_name, 0, &name))
        return -ENOENT;
    uint64_t wanted = name + image->bias, start = data->address + image->bias;
    uint64_t words[512];
    for (uint64_t at = 0; at + 8 <= data->size; at += sizeof words) {
        size_t len =
            data->size - at < sizeof words ? (size_t)(data->size - at) & ~(size_t)7 : sizeof words;
        int error = process_peek(target->process, start + at, words, len);
        if (error == -EPERM || error == -EACCES || error == -ESRCH)
            return error;
        for (size_t i = 0; !error && i < len / 8; i++)
            if (words[i] == wanted &&
                read_table(target, image, start + at + i * 8 - AT_NAME, ret_options))
                return 0;
    }
    return -ENOENT;
}

const struct mimalloc_option *mimalloc_option_find(const struct mimalloc_options *options,
                                                   const char *name)
{
    for (size_t i = 0; i < options->count; i++)
        if (strcmp(options->items[i].name, name) == 0)
            return &options->items[i];
    return NULL;
}

// Those that decide when memory goes back, over all versions.
// Names changed with the generations: reset (1.x), decommit (2.0), purge (from 2.1 on).
static const char *const shown[] = {
    "purge_delay",
    "purge_decommits",
    "arena_purge_mult",
    "purge_extend_delay",
    "abandoned_page_purge",
    "allow_decommit",
    "decommit_delay",
    "segment_decommit_delay",
    "abandoned_page_decommit",
    "decommit_extend_delay",
    "page_reset",
    "segment_reset",
    "reset_delay",
    "reset_decommits",
    "eager_commit",
    "eager_commit_delay",
    "arena_eager_commit",
    "arena_reserve",
    "allow_large_os_pages",
    "large_os_pages",
    "reserve_huge_os_pages",
    "page_reclaim_on_free",
    "abandoned_reclaim_on_free",
};

// The variable as mimalloc looks it up: in small letters first, then in capitals.
// Source: mi_option_init() of src/options.c, _mi_prim_getenv() of src/prim/unix/prim.c.
static bool find_variable(const struct target *target, const char *name, char *ret_variable,
                          size_t size, struct text *ret_value)
{
    snprintf(ret_variable, size, "mimalloc_%s", name);
    if (proc_environ_find(target->environ_text, ret_variable, ret_value))
        return true;
    for (char *byte = ret_variable; *byte; byte++)
        *byte = (char)toupper((unsigned char)*byte);
    return proc_environ_find(target->environ_text, ret_variable, ret_value);
}

// The value in force stands before what the environment says; the environment is named as its
// source only where the two agree.
static int add_one(const struct target *target, const char *name,
                   const struct mimalloc_option *option, struct runtime_report *report,
                   int64_t *ret_value)
{
    char variable[80], value[32], source[96];
    struct text text;
    bool in_environment = find_variable(target, name, variable, sizeof variable, &text);
    if (!option && !(in_environment && setting_mimalloc_value(text, ret_value)))
        return 0;
    // A value that the library could not parse is not in force: the table has the default then.
    if (option)
        *ret_value = option->value;
    snprintf(value, sizeof value, "%lld", (long long)*ret_value);
    int64_t said;
    bool from_environment =
        in_environment && setting_mimalloc_value(text, &said) && said == *ret_value;
    if (from_environment)
        snprintf(source, sizeof source, "environment %s", variable);
    else if (option && option->init == MIMALLOC_SET)
        snprintf(source, sizeof source, "set by the program");
    else
        snprintf(source, sizeof source, "default of %s",
                 report->version[0] ? report->version : "this version");
    return report_add_setting(report, name, value, source);
}

// Options of all versions are asked for: those that this one lacks are not in its table.
// Source for the meaning: _mi_os_purge() of src/os.c, which decommits (MADV_DONTNEED) or resets
// (MADV_FREE where the kernel takes it).
int mimalloc_options_add(const struct target *target, const struct mimalloc_options *options,
                         struct runtime_report *report)
{
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        int64_t value = -1;
        const struct mimalloc_option *option = mimalloc_option_find(options, shown[i]);
        int error = add_one(target, shown[i], option, report, &value);
        if (error)
            return error;
        // Where decommitting is off, a purge is a reset, which is MADV_FREE.
        bool is_switch =
            strcmp(shown[i], "purge_decommits") == 0 || strcmp(shown[i], "allow_decommit") == 0;
        if ((is_switch && value == 0) || (strcmp(shown[i], "page_reset") == 0 && value > 0))
            report->facts |= FACT_GIVES_LAZILY;
    }
    return 0;
}
