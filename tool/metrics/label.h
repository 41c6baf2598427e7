// SPDX-License-Identifier: Apache-2.0
// The label under which a process is counted, from names that may hold any bytes. Tool world; pure.
#ifndef EBB_METRICS_LABEL_H
#define EBB_METRICS_LABEL_H

#include <stddef.h>

#include "sample/sample.h"

// What a process is grouped by.
enum metrics_grouping { METRICS_BY_NAME, METRICS_BY_CGROUP, METRICS_BY_UID };

enum { METRICS_LABEL_MAX = 256 };

// The group of all that has no place of its own. A process of that name is counted there, too.
extern const char metrics_rest_label[];

// Copies a name so that it is a valid label value: control bytes, broken UTF-8 and marks that turn
// the direction of text become \xNN. A backslash stays one, as systemd's group names have it, so
// that two names may become one label: count by the label, never by the name. Cut to fit, at a
// character's end.
void metrics_label_clean(const char *name, char *ret_label, size_t size);

// The name of a process's group, raw: without a title ("nginx: worker process" is nginx).
void metrics_group_name(const struct subject *subject, char *ret_name, size_t size);

// The label of a process's group; by name it is the one above.
// With `pids` each process is its own ("redis-server 4121").
void metrics_label_of(const struct subject *subject, enum metrics_grouping grouping, bool pids,
                      char ret_label[METRICS_LABEL_MAX]);

// The label of a memory group. Leading "/.." go: they are how a container sees what lies above it.
void metrics_label_of_cgroup(const char *path, char ret_label[METRICS_LABEL_MAX]);

#endif
