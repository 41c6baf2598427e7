// SPDX-License-Identifier: Apache-2.0
// The reader of libebb: its ledger, read without a stop, as claims, rows and figures. Tool world;
// no state.
//
// The ledger tells what each run is; which of its pages are resident, pagemap tells; which of these
// are lazily freed only the kernel knows, by mapping. The account takes these off the claims first.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/number.h"
#include "runtime/libebb/find.h"
#include "runtime/libebb/ledger.h"
#include "runtime/opaque.h"

// A target at work is walked until two walks agree; a few looks tell as much as many.
enum { WALKS_MAX = 5, BREAKS_MAX = 16 };

// One moment of the heap.
struct picture {
    struct wire_ledger ledger;
    struct libebb_sums sums;
    struct libebb_places places;
};

// The last picture, and what changed since the one before.
struct reading {
    const struct target *target;
    struct pages pages;
    struct picture now, before;
    bool is_steady;
    struct libebb_refusal refusal;
};

// Through a cache of pages, which also watches the time that a reader has.
static int read_memory(void *context, uint64_t address, void *ret_data, size_t len)
{
    return pages_read(context, address, ret_data, len);
}

// Past all caches, so that two pictures are two looks.
static int take_picture(struct reading *reading, uint64_t address, struct picture *picture)
{
    const struct libebb_memory memory = {read_memory, &reading->pages};
    memset(reading->pages.tags, 0, PAGES_SLOTS * sizeof *reading->pages.tags);
    process_forget_residency(reading->target->process);
    // The head anew as well: the heap may have grown.
    int error = libebb_ledger_read(&memory, address, &picture->ledger, &reading->refusal);
    return error ? error : libebb_walk(&memory, &picture->ledger, &picture->sums, &picture->places);
}

// The chain of runs may break under a walk, which then begins anew.
static int take_whole_picture(struct reading *reading, uint64_t address, struct picture *picture)
{
    int error = -EAGAIN;
    for (unsigned i = 0; i < BREAKS_MAX && error == -EAGAIN; i++)
        error = take_picture(reading, address, picture);
    return error;
}

// Blocks that came and went between two looks leave the same sums, and a higher count.
static bool is_same(const struct picture *a, const struct picture *b)
{
    return memcmp(&a->sums, &b->sums, sizeof a->sums) == 0 &&
           a->ledger.mallocs == b->ledger.mallocs;
}

// Until two agree. The time that a reader has counts for all of them.
static int take_pictures(struct reading *reading, uint64_t address)
{
    int error = take_whole_picture(reading, address, &reading->now);
    for (unsigned i = 1; i < WALKS_MAX && !error && !reading->is_steady; i++) {
        struct picture next = {0};
        error = take_whole_picture(reading, address, &next);
        // One good picture is worth having, though nothing tells how good it is.
        if (error == -ETIME || error == -EAGAIN) {
            reading->before = (struct picture){0};
            return 0;
        }
        // Of the older one only the sums are needed: places of a large heap take megabytes.
        libebb_places_free(&reading->now.places);
        reading->before = reading->now;
        reading->now = next;
        reading->is_steady = !error && is_same(&reading->now, &reading->before);
    }
    return error;
}

// How far two readings of one figure lie apart bounds how far either is off.
static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

// Whole blocks: what a block has beyond the bytes that were asked for is the program's to use.
static uint64_t used_bytes(const struct libebb_sums *sums)
{
    return sums->small_used + sums->medium_used + sums->large_used;
}

// Go counts a returned page as idle too, so that HeapIdle - HeapReleased is what is kept.
static uint64_t idle_bytes(const struct libebb_sums *sums)
{
    return sums->spare_bytes + sums->dirty_bytes + sums->lazy_bytes + sums->clean_bytes +
           sums->off_lazy + sums->off_returned;
}

// Under the names and with the meanings of struct ebb_stats (include/ebb/ebb.h), which are Go's.
// In the order in which they are printed.
enum figure {
    SYS,
    HEAP_SYS,
    HEAP_ALLOC,
    HEAP_INUSE,
    HEAP_IDLE,
    HEAP_RELEASED,
    HEAP_LAZY,
    HEAP_OBJECTS,
    STACK_SYS,
    MSPAN_SYS,
    MALLOCS,
    FREES,
    PURGES,
    PURGED,
    PURGED_LAZILY,
    REUSED,
    FIGURES
};

// One formula per line of fill_stats() in lib/shim/api.c, with which it must agree: a test compares
// the two.
static void compute_figures(const struct picture *picture, uint64_t ret_values[FIGURES])
{
    const struct libebb_sums *sums = &picture->sums;
    const struct wire_ledger *ledger = &picture->ledger;
    uint64_t inuse = sums->span_bytes + sums->large_used, idle = idle_bytes(sums);
    uint64_t lazy = sums->lazy_bytes + sums->off_lazy;
    // Stacks are not the heap's: StackSys stays 0.
    const uint64_t values[FIGURES] = {
        [SYS] = inuse + idle + ledger->metadata_bytes,
        [HEAP_SYS] = inuse + idle,
        [HEAP_ALLOC] = used_bytes(sums),
        [HEAP_INUSE] = inuse,
        [HEAP_IDLE] = idle,
        [HEAP_RELEASED] = sums->clean_bytes + sums->off_returned + lazy,
        [HEAP_LAZY] = lazy,
        [HEAP_OBJECTS] = sums->objects,
        [MSPAN_SYS] = ledger->metadata_bytes,
        [MALLOCS] = ledger->mallocs + sums->mallocs,
        [FREES] = ledger->mallocs + sums->mallocs - sums->objects,
        [PURGES] = ledger->purges,
        [PURGED] = ledger->purged_bytes,
        [PURGED_LAZILY] = ledger->purged_lazily,
        [REUSED] = ledger->reused_bytes,
    };
    memcpy(ret_values, values, sizeof values);
}

// A figure that moved between two pictures has what it moved by as its error.
static int add_figures(const struct reading *reading, struct runtime_report *report)
{
    static const char *const names[FIGURES] = {
        "Sys",      "HeapSys",     "HeapAlloc",    "HeapInuse",   "HeapIdle", "HeapReleased",
        "HeapLazy", "HeapObjects", "StackSys",     "MSpanSys",    "Mallocs",  "Frees",
        "Purges",   "PurgedBytes", "PurgedLazily", "ReusedBytes",
    };
    // Without a second picture there is nothing to compare with; the report is approximate then.
    uint64_t now[FIGURES], before[FIGURES];
    compute_figures(&reading->now, now);
    compute_figures(reading->before.ledger.magic ? &reading->before : &reading->now, before);
    for (size_t i = 0; i < FIGURES; i++) {
        bool is_count = i == HEAP_OBJECTS || i == MALLOCS || i == FREES || i == PURGES;
        int error = report_add_figure(report, names[i], is_count ? FIGURE_COUNT : FIGURE_BYTES,
                                      now[i], apart(now[i], before[i]));
        if (error)
            return error;
    }
    return 0;
}

// What is in force, whoever has set it: EBB_CONF, the program, or ebb tune.
static int add_settings(const struct target *target, const struct wire_ledger *ledger,
                        struct runtime_report *report)
{
    // Texts stay short, so that the settings are one line each.
    static const char *const pressures[] = {"unknown", "none", "short"};
    const char *policy = libebb_policy_name(ledger->policy);
    char text[64];
    libebb_format_ms(ledger->return_within_ms, text, sizeof text);
    int error = report_add_setting(report, "policy", policy ? policy : "unknown", "ledger");
    if (!error)
        error = report_add_setting(report, "return_within", text, "ledger");
    text_format(text, sizeof text, "%" PRIu64, ledger->limit_bytes);
    if (!error)
        error = report_add_setting(report, "limit", ledger->limit_bytes ? text : "none", "ledger");
    pid_t helper = libebb_find_helper(target->process, target->threads, target->thread_count);
    text_format(text, sizeof text, "thread %d", (int)helper);
    if (!error)
        error = report_add_setting(report, "helper", helper ? text : "not running",
                                   "its thread's name");
    // A word of the target's own: what is no pressure is unknown.
    bool is_known = ledger->pressure < sizeof pressures / sizeof pressures[0];
    if (!error)
        error = report_add_setting(report, "pressure", pressures[is_known ? ledger->pressure : 0],
                                   "ledger");
    return error ? error : opaque_add_environment(target, report, "EBB_CONF");
}

// In memory, of each list.
struct resident {
    uint64_t small, medium, large, tails, kept, lazy, returned, metadata;
};

// No record tells what is resident: what was never touched is not.
static int measure(const struct target *target, const struct libebb_places *places,
                   struct resident *ret_resident)
{
    const struct {
        const struct ranges *ranges;
        uint64_t *bytes;
    } rows[] = {
        {&places->small, &ret_resident->small},       {&places->medium, &ret_resident->medium},
        {&places->large, &ret_resident->large},       {&places->tails, &ret_resident->tails},
        {&places->kept, &ret_resident->kept},         {&places->lazy, &ret_resident->lazy},
        {&places->returned, &ret_resident->returned}, {&places->metadata, &ret_resident->metadata},
    };
    // A walk of the page tables each; the kernel leaps over what is not there.
    int error = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !error; i++)
        error = ranges_resident(target->process, rows[i].ranges, rows[i].bytes);
    return error;
}

// Takes up to `*left` off `*bytes`: each lazily freed page stands in one list only.
static void take_lazy(uint64_t *bytes, uint64_t *left)
{
    uint64_t taken = number_least(*bytes, *left);
    *bytes -= taken;
    *left -= taken;
}

// Resident bytes by row, without what is lazily freed.
struct split {
    uint64_t in_use, slack, kept;
    uint64_t error; // lazily freed pages of unknown place, blocks that were never touched
};

// The kernel's lazily freed bytes stand in what the heap gave back so; then in what it has given
// out again since, and where nobody has written yet.
static void split_resident(const struct libebb_sums *sums, const struct resident *resident,
                           uint64_t lazy, struct split *ret_split)
{
    // A count of blocks, cut to what is resident: a block that was never written is in use as well,
    // but not in RSS.
    uint64_t small = number_least(sums->small_used, resident->small);
    uint64_t medium = number_least(sums->medium_used, resident->medium);
    struct split split = {
        .in_use = small + medium + resident->large,
        .slack = resident->small - small + resident->tails,
        // Free blocks of whole pages go back one by one: nothing pins them.
        .kept = resident->kept + resident->medium - medium,
        .error = sums->small_used - small + sums->medium_used - medium,
    };
    // Of what was given back, the rest is there again: written by a huge page's assembly, say.
    uint64_t given = resident->lazy;
    take_lazy(&given, &lazy);
    split.kept += given + resident->returned;
    // More is lazy than was given back so: no list tells where, so the least useful pays first.
    split.error += lazy;
    take_lazy(&split.slack, &lazy);
    take_lazy(&split.kept, &lazy);
    take_lazy(&split.in_use, &lazy);
    *ret_split = split;
}

// What smaps says of all that was claimed.
static uint64_t claimed_bytes(const struct runtime_report *report, uint64_t *ret_lazy)
{
    uint64_t rss = 0;
    *ret_lazy = 0;
    for (size_t i = 0; i < report->claim_count; i++) {
        rss += report->claims[i].rss_bytes;
        *ret_lazy += report->claims[i].lazy_bytes;
    }
    return rss;
}

// How far a row may be off, for what changed between two pictures.
static int add_parts(const struct reading *reading, const struct split *split,
                     const struct resident *resident, struct runtime_report *report)
{
    // Blocks move between in use and free, spans between in use and idle: each row has the sum of
    // what can have crossed its borders.
    const struct libebb_sums *now = &reading->now.sums;
    const struct libebb_sums *before = reading->before.ledger.magic ? &reading->before.sums : now;
    uint64_t used = apart(used_bytes(now), used_bytes(before));
    uint64_t spans = apart(now->span_bytes, before->span_bytes);
    uint64_t idle =
        apart(now->spare_bytes + now->dirty_bytes, before->spare_bytes + before->dirty_bytes);
    uint64_t error = split->error + now->unsure_bytes;
    const struct {
        enum account_row row;
        uint64_t bytes, error;
        const char *source;
    } parts[] = {
        {ROW_IN_USE, split->in_use, used + error, "live blocks of spans, large blocks x pagemap"},
        {ROW_SLACK, split->slack, used + spans + error, "other free blocks of spans x pagemap"},
        {ROW_KEPT, split->kept, used + idle + error,
         "dirty runs, empty spans, free blocks of whole pages x pagemap"},
        {ROW_METADATA, resident->metadata, 0, "records, ledger and heaps x pagemap"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int failed =
            report_add_part(report, parts[i].row, parts[i].bytes, parts[i].error, parts[i].source);
        if (failed)
            return failed;
    }
    return 0;
}

// The whole reservation is libebb's, whatever lies in it: one claim per mapping there.
static int add_account(const struct reading *reading, struct runtime_report *report)
{
    // Measured before it is claimed: nothing is left behind where that fails.
    const struct wire_ledger *ledger = &reading->now.ledger;
    struct resident resident = {0};
    struct split split;
    uint64_t lazy;
    int error = measure(reading->target, &reading->now.places, &resident);
    if (!error)
        error = target_claim(reading->target, report, ledger->base, ledger->base + ledger->bytes);
    if (error)
        return error;
    uint64_t rss = claimed_bytes(report, &lazy);
    split_resident(&reading->now.sums, &resident, lazy, &split);
    error = add_parts(reading, &split, &resident, report);
    uint64_t parts = split.in_use + split.slack + split.kept + resident.metadata;
    // Pages come and go between smaps and pagemap: what no longer fits is cut by the account.
    report->approximate |= !reading->is_steady || parts + lazy > rss;
    return error;
}

// Settings and figures are worth having even where the account then fails for want of rights.
static int fill_report(const struct reading *reading, struct runtime_report *report)
{
    const struct wire_ledger *ledger = &reading->now.ledger;
    int error = add_settings(reading->target, ledger, report);
    if (!error)
        error = add_figures(reading, report);
    if (!error)
        error = add_account(reading, report);
    // Under `auto` it depends on what is likely: then only what lies there lazily tells.
    if (ledger->policy == WIRE_POLICY_FREE || reading->now.sums.lazy_bytes > 0)
        report->facts |= FACT_GIVES_LAZILY;
    return error;
}

// Why there is no account, and what would help: texts for a runtime_unread.
static void refusal_words(const struct reading *reading, int error, struct libebb_refusal *words)
{
    static const struct {
        int error;
        const char *why, *needs;
    } rows[] = {
        {-EPERM, "it may not be read", "ptrace read access: run as root or as the target's user"},
        {-EACCES, "it may not be read", "ptrace read access: run as root or as the target's user"},
        {-ETIME, "it is too large for the time it had", "more time"},
        {-ENODATA, "it is not in memory", "nothing: it was swapped out, or was never there"},
        {-EAGAIN,
         "its runs do not follow each other: it changes too fast, or is damaged or swapped "
         "out",
         "a second look"},
        {-EBADMSG, "its records contradict each other", "nothing: they were overwritten"},
    };
    // A head that is refused says more than any of these.
    if (error == -EBADMSG && reading->refusal.why[0]) {
        *words = reading->refusal;
        return;
    }
    const char *why = "it could not be read", *needs = "a second look";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].error == error) {
            why = rows[i].why;
            needs = rows[i].needs;
        }
    }
    text_copy(text_of(why), words->why, sizeof words->why);
    text_copy(text_of(needs), words->needs, sizeof words->needs);
}

// Nothing is guessed: what nobody has claimed is held, and the reason is said.
static int report_refusal(const struct reading *reading, const struct libebb_found *found,
                          int error, struct runtime_report *report)
{
    struct libebb_refusal words;
    char what[200];
    refusal_words(reading, error, &words);
    text_format(what, sizeof what, "libebb's ledger: %s", words.why);
    // What a half reading has left would be neither the ledger nor the account.
    report->claim_count = report->part_count = report->figure_count = report->setting_count = 0;
    int failed = report_add_unread(report, what, words.needs);
    if (failed)
        return failed;
    report->facts |= FACT_OPAQUE;
    // A library's own copy, or one under a managed runtime, does not have all that is left.
    bool is_all = found->image->is_main || libebb_is_library(found->image);
    return is_all && !opaque_has_managed(reading->target)
               ? target_claim_rest(reading->target, report, false)
               : 0;
}

// Refusals are results: the runtime is named, and what it holds is told as held.
static int libebb_read(const struct target *target, struct runtime_report *ret_report)
{
    // Zero, so that all of it can be freed wherever it ends.
    struct libebb_found found;
    struct reading reading = {.target = target};
    if (!libebb_find(target, &found))
        return -ENOENT;
    char version[32];
    libebb_read_version(found.image, version, sizeof version);
    opaque_name(ret_report, "libebb", found.image, version);
    // Nothing allocated yet is nothing claimed: preloaded below a program with a malloc of its own.
    if (!found.error && !found.ledger)
        return 0;
    text_copy(text_of(found.method), ret_report->method, sizeof ret_report->method);
    int error =
        found.error ? found.error : pages_init(&reading.pages, target->process, target->budget_ms);
    if (!error)
        error = take_pictures(&reading, found.ledger);
    if (!error)
        error = fill_report(&reading, ret_report);
    if (error && error != -ENOMEM)
        error = report_refusal(&reading, &found, error, ret_report);
    libebb_places_free(&reading.now.places);
    pages_free(&reading.pages);
    return error;
}

const struct runtime_reader libebb_reader = {"libebb", libebb_is_there, libebb_read};
