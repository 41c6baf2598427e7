// SPDX-License-Identifier: Apache-2.0
// Merging of settings, see merge.h. Tool world; pure, no state.
#include "lever/run/merge.h"

#include <string.h>

// Does the pair begin with `key` and the sign that parts it from its value?
static bool has_key(struct text pair, const char *key, char sign)
{
    return text_take_prefix(&pair, key) && pair.len > 0 && pair.data[0] == sign;
}

// Appends the pairs of `old` that are not of `key`, each with a comma in front unless it is first.
static int put_others(struct text old, const char *key, char sign, struct buffer *merged)
{
    struct text pair;
    // What stands there already is the pair that goes to the front.
    bool is_first = merged->len == 0;
    int error = 0;
    while (!error && text_next_field(&old, ',', &pair)) {
        // An empty pair would end jemalloc's reading, and says nothing to Go.
        if (pair.len == 0 || has_key(pair, key, sign))
            continue;
        error = buffer_printf(merged, "%s%.*s", is_first ? "" : ",", (int)pair.len, pair.data);
        is_first = false;
    }
    return error;
}

int merge_godebug(struct text old, const char *key, const char *value, struct buffer *merged)
{
    buffer_clear(merged);
    // All others first, in their order.
    int error = put_others(old, key, '=', merged);
    if (error)
        return error;
    return buffer_printf(merged, "%s%s=%s", merged->len > 0 ? "," : "", key, value);
}

int merge_malloc_conf(struct text old, const char *key, const char *value, struct buffer *merged)
{
    buffer_clear(merged);
    int error = buffer_printf(merged, "%s:%s", key, value);
    return error ? error : put_others(old, key, ':', merged);
}

// ld.so(8) takes both.
static bool is_separator(char byte)
{
    return byte == ' ' || byte == ':';
}

bool merge_preload_can_hold(const char *path)
{
    return strpbrk(path, " :") == NULL;
}

// Two allocators in one list would leave the second one's functions that the first lacks.
static bool is_allocator(struct text path)
{
    static const char *const names[] = {
        "libjemalloc",     "libtcmalloc", "libmimalloc",        "libebb.so",
        "libsnmallocshim", "libhoard",    "libhardened_malloc", "libscudo",
        "librpmalloc",     "libmesh.so",  "libclang_rt.scudo",
    };
    // By its beginning: versions and variants ("_minimal", "_debug") follow.
    struct text name = text_base_name(path);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (text_starts_with(name, names[i]))
            return true;
    }
    return false;
}

int merge_preload(struct text old, const char *library, struct buffer *merged, size_t *ret_removed)
{
    buffer_clear(merged);
    int error = buffer_printf(merged, "%s", library ? library : "");
    // text_next_field() knows one separator only.
    while (!error && old.len > 0) {
        struct text path = {old.data, 0};
        while (path.len < old.len && !is_separator(old.data[path.len]))
            path.len++;
        size_t used = path.len < old.len ? path.len + 1 : path.len;
        old = (struct text){old.data + used, old.len - used};
        if (path.len == 0)
            continue;
        if (is_allocator(path))
            ++*ret_removed;
        else
            error = buffer_printf(merged, "%s%.*s", merged->len > 0 ? ":" : "", (int)path.len,
                                  path.data);
    }
    return error;
}
