// SPDX-License-Identifier: Apache-2.0
// The reader of mimalloc: finds it, names it, reads its options from its own table. Tool world; no
// state.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/locate.h"
#include "runtime/allocators/mimalloc_options.h"
#include "runtime/opaque.h"

static const struct locate_rule mimalloc_rule = {
    .names = {"libmimalloc"},
    .markers = {{"mimalloc: err", "or: "},
                {"environment option mimalloc_%s has", " an invalid value"}},
};

// The two messages are in every build, also where statistics and checks are compiled out.
static bool mimalloc_find(const struct target *target)
{
    return locate_image(target, &mimalloc_rule) != NULL;
}

// mi_version() is `mov eax, VERSION; ret`, after an endbr64 perhaps: 209 is 2.0.9, 3150 would
// be 3.1.50.
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

// The options come from the library's own table, since programs set them by calls as well.
static int mimalloc_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = locate_image(target, &mimalloc_rule);
    if (!image)
        return -ENOENT;
    struct mimalloc_options options;
    int error = mimalloc_options_read(target, image, &options);
    char version[32];
    version_text(read_version_number(image), &options, version, sizeof version);
    opaque_name(ret_report, "mimalloc", image, version);
    if (error == -EPERM || error == -EACCES)
        report_add_unread(ret_report, "mimalloc's options in force", "ptrace read access");
    error = mimalloc_options_add(target, &options, ret_report);
    if (error)
        return error;
    return opaque_claim_malloc(target, image, "libmimalloc", ret_report, false);
}

const struct runtime_reader mimalloc_reader = {"mimalloc", mimalloc_find, mimalloc_read};
