// SPDX-License-Identifier: Apache-2.0
// The cache, see go_cache.h. Tool world; its state is the directory.
#include "runtime/go/go_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"

enum { PATH_BYTES = 4096, NOTE_HEADER_BYTES = 16, GO_ID_BYTES_MAX = 72 };

// One entry as it is in the file. Fields and their names may change with ebb, so both are summed
// up. It is written and read on one machine by one build: no byte order, no padding of others.
struct entry {
    char magic[8];
    uint32_t bytes, field_count;
    uint64_t names_sum;
    char key[160];
    struct go_layout layout;
    uint64_t sum; // of everything before it
};
static const char ENTRY_MAGIC[8] = "ebb-go1";

// FNV-1a: against damage, not against malice.
static uint64_t add_sum(uint64_t sum, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}
static const uint64_t SUM_START = UINT64_C(0xcbf29ce484222325);

// An ebb with other fields, or other names for them, must not read this one's entries.
static uint64_t names_sum(void)
{
    uint64_t sum = SUM_START;
    for (unsigned i = 0; i < GO_FIELD_COUNT; i++) {
        uint32_t object = go_field_names[i].object;
        sum = add_sum(sum, &object, sizeof object);
        sum = add_sum(sum, go_field_names[i].paths, strlen(go_field_names[i].paths) + 1);
    }
    return sum;
}

// Hexadecimal, so that no byte of a hostile build id can become a path.
static void set_key(struct go_cache_key *key, enum go_cache_kind kind, const uint8_t *id,
                    size_t len)
{
    static const char digits[] = "0123456789abcdef", suffix[] = ".code";
    memset(key, 0, sizeof *key);
    size_t i = 0;
    // An id that does not fit is cut; entry_is_ours() compares what is left.
    for (; i < len && 2 * i + 2 + sizeof suffix < sizeof key->name; i++) {
        key->name[2 * i] = digits[id[i] >> 4];
        key->name[2 * i + 1] = digits[id[i] & 15];
    }
    if (kind == GO_CACHE_CODE)
        memcpy(key->name + 2 * i, suffix, sizeof suffix);
}

// Go linked without an external linker has no ELF build id before 1.24.
int go_cache_key_of(const struct image *image, enum go_cache_kind kind,
                    struct go_cache_key *ret_key)
{
    if (image->build_id_len > 0) {
        set_key(ret_key, kind, image->build_id, image->build_id_len);
        return 0;
    }
    // Go's own id has four parts; the first two name what went in, the last what came out.
    const struct image_section *section = image_section(image, ".note.go.buildid");
    if (!section || section->size < NOTE_HEADER_BYTES + GO_ID_BYTES_MAX)
        return -ENOENT;
    uint8_t id[GO_ID_BYTES_MAX];
    int error = image_read(image, section->address + section->size - sizeof id, id, sizeof id);
    if (error)
        return -ENOENT;
    set_key(ret_key, kind, id, sizeof id);
    return 0;
}

// Relative paths are ignored, as the XDG base directory specification says.
int go_cache_directory(char *ret_path, size_t size)
{
    const char *base = getenv("XDG_CACHE_HOME");
    const char *below = "";
    if (!base || base[0] != '/') {
        base = getenv("HOME");
        below = "/.cache";
    }
    if (!base || base[0] != '/')
        return -ENOENT;
    int len = snprintf(ret_path, size, "%s%s/ebb/go", base, below);
    return len < 0 || (size_t)len >= size ? -E2BIG : 0;
}

// Makes the directory and its parents; what exists is left as it is.
static void make_directories(const char *path)
{
    char part[PATH_BYTES];
    size_t len = strlen(path);
    for (size_t i = 1; i <= len && i < sizeof part; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        mkdir(part, 0700);
    }
}

// A descriptor of the directory, if it is ours alone to write.
static int open_directory(bool make)
{
    char path[PATH_BYTES];
    int error = go_cache_directory(path, sizeof path);
    if (error)
        return error;
    if (make)
        make_directories(path);
    // Not through a link at its end: whoever could set one could choose the folder.
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    struct stat status;
    // Somebody else's entry might lead ebb to read whatever they like.
    if (fstat(fd, &status) != 0 || status.st_uid != geteuid() || (status.st_mode & 022) != 0) {
        close(fd);
        return -EPERM;
    }
    return fd;
}

// Size and sums catch truncation and damage, the key a file that was renamed.
static bool entry_is_ours(const struct entry *entry, const struct go_cache_key *key)
{
    return memcmp(entry->magic, ENTRY_MAGIC, sizeof entry->magic) == 0 &&
           entry->bytes == sizeof *entry && entry->field_count == GO_FIELD_COUNT &&
           entry->names_sum == names_sum() &&
           memcmp(entry->key, key->name, sizeof entry->key) == 0 &&
           entry->sum == add_sum(SUM_START, entry, offsetof(struct entry, sum)) &&
           go_layout_is_sane(&entry->layout);
}

// O_NONBLOCK: somebody may have put a pipe there.
int go_cache_load(const struct go_cache_key *key, struct go_layout *ret_layout)
{
    int directory = open_directory(false);
    if (directory < 0)
        return -ENOENT;
    int fd = openat(directory, key->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    close(directory);
    if (fd < 0)
        return -ENOENT;
    struct entry entry;
    ssize_t got = read(fd, &entry, sizeof entry);
    close(fd);
    // Shorter or longer: written by another version of this file.
    if (got != (ssize_t)sizeof entry || !entry_is_ours(&entry, key))
        return -ENOENT;
    *ret_layout = entry.layout;
    return 0;
}

// O_EXCL: a temporary file is never shared with another ebb.
static int write_entry(int directory, const char *name, const struct entry *entry)
{
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, entry, sizeof *entry);
    return close(fd) != 0 || written != (ssize_t)sizeof *entry ? -EIO : 0;
}

// A reader sees the old entry or the new one, never half of one.
int go_cache_save(const struct go_cache_key *key, const struct go_layout *layout)
{
    int directory = open_directory(true);
    if (directory < 0)
        return directory;
    // Zeros in the padding too: the sum covers it.
    struct entry entry;
    memset(&entry, 0, sizeof entry);
    memcpy(entry.magic, ENTRY_MAGIC, sizeof entry.magic);
    entry.bytes = sizeof entry;
    entry.field_count = GO_FIELD_COUNT;
    entry.names_sum = names_sum();
    memcpy(entry.key, key->name, sizeof entry.key);
    entry.layout = *layout;
    entry.sum = add_sum(SUM_START, &entry, offsetof(struct entry, sum));
    char temporary[sizeof key->name + 32];
    // One name for each process: two that write at once do not meet.
    snprintf(temporary, sizeof temporary, "%s.%ld", key->name, (long)getpid());
    int error = write_entry(directory, temporary, &entry);
    if (!error && renameat(directory, temporary, directory, key->name) != 0)
        error = -errno;
    // Left by an ebb that was killed: it is not ours to remove, and the next PID has another name.
    if (error && error != -EEXIST)
        unlinkat(directory, temporary, 0);
    close(directory);
    return error;
}
