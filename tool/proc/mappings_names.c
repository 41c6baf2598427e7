// SPDX-License-Identifier: Apache-2.0
// The pool of names and the kinds that they tell, see mappings_names.h. Tool world; the table
// guards it.
#include "proc/mappings_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Long chains come from hostile names alone: after so many steps a name is stored once more.
enum { PROBES_MAX = 64, INDEX_MIN = 256 };

static const char name_not_kept[] = "(name not kept)";

// FNV-1a; its low bits alone choose the slot, so the high ones are folded in.
static uint64_t hash_text(struct text text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3;
    return hash ^ hash >> 32;
}

// A stored name may be longer or shorter than the one looked for; the pool's end is the bound.
static bool name_is_at(const struct mappings *mappings, size_t at, struct text name)
{
    // Both sides end in NUL, so a longer stored name cannot match by its beginning.
    return mappings->names_len - at > name.len &&
           memcmp(mappings->names + at, name.data, name.len) == 0 &&
           mappings->names[at + name.len] == '\0';
}

// The pool moves when it grows: names are kept as offsets, never as pointers.
static int append_name(struct mappings *mappings, struct text name, uint32_t *ret_at)
{
    size_t need = mappings->names_len + name.len + 1;
    if (need > mappings->names_capacity) {
        size_t capacity = mappings->names_capacity ? mappings->names_capacity * 2 : 4096;
        while (capacity < need)
            capacity *= 2;
        char *grown = realloc(mappings->names, capacity);
        if (!grown)
            return -ENOMEM;
        mappings->names = grown;
        mappings->names_capacity = capacity;
    }
    *ret_at = (uint32_t)mappings->names_len;
    memcpy(mappings->names + mappings->names_len, name.data, name.len);
    mappings->names[need - 1] = '\0';
    mappings->names_len = need;
    return 0;
}

// The slot of `name`, an empty one for it, or NULL when the chain is too long. Slot value 0 is
// empty: the empty name lives at offset 0 and is never indexed.
static uint32_t *find_slot(struct mappings *mappings, uint32_t *index, size_t size,
                           struct text name)
{
    uint64_t hash = hash_text(name);
    for (size_t i = 0; i < PROBES_MAX; i++) {
        uint32_t *slot = &index[(hash + i) & (size - 1)];
        if (*slot == 0 || name_is_at(mappings, *slot, name))
            return slot;
    }
    return NULL;
}

// Names keep their offsets; only the slots are dealt out anew. One that finds no slot is just not
// found again.
static int grow_index(struct mappings *mappings)
{
    size_t size = mappings->name_index_size ? mappings->name_index_size * 2 : INDEX_MIN;
    uint32_t *index = calloc(size, sizeof *index);
    if (!index)
        return -ENOMEM;
    for (size_t i = 0; i < mappings->name_index_size; i++) {
        uint32_t at = mappings->name_index[i];
        uint32_t *slot =
            at ? find_slot(mappings, index, size, text_of(mappings->names + at)) : NULL;
        if (slot)
            *slot = at;
    }
    free(mappings->name_index);
    mappings->name_index = index;
    mappings->name_index_size = size;
    return 0;
}

// The pool holds the empty name first; a full pool hands out the replacement, which comes second.
static int start_pool(struct mappings *mappings)
{
    uint32_t at;
    if (mappings->names_len > 0)
        return 0;
    int error = append_name(mappings, text_of(""), &at);
    if (!error)
        error = append_name(mappings, text_of(name_not_kept), &at);
    return error;
}

// Most targets have a few hundred names in tens of thousands of mappings.
static int intern_name(struct mappings *mappings, struct text name, uint32_t *ret_at)
{
    int error = start_pool(mappings);
    if (error)
        return error;
    if (name.len == 0) {
        *ret_at = 0;
        return 0;
    }
    // Neighbours are mostly of one file.
    uint32_t last = mappings->count ? mappings->items[mappings->count - 1].path : 0;
    if (last != 0 && name_is_at(mappings, last, name)) {
        *ret_at = last;
        return 0;
    }
    if (mappings->name_count >= mappings->name_index_size / 2)
        error = grow_index(mappings);
    if (error)
        return error;
    uint32_t *slot = find_slot(mappings, mappings->name_index, mappings->name_index_size, name);
    if (slot && *slot != 0) {
        *ret_at = *slot;
        return 0;
    }
    if (mappings->names_len + name.len + 1 > MAPPINGS_NAMES_MAX) {
        *ret_at = 1;
        return 0;
    }
    error = append_name(mappings, name, ret_at);
    if (!error && slot) {
        *slot = *ret_at;
        mappings->name_count++;
    }
    return error;
}

// 's' in the permissions.
static bool is_shared(const struct mapping *mapping)
{
    return (mapping->flags & MAPPING_SHARED) != 0;
}

// Names in brackets are the kernel's: a file's path begins with '/', and the inode says so once
// more.
static enum mapping_kind bracket_kind(const struct mapping *mapping, struct text name)
{
    if (text_starts_with(name, "[anon_shmem:"))
        return MAPPING_SHMEM;
    if (mapping->inode != 0)
        return MAPPING_FILE;
    if (text_equals(name, "[heap]"))
        return MAPPING_BRK;
    if (text_equals(name, "[stack]") || text_starts_with(name, "[stack:"))
        return MAPPING_STACK;
    return text_starts_with(name, "[anon:") ? MAPPING_ANONYMOUS : MAPPING_KERNEL;
}

// Files that no directory holds, named by the kernel when it makes them: mm/shmem.c, ipc/shm.c,
// mm/memfd.c, fs/hugetlbfs/inode.c, mm/secretmem.c, drivers/gpu/drm/drm_gem.c.
static bool is_unlinked_memory(struct text name)
{
    return text_starts_with(name, "/memfd:") || text_starts_with(name, "/SYSV") ||
           text_equals(name, "/dev/zero") || text_equals(name, "/secretmem") ||
           text_equals(name, "/drm mm object");
}

// What looks like a path. A file somebody named so on purpose is not deleted, or lies in a
// directory.
static enum mapping_kind file_kind(const struct mapping *mapping, struct text name)
{
    bool deleted = (mapping->flags & MAPPING_DELETED) != 0;
    if (deleted && is_unlinked_memory(name))
        return MAPPING_SHMEM;
    if (deleted && text_equals(name, "/anon_hugepage"))
        return is_shared(mapping) ? MAPPING_SHMEM : MAPPING_ANONYMOUS;
    // A private mapping of /dev/zero is the old way to ask for anonymous memory.
    if (text_equals(name, "/dev/zero") && !is_shared(mapping))
        return MAPPING_ANONYMOUS;
    if (text_starts_with(name, "/dev/shm/") || text_starts_with(name, "/run/shm/") ||
        text_starts_with(name, "/dev/hugepages/"))
        return MAPPING_SHMEM;
    bool special = name.data[0] != '/' || text_starts_with(name, "/dev/") ||
                   text_starts_with(name, "/dmabuf:") || text_equals(name, "/[aio]");
    return special ? MAPPING_DEVICE : MAPPING_FILE;
}

// A mapping without a name has no file, unless the file system lost it.
static enum mapping_kind kind_of(const struct mapping *mapping, struct text name)
{
    if (name.len == 0)
        return mapping->inode ? MAPPING_FILE : MAPPING_ANONYMOUS;
    return name.data[0] == '[' ? bracket_kind(mapping, name) : file_kind(mapping, name);
}

// The kernel writes a newline in a name as \012 and escapes nothing else (fs/proc/task_mmu.c).
static struct text decode_name(struct text name, char *decoded)
{
    size_t len = 0;
    while (name.len > 0) {
        if (text_take_prefix(&name, "\\012")) {
            decoded[len++] = '\n';
            continue;
        }
        decoded[len++] = name.data[0];
        name.data++;
        name.len--;
    }
    return (struct text){decoded, len};
}

int mappings_set_name(struct mappings *mappings, struct mapping *mapping, struct text name)
{
    static const char deleted[] = " (deleted)";
    // Nothing behind a NUL can be kept in a pool of strings.
    const char *nul = memchr(name.data, '\0', name.len);
    if (nul)
        name.len = (size_t)(nul - name.data);
    if (text_ends_with(name, deleted)) {
        name.len -= sizeof deleted - 1;
        mapping->flags |= MAPPING_DELETED;
    }
    char *decoded = NULL;
    if (text_contains(name, "\\012")) {
        decoded = malloc(name.len);
        if (!decoded)
            return -ENOMEM;
        name = decode_name(name, decoded);
    }
    mapping->kind = (uint8_t)kind_of(mapping, name);
    int error = intern_name(mappings, name, &mapping->path);
    free(decoded);
    return error;
}
