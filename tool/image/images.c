// SPDX-License-Identifier: Apache-2.0
// From mappings to the files behind them, see image.h. Tool world; the list's owner guards it.
//
// The kernel's own links (exe, map_files) lead to the file that is mapped, whatever its path says
// now. A path is the last resort, resolved below the target's root, and believed only as far as
// inode and build id agree.
#include <errno.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "base/buffer.h"
#include "image/image.h"
#include "proc/process.h"
#include "proc/status.h"

enum {
    ATTEMPTS_MAX = 4096,        // files opened for one target, sound or not
    SECTIONS_TOTAL_MAX = 16384, // 2 MiB for all images together
};

struct opening {
    struct process *process;
    const struct mappings *mappings;
    struct images images;
    // What is left of each budget.
    size_t skipped, attempts, images_max, sections_left;
    uint64_t *seen; // keys of files already tried
    size_t seen_count, seen_capacity;
};

// Device and inode in one word. Two files of one target that collide would be taken for one, with
// odds of one in 2^64 for each pair.
static uint64_t mapping_key(const struct mapping *mapping)
{
    return mapping->inode * UINT64_C(0x9e3779b97f4a7c15) ^ mapping->device;
}

// As mappings keep it; the kernel's own numbers have 12 and 20 bits.
static uint32_t device_number(dev_t device)
{
    return (uint32_t)((major(device) & 0xfff) << 20 | (minor(device) & 0xfffff));
}

// What may hold program code: files of file systems, and memory files (runc starts itself from
// one).
static bool mapping_has_file(const struct mapping *mapping)
{
    return mapping->inode != 0 && (mapping->kind == MAPPING_FILE || mapping->kind == MAPPING_SHMEM);
}

// Opens for reading what `path_fd` (O_PATH) has found to be a regular file.
static int reopen(int path_fd, int dir_fd, const char *path)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", path_fd);
    // By descriptor there is no second walk, and nobody can put another file in between.
    int fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
    // Without /proc of our own the path has to be walked again, and must lead to the same file.
    struct stat before, after;
    fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(path_fd, &before) == 0 && fstat(fd, &after) == 0 && before.st_dev == after.st_dev &&
        before.st_ino == after.st_ino)
        return fd;
    close(fd);
    return -ESTALE;
}

// Opening a device or a FIFO has effects of its own, so the kind is looked at first.
static int open_found(int path_fd, int dir_fd, const char *path, struct stat *ret_stat)
{
    if (path_fd < 0)
        return -errno;
    int result;
    if (fstat(path_fd, ret_stat) != 0)
        result = -errno;
    else
        result = S_ISREG(ret_stat->st_mode) ? reopen(path_fd, dir_fd, path) : -ENOEXEC;
    close(path_fd);
    return result;
}

// O_PATH opens nothing by itself: no driver is asked, no FIFO waits for a writer.
static int open_regular(int dir_fd, const char *path, struct stat *ret_stat)
{
    return open_found(openat(dir_fd, path, O_PATH | O_CLOEXEC), dir_fd, path, ret_stat);
}

// Opens a path as the target sees it: a link in it must not lead out of the target's root.
static int open_below_root(const struct opening *opening, const char *path, struct stat *ret_stat)
{
    int root_fd =
        openat(process_dir_fd(opening->process), "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -errno;
    // A relative path begins at the descriptor.
    while (*path == '/')
        path++;
    // Absolute links and ".." stay below the target's root, as they do for the target.
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    // Before 5.6, and under old seccomp filters, the comparison of inodes alone has to do.
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(root_fd, path, O_PATH | O_CLOEXEC);
    int result = open_found(fd, root_fd, path, ret_stat);
    close(root_fd);
    return result;
}

// The linked address at which a segment's page of this file offset belongs. False where it holds
// none.
static bool segment_address_of(const struct image_segment *segment, uint64_t offset,
                               uint64_t *ret_address)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    // The kernel maps whole pages, so the first page may begin before the segment does.
    uint64_t first = segment->offset - segment->offset % page_bytes;
    if (offset < first || offset >= segment->offset + segment->file_bytes)
        return false;
    *ret_address = segment->address + (offset - segment->offset);
    return true;
}

// Where the image sits if `mapping` is a part of it. False when no segment fits.
static bool bias_of_mapping(const struct image *image, const struct mapping *mapping,
                            uint64_t *ret_bias)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    // The rights tell segments apart, unless the program has changed them since.
    bool mapping_exec = (mapping->flags & MAPPING_EXEC) != 0;
    int best = 0;
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        uint64_t address;
        if (!segment_address_of(segment, mapping->offset, &address))
            continue;
        uint64_t bias = mapping->start - address;
        if (bias % page_bytes != 0 || (!image->is_position_independent && bias != 0))
            continue;
        // Two segments may share a page of the file: the one that begins there, with these rights.
        bool begins = mapping->offset == segment->offset - segment->offset % page_bytes;
        bool exec = (segment->flags & PF_X) != 0;
        int score = 1 + (begins ? 1 : 0) + (exec == mapping_exec ? 2 : 0);
        if (score > best) {
            best = score;
            *ret_bias = bias;
        }
    }
    return best > 0;
}

// The mapping that tells best where the file sits: an executable one, for programs map files for
// other reasons too; or else the lowest part of the file. NULL without any.
static const struct mapping *anchor_of(const struct mappings *mappings, uint64_t key)
{
    const struct mapping *anchor = NULL;
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (!mapping_has_file(mapping) || mapping_key(mapping) != key)
            continue;
        if (mapping->flags & MAPPING_EXEC)
            return mapping;
        if (!anchor || mapping->offset < anchor->offset)
            anchor = mapping;
    }
    return anchor;
}

// Moves the span to where the image sits; a bias that wraps it around is no bias.
static bool place_at(struct image *image, uint64_t bias)
{
    uint64_t low = image->low + bias;
    uint64_t high = image->high + bias;
    if (low >= high)
        return false;
    image->bias = bias;
    image->low = low;
    image->high = high;
    return true;
}

// The build id as it stands in the target's memory: a file of the same inode on another device may
// be a stranger. Not resident or not there: nothing speaks against the file.
static bool build_id_may_agree(const struct opening *opening, const struct image *image)
{
    // Peeked at like all memory of a target: an absent page stays absent.
    uint8_t mapped[IMAGE_BUILD_ID_MAX];
    return image->build_id_len == 0 ||
           process_peek(opening->process, image->bias + image->build_id_address, mapped,
                        image->build_id_len) != 0 ||
           memcmp(mapped, image->build_id, image->build_id_len) == 0;
}

// The list takes the image over. Section tables have a common budget: a thousand files of 256
// sections each would take more memory than all the rest.
static int add_image(struct opening *opening, struct image *image, const char *path, uint64_t key)
{
    struct images *images = &opening->images;
    int error = array_reserve_one(&images->items, &images->capacity, images->count, sizeof *image);
    if (error)
        return error;
    if (image->section_count > opening->sections_left) {
        free(image->sections);
        image->sections = NULL;
        image->section_count = 0;
    }
    opening->sections_left -= image->section_count;
    image->path = path;
    image->device_inode_key = key;
    images->items[images->count++] = *image;
    return 0;
}

// Every one is counted; as many as could be images are named.
static int add_unread(struct opening *opening, const char *path, int error)
{
    struct images *images = &opening->images;
    opening->skipped++;
    // A list of thousands helps nobody; the number says enough.
    if (images->unread_count >= IMAGES_MAX)
        return 0;
    int failed = array_reserve_one(&images->unread, &images->unread_capacity, images->unread_count,
                                   sizeof *images->unread);
    if (!failed)
        images->unread[images->unread_count++] = (struct image_unread){path, error};
    return failed;
}

// True when the file was not tried before; it counts as tried now.
static bool is_new(struct opening *opening, uint64_t key)
{
    // The latest first: a file's mappings are neighbours.
    for (size_t i = opening->seen_count; i > 0; i--) {
        if (opening->seen[i - 1] == key)
            return false;
    }
    if (array_reserve_one(&opening->seen, &opening->seen_capacity, opening->seen_count,
                          sizeof *opening->seen) == 0)
        opening->seen[opening->seen_count++] = key;
    return true;
}

// The file of a mapping. *ret_by_path: it was found by its name only.
static int open_mapped_file(const struct opening *opening, const struct mapping *mapping,
                            bool *ret_by_path)
{
    char link[64];
    struct stat file;
    snprintf(link, sizeof link, "map_files/%llx-%llx", (unsigned long long)mapping->start,
             (unsigned long long)mapping->end);
    *ret_by_path = false;
    int fd = open_regular(process_dir_fd(opening->process), link, &file);
    if (fd >= 0)
        return fd;
    // Whatever has the name now is another file.
    if (mapping->flags & MAPPING_DELETED)
        return -ENOENT;
    *ret_by_path = true;
    fd = open_below_root(opening, mappings_path(opening->mappings, mapping), &file);
    // btrfs and overlayfs show another device here than in the mapping, but the same inode.
    if (fd >= 0 && process_is_procfs(opening->process) && file.st_ino != mapping->inode) {
        close(fd);
        return -ESTALE;
    }
    return fd;
}

// Opens, reads and places one file. What does not fit its own mapping is not what was mapped,
// however it was found.
static int load_mapped(struct opening *opening, const struct mapping *mapping,
                       struct image *ret_image)
{
    // The kernel's link needs no further proof than that the file fits.
    bool by_path;
    int fd = open_mapped_file(opening, mapping, &by_path);
    if (fd < 0)
        return fd;
    struct image image;
    int error = image_open_fd(fd, &image);
    if (error) {
        close(fd);
        return error;
    }
    uint64_t bias;
    bool fits = bias_of_mapping(&image, mapping, &bias) && place_at(&image, bias);
    if (!fits || (by_path && !build_id_may_agree(opening, &image))) {
        image_close(&image);
        return fits ? -ESTALE : -ENOEXEC;
    }
    *ret_image = image;
    return 0;
}

// One try for each file, and a bound on all tries: a target can map any number of files.
static int add_mapped(struct opening *opening, const struct mapping *mapping)
{
    const char *path = mappings_path(opening->mappings, mapping);
    uint64_t key = mapping_key(mapping);
    if (!is_new(opening, key))
        return 0;
    if (opening->images.count >= opening->images_max || opening->attempts >= ATTEMPTS_MAX)
        return add_unread(opening, path, -EMFILE);
    opening->attempts++;
    struct image image;
    int error = load_mapped(opening, mapping, &image);
    if (error == -ENOMEM)
        return error;
    if (error)
        return add_unread(opening, path, error);
    error = add_image(opening, &image, path, key);
    if (error)
        image_close(&image);
    return error;
}

// Which mapping is the executable's: by device and inode; by inode and path, where the file system
// shows two devices; by path alone, where it shows two inodes as well or the tree is of plain
// files.
static const struct mapping *find_main_mapping(const struct opening *opening,
                                               const struct stat *exe, const char *exe_path)
{
    const struct mapping *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < opening->mappings->count; i++) {
        const struct mapping *mapping = &opening->mappings->items[i];
        if (!mapping_has_file(mapping))
            continue;
        // The higher the score, the less can go wrong; nothing at all is no match.
        bool same_inode = mapping->inode == exe->st_ino;
        bool same_device = mapping->device == device_number(exe->st_dev);
        bool same_path = strcmp(mappings_path(opening->mappings, mapping), exe_path) == 0;
        int score = (same_inode && same_device ? 4 : 0) + (same_path ? same_inode ? 3 : 2 : 0);
        if (score > best_score) {
            best = mapping;
            best_score = score;
        }
    }
    return best ? anchor_of(opening->mappings, mapping_key(best)) : NULL;
}

// Where the program begins, as the kernel told it. 0 when that cannot be read.
static uint64_t read_entry(const struct opening *opening)
{
    struct buffer auxv = {0};
    uint64_t entry = 0;
    if (process_read_file(opening->process, "auxv", 4096, &auxv) == 0 &&
        proc_auxv_find(buffer_text(&auxv), AT_ENTRY, &entry) != 0)
        entry = 0;
    buffer_free(&auxv);
    return entry;
}

// For an executable without a mapping that tells: AT_ENTRY - e_entry.
static bool bias_of_entry(const struct opening *opening, const struct image *image,
                          uint64_t *ret_bias)
{
    uint64_t entry = read_entry(opening);
    uint64_t bias = entry - image->entry;
    if (entry == 0 || bias % (uint64_t)sysconf(_SC_PAGESIZE) != 0)
        return false;
    *ret_bias = bias;
    return true;
}

// The link says " (deleted)" as mappings do, where it has been cut off.
static void read_exe_path(const struct opening *opening, char *path, size_t size)
{
    static const char deleted[] = " (deleted)";
    if (process_read_link(opening->process, "exe", path, size) != 0)
        path[0] = '\0';
    if (text_ends_with(text_of(path), deleted))
        path[strlen(path) - (sizeof deleted - 1)] = '\0';
}

// exe leads to the right file by itself; what is left to find is the place.
static int load_main(struct opening *opening, int fd, const struct mapping *mapping,
                     struct image *ret_image)
{
    struct image image;
    int error = image_open_fd(fd, &image);
    if (error)
        return error;
    uint64_t bias;
    // A program that has moved its own code (to huge pages) has no such mapping left.
    bool placed = mapping && bias_of_mapping(&image, mapping, &bias);
    if (!placed)
        placed = bias_of_entry(opening, &image, &bias);
    if (!placed || !place_at(&image, bias)) {
        // The descriptor stays the caller's.
        image.fd = -1;
        image_close(&image);
        return -ENOEXEC;
    }
    image.is_main = true;
    *ret_image = image;
    return 0;
}

// Without exe (no right, no such link in the tree) the executable is among the mapped files.
static int add_main(struct opening *opening)
{
    char path[4096];
    struct stat file;
    // In a copy of a tree the link is a mere path, which leads to some file of this host.
    if (!process_is_procfs(opening->process))
        return 0;
    int fd = open_regular(process_dir_fd(opening->process), "exe", &file);
    if (fd < 0)
        return 0;
    read_exe_path(opening, path, sizeof path);
    const struct mapping *mapping = find_main_mapping(opening, &file, path);
    struct image image;
    int error = load_main(opening, fd, mapping, &image);
    if (error) {
        close(fd);
        return error == -ENOMEM ? error : 0;
    }
    // The path is borrowed from the table; a program without a mapping has none.
    const char *mapped_path = mapping ? mappings_path(opening->mappings, mapping) : "";
    uint64_t key = mapping ? mapping_key(mapping) : 0;
    error = add_image(opening, &image, mapped_path, key);
    if (error)
        image_close(&image);
    else
        is_new(opening, key);
    return error;
}

// Which of the files is the program, when exe did not tell.
static void mark_main(struct opening *opening)
{
    if (images_main(&opening->images))
        return;
    uint64_t entry = read_entry(opening);
    for (size_t i = 0; entry != 0 && i < opening->images.count; i++) {
        struct image *image = &opening->images.items[i];
        if (image->bias + image->entry == entry) {
            image->is_main = true;
            return;
        }
    }
}

// Half the descriptors are enough for images; the rest of the program wants some too.
static size_t images_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 2 > IMAGES_MAX)
        return IMAGES_MAX;
    return (size_t)limit.rlim_cur / 2;
}

// The executable first, since it is certain; then the others in the order of their addresses.
int images_open(struct process *process, const struct mappings *mappings, struct images *ret_images,
                size_t *ret_skipped)
{
    // Budgets are for one call: two targets are independent of each other.
    struct opening opening = {
        .process = process,
        .mappings = mappings,
        .images_max = images_allowed(),
        .sections_left = SECTIONS_TOTAL_MAX,
    };
    int error = add_main(&opening);
    for (size_t i = 0; i < mappings->count && !error; i++) {
        const struct mapping *mapping = &mappings->items[i];
        // Data files are not looked into; a library's other mappings follow from its headers.
        if (mapping_has_file(mapping) && (mapping->flags & MAPPING_EXEC))
            error = add_mapped(&opening, mapping);
    }
    free(opening.seen);
    if (error) {
        images_close(&opening.images);
        return error;
    }
    mark_main(&opening);
    *ret_images = opening.images;
    *ret_skipped = opening.skipped;
    return 0;
}

// Closes every descriptor with its image.
void images_close(struct images *images)
{
    for (size_t i = 0; i < images->count; i++)
        image_close(&images->items[i]);
    free(images->items);
    free(images->unread);
    *images = (struct images){0};
}

// Mostly the first.
const struct image *images_main(const struct images *images)
{
    for (size_t i = 0; i < images->count; i++) {
        if (images->items[i].is_main)
            return &images->items[i];
    }
    return NULL;
}

// By beginning, because versions follow: libc.so.6, libjemalloc.so.2.
const struct image *images_by_name(const struct images *images, const char *prefix)
{
    for (size_t i = 0; i < images->count; i++) {
        // A memory file's name has no other slash than its first.
        const char *slash = strrchr(images->items[i].path, '/');
        const char *name = slash ? slash + 1 : images->items[i].path;
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            return &images->items[i];
    }
    return NULL;
}

// Spans of loaded objects do not overlap, so the first hit is the only one.
const struct image *images_by_address(const struct images *images, uint64_t address)
{
    for (size_t i = 0; i < images->count; i++) {
        // Gaps between segments count as the image's: the loader keeps them free of others.
        if (images->items[i].low <= address && address < images->items[i].high)
            return &images->items[i];
    }
    return NULL;
}
