// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a TARGET and the process that it is compared with. Test code; no state.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sample/select.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

// The first line is the target, the lines behind it are the process's texts.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text rest = {(const char *)data, length_bytes}, target = {"", 0}, line = {"", 0};
    struct selection selection;
    text_next_line(&rest, &target);
    if (selection_parse(target, &selection) != 0)
        return 0;
    if (memchr(selection.text, '\0', sizeof selection.text) == NULL)
        abort();
    struct subject subject = {.pid = 1};
    text_next_line(&rest, &line);
    text_copy(line, subject.name, sizeof subject.name);
    text_next_line(&rest, &line);
    text_copy(line, subject.cmdline, sizeof subject.cmdline);
    text_next_line(&rest, &line);
    text_copy(line, subject.cgroup, sizeof subject.cgroup);
    bool one = selection_matches(&selection, 1, &subject);
    // A name matches itself.
    if (selection.kind == SELECT_NAME && strcmp(selection.text, subject.name) == 0 &&
        subject.name[0] && !one)
        abort();
    return 0;
}
