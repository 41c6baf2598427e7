// SPDX-License-Identifier: Apache-2.0
// Fixture trees and cut inputs, see fixture.h. Test code; the walk's state is static: one thread.
#include "support/fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

char *fixture_path(const char *path)
{
    char *full = NULL;
    assert_true(asprintf(&full, "%s/tests/fixtures/proc/%s", EBB_SOURCE_DIR, path) > 0);
    return full;
}

struct buffer fixture_read(const char *path)
{
    char *full = fixture_path(path);
    struct buffer file = {0};
    assert_int_equal(buffer_read_at(&file, AT_FDCWD, full), 0);
    free(full);
    return file;
}

void fixture_text_prefixes(struct text file, void (*use)(struct text file))
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (file.len / page + 1) * page;
    char *block =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(block, MAP_FAILED);
    assert_int_equal(mprotect(block + room, page, PROT_NONE), 0);
    for (size_t len = 0; len <= file.len; len++) {
        char *start = block + room - len;
        memcpy(start, file.data, len);
        use((struct text){start, len});
    }
    munmap(block, room + page);
}

// nftw() passes no context to its callback.
static struct {
    const char *name;
    void (*use)(struct text file);
    size_t count;
} walk;

static int walk_visit(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)ftw;
    size_t len = strlen(path), name_len = strlen(walk.name);
    if (type != FTW_F || len <= name_len || path[len - name_len - 1] != '/' ||
        strcmp(path + len - name_len, walk.name) != 0)
        return 0;
    struct buffer file = {0};
    assert_int_equal(buffer_read_at(&file, AT_FDCWD, path), 0);
    fixture_text_prefixes(buffer_text(&file), walk.use);
    buffer_free(&file);
    walk.count++;
    return 0;
}

size_t fixture_each_prefix(const char *name, void (*use)(struct text file))
{
    char *root = fixture_path("");
    walk.name = name;
    walk.use = use;
    walk.count = 0;
    assert_int_equal(nftw(root, walk_visit, 16, FTW_PHYS), 0);
    free(root);
    return walk.count;
}
