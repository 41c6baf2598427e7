// SPDX-License-Identifier: Apache-2.0
// The reader of mimalloc: finds it, names it, reads its options from its own table. Tool world; no
// state.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/allocators/mimalloc_options.h"
#include "runtime/allocators/mimalloc_segments.h"
#include "runtime/locate.h"
#include "runtime/opaque.h"

// Many programs call it by its own names and leave malloc() alone, so its table of options is the
// proof: entries that number themselves, of which mi_process_init() has read at least one. A copy
// that never ran holds nothing.
static bool proves_mimalloc(const struct target *target, const struct image *image)
{
    struct mimalloc_options options;
    if (mimalloc_options_read(target, image, &options))
        return locate_defines_malloc(image);
    for (size_t i = 0; i < options.count; i++)
        if (options.items[i].init != MIMALLOC_UNREAD)
            return true;
    return false;
}

static const struct locate_rule mimalloc_rule = {
    .names = {"libmimalloc"},
    .marks = MARK_MIMALLOC_ERROR | MARK_MIMALLOC_OPTION,
    .proves = proves_mimalloc,
};

// The two messages are in every build, also where statistics and checks are compiled out.
// Source: _mi_error_message() and mi_option_init() of src/options.c.
static bool mimalloc_find(const struct target *target)
{
    return locate_image(target, &mimalloc_rule) != NULL;
}

// mi_version() is `mov eax, VERSION; ret`, after an endbr64 perhaps: 209 is 2.0.9, 3150 would
// be 3.1.50.
// A stripped program has lost the function, a shared library never has.
static unsigned read_version_number(const struct image *image)
{
    static const char *const name = "mi_version";
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    struct image_symbol symbol = {0};
    uint8_t code[10];
    if (image_find_symbols(image, &name, 1, &symbol) != 1 ||
        image_read(image, symbol.value, code, sizeof code))
        return 0;
    const uint8_t *at = memcmp(code, endbr64, sizeof endbr64) == 0 ? code + sizeof endbr64 : code;
    if (at[0] != 0xb8 || at[5] != 0xc3)
        return 0;
    unsigned number =
        (unsigned)at[1] | (unsigned)at[2] << 8 | (unsigned)at[3] << 16 | (unsigned)at[4] << 24;
    return number >= 100 && number <= 99999 ? number : 0;
}

// Without the function the option names still tell the generation.
static void version_text(unsigned number, const struct mimalloc_options *options, char *ret_text,
                         size_t size)
{
    ret_text[0] = '\0';
    if (number >= 1000)
        snprintf(ret_text, size, "%u.%u.%u", number / 1000, number / 100 % 10, number % 100);
    else if (number)
        snprintf(ret_text, size, "%u.%u.%u", number / 100, number / 10 % 10, number % 10);
    else if (mimalloc_option_find(options, "segment_decommit_delay"))
        snprintf(ret_text, size, "2.0");
    else if (mimalloc_option_find(options, "page_full_retain"))
        snprintf(ret_text, size, "3");
}

// Without the table only the environment speaks, which may itself be hidden.
static int add_unread_options(const struct target *target, struct runtime_report *report, int error)
{
    bool denied = error == -EPERM || error == -EACCES;
    error = report_add_unread(report, "mimalloc's options in force",
                              denied ? "ptrace read access: run as root or as the target's user"
                                     : "nothing that is known: its table was not found");
    return error ? error : opaque_add_lost_environment(target, report);
}

// CPython from 3.13 on carries a copy for its builds without a global lock. Where pymalloc has
// arenas, that copy is initialised and has nothing: it is not named.
static bool is_idle_in_python(const struct target *target, const struct image *image)
{
    for (size_t i = 0; i < target->earlier_count; i++) {
        const struct runtime_report *earlier = &target->earlier[i];
        if (strcmp(earlier->name, "CPython") == 0 && earlier->claim_count > 0 &&
            strncmp(earlier->place, image->path, sizeof earlier->place - 1) == 0)
            return true;
    }
    return false;
}

// Structures change with every minor version: the one that is known is read, the others are held.
// None of its functions tells what is in use without being given one to call back, so that there
// is nothing to ask.
static int read_memory(const struct target *target, const struct image *image, unsigned number,
                       struct runtime_report *report)
{
    enum { VERSION_READ = 209 };
    int error = number == VERSION_READ ? mimalloc_segments_read(target, report) : -ENOTSUP;
    // Nothing allocated yet is nothing claimed.
    if (error == 0 || error == -ENOMEM)
        return error;
    const char *needs = "nothing: this version's structures are not known, and no function of its "
                        "own tells what is in use";
    if (error == -EPERM || error == -EACCES)
        needs = "ptrace read access: run as root or as the target's user";
    else if (error == -EAGAIN || error == -ETIME)
        needs = "a second look: it was changing, or too large for the time it had";
    return opaque_claim_silent(target, image, "libmimalloc", report, needs);
}

// The options come from the library's own table, since programs set them by calls as well.
static int mimalloc_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = locate_image(target, &mimalloc_rule);
    if (!image || is_idle_in_python(target, image))
        return -ENOENT;
    struct mimalloc_options options;
    int error = mimalloc_options_read(target, image, &options);
    char version[32];
    unsigned number = read_version_number(image);
    version_text(number, &options, version, sizeof version);
    opaque_name(ret_report, "mimalloc", image, version);
    error = error ? add_unread_options(target, ret_report, error) : 0;
    if (!error)
        error = mimalloc_options_add(target, &options, ret_report);
    if (error)
        return error;
    return read_memory(target, image, number, ret_report);
}

const struct runtime_reader mimalloc_reader = {"mimalloc", mimalloc_find, mimalloc_read};
