// SPDX-License-Identifier: Apache-2.0
// The files that `ebb report` reads. Tool world.
#ifndef EBB_CMD_REPORT_FILE_H
#define EBB_CMD_REPORT_FILE_H

#include "history/history.h"

// Opens a recording, or reads a dump of pprofplus into one in memory. EXIT_DONE with a handle that
// history_close() frees; else an exit status after a message.
int report_file_open(const char *path, struct history **ret_history);

// Says that it holds nothing at all, and why that may be. The exit status.
int report_file_refuse_empty(const char *path, const struct history_about *about);

// Says why (-errno of history/history.h and history/report.h); `path` may be NULL. The exit status.
int report_file_refuse(const char *path, int error);

#endif
