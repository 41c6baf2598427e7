// SPDX-License-Identifier: Apache-2.0
// What a command line will really run: the file, the interpreter of a script, and what is known to
// matter of it. Tool world.
#ifndef EBB_LEVER_RUN_PROGRAM_H
#define EBB_LEVER_RUN_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

#include "lever/run/binary.h"

// Runtimes that have no fallback where MADV_FREE is refused: what they would have freed lazily
// stays.
enum program_loser { PROGRAM_FALLS_BACK, PROGRAM_DOTNET, PROGRAM_ERLANG, PROGRAM_JEMALLOC4 };

struct program {
    char path[PATH_MAX];       // the file that is executed
    char final_path[PATH_MAX]; // the ELF file in the end: an interpreter for a script
    bool is_script;
    bool is_known; // the ELF file could be read
    int error;     // why not, -errno
    struct binary binary;
    bool gains_privileges; // set-user-ID, set-group-ID or file capabilities that count here
    enum program_loser loser;
};

// Where exec would find `name`: itself if it holds a slash, else along `search` (the value of PATH;
// NULL: the system's default). 0; -ENOENT; -EACCES found but not executable, as execvp() tells
// them apart; -ENAMETOOLONG.
int program_find(const char *name, const char *search, char ret_path[PATH_MAX]);

// Looks at the command `name`. 0, or as program_find(). Cost: as binary_read().
int program_look(const char *name, const char *search, struct program *ret_program);

#endif
