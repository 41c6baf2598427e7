// SPDX-License-Identifier: Apache-2.0
// Blocks that realloc() alone makes small, in a process that has been quiet before: what they leave
// goes back all the same. Prints "fell" or "stayed", and resident KiB before and after.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 100

// Without stdio, which would allocate.
static long resident_kib(void)
{
    char text[128];
    int file = open("/proc/self/statm", O_RDONLY);
    ssize_t len = read(file, text, sizeof text - 1);
    close(file);
    if (len <= 0)
        return -1;
    text[len] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtol(second, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024) : -1;
}

int main(void)
{
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(900000);
        memset(blocks[i], 1, 900000);
    }
    // By then the helper has found nothing to do, and waits for a call.
    sleep(2);
    long before = resident_kib();
    long after = before;
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = realloc(blocks[i], 100000);
    for (int i = 0; i < 100 && after > before / 2; i++) {
        usleep(50000);
        after = resident_kib();
    }
    printf("%s %ld %ld\n", after > before / 2 ? "stayed" : "fell", before, after);
    return 0;
}
