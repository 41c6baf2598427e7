// SPDX-License-Identifier: Apache-2.0
// Asking the target's mallocs to give back what they keep, see purge.h. Tool world; one thread.
//
// The survey tells which mallocs there are and what each keeps; the symbols tell which of them can
// be asked. Only what has both a function and something to give is called: every call stops a
// thread.
#include "lever/purge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "lever/purge_ask.h"
#include "lever/purge_libebb.h"
#include "lever/purge_words.h"
#include "survey/survey.h"

enum { TARGETS_MAX = 12, BUDGET_MS = 1000, MAPS_LIMIT_BYTES = 64 << 20, TRIES_MAX = 3 };

// Less than this is not worth a stop; smaps and ledgers are off by more.
static const uint64_t worth_bytes = 64 << 10;

struct purge {
    struct mappings mappings; // of maps alone: smaps was walked by the survey
    struct images images;
    struct call_session *session;             // NULL: no call is possible
    struct purge_target targets[TARGETS_MAX]; // those that have a planned step
    size_t count;
    struct purge_libebb libebb; // needs no call
};

// On the heap, since the images' table of one target is large.
int purge_new(struct purge **ret_purge)
{
    struct purge *purge = calloc(1, sizeof *purge);
    if (!purge)
        return -ENOMEM;
    purge_libebb_init(&purge->libebb);
    *ret_purge = purge;
    return 0;
}

void purge_free(struct purge *purge)
{
    if (!purge)
        return;
    purge_libebb_close(&purge->libebb);
    // The session borrows the other two.
    if (purge->session)
        call_close(purge->session);
    images_close(&purge->images);
    mappings_free(&purge->mappings);
    free(purge);
}

// Where things are, without the sizes that cost a second walk of the page tables.
static int read_places(struct process *process, struct purge *purge)
{
    // The parser carries a line of its own, too large for a stack.
    struct buffer file = {0};
    struct smaps_parser *parser = malloc(sizeof *parser);
    int error = parser ? process_read_file(process, "maps", MAPS_LIMIT_BYTES, &file) : -ENOMEM;
    if (!error) {
        struct text text = buffer_text(&file);
        smaps_parser_init(parser, &purge->mappings);
        error = smaps_parser_feed(parser, text.data, text.len);
        if (!error)
            error = smaps_parser_finish(parser);
    }
    buffer_free(&file);
    free(parser);
    size_t skipped;
    return error ? error : images_open(process, &purge->mappings, &purge->images, &skipped);
}

// The survey's report of a malloc: by its place where several have the name.
static const struct runtime_report *find_report(const struct survey *survey,
                                                const struct purge_target *target)
{
    // The report keeps a cut path: as much of it is compared.
    for (size_t i = 0; i < survey->report_count; i++) {
        const struct runtime_report *report = &survey->reports[i];
        if (strcmp(report->name, purge_kind_name(target->kind)) == 0 &&
            strncmp(report->place, target->image->path, sizeof report->place - 1) == 0)
            return report;
    }
    return NULL;
}

// What a malloc could give, as far as it was read: its free pages, and those freed lazily, which a
// purge takes as well. `*ret_known` is false where its inside is closed.
static uint64_t keeps_bytes(const struct survey *survey, const struct runtime_report *report,
                            bool *ret_known)
{
    *ret_known = survey->has_account && report && !(report->facts & FACT_OPAQUE);
    if (!*ret_known)
        return 0;
    return account_runtime_bytes(&survey->account, report->name, ROW_KEPT) +
           account_runtime_bytes(&survey->account, report->name, ROW_LAZY);
}

// Known to keep nothing, that is: what cannot be read may keep anything.
static bool keeps_nothing(const struct survey *survey, const struct runtime_report *report)
{
    bool known;
    uint64_t bytes = keeps_bytes(survey, report, &known);
    return known && bytes < worth_bytes;
}

// Without a report its reader has found no malloc there.
static bool is_worth_asking(const struct survey *survey, const struct purge_target *target)
{
    const struct runtime_report *report = find_report(survey, target);
    return report && !keeps_nothing(survey, report);
}

// What the step says, with the function's own name for those who want to look it up.
static const char *kind_request(enum purge_kind kind)
{
    switch (kind) {
    case PURGE_JEMALLOC:
        return "purge its arenas, one after the other (arena.N.purge)";
    case PURGE_TCMALLOC:
        return "release free memory (MallocExtension_ReleaseToSystem)";
    case PURGE_MIMALLOC:
        return "collect (mi_collect)";
    case PURGE_GLIBC:
        return "trim its arenas (malloc_trim)";
    }
    return "";
}

// "ask jemalloc 5.3.0 in redis-server to purge its arenas ..."
static int add_step(const struct survey *survey, struct purge_target *target,
                    struct lever_report *report)
{
    // A second copy of a malloc, inside a library, has no report of its own.
    const struct runtime_report *found = find_report(survey, target);
    const char *version = target->kind == PURGE_JEMALLOC ? target->mallctl.version
                          : found                        ? found->version
                                                         : "";
    char file[64];
    text_copy(text_base_name(text_of(target->image->path)), file, sizeof file);
    int error = lever_add_step(report, "ask %s%s%s in %s to %s", purge_kind_name(target->kind),
                               version[0] ? " " : "", version, file, kind_request(target->kind));
    if (error)
        return error;
    // By index: the list of steps moves when the lever adds its own.
    target->step = report->step_count - 1;
    bool known;
    uint64_t bytes = keeps_bytes(survey, found, &known);
    char size[UNITS_TEXT_MAX];
    units_format_bytes(bytes, size, sizeof size);
    struct lever_step *step = lever_last_step(report);
    // Where its inside is closed nothing is said of what it keeps: it is asked all the same.
    if (known && bytes < worth_bytes)
        lever_end_step(step, LEVER_STEP_NOTHING, "it keeps next to nothing");
    else if (known)
        text_format(step->result, sizeof step->result, "it keeps %s", size);
    return 0;
}

// What a call means for the target, once for each kind that is asked.
static int add_kind_notes(const struct purge *purge, struct lever_report *report)
{
    static const char *const notes[] = {
        [PURGE_JEMALLOC] = "while jemalloc purges an arena, threads that need memory from that "
                           "arena wait for it; thread caches stay as they are",
        [PURGE_TCMALLOC] = "while tcmalloc releases, threads that need whole spans wait for it; "
                           "thread caches stay as they are",
        [PURGE_MIMALLOC] = "mimalloc's heaps belong to threads, so each thread is stopped to make "
                           "the call; mimalloc 2 gives back whole segments only, and keeps free "
                           "pages beside live ones",
        [PURGE_GLIBC] = "while glibc trims an arena, threads that allocate from it wait; it has no "
                        "smaller piece, so the thread that makes the call waits for all of it",
    };
    // Two jemallocs have the same to tell.
    bool said[sizeof notes / sizeof notes[0]] = {false};
    int error = 0;
    for (size_t i = 0; i < purge->count && !error; i++) {
        enum purge_kind kind = purge->targets[i].kind;
        if (!said[kind])
            error = lever_add_note(report, "%s", notes[kind]);
        said[kind] = true;
    }
    return error;
}

// A runtime that was found, but has no function that can be called: what works instead.
static int add_words(const struct survey *survey, const struct purge_target *found, size_t count,
                     struct lever_report *report)
{
    int error = 0;
    for (size_t i = 0; i < survey->report_count && !error; i++) {
        const struct runtime_report *runtime = &survey->reports[i];
        // Runtimes with words of their own are none that a symbol would help.
        const char *words = purge_words(runtime->name);
        if (words) {
            error = lever_add_note(report, "%s", words);
            continue;
        }
        // CPython and others stand beside the malloc below them; here it is mallocs that count.
        bool can_ask = strcmp(runtime->name, "libebb") == 0;
        for (size_t k = 0; k < count; k++)
            can_ask = can_ask || strcmp(purge_kind_name(found[k].kind), runtime->name) == 0;
        if (!can_ask && !keeps_nothing(survey, runtime))
            error = lever_add_note(report,
                                   "%s cannot be asked: its functions are not among the symbols "
                                   "of %s, which may be stripped",
                                   runtime->name, runtime->place);
    }
    return error;
}

// Every step that would have been made is a failed one, with the reason.
static void fail_steps(struct purge *purge, struct lever_report *report,
                       const struct call_refusal *refusal)
{
    for (size_t i = 0; i < purge->count; i++)
        lever_end_step(&report->steps[purge->targets[i].step], LEVER_STEP_FAILED, "%s%s%s",
                       refusal->why, refusal->needs[0] ? "; what would help: " : "",
                       refusal->needs);
    purge->count = 0;
}

// Calls are looked into only where there is something to call: it costs reading the threads.
static int prepare_calls(struct purge *purge, struct process *process, struct lever_report *report)
{
    if (purge->count == 0)
        return 0;
    struct call_refusal refusal = {0};
    int error =
        call_open(process, &purge->mappings, &purge->images, NULL, &purge->session, &refusal);
    if (!error)
        return add_kind_notes(purge, report);
    // Whatever was refused is said in the steps, so that the lever's other half goes on.
    purge->session = NULL;
    if (error == -ENOMEM)
        return error;
    if (!refusal.why[0])
        text_copy(text_of(strerror(-error)), refusal.why, sizeof refusal.why);
    fail_steps(purge, report, &refusal);
    return 0;
}

// Words first: they hold whether or not anything can be called.
static int plan_steps(struct purge *purge, const struct survey *survey, struct process *process,
                      struct lever_report *report)
{
    struct purge_target found[TARGETS_MAX];
    size_t count = purge_find(&purge->images, found, TARGETS_MAX);
    int error = add_words(survey, found, count, report);
    if (!error)
        error = purge_libebb_plan(&purge->libebb, survey, process, &purge->mappings, &purge->images,
                                  report);
    for (size_t i = 0; i < count && !error; i++) {
        // glibc below another malloc: a step that never has work would only be noise.
        bool is_below = count > 1 || purge->libebb.control.found.image != NULL;
        if (found[i].kind == PURGE_GLIBC && is_below && !is_worth_asking(survey, &found[i]))
            continue;
        error = add_step(survey, &found[i], report);
        if (!error && report->steps[found[i].step].state == LEVER_STEP_PLANNED)
            purge->targets[purge->count++] = found[i];
    }
    return error ? error : prepare_calls(purge, process, report);
}

// Reads only, as explain does; that calls are possible is found out without a stop.
int purge_plan(void *context, struct process *process, struct lever_report *report)
{
    // The same limit as explain's: a reader that runs out of time leaves "not known", which is
    // asked.
    struct purge *purge = context;
    const struct survey_options options = {.proc_root = "/proc", .budget_ms = BUDGET_MS};
    // Large: not on a stack that may be under a limit.
    struct survey *survey = malloc(sizeof *survey);
    int error = survey ? survey_take(&options, process_pid(process), survey) : -ENOMEM;
    if (error) {
        free(survey);
        return error == -ENOMEM ? error
                                : lever_refuse(report, error, "the process could not be surveyed",
                                               error == -EPERM || error == -EACCES
                                                   ? "running ebb as root or as the target's user"
                                                   : "");
    }
    error = read_places(process, purge);
    if (!error)
        error = plan_steps(purge, survey, process, report);
    else if (error != -ENOMEM)
        // Without its mappings nothing can be called; the lever's other half may do without.
        error = lever_add_warning(report,
                                  "the runtime was not asked: its mappings could not be "
                                  "read (%s)",
                                  strerror(-error));
    survey_free(survey);
    free(survey);
    return error;
}

// A signal for the thread may go first: then nothing was called, and it can be tried again.
static int ask_patiently(struct purge *purge, struct process *process, struct purge_target *target,
                         char *ret_answer)
{
    int error = -EINTR;
    for (unsigned i = 0; i < TRIES_MAX && error == -EINTR; i++)
        error = purge_ask(purge->session, process, target, ret_answer);
    return error;
}

// The malloc's own answer, or why there is none.
static void end_step(const struct purge *purge, struct lever_step *step, int error,
                     const char *answer)
{
    if (error == 0) {
        lever_end_step(step, LEVER_STEP_DONE, "%s", answer);
        return;
    }
    if (error == -EPROTO) {
        lever_end_step(step, LEVER_STEP_FAILED, "%s", answer);
        return;
    }
    const struct call_refusal *why = call_why(purge->session);
    lever_end_step(step, LEVER_STEP_FAILED, "%s%s%s", why->why[0] ? why->why : strerror(-error),
                   why->needs[0] ? "; what would help: " : "", why->needs);
}

// One malloc after the other, glibc last: what the others free through it goes back as well.
int purge_act(void *context, struct process *process, struct lever_report *report)
{
    struct purge *purge = context;
    int failed =
        purge_libebb_act(&purge->libebb, process, &purge->mappings, &purge->images, report);
    if (failed)
        return failed;
    for (size_t i = 0; i < purge->count; i++) {
        // Steps that need no call were ended by the plan.
        struct purge_target *target = &purge->targets[i];
        struct lever_step *step = &report->steps[target->step];
        char answer[LEVER_WHAT_MAX];
        // One that fails is a failed step; the next malloc may still answer.
        uint64_t began_ns = lever_now_ns();
        int error = ask_patiently(purge, process, target, answer);
        step->took_ns = lever_now_ns() - began_ns;
        end_step(purge, step, error, answer);
    }
    // The waits of all calls together, as the target has felt them.
    if (!purge->session)
        return 0;
    // Of the session, so that stops that came to nothing are counted too.
    const struct call_stats *stats = call_get_stats(purge->session);
    if (stats->stops > 0)
        lever_add_wait(report, "the thread that was borrowed", stats->longest_stop_ns,
                       stats->total_stop_ns);
    if (stats->wait_began_anew)
        return lever_add_note(report, "thread %d slept with a time limit, which began anew",
                              (int)stats->tid);
    return 0;
}
