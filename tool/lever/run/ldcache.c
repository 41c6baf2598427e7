// SPDX-License-Identifier: Apache-2.0
// Reader of ld.so.cache, see ldcache.h. Tool world; pure, no state of its own.
#include "lever/run/ldcache.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

// As they lie in the file, in the byte order of the machine.
// All fields lie as the compiler would lay them, without gaps.
struct header {
    char magic[20];
    uint32_t count, strings_len;
    uint32_t flags, extension_offset, unused[3];
};

struct entry {
    int32_t flags;
    uint32_t soname, path; // offsets from the header
    uint32_t os_version;
    uint64_t hardware;
};

// It also stands for the byte order of the numbers: the cache is made on the machine.
static const char magic[] = "glibc-ld.so.cache1.1";

int ldcache_open(struct text file, struct ldcache *ret_cache)
{
    const char *at = memmem(file.data, file.len, magic, sizeof(magic) - 1);
    struct header header;
    if (!at)
        return -EBADMSG;
    // Offsets of strings count from here.
    struct text data = {at, file.len - (size_t)(at - file.data)};
    if (data.len < sizeof header)
        return -EBADMSG;
    memcpy(&header, data.data, sizeof header);
    // A count that the file cannot hold is cut to what it holds.
    size_t most = (data.len - sizeof header) / sizeof(struct entry);
    *ret_cache = (struct ldcache){data, header.count < most ? header.count : most, 0};
    return 0;
}

// A string that ends in the file.
static bool string_at(struct text data, uint32_t offset, struct text *ret_string)
{
    if (offset >= data.len)
        return false;
    const char *end = memchr(data.data + offset, '\0', data.len - offset);
    if (!end)
        return false;
    *ret_string = (struct text){data.data + offset, (size_t)(end - data.data) - offset};
    return true;
}

bool ldcache_next(struct ldcache *cache, struct text *ret_soname, struct text *ret_path)
{
    // Unsound entries are passed over, so that one of them does not hide the rest.
    while (cache->next < cache->count) {
        struct entry entry;
        size_t at = sizeof(struct header) + cache->next++ * sizeof entry;
        memcpy(&entry, cache->data.data + at, sizeof entry);
        struct text soname, path;
        if (!string_at(cache->data, entry.soname, &soname) ||
            !string_at(cache->data, entry.path, &path))
            continue;
        *ret_soname = soname;
        *ret_path = path;
        return true;
    }
    return false;
}
