// SPDX-License-Identifier: Apache-2.0
// The ebb command's entry point: all it does is in the libraries, where tests reach it. World:
// tool.
#include "cmd/verb.h"

// Everything a verb needs comes through its struct command; nothing is kept in globals, so that a
// test can call any verb twice in one process.
int main(int argc, char **argv)
{
    return verb_dispatch(argc, argv);
}
