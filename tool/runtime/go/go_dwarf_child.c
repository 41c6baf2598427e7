// SPDX-License-Identifier: Apache-2.0
// The walk of go_dwarf.c in a child with limits, and what becomes of its result. Tool world; no
// state.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/image.h"
#include "runtime/go/go_cache.h"
#include "runtime/go/go_dwarf.h"

// Its status tells "nothing there" from a crash, which may be the file's doing.
enum { CHILD_CPU_SECONDS = 10, CHILD_FOUND_NOTHING = 3 };
enum { OFFSET_MAX = 16 << 20, SIZE_MAX_BYTES = 1 << 28 };

// The child, and a cache, may hand over anything: offsets are used for reading memory later.
bool go_layout_is_sane(const struct go_layout *layout)
{
    for (unsigned i = 0; i < GO_FIELD_COUNT; i++) {
        const struct go_field *field = &layout->fields[i];
        if (field->offset < -1 || field->offset > OFFSET_MAX || field->size < 0 ||
            field->size > SIZE_MAX_BYTES || (field->offset < 0 && field->size > 0))
            return false;
    }
    return layout->address[GO_OBJECT_MEMSTATS] != 0 && layout->address[GO_OBJECT_HEAP] != 0 &&
           layout->fields[GO_MEMSTATS_MSPAN_SYS].size == 8;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHILD_IS_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHILD_IS_SANITIZED
#endif

// Debug information of the largest programs is some hundred MiB when unpacked. Sanitizers reserve
// terabytes of address space.
static rlim_t child_memory_bytes(void)
{
#ifdef CHILD_IS_SANITIZED
    return RLIM_INFINITY;
#else
    return UINT64_C(2) << 30;
#endif
}

// Runs in the child and never returns.
static _Noreturn void child_main(int fd, int pipe_fd)
{
    const struct rlimit memory = {child_memory_bytes(), child_memory_bytes()};
    const struct rlimit seconds = {CHILD_CPU_SECONDS, CHILD_CPU_SECONDS};
    const struct rlimit none = {0, 0};
    // A limit that cannot be set leaves the wall clock, which the parent holds.
    // libdw unpacks compressed sections as a whole, however large they say they are.
    setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CPU, &seconds);
    // A crash on a hostile file must not fill the disk.
    setrlimit(RLIMIT_CORE, &none);
    struct go_layout layout;
    int error = go_dwarf_walk(fd, &layout);
    // The record is smaller than a pipe's atomic write.
    if (error == 0 && write(pipe_fd, &layout, sizeof layout) != (ssize_t)sizeof layout)
        error = -EIO;
    _exit(error ? CHILD_FOUND_NOTHING : 0);
}

// Waits for one record. -ETIME when the wall clock ran out, -ENODATA when the child ended without
// one.
static int child_result(int pipe_fd, unsigned wall_ms, struct go_layout *ret_layout)
{
    struct pollfd poll_fd = {.fd = pipe_fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&poll_fd, 1, (int)wall_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return -ETIME;
    struct go_layout layout;
    ssize_t got = read(pipe_fd, &layout, sizeof layout);
    if (got == 0)
        return -ENODATA;
    // What a child that read a hostile file hands over is as hostile.
    if (got != (ssize_t)sizeof layout || !go_layout_is_sane(&layout))
        return -EBADMSG;
    *ret_layout = layout;
    return 0;
}

// Collects the child. Without a record it found nothing, or it died of what it read.
static int child_end(pid_t child, int error)
{
    int status = 0;
    // With a record, or too late, it has nothing more to do.
    if (error != -ENODATA)
        kill(child, SIGKILL);
    pid_t ended;
    do
        ended = waitpid(child, &status, 0);
    while (ended < 0 && errno == EINTR);
    if (error != -ENODATA)
        return error;
    return ended == child && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FOUND_NOTHING
               ? -ENOENT
               : -EBADMSG;
}

// ebb has one thread, so the child may allocate after fork.
int go_dwarf_walk_apart(int fd, unsigned wall_ms, struct go_layout *ret_layout)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return -errno;
    pid_t child = fork();
    if (child == 0)
        child_main(fd, pipe_fds[1]);
    int error = child < 0 ? -errno : 0;
    // Or the pipe would not end with the child.
    close(pipe_fds[1]);
    if (!error) {
        error = child_result(pipe_fds[0], wall_ms, ret_layout);
        error = child_end(child, error);
    }
    close(pipe_fds[0]);
    return error;
}

// Size classes are not in the debug information as constants; their number is.
static int adopt_classes(const struct go_layout *layout, struct go_version_row *row)
{
    unsigned minor = row->minor < GO_MINOR_FIRST ? GO_MINOR_FIRST : row->minor;
    struct go_version_row known;
    while (minor > GO_MINOR_FIRST && go_table_find(minor, &known) != 0)
        minor = minor > GO_MINOR_LAST ? GO_MINOR_LAST : minor - 1;
    if (go_table_find(minor, &known) != 0)
        return -ENOENT;
    // 1.16 went from 67 classes to 68; wrong ones would show in TotalAlloc (go_invariants.c).
    int32_t counts = layout->fields[GO_DELTA_SMALL_ALLOC_COUNT].size;
    if (counts > 0 && counts != known.classes->count * 8)
        return -EBADMSG;
    row->classes = known.classes;
    return 0;
}

// The cache first: the walk is the slowest part of the whole reader.
int go_dwarf_locate(const struct image *image, unsigned wall_ms, struct go_runtime *runtime)
{
    struct go_layout layout = {0};
    struct go_cache_key key;
    bool has_key = go_cache_key_of(image, GO_CACHE_DWARF, &key) == 0;
    runtime->found_by = "debug information, kept from an earlier reading";
    if (!has_key || go_cache_load(&key, &layout) != 0) {
        int error = go_dwarf_walk_apart(image->fd, wall_ms, &layout);
        if (error)
            return error;
        runtime->found_by = "debug information";
        // The cache is a convenience: failing to write it changes nothing.
        if (has_key)
            go_cache_save(&key, &layout);
    }
    struct go_version_row row = {.minor = (uint16_t)runtime->version.minor,
                                 .from = "the image's debug information",
                                 .proven = GO_PROVEN_SOURCE};
    int error = adopt_classes(&layout, &row);
    if (error)
        return error;
    memcpy(row.fields, layout.fields, sizeof row.fields);
    runtime->row = row;
    for (unsigned i = 0; i < GO_OBJECT_VARIABLES; i++)
        runtime->address[i] = layout.address[i] ? layout.address[i] + image->bias : 0;
    return 0;
}
