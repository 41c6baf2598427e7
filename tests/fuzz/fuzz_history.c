// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a file that calls itself a recording, read in every way that there is. Test code.
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef EBB_WITH_SQLITE
#include "history/history.h"
#include "sample/digest.h"

// SQLite opens by name. The file is unlinked when the program ends.
static char path[128];

static void remove_file(void)
{
    unlink(path);
}

static int write_file(const uint8_t *data, size_t size)
{
    if (!path[0]) {
        const char *folder = getenv("TMPDIR");
        snprintf(path, sizeof path, "%.90s/fuzz-history-%d", folder ? folder : "/tmp", getpid());
        atexit(remove_file);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, data, size);
    close(fd);
    return written == (ssize_t)size ? 0 : -1;
}

static void read_subject(struct history *history, unsigned subject)
{
    struct series series;
    struct event *events = NULL;
    struct digest digest;
    uint64_t rss_ms, effective_ms;
    int64_t time_ms;
    size_t count;
    if (history_series(history, subject, INT64_MIN, INT64_MAX, 0, &series) == 0)
        series_free(&series);
    if (history_series(history, subject, INT64_MIN, INT64_MAX, 4, &series) == 0)
        series_free(&series);
    if (history_events(history, subject, INT64_MIN, INT64_MAX, &events, &count) == 0)
        free(events);
    if (history_digest(history, subject, INT64_MAX, &time_ms, &digest) == 0)
        digest_free(&digest);
    (void)history_time_above(history, subject, INT64_MIN, INT64_MAX, 1 << 20, &rss_ms,
                             &effective_ms);
}

static void read_all(struct history *history)
{
    struct history_about about;
    struct subject *subjects = NULL;
    struct history_summary *summaries = NULL;
    struct host_sample *host = NULL;
    size_t count = 0;
    (void)history_about(history, &about);
    if (history_summarize(history, INT64_MIN, INT64_MAX, &summaries, &count) == 0)
        free(summaries);
    if (history_host(history, INT64_MIN, INT64_MAX, 3, &host, &count) == 0)
        free(host);
    if (history_subjects(history, &subjects, &count) == 0) {
        for (size_t i = 0; i < count && i < 4; i++)
            read_subject(history, subjects[i].id);
        free(subjects);
    }
    read_subject(history, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct history *history = NULL;
    if (write_file(data, size) == 0 && history_open(path, &history) == 0) {
        read_all(history);
        (void)history_close(history);
    }
    return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}
#endif
