// SPDX-License-Identifier: Apache-2.0
// The two ways in which `ebb export` gives its metrics away. Tool world; internal to export.
#ifndef EBB_CMD_EXPORT_PARTS_H
#define EBB_CMD_EXPORT_PARTS_H

#include "cmd/export_source.h"

struct options;

// Replaces the file with the metrics, so that a reader sees all of the old ones or all of the new
// ones: a file beside it, mode 0644, is written, flushed to the disk and renamed. The text is the
// older format, which node_exporter's textfile collector reads. 0 or -errno.
int export_textfile_write(struct export_source *source, const char *path);

struct export_server;

// Serves /metrics, /-/healthy and / as the options say, on threads of its own. EXIT_DONE, or an
// exit status after a message. Prints where it listens, on stderr.
int export_server_start(const struct options *options, struct export_source *source,
                        struct export_server **ret_server);
void export_server_stop(struct export_server *server); // NULL is fine

#endif
