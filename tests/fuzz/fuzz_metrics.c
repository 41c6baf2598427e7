// SPDX-License-Identifier: Apache-2.0
// Fuzz target: names as labels of metrics, and Accept headers. The first line is a header, the rest
// a name.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "metrics/exposition.h"
#include "metrics/label.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Everything in a label may be shown, and none is cut in the middle of a character.
static void check_label(const char *label)
{
    const unsigned char *at = (const unsigned char *)label;
    while (*at) {
        size_t len = *at < 0x80 ? *at >= 0x20 && *at != 0x7f : utf8_safe_length(at);
        if (len == 0)
            abort();
        at += len;
    }
}

// In one line, and with an even number of quotes that count.
static void check_point(const struct metrics_label *labels)
{
    struct buffer text = {0};
    struct exposition exposition = {.buffer = &text};
    exposition_family(&exposition, "ebb_fuzz", METRICS_GAUGE, NULL, "Help.");
    size_t before = text.len;
    exposition_count(&exposition, labels, 1);
    const char *end = text.data ? memchr(text.data + before, '\n', text.len - before) : NULL;
    if (exposition.error || end != text.data + text.len - 1 || !strstr(end - 4, "\"} 1"))
        abort();
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1), label[METRICS_LABEL_MAX], again[METRICS_LABEL_MAX];
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    copy[size] = '\0';
    char *name = strchr(copy, '\n');
    if (name)
        *name++ = '\0';
    (void)metrics_format_of(copy);
    struct subject subject = {.pid = 7};
    text_copy(text_of(name ? name : ""), subject.name, sizeof subject.name);
    text_copy(text_of(name ? name : ""), subject.cgroup, sizeof subject.cgroup);
    for (unsigned i = 0; i < 6; i++) {
        metrics_label_of(&subject, (enum metrics_grouping)(i % 3), i > 2, label);
        check_label(label);
        // A label is its own label: what is clean stays as it is.
        metrics_label_clean(label, again, sizeof again);
        if (strcmp(label, again) != 0)
            abort();
        const struct metrics_label labels[] = {{"group", label}, {NULL, NULL}};
        check_point(labels);
    }
    free(copy);
    return 0;
}
