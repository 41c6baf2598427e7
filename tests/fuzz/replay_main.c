// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer where it is not used: runs a fuzz target once over each file named on the
// command line, so that the ordinary tests replay the corpus. Test code; no state.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

enum { INPUT_MAX_BYTES = 64 << 20 };

// Reads into a block of the exact length, so that a sanitizer sees a read behind the end.
static uint8_t *read_input(FILE *file, size_t *length_bytes)
{
    if (fseek(file, 0, SEEK_END) != 0) {
        return NULL;
    }
    long end = ftell(file);
    if (end < 0 || end > INPUT_MAX_BYTES) {
        return NULL;
    }
    rewind(file);
    // malloc(0) may be NULL, which must not look like a failure.
    uint8_t *data = malloc(end > 0 ? (size_t)end : 1);
    if (data && fread(data, 1, (size_t)end, file) != (size_t)end) {
        free(data);
        return NULL;
    }
    *length_bytes = (size_t)end;
    return data;
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t length_bytes = 0;
    uint8_t *data = file ? read_input(file, &length_bytes) : NULL;
    if (file) {
        fclose(file);
    }
    if (!data) {
        printf("# %s: %s\n", path, errno ? strerror(errno) : "cannot be read");
        return -1;
    }
    LLVMFuzzerTestOneInput(data, length_bytes);
    free(data);
    return 0;
}

// One TAP line per input. A crash in the middle leaves the plan unfulfilled, which tests/run sees;
// the flush before each input leaves its name as the last line.
int main(int argc, char **argv)
{
    int failed = 0;
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        printf("# next: %s\n", argv[i]);
        fflush(stdout);
        int result = replay_file(argv[i]);
        failed |= result < 0;
        printf("%s %d - %s\n", result < 0 ? "not ok" : "ok", i, argv[i]);
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
