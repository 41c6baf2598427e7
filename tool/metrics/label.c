// SPDX-License-Identifier: Apache-2.0
// Labels from names, see label.h. Tool world; pure.
#include "metrics/label.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

// comm has no more, so what is longer comes from the command line.
enum { COMM_MAX = 15 };

const char metrics_rest_label[] = "other";

// A piece is added whole or not at all, so that a cut label is valid as well.
void metrics_label_clean(const char *name, char *ret_label, size_t size)
{
    const unsigned char *at = (const unsigned char *)name;
    size_t len = 0;
    while (*at) {
        // One character, as it is or as its escape.
        char piece[8];
        size_t used = *at >= 0x80 ? utf8_safe_length(at) : *at >= 0x20 && *at != 0x7f;
        if (used > 0)
            memcpy(piece, at, used);
        size_t piece_len = used > 0 ? used : (size_t)snprintf(piece, sizeof piece, "\\x%02x", *at);
        if (len + piece_len >= size)
            break;
        memcpy(ret_label + len, piece, piece_len);
        len += piece_len;
        at += used > 0 ? used : 1;
    }
    ret_label[len] = '\0';
}

// An empty path is that of a group nobody could tell: it counts at the root.
void metrics_label_of_cgroup(const char *path, char ret_label[METRICS_LABEL_MAX])
{
    // Below a group only names follow, so what is left is a path again.
    while (strncmp(path, "/..", 3) == 0 && (path[3] == '/' || path[3] == '\0'))
        path += 3;
    metrics_label_clean(path[0] ? path : "/", ret_label, METRICS_LABEL_MAX);
}

// The name without what programs write behind it: "postgres: joe shop 10.0.0.7(4410) idle" would
// make a group of each session. A name that the kernel has not cut, and that is no title, stays.
void metrics_group_name(const struct subject *subject, char *ret_name, size_t size)
{
    const char *name = subject->name;
    // As a whole, unless it is a title.
    size_t len = strlen(name);
    const char *title = strstr(name, ": ");
    const char *blank = strchr(name, ' ');
    if (title && title > name)
        len = (size_t)(title - name);
    else if (blank && blank > name && len > COMM_MAX)
        len = (size_t)(blank - name);
    text_copy((struct text){name, len}, ret_name, size);
}

void metrics_label_of(const struct subject *subject, enum metrics_grouping grouping, bool pids,
                      char ret_label[METRICS_LABEL_MAX])
{
    char label[METRICS_LABEL_MAX - 16], name[sizeof subject->name];
    switch (grouping) {
    case METRICS_BY_CGROUP:
        metrics_label_of_cgroup(subject->cgroup, ret_label);
        break;
    case METRICS_BY_UID:
        // The number: names of users are another system's matter in a container.
        snprintf(ret_label, METRICS_LABEL_MAX, "%u", subject->uid);
        break;
    case METRICS_BY_NAME:
        metrics_group_name(subject, name, sizeof name);
        metrics_label_clean(name, ret_label, METRICS_LABEL_MAX);
        break;
    }
    if (!pids)
        return;
    // Room for any PID: the name gives way.
    metrics_label_clean(ret_label, label, sizeof label);
    snprintf(ret_label, METRICS_LABEL_MAX, "%s %d", label, subject->pid);
}
