// SPDX-License-Identifier: Apache-2.0
// The calls that take pages, see sweep.h. Tool world; no state of its own.
#include "lever/reclaim/sweep.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "lever/lever.h"
#include "lever/urgent.h"

// How often a bite is tried again that the kernel had no time or memory for.
enum { SWEEP_TRIES = 5 };
#define SWEEP_RETRY_NS UINT64_C(1000000)

// The number is the same on every architecture; older headers lack the name.
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

ssize_t sweep_advise_process(void *target, const struct iovec *ranges, size_t count, int advice)
{
    const int *pid_fd = target;
    ssize_t done = syscall(SYS_process_madvise, *pid_fd, ranges, count, advice, 0U);
    return done < 0 ? -errno : done;
}

// Cut short by a signal, it is a shorter pause.
static void sleep_ns(uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    if (ns > 0)
        nanosleep(&time, NULL);
}

// The kernel holds the target's mmap_lock for the whole call, so its time is the target's wait.
static ssize_t timed_advise(struct sweep *sweep, const struct iovec *ranges, size_t count,
                            int advice, uint64_t *ret_took_ns)
{
    struct urgent urgent;
    urgent_begin(&urgent);
    uint64_t started_ns = lever_now_ns();
    ssize_t done = sweep->advise(sweep->target, ranges, count, advice);
    // Before the priority is given up: what comes after it is our own wait.
    uint64_t took_ns = lever_now_ns() - started_ns;
    urgent_end(&urgent);
    if (took_ns > sweep->longest_ns)
        sweep->longest_ns = took_ns;
    sweep->total_ns += took_ns;
    *ret_took_ns = took_ns;
    return done;
}

// Errors that the next call would meet as well.
static bool is_final(int error)
{
    return error == -ESRCH || error == -EPERM || error == -EACCES || error == -ENOSYS ||
           error == -EBADF;
}

// One bite to its end. A short return is followed up; a range that is refused (it was unmapped or
// locked meanwhile) is passed over.
static int take_bite(struct sweep *sweep)
{
    struct bite *bite = &sweep->bite;
    unsigned tries = 0;
    while (bite->range_count > 0) {
        uint64_t asked = bite->bytes, took_ns;
        ssize_t done =
            timed_advise(sweep, bite->ranges, bite->range_count, SWEEP_PAGEOUT, &took_ns);
        if (done < 0 && is_final((int)done))
            return (int)done;
        bool is_busy = done == -EAGAIN || done == -EINTR || done == -ENOBUFS;
        if (is_busy && tries++ < SWEEP_TRIES) {
            sleep_ns(SWEEP_RETRY_NS);
        } else if (done <= 0) {
            sweep->refused_bytes += bite_skip_range(bite);
        } else {
            // A part's time says as much as the whole's.
            sweep->bytes_next = bite_adapt((uint64_t)done, took_ns, sweep->bytes_max);
            bite_advance(bite, (uint64_t)done < asked ? (uint64_t)done : asked);
        }
    }
    return 0;
}

// The next bite, of pages that are what they were when they were judged.
static bool next_bite(struct sweep *sweep, const struct bite_source *source, size_t *index)
{
    size_t first = *index;
    while (bite_next(source, sweep->bytes_next, index, &sweep->bite)) {
        // Without swap a live page that is offered by mistake stays where it is.
        if (!sweep->look_again || !sweep->look_again(sweep->look_user, first, *index))
            return true;
        // The fates left decide anew; all of them may be gone.
        size_t end = *index;
        const struct bite_source part = {source->fates, end, source->first_page, source->page_bytes,
                                         source->huge_pages};
        *index = first;
        if (bite_next(&part, sweep->bytes_next, index, &sweep->bite))
            return true;
        first = end;
    }
    return false;
}

// Stops are asked for before each bite: Ctrl-C never waits longer than one.
int sweep_take(struct sweep *sweep, const struct bite_source *source)
{
    size_t index = 0;
    if (sweep->bytes_next == 0)
        sweep->bytes_next = number_least(BITES_BYTES_FIRST, sweep->bytes_max);
    while (index < source->count) {
        if (sweep->is_stopped && sweep->is_stopped(sweep->user))
            return -EINTR;
        // A lock that is asked for again at once may pass by those who wait for it. Before the
        // look, not after it: much can happen while one sleeps.
        if (sweep->bites > 0)
            sleep_ns(sweep->pause_ns);
        if (!next_bite(sweep, source, &index))
            break;
        sweep->bites++;
        int error = take_bite(sweep);
        if (error)
            return error;
    }
    return 0;
}

// The pages stay where they are for readers; the kernel copies them into one huge page.
int sweep_collapse(struct sweep *sweep, uint64_t address, uint64_t bytes)
{
    struct iovec range = {.iov_base = (void *)(uintptr_t)address, .iov_len = bytes};
    uint64_t took_ns;
    ssize_t done = timed_advise(sweep, &range, 1, SWEEP_COLLAPSE, &took_ns);
    if (done < 0)
        return (int)done;
    return (uint64_t)done == bytes ? 0 : -EAGAIN;
}
