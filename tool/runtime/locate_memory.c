// SPDX-License-Identifier: Apache-2.0
// What earlier surveys found in files, see locate_memory.h. Tool world; one thread uses a memory.
#include "runtime/locate_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "image/image.h"

// A host runs some hundred different files; a set is as many as are compared at each look-up.
enum { MEMORY_SETS = 256, MEMORY_SET_FILES = 8, MEMORY_VERSION_BYTES = 40 };

struct memory_key {
    uint64_t device, inode, size, changed_s, changed_ns;
};

struct memory_file {
    struct memory_key key;
    uint64_t used; // 0: empty
    uint32_t marks;
    bool has_marks, has_version;
    char version[MEMORY_VERSION_BYTES];
};

struct locate_memory {
    uint64_t uses;
    struct memory_file files[MEMORY_SETS][MEMORY_SET_FILES];
};

int locate_memory_open(struct locate_memory **ret_memory)
{
    struct locate_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return -ENOMEM;
    *ret_memory = memory;
    return 0;
}

void locate_memory_close(struct locate_memory *memory)
{
    free(memory);
}

// The descriptor is of the very file that is mapped, whatever its path shows by now.
static bool memory_key_of(const struct image *image, struct memory_key *ret_key)
{
    struct stat file;
    if (fstat(image->fd, &file) != 0)
        return false;
    *ret_key = (struct memory_key){file.st_dev, file.st_ino, (uint64_t)file.st_size,
                                   (uint64_t)file.st_ctim.tv_sec, (uint64_t)file.st_ctim.tv_nsec};
    return true;
}

static bool memory_key_equals(const struct memory_key *a, const struct memory_key *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed_s == b->changed_s && a->changed_ns == b->changed_ns;
}

// Inodes of one file system count up: any bits of them spread well.
static struct memory_file *memory_set_of(struct locate_memory *memory, const struct memory_key *key)
{
    return memory->files[(key->inode ^ key->device) % MEMORY_SETS];
}

// What is known of a file, or NULL.
static struct memory_file *memory_find(struct locate_memory *memory, const struct memory_key *key)
{
    struct memory_file *set = memory_set_of(memory, key);
    for (size_t i = 0; i < MEMORY_SET_FILES; i++) {
        if (set[i].used && memory_key_equals(&set[i].key, key)) {
            set[i].used = ++memory->uses;
            return &set[i];
        }
    }
    return NULL;
}

// Its own place, or else that of the one which was not asked for longest.
static struct memory_file *memory_take(struct locate_memory *memory, const struct memory_key *key)
{
    struct memory_file *own = memory_find(memory, key);
    if (own)
        return own;
    struct memory_file *set = memory_set_of(memory, key), *oldest = &set[0];
    for (size_t i = 1; i < MEMORY_SET_FILES; i++) {
        if (set[i].used < oldest->used)
            oldest = &set[i];
    }
    *oldest = (struct memory_file){.key = *key, .used = ++memory->uses};
    return oldest;
}

bool locate_memory_get(struct locate_memory *memory, const struct image *image, uint32_t *ret_marks)
{
    struct memory_key key;
    const struct memory_file *file = memory_key_of(image, &key) ? memory_find(memory, &key) : NULL;
    if (!file || !file->has_marks)
        return false;
    *ret_marks = file->marks;
    return true;
}

void locate_memory_put(struct locate_memory *memory, const struct image *image, uint32_t marks)
{
    struct memory_key key;
    if (!memory_key_of(image, &key))
        return;
    struct memory_file *file = memory_take(memory, &key);
    file->marks = marks;
    file->has_marks = true;
}

const char *locate_memory_get_version(struct locate_memory *memory, const struct image *image)
{
    struct memory_key key;
    if (!memory || !memory_key_of(image, &key))
        return NULL;
    const struct memory_file *file = memory_find(memory, &key);
    return file && file->has_version ? file->version : NULL;
}

void locate_memory_put_version(struct locate_memory *memory, const struct image *image,
                               const char *version)
{
    struct memory_key key;
    if (!memory || strlen(version) >= MEMORY_VERSION_BYTES || !memory_key_of(image, &key))
        return;
    struct memory_file *file = memory_take(memory, &key);
    text_copy(text_of(version), file->version, sizeof file->version);
    file->has_version = true;
}
