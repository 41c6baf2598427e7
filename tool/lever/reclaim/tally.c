// SPDX-License-Identifier: Apache-2.0
// Rows of what was left alone, and why, see tally.h. Tool world; no state.
#include "lever/reclaim/tally.h"

#include "base/text.h"
#include "lever/reclaim/forks.h"

// A kind without bytes is no news.
static int add(struct lever_report *report, uint64_t bytes, const char *what, const char *why)
{
    return bytes > 0 ? lever_add_untouched(report, bytes, what, why) : 0;
}

// Who shares is worth naming: it is mostly a background save that ends by itself.
static int add_shared(const struct tally *tally, struct process *process, uint64_t page_bytes,
                      struct lever_report *report)
{
    uint64_t bytes = tally->fates.shared * page_bytes;
    if (bytes == 0)
        return 0;
    char forks[FORKS_TEXT_MAX], why[LEVER_WHAT_MAX];
    forks_describe(process, forks, sizeof forks);
    text_format(why, sizeof why,
                "the kernel takes them when only one process is left that maps them%s%s",
                forks[0] ? "; here: " : "", forks);
    return lever_add_untouched(report, bytes, "shared with a fork", why);
}

// Locked pages count one by one, or as the whole of a locked mapping, never both.
static int add_locked(const struct tally *tally, uint64_t page_bytes, struct lever_report *report)
{
    return add(report, tally->fates.locked * page_bytes + tally->locked_bytes, "locked",
               "locked with mlock(2) after they were freed; munlock(2) would help");
}

// Two reasons, two rows: one of them --force can do something about.
static int add_huge(const struct tally *tally, uint64_t page_bytes, struct lever_report *report)
{
    int error =
        add(report, tally->fates.unsure * page_bytes, "in huge pages",
            "some are in use again, and the kernel does not tell which; --force takes the free "
            "ones, and splits and joins the others");
    if (error)
        return error;
    return add(report, tally->huge_bytes, "in mappings with huge pages",
               "without frame numbers (CAP_SYS_ADMIN) free huge pages are not told from live ones");
}

// What only the second look shows.
static int add_results(const struct tally *tally, uint64_t page_bytes, struct lever_report *report)
{
    int error = add(report, tally->results.written * page_bytes, "in use again",
                    "written since they were freed: the kernel kept them");
    if (!error)
        error = add(report, tally->results.kept * page_bytes, "busy",
                    "the kernel had them in hand just then; another run takes them");
    if (!error)
        error = add(report, tally->refused_bytes, "refused",
                    "their mappings changed meanwhile, or are locked");
    if (!error && tally->split_huge_pages > 0)
        error = lever_add_warning(
            report,
            "%llu huge pages were in use again and are mapped in small pages now: the kernel "
            "had no room to put them together; khugepaged will",
            (unsigned long long)tally->split_huge_pages);
    return error;
}

// From what others could change to what time alone will.
int tally_report(const struct tally *tally, struct process *process, uint64_t page_bytes,
                 bool has_acted, struct lever_report *report)
{
    int error = add_shared(tally, process, page_bytes, report);
    if (!error)
        error = add_locked(tally, page_bytes, report);
    if (!error)
        error = add_huge(tally, page_bytes, report);
    if (!error && has_acted)
        error = add_results(tally, page_bytes, report);
    if (!error)
        error = add(report, tally->undrained_bytes, "freed a moment ago",
                    "they wait in the kernel's batches of each processor; another run takes them");
    return error;
}
