// SPDX-License-Identifier: Apache-2.0
// Choosing the verdict, see verdict.h. Tool world; pure.
//
// Memory that is not in use is lazily freed, kept or slack. Where that is a good part of the
// process's own memory the largest of the three names the verdict; where it is not, the question is
// whether what is in use grows.
#include "account/verdict.h"

#include <stdarg.h>
#include <string.h>

#include "account/verdict_text.h"
#include "base/text.h"
#include "base/units.h"

// Where the lines between verdicts run is a judgement, not a law of nature: docs/account.md says
// the same to users, and the tests of verdicts hold both in place.
//
// Shares of a process's own memory (RSS without files and shared memory) from which a row decides,
// in percent.
static const uint64_t idle_share = 30;
static const uint64_t files_share = 50;
static const uint64_t blind_share = 50;
// Below this nothing in a process is worth an alarm, and code and stacks are most of it.
static const uint64_t small_bytes = 4 << 20;

// Stable, as the number behind it, which is part of the exit status.
const char *verdict_name(enum verdict_code code)
{
    switch (code) {
    case VERDICT_LAZY:
        return "lazy";
    case VERDICT_KEPT:
        return "kept";
    case VERDICT_FRAGMENTED:
        return "fragmented";
    case VERDICT_GROWING:
        return "growing";
    case VERDICT_IN_USE:
        return "in-use";
    case VERDICT_FILES:
        return "files";
    case VERDICT_UNKNOWN:
        break;
    }
    return "unknown";
}

void verdict_say(struct verdict_lines *lines, const char *format, ...)
{
    // Sixteen is more than all rules of a section together can say.
    if (lines->count == VERDICT_LINES_MAX)
        return;
    va_list args;
    va_start(args, format);
    text_vformat(lines->text[lines->count++], VERDICT_TEXT_MAX, format, args);
    va_end(args);
}

const struct runtime_report *verdict_find_fact(const struct verdict_input *input, uint32_t facts)
{
    for (size_t i = 0; i < input->report_count; i++)
        if ((input->reports[i].facts & facts) == facts)
            return &input->reports[i];
    return NULL;
}

const struct runtime_report *verdict_find_runtime(const struct verdict_input *input,
                                                  const char *name)
{
    for (size_t i = 0; i < input->report_count; i++)
        if (strcmp(input->reports[i].name, name) == 0)
            return &input->reports[i];
    return NULL;
}

const struct runtime_report *verdict_row_owner(const struct verdict_input *input,
                                               enum account_row row)
{
    for (size_t i = 0; input->account && i < input->report_count; i++) {
        uint64_t bytes = account_runtime_bytes(input->account, input->reports[i].name, row);
        if (bytes > input->account->row_bytes[row] / 2)
            return &input->reports[i];
    }
    return NULL;
}

// In doubles: a hundred times a size could overflow.
static bool is_share(uint64_t part, uint64_t whole, uint64_t percent)
{
    return (double)part * 100 >= (double)whole * (double)percent && part > 0;
}

// The largest of what is resident and not in use. Of equals the one that is easier to get back.
static enum verdict_code verdict_of_idle(const uint64_t *rows)
{
    if (rows[ROW_LAZY] >= rows[ROW_KEPT] && rows[ROW_LAZY] >= rows[ROW_SLACK])
        return VERDICT_LAZY;
    return rows[ROW_KEPT] >= rows[ROW_SLACK] ? VERDICT_KEPT : VERDICT_FRAGMENTED;
}

// In this order: growth is the only question that cannot wait; memory that is not in use answers
// "is it a leak" with no, even where much else could not be read; files come before what nobody can
// look into, because they are known.
static enum verdict_code verdict_choose(const struct verdict_input *input)
{
    const struct account *account = input->account;
    if (!account)
        return VERDICT_UNKNOWN;
    if (input->growth && input->growth->is_growing)
        return VERDICT_GROWING;
    const uint64_t *rows = account->row_bytes;
    uint64_t files = rows[ROW_CODE_FILES] + rows[ROW_SHARED];
    uint64_t own = account->rss_bytes - files;
    uint64_t idle = rows[ROW_LAZY] + rows[ROW_KEPT] + rows[ROW_SLACK];
    uint64_t blind = rows[ROW_HELD] + rows[ROW_UNEXPLAINED];
    if (is_share(idle, own, idle_share) && idle >= small_bytes)
        return verdict_of_idle(rows);
    if (is_share(files, account->rss_bytes, files_share))
        return VERDICT_FILES;
    if (is_share(blind, own, blind_share) && blind >= small_bytes)
        return VERDICT_UNKNOWN;
    return VERDICT_IN_USE;
}

// The row that a verdict is about.
static enum account_row verdict_row(enum verdict_code code)
{
    switch (code) {
    case VERDICT_LAZY:
        return ROW_LAZY;
    case VERDICT_KEPT:
        return ROW_KEPT;
    case VERDICT_FRAGMENTED:
        return ROW_SLACK;
    case VERDICT_GROWING:
    case VERDICT_IN_USE:
    case VERDICT_FILES:
    case VERDICT_UNKNOWN:
        break;
    }
    return ROW_IN_USE;
}

static void headline_of_row(const struct verdict_input *input, enum verdict_code code, char *text)
{
    static const char *const endings[] = {
        [VERDICT_LAZY] = "lazy, not a leak. %s of RSS is memory that %s has given back; the kernel "
                         "takes it when anything needs it.",
        [VERDICT_KEPT] = "kept, not a leak. %s of RSS is free memory that %s holds for reuse.",
        [VERDICT_FRAGMENTED] = "fragmented. %s of RSS lies unused between the live objects of %s, "
                               "so it cannot go back.",
        [VERDICT_IN_USE] = "in use. %s of RSS is in objects that %s has allocated and not freed.",
    };
    enum account_row row = verdict_row(code);
    const struct runtime_report *owner = verdict_row_owner(input, row);
    char share[UNITS_TEXT_MAX];
    units_format_percent(input->account->row_bytes[row], input->account->rss_bytes, share,
                         sizeof share);
    // With several runtimes and none of them in front it is simply the program's.
    // The formats above each take the two strings given here.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    text_format(text, VERDICT_TEXT_MAX, endings[code], share, owner ? owner->name : "the program");
#pragma GCC diagnostic pop
}

// Most of what is in memory is something else: code, stacks, or too little to tell. The figures
// stand in the sentence because they may be large all the same, each below its own line.
static void headline_of_little(const struct account *account, char *text)
{
    char own[UNITS_TEXT_MAX], idle[UNITS_TEXT_MAX], blind[UNITS_TEXT_MAX];
    const uint64_t *rows = account->row_bytes;
    units_format_bytes(account->rss_bytes - rows[ROW_CODE_FILES] - rows[ROW_SHARED], own,
                       sizeof own);
    units_format_bytes(rows[ROW_LAZY] + rows[ROW_KEPT] + rows[ROW_SLACK], idle, sizeof idle);
    units_format_bytes(rows[ROW_HELD] + rows[ROW_UNEXPLAINED], blind, sizeof blind);
    // Nothing that is hidden is not worth a word.
    bool is_blind = rows[ROW_HELD] + rows[ROW_UNEXPLAINED] > 0;
    text_format(
        text, VERDICT_TEXT_MAX,
        "in use, as far as can be told. Of the %s that are its own, %s could be free (lazily "
        "freed, kept or slack)%s%s%s.",
        own, idle, is_blind ? ", and " : "", is_blind ? blind : "",
        is_blind ? " cannot be looked into" : "");
}

// What rose has no sign; what fell all the same keeps its own.
static void format_rise(int64_t bytes, char *text, size_t size)
{
    if (bytes >= 0)
        units_format_bytes((uint64_t)bytes, text, size);
    else
        units_format_change(bytes, text, size);
}

// It says how sure this is: a warm-up looks the same, and only a longer observation tells.
static void headline_of_growth(const struct growth *growth, char *text)
{
    char change[UNITS_TEXT_MAX], seconds[UNITS_TEXT_MAX], busy[UNITS_TEXT_MAX];
    format_rise(growth->effective.change_bytes, change, sizeof change);
    units_format_seconds(growth->seconds, seconds, sizeof seconds);
    format_rise(growth->busy.change_bytes, busy, sizeof busy);
    if (growth->has_busy)
        text_format(text, VERDICT_TEXT_MAX,
                    "growing: suspect a leak. Effective RSS rose by %s in %s, and what can be "
                    "leaked (all but kept, slack, files and shared) by %s.",
                    change, seconds, busy);
    else
        text_format(text, VERDICT_TEXT_MAX,
                    "growing: suspect a leak. Effective RSS rose by %s in %s; what of it is in "
                    "use could not be compared.",
                    change, seconds);
}

// It says what stands in the way: rights, or a runtime that keeps its inside to itself. The larger
// of held and unexplained is named, since that is where looking further pays.
static void headline_of_unknown(const struct verdict_input *input, char *text)
{
    if (!input->account) {
        text_format(text, VERDICT_TEXT_MAX,
                    "unknown: the process's smaps may not be read, so there is no account.");
        return;
    }
    const struct account *account = input->account;
    const struct runtime_report *holder = verdict_row_owner(input, ROW_HELD);
    bool is_held = account->row_bytes[ROW_HELD] >= account->row_bytes[ROW_UNEXPLAINED];
    uint64_t bytes = account->row_bytes[is_held ? ROW_HELD : ROW_UNEXPLAINED];
    char share[UNITS_TEXT_MAX];
    units_format_percent(bytes, account->rss_bytes, share, sizeof share);
    if (is_held)
        text_format(text, VERDICT_TEXT_MAX,
                    "unknown: %s of RSS is held by %s, whose inside cannot be told from outside.",
                    share, holder ? holder->name : "an allocator that was not recognised");
    else
        text_format(text, VERDICT_TEXT_MAX,
                    "unknown: %s of RSS is anonymous memory that no runtime claims.", share);
}

// "Not heap" is the point: a heap profiler would find nothing.
static void headline_of_files(const struct account *account, char *text)
{
    char share[UNITS_TEXT_MAX];
    uint64_t files = account->row_bytes[ROW_CODE_FILES] + account->row_bytes[ROW_SHARED];
    units_format_percent(files, account->rss_bytes, share, sizeof share);
    text_format(text, VERDICT_TEXT_MAX,
                "files, not heap. %s of RSS is code, mapped files and shared memory.", share);
}

// From a quarter on the sentence about objects is about the process; below, about a sideline of it.
// Stacks outweigh the heap: too many threads, or goroutines, and no heap profile shows them.
static void headline_of_stacks(const struct verdict_input *input, char *text)
{
    char share[UNITS_TEXT_MAX];
    units_format_percent(input->account->row_bytes[ROW_STACKS], input->account->rss_bytes, share,
                         sizeof share);
    text_format(text, VERDICT_TEXT_MAX,
                "in use. %s of RSS is stacks; the process has %zu thread%s.", share,
                input->thread_count, input->thread_count == 1 ? "" : "s");
}

// Thousands of threads look like a leak of the heap from afar.
static bool is_mostly_stacks(const struct account *account)
{
    return is_share(account->row_bytes[ROW_STACKS], account->rss_bytes, 50);
}

static bool is_mostly_in_use(const struct account *account)
{
    return is_share(account->row_bytes[ROW_IN_USE], account->rss_bytes, 25);
}

// One sentence with the figure that decided, for those who read no further.
static void verdict_write_headline(const struct verdict_input *input, enum verdict_code code,
                                   char *text)
{
    if (code == VERDICT_GROWING)
        headline_of_growth(input->growth, text);
    else if (code == VERDICT_UNKNOWN)
        headline_of_unknown(input, text);
    else if (code == VERDICT_FILES)
        headline_of_files(input->account, text);
    else if (code == VERDICT_IN_USE && is_mostly_stacks(input->account))
        headline_of_stacks(input, text);
    else if (code == VERDICT_IN_USE && !is_mostly_in_use(input->account))
        headline_of_little(input->account, text);
    else
        headline_of_row(input, code, text);
}

// The code first, then words for it: no sentence has a say in what the verdict is.
void verdict_reach(const struct verdict_input *input, struct verdict *ret_verdict)
{
    struct verdict verdict = {.code = verdict_choose(input)};
    verdict_write_headline(input, verdict.code, verdict.headline);
    verdict_give_reasons(input, verdict.code, &verdict.reasons);
    verdict_name_traps(input, &verdict.traps);
    verdict_advise(input, verdict.code, &verdict.next);
    *ret_verdict = verdict;
}
