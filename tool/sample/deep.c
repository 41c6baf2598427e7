// SPDX-License-Identifier: Apache-2.0
// The deeper readings, see deep.h. Tool world; one thread.
#include "sample/deep.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "proc/status.h"
#include "sample/digest.h"

enum {
    DEEP_ROLLUP_BYTES = 1 << 16,
};

// Neither clock can fail on Linux.
static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Both clocks: a core is charged for what it worked, and a target for what it waited.
struct deep_watch {
    uint64_t cpu_ns, wall_ns;
};

static struct deep_watch deep_start(void)
{
    return (struct deep_watch){clock_ns(CLOCK_THREAD_CPUTIME_ID), clock_ns(CLOCK_MONOTONIC)};
}

static struct deep_cost deep_stop(struct deep_watch start)
{
    return (struct deep_cost){clock_ns(CLOCK_THREAD_CPUTIME_ID) - start.cpu_ns,
                              clock_ns(CLOCK_MONOTONIC) - start.wall_ns};
}

// Trees of files may hold any number: more than a petabyte is none that a kernel printed.
static uint64_t bytes_of_kib(uint64_t kib)
{
    const uint64_t most_kib = (uint64_t)1 << 40;
    return number_least(kib, most_kib) * 1024;
}

// The file is a page at most; a tree's may be anything, and is cut.
static int deep_read_rollup(const struct cheap_reader *reader, int pid, struct buffer *scratch,
                            struct proc_rollup *ret_rollup)
{
    char path[64];
    text_format(path, sizeof path, "%d/smaps_rollup", pid);
    buffer_clear(scratch);
    scratch->limit = DEEP_ROLLUP_BYTES;
    int error = buffer_read_at(scratch, reader->root_fd, path);
    if (!error)
        error = proc_rollup_parse(buffer_text(scratch), ret_rollup);
    // An empty file is that of a process which has just dropped its memory.
    return error == -EBADMSG && scratch->len == 0 ? -ESRCH : error;
}

int deep_read_lazy(const struct cheap_reader *reader, int pid, struct buffer *scratch,
                   struct sample *sample, struct deep_cost *ret_cost)
{
    struct deep_watch start = deep_start();
    struct proc_rollup rollup;
    int error = deep_read_rollup(reader, pid, scratch, &rollup);
    *ret_cost = deep_stop(start);
    if (error)
        return error;
    // Zero would say that nothing is lazily freed.
    if (!rollup.has_lazy_free)
        return -ENOTSUP;
    sample->kind = SAMPLE_LAZY;
    sample->rss_bytes = bytes_of_kib(rollup.rss_kib);
    sample->anon_bytes = number_least(bytes_of_kib(rollup.anonymous_kib), sample->rss_bytes);
    sample->lazy_bytes = number_least(bytes_of_kib(rollup.lazy_free_kib), sample->rss_bytes);
    sample->effective_bytes = sample->rss_bytes - sample->lazy_bytes;
    sample->swap_bytes = bytes_of_kib(rollup.swap_kib);
    return 0;
}

// The first thing that was not read is what the account is missing for.
static int deep_refuse(const struct survey *survey, struct deep_account *account)
{
    if (survey->unread_count > 0)
        text_format(account->why, sizeof account->why, "%s. What would help: %s.",
                    survey->unread[0].what, survey->unread[0].needs);
    else
        text_copy(text_of("no account of it is possible"), account->why, sizeof account->why);
    return -EACCES;
}

// The rows sum up to the RSS of the survey's own reading, so that is the sample's.
static int deep_take_survey(const struct survey *survey, struct sample *sample,
                            struct deep_account *account)
{
    if (!survey->has_account)
        return deep_refuse(survey, account);
    int error = digest_make(survey, &account->digest);
    if (error)
        return error;
    sample->kind = SAMPLE_ACCOUNT;
    sample->rss_bytes = survey->account.rss_bytes;
    sample->lazy_bytes = survey->account.lazy_bytes;
    sample->effective_bytes = survey->account.effective_bytes;
    sample->swap_bytes = survey->account.swap_bytes;
    // Two readings: what is anonymous was counted a moment before.
    sample->anon_bytes = number_least(sample->anon_bytes, sample->rss_bytes);
    return 0;
}

// One account tells no growth; what the readings before it told does.
static void deep_judge(const struct survey_options *options, struct survey *survey,
                       struct trend *trend, const struct sample *sample)
{
    if (!survey->has_account)
        return;
    struct growth growth;
    struct growth_sample now = survey_growth_sample(survey, (double)sample->boot_ms / 1000);
    trend_add(trend, &now, sample);
    if (trend_fit(trend, &growth) == 0)
        survey_judge(options, &growth, survey);
}

int deep_read_account(const struct survey_options *options, int pid, uint64_t start_ticks,
                      struct survey *survey, struct trend *trend, struct sample *sample,
                      struct deep_account *ret_account, struct deep_cost *ret_cost)
{
    struct deep_watch start = deep_start();
    int error = survey_take(options, pid, survey);
    *ret_cost = deep_stop(start);
    if (error)
        return error;
    // Being put aside by the scheduler between two readings holds nobody up.
    uint64_t walk_ns = (uint64_t)(survey->walk_s * 1e9);
    ret_cost->walk_ns = walk_ns > ret_cost->cpu_ns ? walk_ns : ret_cost->cpu_ns;
    struct deep_account account = {0};
    // Between our cheap reading and this one another process may have got the number.
    error = -ESRCH;
    if (survey->start_ticks == start_ticks) {
        deep_judge(options, survey, trend, sample);
        error = deep_take_survey(survey, sample, &account);
    }
    survey_free(survey);
    if (!error || error == -EACCES)
        *ret_account = account;
    return error;
}

// Opening asks for the same right as reading (fs/proc/task_mmu.c), and walks nothing.
int deep_probe(const struct cheap_reader *reader, int pid, char *why, size_t size)
{
    char path[64];
    text_format(path, sizeof path, "%d/smaps", pid);
    int fd = openat(reader->root_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    int error = errno == EPERM ? -EACCES : -errno;
    text_format(path, sizeof path, "%d/stat", pid);
    // A process that has ended has no files at all.
    if (error == -ENOENT && faccessat(reader->root_fd, path, F_OK, 0) != 0)
        return -ESRCH;
    if (error == -EACCES)
        text_copy(text_of("its mappings (smaps) may not be read. What would help: run ebb as root, "
                          "or as the process's user."),
                  why, size);
    else if (error == -ENOENT)
        text_copy(text_of("its mappings (smaps) are not in the proc tree"), why, size);
    return error;
}
