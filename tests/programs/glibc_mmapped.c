// SPDX-License-Identifier: Apache-2.0
// Large blocks, each mapped by malloc on its own: some freed, some aligned, some never touched,
// next to mappings of the program's own. glibc_mmapped BLOCKS: then serves its figures on stdin.
#include <sys/mman.h>

#include "glibc_self.h"

int main(int argc, char **argv)
{
    static void *blocks[4096];
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    if (count > 4096)
        return 2;
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    const void *early = malloc(24);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (200 << 10) + i * 1000;
        blocks[i] =
            i % 5 == 4 ? aligned_alloc(16384, (bytes + 16383) / 16384 * 16384) : malloc(bytes);
        // Every seventh keeps nothing but its header in memory.
        if (i % 7 != 6)
            memset(blocks[i], 1, bytes);
        if (i % 10 == 9) {
            char *own =
                mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (own != MAP_FAILED)
                memset(own, 3, 64 << 10);
        }
    }
    for (size_t i = 0; i < count; i += 3)
        free(blocks[i]);
    return self_serve(&early, 1);
}
