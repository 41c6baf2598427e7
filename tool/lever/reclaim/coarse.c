// SPDX-License-Identifier: Apache-2.0
// Judging coarse mode, see coarse.h. Tool world; no state.
#include "lever/reclaim/coarse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/text.h"
#include "proc/host.h"

static const char *const thp_directory = "/sys/kernel/mm/transparent_hugepage";

// "hugepages-64kB" of "always inherit [madvise] never": the one in brackets counts.
bool coarse_size_is_used(const char *name, const char *setting, uint64_t huge_bytes,
                         const char *global_setting)
{
    struct text rest = text_of(name);
    uint64_t kib;
    if (!text_take_prefix(&rest, "hugepages-") || !text_take_u64(&rest, &kib) ||
        kib * 1024 == huge_bytes)
        return false;
    if (text_contains(text_of(setting), "[inherit]"))
        return !text_contains(text_of(global_setting), "[never]");
    return !text_contains(text_of(setting), "[never]");
}

static void read_setting(int dir_fd, const char *path, struct buffer *buffer)
{
    buffer_clear(buffer);
    // A setting that is not there is no setting.
    if (buffer_read_at(buffer, dir_fd, path) < 0 || !buffer->data)
        buffer_printf(buffer, "[never]");
}

// Any size will do: smaps tells of huge pages only, not of those between.
static bool has_large_pages(DIR *directory)
{
    struct buffer global = {.limit = 4096}, setting = {.limit = 4096};
    uint64_t huge_bytes = 0;
    bool is_used = false;
    read_setting(dirfd(directory), "hpage_pmd_size", &setting);
    struct text size = buffer_text(&setting);
    // Unknown: every size counts.
    if (!text_take_u64(&size, &huge_bytes))
        huge_bytes = 0;
    read_setting(dirfd(directory), "enabled", &global);
    for (struct dirent *entry; !is_used && (entry = readdir(directory));) {
        char path[sizeof entry->d_name + 16];
        snprintf(path, sizeof path, "%s/enabled", entry->d_name);
        read_setting(dirfd(directory), path, &setting);
        is_used = setting.data && global.data &&
                  coarse_size_is_used(entry->d_name, setting.data, huge_bytes, global.data);
    }
    buffer_free(&global);
    buffer_free(&setting);
    return is_used;
}

// The harm decides, not the likelihood of it.
int coarse_check(bool force, char ret_why[COARSE_WHY_MAX])
{
    // What cannot be known must not be risked.
    if (host_has_swap("/proc")) {
        text_copy(text_of("frame numbers are hidden, and with swap on, live pages would be "
                          "swapped out beside the free ones"),
                  ret_why, COARSE_WHY_MAX);
        return -ENOTSUP;
    }
    DIR *directory = force ? NULL : opendir(thp_directory);
    if (!directory)
        return 0;
    bool is_used = has_large_pages(directory);
    closedir(directory);
    if (is_used)
        text_copy(text_of("frame numbers are hidden, and live large pages (64 KiB and the like) "
                          "would be split; --force accepts that"),
                  ret_why, COARSE_WHY_MAX);
    return is_used ? -ENOTSUP : 0;
}
