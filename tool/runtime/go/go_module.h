// SPDX-License-Identifier: Apache-2.0
// Where a stripped Go image has its text, data and functions: pclntab and moduledata. Tool world.
//
// runtime.firstmoduledata begins with the address of the pclntab, and goes on with the borders of
// text and data. It is found by that word, and believed when a second word points to where the
// table says.
#ifndef EBB_RUNTIME_GO_GO_MODULE_H
#define EBB_RUNTIME_GO_GO_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/go/go_code.h"
#include "runtime/go/go_pclntab.h"

struct target;
struct image;

// All addresses are run-time addresses.
struct go_module {
    struct go_pclntab table;
    uint64_t text, text_end;
    struct go_address_range data[4]; // noptrdata, data, bss, noptrbss
};

enum { GO_MODULE_WORDS = 32 };

// Takes a moduledata apart. 0; -EBADMSG when the words are not one of this table. Pure.
// `low` and `high` are the image's run-time span.
int go_module_parse(const struct go_pclntab *table, const uint64_t words[GO_MODULE_WORDS],
                    uint64_t low, uint64_t high, struct go_module *ret_module);

// Finds table and module data of an image, sections or not. 0; -ENOENT; -ETIME; -errno.
int go_module_find(const struct target *target, const struct image *image, uint64_t deadline_ns,
                   struct go_module *ret_module);

// Finds functions by name: run-time addresses. Returns how many, or -errno.
int go_module_functions(const struct target *target, const struct image *image,
                        const struct go_module *module, const char *const *names, size_t count,
                        uint64_t deadline_ns, struct go_function *ret_functions);

#endif
