// SPDX-License-Identifier: Apache-2.0
// Finding an allocator's library, see library.h. Tool world; no state.
//
// A whole path goes into LD_PRELOAD: a bare soname would be looked for anew by each child, with
// whatever search path that child has.
#include "lever/run/library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "lever/run/ldcache.h"

enum { CACHE_MAX = 32 << 20 };

static const char *const jemalloc_sonames[] = {"libjemalloc.so.2", "libjemalloc.so.1",
                                               "libjemalloc.so", NULL};
// Without the profiler first: that one walks stacks in places where it may not.
static const char *const tcmalloc_sonames[] = {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4",
                                               "libtcmalloc_minimal.so", "libtcmalloc.so", NULL};
// Debian's link of the shorter name came with version 2.0.9.
static const char *const mimalloc_sonames[] = {"libmimalloc.so.3",
                                               "libmimalloc.so.2",
                                               "libmimalloc.so.2.1",
                                               "libmimalloc.so.2.0",
                                               "libmimalloc.so.1",
                                               "libmimalloc.so",
                                               NULL};
static const char *const ebb_sonames[] = {"libebb.so.1", "libebb.so.0", "libebb.so", NULL};

// Names of packages change with releases; the first one is the present Debian's.
static const struct library_kind kinds[] = {
    {"jemalloc", jemalloc_sonames,
     "the package libjemalloc2 (Debian, Ubuntu) or jemalloc (Fedora, "
     "Alpine)"},
    {"tcmalloc", tcmalloc_sonames,
     "the package libtcmalloc-minimal4 (Debian, Ubuntu; there also "
     "libtcmalloc-minimal4t64) or gperftools-libs (Fedora)"},
    {"mimalloc", mimalloc_sonames,
     "the package libmimalloc2.0 (Debian, Ubuntu), mimalloc (Fedora) "
     "or mimalloc2 (Alpine)"},
    {"ebb", ebb_sonames,
     "`make install` of ebb, which installs libebb too; or --malloc=PATH of its "
     "library"},
};

const char library_names[] = "jemalloc, tcmalloc, mimalloc, glibc, ebb";

const struct library_kind *library_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

int library_check(const char *path, const struct binary *program, struct library_found *ret_found)
{
    // A FIFO of that name must not stop us.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct binary binary;
    int error = binary_read(fd, &binary);
    close(fd);
    if (error)
        return error;
    // Kept, so that a refusal can say what was found instead of "not installed".
    if (!binary_fits(&binary, program)) {
        ret_found->misfit_binary = binary;
        text_copy(text_of(path), ret_found->misfit, sizeof ret_found->misfit);
        return -EINVAL;
    }
    // The loader resolves a relative path in each child's own folder.
    // An absolute one stays as it was typed: links of packages outlive versions.
    char resolved[PATH_MAX];
    bool is_relative = path[0] != '/' && realpath(path, resolved);
    text_copy(text_of(is_relative ? resolved : path), ret_found->path, sizeof ret_found->path);
    return 0;
}

// A soname in one folder.
static int check_in(struct text folder, const char *soname, const struct binary *program,
                    struct library_found *ret_found)
{
    // Too long for a path is not there.
    char path[PATH_MAX];
    if (folder.len == 0 || folder.len + strlen(soname) + sizeof("/") > sizeof path)
        return -ENOENT;
    text_format(path, sizeof path, "%.*s/%s", (int)folder.len, folder.data, soname);
    return library_check(path, program, ret_found);
}

// LD_LIBRARY_PATH takes colons and semicolons.
static int check_search(const char *search, const char *soname, const struct binary *program,
                        struct library_found *ret_found)
{
    // Empty entries mean the current folder, which is nothing to trust.
    while (search && *search) {
        size_t len = strcspn(search, ":;");
        if (check_in((struct text){search, len}, soname, program, ret_found) == 0)
            return 0;
        search += len + (search[len] ? 1 : 0);
    }
    return -ENOENT;
}

static int check_cache(struct text file, const char *soname, const struct binary *program,
                       struct library_found *ret_found)
{
    // One soname may stand there for several machines: the one that fits counts.
    struct ldcache cache;
    struct text name, path;
    if (ldcache_open(file, &cache))
        return -ENOENT;
    while (ldcache_next(&cache, &name, &path)) {
        char copy[PATH_MAX];
        if (text_equals(name, soname) && text_copy(path, copy, sizeof copy) &&
            library_check(copy, program, ret_found) == 0)
            return 0;
    }
    return -ENOENT;
}

// For systems without a cache, and for libraries installed since it was made.
static int check_folders(const char *soname, const struct binary *program,
                         struct library_found *ret_found)
{
    static const char *const folders[] = {"/usr/local/lib", "/usr/lib", "/lib"};
    static const char *const plain[] = {"/usr/local/lib64", "/usr/local/lib", "/usr/lib64",
                                        "/usr/lib",         "/lib64",         "/lib"};
    // The machine's own folders first: the plain ones may be for another one.
    const char *machine = binary_library_folder(program);
    for (size_t i = 0; machine && i < sizeof(folders) / sizeof(*folders); i++) {
        char folder[64];
        text_format(folder, sizeof folder, "%s/%s", folders[i], machine);
        if (check_in(text_of(folder), soname, program, ret_found) == 0)
            return 0;
    }
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        if (check_in(text_of(plain[i]), soname, program, ret_found) == 0)
            return 0;
    }
    return -ENOENT;
}

// Takes the last component off. False where there is none.
static bool go_up(char *folder)
{
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return false;
    *slash = '\0';
    return true;
}

// libebb beside this very program, as it was built, or in the same prefix, as it was installed: of
// one release with it, which the loader's own might not be.
static int check_own(const char *soname, const struct binary *program,
                     struct library_found *ret_found)
{
    char folder[PATH_MAX], library[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[len > 0 ? len : 0] = '\0';
    if (!go_up(folder))
        return -ENOENT;
    if (check_in(text_of(folder), soname, program, ret_found) == 0)
        return 0;
    const char *machine = binary_library_folder(program);
    const char *const names[] = {machine ? machine : "", "", "64"};
    if (!go_up(folder))
        return -ENOENT;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool is_machine = i == 0 && machine;
        text_format(library, sizeof library, "%s/lib%s%s", folder, is_machine ? "/" : "", names[i]);
        if (check_in(text_of(library), soname, program, ret_found) == 0)
            return 0;
    }
    return -ENOENT;
}

int library_find(const struct library_kind *kind, const struct binary *program, const char *search,
                 struct library_found *ret_found)
{
    struct buffer file = {.limit = CACHE_MAX};
    // Without a cache, or a whole one, the folders are still there.
    if (buffer_read_at(&file, AT_FDCWD, "/etc/ld.so.cache"))
        buffer_clear(&file);
    // Best soname first, wherever it is; then the next.
    int error = -ENOENT;
    struct library_found found = {0};
    for (size_t i = 0; kind->sonames[i] && error; i++) {
        const char *soname = kind->sonames[i];
        error = check_search(search, soname, program, &found);
        if (error && kind->sonames == ebb_sonames)
            error = check_own(soname, program, &found);
        if (error)
            error = check_cache(buffer_text(&file), soname, program, &found);
        if (error)
            error = check_folders(soname, program, &found);
    }
    buffer_free(&file);
    *ret_found = found;
    return error;
}
