// SPDX-License-Identifier: Apache-2.0
// How long a change lasts, see lasting.h. Tool world; pure.
#include "lever/tune/lasting.h"

#include <ctype.h>
#include <string.h>

// "gctrace=1" is the item of "gctrace" and not of "gc".
static bool is_item_of(struct text item, const char *key, char assign)
{
    size_t len = strlen(key);
    return text_starts_with(item, key) && item.len > len && item.data[len] == assign;
}

// The list is the target's own: nothing that it holds may mean more in a file than it says. Quotes
// and backslashes end texts, '%' is a specifier of systemd's, '$' a shell's variable.
static bool is_plain(struct text item)
{
    for (size_t i = 0; i < item.len; i++) {
        unsigned char byte = (unsigned char)item.data[i];
        // Also NUL, which strchr() would find.
        if (!isalnum(byte) && (byte == '\0' || !strchr("_-.,:;=/+@ ", byte)))
            return false;
    }
    return true;
}

// Appends a piece. False when it does not fit.
static bool append(char *list, size_t size, struct text piece)
{
    size_t len = strlen(list);
    return text_copy(piece, list + len, size - len);
}

// What decides is that nothing of the user's is lost: a pod has one GODEBUG, not two.
bool lasting_merge(struct text list, char separator, const char *key, char assign,
                   const char *value, char *ret_list, size_t size)
{
    const char between[] = {separator, '\0'}, assigned[] = {assign, '\0'};
    struct text item;
    bool fits = is_plain(list);
    ret_list[0] = '\0';
    // What the user has set stays, and in its order.
    while (text_next_field(&list, separator, &item)) {
        // An empty item is a slip that Go and jemalloc would stumble over.
        if (item.len == 0 || is_item_of(item, key, assign))
            continue;
        fits = fits && append(ret_list, size, item) && append(ret_list, size, text_of(between));
    }
    return fits && append(ret_list, size, text_of(key)) &&
           append(ret_list, size, text_of(assigned)) && append(ret_list, size, text_of(value));
}

// Asked most often: does it survive a restart? It does not.
int lasting_add_until(struct lever_report *report)
{
    return lever_add_note(report, "It lasts until the process ends or calls exec. Programs that it "
                                  "starts begin with what their environment says");
}

// Exact text to paste, for the two places where services get their environment.
int lasting_add_variable(struct lever_report *report, const char *variable, const char *value)
{
    int error = lever_add_note(report, "For good, in a systemd unit: Environment=\"%s=%s\"",
                               variable, value);
    if (!error)
        error = lever_add_note(report, "For good, in a pod: env: [{name: %s, value: \"%s\"}]",
                               variable, value);
    return error;
}

// Whoever pastes it over a longer list must know that it is shorter.
int lasting_add_list(struct lever_report *report, const char *variable, const char *list,
                     bool is_merged)
{
    int error = lasting_add_variable(report, variable, list);
    if (error || is_merged)
        return error;
    return lever_add_note(report,
                          "What stands in its %s now is not in that line: it is too long for it, "
                          "or not plain text",
                          variable);
}
