// SPDX-License-Identifier: Apache-2.0
// A program that holds the texts of every allocator and of V8 and has none of them, as tools that
// read logs or settings do. Test world. Prints "ready" and rests.
#include <stdio.h>
#include <unistd.h>

static const char *const volatile texts[] = {
    "<jemalloc>: Malformed conf string\n",
    "<jemalloc>: Error in munmap(): %s\n",
    "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c",
    "/etc/malloc.conf",
    "Attempt to free invalid pointer",
    "Bytes in page heap freelist\n",
    "TCMALLOC_RELEASE_RATE",
    "tcmalloc.per_cpu_caches_active",
    "tcmalloc.pageheap_unmapped_bytes",
    "mimalloc: error: ",
    "environment option mimalloc_%s has an invalid value.\n",
    "show_errors",
    "max size of the old space (in Mbytes)",
    "semi_space_growth_factor",
    "libebb, version 0.1.0",
};

int main(void)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!texts[i])
            return 1;
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
