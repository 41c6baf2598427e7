// SPDX-License-Identifier: Apache-2.0
// The smallest program that allocates: what a malloc costs whoever hardly uses it. Says what
// malloc_info() says, then "hello", and waits for the end of its input.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    for (int i = 1; i <= 10; i++) {
        char *block = malloc((size_t)i * 100);
        block[0] = 1;
        if (i % 2)
            free(block);
    }
    malloc_info(0, stdout);
    printf("\nhello\n");
    fflush(stdout);
    (void)getchar();
    return 0;
}
