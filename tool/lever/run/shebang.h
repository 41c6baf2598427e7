// SPDX-License-Identifier: Apache-2.0
// The first line of a script. Tool world; pure.
//
// Source: load_script() of the kernel's fs/binfmt_script.c.
#ifndef EBB_LEVER_RUN_SHEBANG_H
#define EBB_LEVER_RUN_SHEBANG_H

#include "base/text.h"

enum {
    SHEBANG_MAX = 256, // what the kernel reads of a file to know what it is
    SHEBANG_DEPTH = 5, // interpreters of interpreters that the kernel follows
};

// Takes the interpreter and its one argument (empty if there is none) out of the first bytes of a
// file; views into it. 0; -ENOEXEC for no script, or one that the kernel refuses.
int shebang_parse(struct text start, struct text *ret_interpreter, struct text *ret_argument);

// The program that env(1) would start, given the argument behind it: "python3" of "python3",
// "-S python3 -u" or "-S -i A=1 python3". False when that cannot be told.
bool shebang_env_program(struct text argument, struct text *ret_program);

#endif
