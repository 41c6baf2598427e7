// SPDX-License-Identifier: Apache-2.0
// The table of runtimes' readers and the loop over it, see target.h. Tool world; one thread.
//
// To add a runtime: write its reader behind struct runtime_reader in a file (or folder) of its own,
// declare it in target.h, and put it in the table: a reader that knows its memory exactly before
// those that take what is left.
//
// The order is what makes claims exact. The kernel merges neighbouring anonymous mappings, so a
// reader that takes "whatever is left" must come after all that can tell their bytes from others';
// and no reader sees what a later one would claim. Two opaque readers in one process cannot be told
// apart from outside: the first of them takes the rest, and the other says so.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "runtime/locate.h"
#include "runtime/target.h"

// Exact readers first, and CPython before glibc: among pages that are known to be pymalloc's, no
// mapped block has to be looked for, which was most of what a large Python cost. Of the opaque ones
// a managed runtime comes before a malloc: what the JVM holds it has mapped by itself, while a
// preloaded malloc below it holds little.
const struct runtime_reader *const runtime_readers[] = {
    &image_reader, &stack_reader,  &go_reader,       &cpython_reader,  &glibc_reader,
    &musl_reader,  &libebb_reader, &mimalloc_reader, &jemalloc_reader, &tcmalloc_reader,
    &jvm_reader,   &v8_reader,     &dotnet_reader,
};
const size_t runtime_reader_count = sizeof runtime_readers / sizeof runtime_readers[0];

// What a reader that failed leaves behind: its name, its claims so far (which fall to the row of
// its rest), and the reason. Ground has no name, since renderers would take it for a runtime.
static int report_failure(struct runtime_report *report, const struct runtime_reader *reader,
                          int error)
{
    if (!report->name[0] && !(report->facts & FACT_GROUND))
        text_copy(text_of(reader->name), report->name, sizeof report->name);
    report->facts |= FACT_OPAQUE;
    // The reader knows better what it lacks.
    if (report->unread_count > 0)
        return 0;
    char what[96];
    snprintf(what, sizeof what, "memory of %s (%s)", reader->name, strerror(-error));
    bool denied = error == -EPERM || error == -EACCES;
    return report_add_unread(report, what,
                             denied ? "ptrace read access: run as root or as the target's user"
                                    : "nothing that is known");
}

// Runs one reader into `report`. -ENOENT: the runtime is not there after all. Every other failure
// but of memory is one runtime's own: the rest of the account is still worth having.
static int reader_run(const struct target *target, const struct runtime_reader *reader,
                      struct runtime_report *report)
{
    int error = reader->read(target, report);
    if (error == 0 || error == -ENOENT || error == -ENOMEM)
        return error;
    return report_failure(report, reader, error);
}

int runtimes_read(const struct target *target, struct runtime_report **ret_reports,
                  size_t *ret_count)
{
    // One array that grows: readers see those before them, so `earlier` follows it when it moves.
    struct runtime_report *reports = NULL;
    size_t count = 0, capacity = 0;
    int error = 0;
    // Half of the readers ask what the images' texts tell, some of them for each other.
    struct locate_cache located = {0};
    struct target seen = *target;
    seen.located = &located;
    for (size_t i = 0; i < runtime_reader_count && !error; i++) {
        const struct runtime_reader *reader = runtime_readers[i];
        seen.earlier = reports;
        seen.earlier_count = count;
        if (!reader->find(&seen))
            continue;
        error = array_reserve_one(&reports, &capacity, count, sizeof *reports);
        if (error)
            break;
        seen.earlier = reports;
        reports[count] = (struct runtime_report){.rest_row = ROW_UNEXPLAINED};
        error = reader_run(&seen, reader, &reports[count]);
        if (error)
            runtime_report_free(&reports[count]);
        else
            count++;
        if (error == -ENOENT)
            error = 0;
    }
    if (error) {
        for (size_t i = 0; i < count; i++)
            runtime_report_free(&reports[i]);
        free(reports);
        return error;
    }
    *ret_reports = reports;
    *ret_count = count;
    return 0;
}
