// SPDX-License-Identifier: Apache-2.0
// The rows of `ebb top`: kept from round to round, filtered and sorted. Tool world; pure.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "metrics/label.h"
#include "render/top_groups.h"
#include "sample/subjects.h"

// Rows ascend by subject, as subjects do: both are found by halving.
static struct top_row *row_find(const struct top *top, unsigned subject)
{
    size_t low = 0, high = top->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (top->rows[middle].subject < subject)
            low = middle + 1;
        else
            high = middle;
    }
    return low < top->count && top->rows[low].subject == subject ? &top->rows[low] : NULL;
}

// A new subject has the largest id so far: its row stands last.
static int row_add(struct top *top, const struct subject *subject, struct top_row **ret_row)
{
    int error = array_reserve_one(&top->rows, &top->capacity, top->count, sizeof *top->rows);
    if (error)
        return error;
    struct top_row *row = &top->rows[top->count++];
    *row = (struct top_row){.subject = subject->id,
                            .figures = {.pid = subject->pid,
                                        // Unknown until a reading says otherwise: 0 would be a
                                        // finding.
                                        .lazy_bytes = SAMPLE_UNKNOWN,
                                        .kept_bytes = SAMPLE_UNKNOWN}};
    text_copy(text_of(subject->name), row->figures.name, sizeof row->figures.name);
    text_copy(text_of(subject->cmdline), row->cmdline, sizeof row->cmdline);
    row->start_ms = subject->start_ms;
    metrics_group_name(subject, row->group_name, sizeof row->group_name);
    row->group = top_group_id(row->group_name);
    text_copy(text_of(subject->exe), row->exe, sizeof row->exe);
    if (row->exe[0] && strcmp(row->exe, row->group_name) != 0)
        row->program = top_program_id(row->exe);
    // Without memory for the group the row stands by itself.
    (void)top_groups_start(top, row, top->time_ms);
    *ret_row = row;
    return 0;
}

// Four bytes a round in KiB reach to 4 TiB, and two thousand processes' history fits in two MiB.
static uint32_t kib_of(uint64_t bytes)
{
    return bytes / 1024 > UINT32_MAX ? UINT32_MAX : (uint32_t)(bytes / 1024);
}

// What an account told stands until the next one.
static void row_take_digest(struct top_row *row, const struct digest *digest, int64_t time_ms)
{
    row->has_account = true;
    row->account_ms = time_ms;
    memcpy(row->row_bytes, digest->row_bytes, sizeof row->row_bytes);
    row->figures.kept_bytes = digest->row_bytes[ROW_KEPT];
    row->figures.verdict = digest->verdict;
    text_copy(text_of(digest->headline), row->headline, sizeof row->headline);
    text_copy(text_of(digest->next), row->next, sizeof row->next);
    text_copy(text_of(digest->runtimes), row->figures.runtimes, sizeof row->figures.runtimes);
}

// The ring of rounds is overwritten from its oldest on. It is the number of rounds that is kept, so
// that the newest slot follows from it.
void top_row_push(struct top_row *row)
{
    size_t slot = row->rounds++ % TOP_HISTORY;
    row->rss_kib[slot] = kib_of(row->figures.rss_bytes);
    row->effective_kib[slot] = kib_of(row->figures.effective_bytes);
}

// Figures of now; those of an account stay until there is another one.
static void row_take(struct top_row *row, const struct sample *sample)
{
    row->figures.rss_bytes = sample->rss_bytes;
    row->figures.lazy_bytes = sample->lazy_bytes;
    row->figures.effective_bytes = sample->effective_bytes;
    top_row_push(row);
    if (sample->digest)
        row_take_digest(row, sample->digest, sample->time_ms);
}

// Ended processes leave at once: what is on the screen can be acted upon.
static void drop_ended(struct top *top, const struct subject *subjects, size_t subject_count)
{
    size_t kept = 0;
    for (size_t i = 0; i < top->count; i++) {
        const struct subject *subject =
            subjects_find(subjects, subject_count, top->rows[i].subject);
        if (!subject || subject->has_ended) {
            top_groups_end(top, &top->rows[i], top->time_ms);
            continue;
        }
        // Rows are four KiB each: none is moved onto itself.
        if (kept != i)
            top->rows[kept] = top->rows[i];
        kept++;
    }
    top->count = kept;
}

// Samples first: a process that ended in this round has no sample in it, and goes at the end.
int top_update(struct top *top, const struct batch *batch, const struct subject *subjects,
               size_t subject_count)
{
    top->host = batch->host;
    top->time_ms = batch->time_ms;
    for (size_t i = 0; i < batch->sample_count; i++) {
        const struct sample *sample = &batch->samples[i];
        // Rows move when one is added: this one is looked for anew each time.
        struct top_row *row = row_find(top, sample->subject);
        const struct subject *subject =
            row ? NULL : subjects_find(subjects, subject_count, sample->subject);
        // A sample of nobody: it cannot be named, and so not be shown.
        if (!row && !subject)
            continue;
        int error = row ? 0 : row_add(top, subject, &row);
        if (error)
            return error;
        row_take(row, sample);
    }
    drop_ended(top, subjects, subject_count);
    top_groups_sum(top);
    return 0;
}

// Rows hold all that they show by value.
void top_free(struct top *top)
{
    free(top->rows);
    free(top->groups);
    *top = (struct top){0};
}

// For sums and orders: what is unknown weighs nothing.
static uint64_t known(uint64_t bytes)
{
    return bytes == SAMPLE_UNKNOWN ? 0 : bytes;
}

// Nobody gets back less than this: where there is no more, the largest processes stand on top, and
// not small ones with some KiB, the less so while the large ones have not been read.
static uint64_t worth_getting_back(uint64_t bytes)
{
    const uint64_t least_bytes = 1 << 20;
    return bytes >= least_bytes ? bytes : 0;
}

// The figure of an order; orders by text have none.
static uint64_t row_figure(const struct top_row *row, enum top_order order)
{
    switch (order) {
    case TOP_BY_BACK:
        return worth_getting_back(known(row->figures.lazy_bytes) + known(row->figures.kept_bytes));
    case TOP_BY_RSS:
        return row->figures.rss_bytes;
    case TOP_BY_LAZY:
        return known(row->figures.lazy_bytes);
    case TOP_BY_KEPT:
        return known(row->figures.kept_bytes);
    case TOP_BY_EFFECTIVE:
        return row->figures.effective_bytes;
    default:
        return 0;
    }
}

// Negative when `a` stands above `b`: large figures and early letters come first.
static int row_order(const struct top_row *a, const struct top_row *b, enum top_order order)
{
    if (order == TOP_BY_NAME)
        return strcasecmp(a->figures.name, b->figures.name);
    // Groups have no PID, but a number of processes.
    if (order == TOP_BY_PID && a->figures.is_group && b->figures.is_group)
        return a->figures.members > b->figures.members ? -1
                                                       : a->figures.members < b->figures.members;
    if (order == TOP_BY_PID)
        return a->figures.pid < b->figures.pid ? -1 : a->figures.pid > b->figures.pid;
    if (order == TOP_BY_VERDICT)
        return top_verdict_rank(a->figures.verdict) - top_verdict_rank(b->figures.verdict);
    uint64_t left = row_figure(a, order), right = row_figure(b, order);
    return left > right ? -1 : left < right;
}

// Equal rows by size, then by subject: no two lines change places for nothing.
static int row_compare(const void *left, const void *right, void *context)
{
    const struct top_row *a = *(const struct top_row *const *)left;
    const struct top_row *b = *(const struct top_row *const *)right;
    const struct top_view *view = context;
    int order = row_order(a, b, view->order);
    if (order != 0)
        return view->is_reversed ? -order : order;
    order = row_order(a, b, TOP_BY_RSS);
    return order ? order : a->subject < b->subject ? -1 : a->subject > b->subject;
}

// Wherever a user may look for a word: nobody remembers whether it was in the name or an argument.
static bool row_matches(const struct top_row *row, const char *filter)
{
    // Names of processes have no case that anybody remembers.
    return !filter[0] || strcasestr(row->figures.name, filter) ||
           strcasestr(row->cmdline, filter) || strcasestr(row->figures.runtimes, filter) ||
           (row->figures.verdict && strcasestr(verdict_name(row->figures.verdict), filter));
}

// All groups where they are asked for, else those that stand for processes that keep ending: these
// also while none of them runs.
static size_t list_groups(const struct top *top, const struct top_view *view,
                          const struct top_row **rows)
{
    size_t count = 0;
    for (size_t i = 0; i < top->group_count; i++) {
        const struct top_group *group = &top->groups[i];
        const struct top_row *row = view->is_grouped ? &group->all : &group->brief;
        bool is_shown = group->is_churning && !view->shows_each;
        // Whose names they are not: there each is in the group of its own name.
        if (view->is_grouped)
            is_shown = !group->is_program && (row->figures.members > 0 || group->is_churning);
        if (is_shown && row_matches(row, view->filter))
            rows[count++] = row;
    }
    return count;
}

// Pointers are sorted, not rows: a row with its history is four KiB.
int top_list(const struct top *top, const struct top_view *view, const struct top_row ***ret_rows,
             size_t *ret_count)
{
    // One more than needed, so that none is no special case.
    size_t room = top->count + top->group_count + 1;
    const struct top_row **rows = malloc(room * sizeof(const struct top_row *));
    if (!rows)
        return -ENOMEM;
    size_t count = list_groups(top, view, rows);
    for (size_t i = 0; i < top->count && !view->is_grouped; i++)
        if ((view->shows_each || !top->rows[i].is_collapsed) &&
            row_matches(&top->rows[i], view->filter))
            rows[count++] = &top->rows[i];
    // A copy, since qsort_r() takes what it is given as writable.
    struct top_view order = *view;
    qsort_r(rows, count, sizeof(const struct top_row *), row_compare, &order);
    *ret_rows = rows;
    *ret_count = count;
    return 0;
}

// The same rows for --once, as the struct that explain's table is drawn from.
int top_table(const struct top *top, const struct top_view *view, struct table *ret_table)
{
    const struct top_row **rows;
    size_t count;
    int error = top_list(top, view, &rows, &count);
    if (error)
        return error;
    struct table table = {.is_grouped = view->is_grouped};
    for (size_t i = 0; i < count && !error; i++) {
        error = array_reserve_one(&table.rows, &table.capacity, table.count, sizeof *table.rows);
        if (!error)
            table.rows[table.count++] = rows[i]->figures;
    }
    free(rows);
    if (error)
        table_free(&table);
    else
        *ret_table = table;
    return error;
}
