// SPDX-License-Identifier: Apache-2.0
// What an ELF file says of how it will be run: its loader and its C library. Tool world.
#ifndef EBB_LEVER_RUN_BINARY_H
#define EBB_LEVER_RUN_BINARY_H

#include <stdbool.h>
#include <stdint.h>

enum binary_libc { BINARY_LIBC_UNKNOWN, BINARY_LIBC_GLIBC, BINARY_LIBC_MUSL };

enum { BINARY_VARIABLE_MAX = 64, BINARY_VARIABLES_MAX = 4 };

struct binary {
    uint16_t machine; // EM_*
    bool is_64bit;
    bool is_static; // no loader, so nothing can be preloaded
    bool is_go;
    enum binary_libc libc;
    // jemalloc that is linked into it: the names of its settings' variable ("JE_MALLOC_CONF"), and
    // its version; 0 unknown.
    char conf_variables[BINARY_VARIABLES_MAX][BINARY_VARIABLE_MAX];
    unsigned conf_variable_count;
    unsigned jemalloc_major;
};

// Reads the file by descriptor, which stays the caller's. 0; -ENOEXEC for no sound ELF file of this
// byte order; -ENOMEM, -errno. Cost: some preads; a pass over .rodata, but for Go programs.
int binary_read(int fd, struct binary *ret_binary);

// "x86-64", "i386", "aarch64", ...; "machine 243" for others. Always terminated.
void binary_format_machine(const struct binary *binary, char *ret_text, unsigned long size);

// Debian's name for the folder of such a machine's libraries ("x86_64-linux-gnu"), NULL for others.
const char *binary_library_folder(const struct binary *binary);

// Do the two run in one process?
bool binary_fits(const struct binary *library, const struct binary *program);

#endif
