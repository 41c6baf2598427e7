// SPDX-License-Identifier: Apache-2.0
// Where journals of levers are. Tool world; no state.
#ifndef EBB_LEVER_JOURNAL_PLACE_H
#define EBB_LEVER_JOURNAL_PLACE_H

#include <limits.h>
#include <stdbool.h>

// The folder that the caller's "ebb/levers" is in: $XDG_RUNTIME_DIR if it is a folder of the
// caller's own, else /run (which only root may write to). False: the path is too long.
bool journal_own_place(char ret_path[PATH_MAX]);

#endif
