// SPDX-License-Identifier: Apache-2.0
// Metrics as a file that is replaced at once, see export_parts.h. Tool world; no state.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "cmd/export_parts.h"

// The collector reads as another user.
enum { TEXTFILE_MODE = 0644 };

// The name's entry itself must survive a crash too. A file system that cannot do that is no reason
// to fail: the file is there.
static void sync_directory(const char *path)
{
    // Its folder, or the present one.
    char directory[4096];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    if (len >= sizeof directory)
        return;
    memcpy(directory, path, len);
    directory[len] = '\0';
    int fd = open(len ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

// A name of its own, so that two writers do not write into one file; without .prom at its end, so
// that no collector takes it.
static int write_beside(const struct buffer *text, const char *path, char *temporary)
{
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    // mkostemp() makes it 0600.
    int error =
        fchmod(fd, TEXTFILE_MODE) < 0 ? -errno : descriptor_write_all(fd, text->data, text->len);
    if (!error && fsync(fd) < 0)
        error = -errno;
    // A full disk may be told as late as that.
    if (close(fd) < 0 && !error)
        error = -errno;
    if (!error && rename(temporary, path) < 0)
        error = -errno;
    if (error)
        unlink(temporary);
    return error;
}

// Rendered first: what fails then has not touched the directory.
int export_textfile_write(struct export_source *source, const char *path)
{
    char temporary[4096];
    struct buffer text = {0};
    // In the same folder, as rename(2) does not reach across file systems.
    int len = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (len < 0 || (size_t)len >= sizeof temporary)
        return -ENAMETOOLONG;
    int error = export_source_render(source, METRICS_CLASSIC, &text);
    if (!error)
        error = write_beside(&text, path, temporary);
    buffer_free(&text);
    if (!error)
        sync_directory(path);
    return error;
}
