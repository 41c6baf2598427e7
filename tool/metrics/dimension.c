// SPDX-License-Identifier: Apache-2.0
// Groups of processes, see dimension.h. Tool world; pure.
#include "metrics/dimension.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

// Counters of labels that are not shown now are kept that long, and no more than so many: a group
// that comes back goes on where it was, but a host that runs for a year fills no memory.
enum { TALLY_KEPT_MS = 3600000, TALLY_SPARE = 256 };

// A process under its label, for sorting.
struct member {
    char label[METRICS_LABEL_MAX];
    size_t process; // index into the round's
};

// The members of one label.
struct group {
    size_t first, count;
    uint64_t effective_bytes;
};

// Sums stay at the top instead of wrapping round: damaged figures must not look small.
static void add_up(uint64_t *sum, uint64_t value)
{
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = UINT64_MAX;
}

// By bytes: labels are equal or they are not, no locale has a say.
static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->label, ((const struct member *)b)->label);
}

// Largest first. Equal ones by their place, which is that of their labels: the order must not
// change from round to round by chance.
static int compare_groups(const void *a, const void *b)
{
    const struct group *left = a, *right = b;
    if (left->effective_bytes != right->effective_bytes)
        return left->effective_bytes < right->effective_bytes ? 1 : -1;
    return left->first < right->first ? -1 : left->first > right->first;
}

// Labels of all processes, sorted; NULL without memory.
static struct member *sort_members(const struct metrics_dimension *dimension,
                                   const struct metrics_process *processes, size_t count)
{
    struct member *members = calloc(count + 1, sizeof *members);
    if (!members)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        // Copied and not shared: a label is made from the name, it is not the name.
        metrics_label_of(processes[i].subject, dimension->grouping, dimension->pids,
                         members[i].label);
        members[i].process = i;
    }
    qsort(members, count, sizeof *members, compare_members);
    return members;
}

// Runs of equal labels, largest first; NULL without memory.
static struct group *rank_groups(const struct member *members, size_t count,
                                 const struct metrics_process *processes, size_t *ret_count)
{
    struct group *groups = calloc(count + 1, sizeof *groups);
    size_t group_count = 0;
    if (!groups)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        // Equal labels stand together now.
        if (i == 0 || strcmp(members[i].label, members[i - 1].label) != 0)
            groups[group_count++].first = i;
        struct group *group = &groups[group_count - 1];
        group->count++;
        add_up(&group->effective_bytes, processes[members[i].process].sample->effective_bytes);
    }
    qsort(groups, group_count, sizeof *groups, compare_groups);
    *ret_count = group_count;
    return groups;
}

// What is known of a process by its last account alone, and may be older than the sample.
static void add_account(struct metrics_series *series, const struct digest *digest)
{
    // Tells how much of the group the rows are of.
    series->accounts++;
    add_up(&series->reclaimable_bytes, digest->row_bytes[ROW_KEPT]);
    for (int row = 0; row < ROW_COUNT; row++)
        add_up(&series->row_bytes[row], digest->row_bytes[row]);
    for (size_t i = 0; i < digest->figure_count; i++) {
        int place = metrics_figure_place(&digest->figures[i]);
        // Collections are counters: they come as differences.
        if (place < 0 || metrics_figures[place].is_collections)
            continue;
        add_up(&series->figures[place], digest->figures[i].figure.value);
        series->has_figure[place] = true;
    }
    if (digest->verdict >= VERDICT_LAZY && digest->verdict <= VERDICT_UNKNOWN)
        series->has_verdict[digest->verdict] = true;
}

// What is not known is left out of a sum and counted beside it; a 0 would pass for a figure.
static void add_process(struct metrics_series *series, const struct metrics_process *process)
{
    const struct sample *sample = process->sample;
    bool knows_lazy = sample->lazy_bytes != SAMPLE_UNKNOWN;
    if (series->processes++ == 0) {
        series->pid = process->subject->pid;
        text_copy(text_of(process->subject->cgroup), series->cgroup, sizeof series->cgroup);
    }
    series->lazy_unknown += !knows_lazy;
    add_up(&series->resident_bytes, sample->rss_bytes);
    add_up(&series->effective_bytes, sample->effective_bytes);
    if (knows_lazy) {
        add_up(&series->lazy_bytes, sample->lazy_bytes);
        add_up(&series->reclaimable_bytes, sample->lazy_bytes);
    }
    if (sample->swap_bytes != SAMPLE_UNKNOWN)
        add_up(&series->swap_bytes, sample->swap_bytes);
    if (sample->threads != SAMPLE_UNKNOWN)
        add_up(&series->threads, sample->threads);
    if (process->digest)
        add_account(series, process->digest);
}

// Where a label's tally is, or belongs.
static size_t tally_place(const struct metrics_dimension *dimension, const char *label)
{
    size_t low = 0, high = dimension->tally_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(dimension->tallies[middle].label, label) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// A label's tally, a new one if need be. NULL without memory.
static struct metrics_tally *tally_of(struct metrics_dimension *dimension, const char *label)
{
    size_t place = tally_place(dimension, label);
    if (place < dimension->tally_count && strcmp(dimension->tallies[place].label, label) == 0)
        return &dimension->tallies[place];
    if (array_reserve_one(&dimension->tallies, &dimension->tally_capacity, dimension->tally_count,
                          sizeof *dimension->tallies))
        return NULL;
    // Moves a few hundred entries at most, and seldom.
    struct metrics_tally *tally = &dimension->tallies[place];
    memmove(tally + 1, tally, (dimension->tally_count - place) * sizeof *tally);
    *tally = (struct metrics_tally){0};
    text_copy(text_of(label), tally->label, sizeof tally->label);
    dimension->tally_count++;
    return tally;
}

// Brings the counters of a series' label up to date, and shows them in it.
static int count_up(struct metrics_dimension *dimension, struct metrics_series *series,
                    int64_t time_ms)
{
    struct metrics_tally *tally = tally_of(dimension, series->label);
    if (!tally)
        return -ENOMEM;
    // What the series gathered in this round goes to its label's total, which it then shows.
    tally->last_ms = time_ms;
    for (int i = 0; i < METRICS_COUNTERS; i++) {
        add_up(&tally->counters[i], series->counters[i]);
        series->counters[i] = tally->counters[i];
    }
    return 0;
}

// Lets go of tallies that nobody asked for in a while; of all but the present ones where there are
// too many.
static void drop_tallies(struct metrics_dimension *dimension, int64_t time_ms)
{
    // More than twice what is shown, and some: then names come and go quickly here.
    bool many = dimension->tally_count > 2 * dimension->top + TALLY_SPARE;
    size_t kept = 0;
    for (size_t i = 0; i < dimension->tally_count; i++) {
        const struct metrics_tally *tally = &dimension->tallies[i];
        int64_t idle_ms = time_ms - tally->last_ms;
        // The rest is always there, whoever is in it.
        bool is_rest = strcmp(tally->label, metrics_rest_label) == 0;
        if (is_rest || (idle_ms <= 0) || (!many && idle_ms < TALLY_KEPT_MS))
            dimension->tallies[kept++] = *tally;
    }
    dimension->tally_count = kept;
}

// What one round works with.
struct round {
    const struct metrics_process *processes;
    const uint64_t (*deltas)[METRICS_COUNTERS];
    const struct member *members;
};

static void add_group(struct metrics_series *series, const struct round *round,
                      const struct group *group)
{
    for (size_t i = group->first; i < group->first + group->count; i++) {
        size_t process = round->members[i].process;
        add_process(series, &round->processes[process]);
        for (int k = 0; k < METRICS_COUNTERS; k++)
            add_up(&series->counters[k], round->deltas[process][k]);
    }
}

// A series for each of the top groups, and one for the rest where there is one.
static int fill_series(struct metrics_dimension *dimension, const struct round *round,
                       const struct group *groups, size_t group_count)
{
    // Filled beside the list, since it stands last whatever its size.
    struct metrics_series rest = {0};
    size_t shown = 0;
    text_copy(text_of(metrics_rest_label), rest.label, sizeof rest.label);
    dimension->count = 0;
    for (size_t i = 0; i < group_count; i++) {
        const char *label = round->members[groups[i].first].label;
        // Of equal rank, the first by name.
        if (shown == dimension->top || strcmp(label, metrics_rest_label) == 0) {
            add_group(&rest, round, &groups[i]);
            continue;
        }
        if (array_reserve_one(&dimension->series, &dimension->capacity, shown, sizeof rest))
            return -ENOMEM;
        struct metrics_series *series = &dimension->series[shown++];
        *series = (struct metrics_series){0};
        text_copy(text_of(label), series->label, sizeof series->label);
        add_group(series, round, &groups[i]);
    }
    if (rest.processes > 0) {
        if (array_reserve_one(&dimension->series, &dimension->capacity, shown, sizeof rest))
            return -ENOMEM;
        dimension->series[shown++] = rest;
    }
    dimension->count = shown;
    return 0;
}

int metrics_dimension_take(struct metrics_dimension *dimension, int64_t time_ms,
                           const struct metrics_process *processes,
                           const uint64_t (*deltas)[METRICS_COUNTERS], size_t count)
{
    size_t group_count = 0;
    // One sort by label, one by size: all else is walks.
    struct member *members = sort_members(dimension, processes, count);
    struct group *groups = members ? rank_groups(members, count, processes, &group_count) : NULL;
    const struct round round = {processes, deltas, members};
    int error = groups ? fill_series(dimension, &round, groups, group_count) : -ENOMEM;
    for (size_t i = 0; i < dimension->count && !error; i++)
        error = count_up(dimension, &dimension->series[i], time_ms);
    drop_tallies(dimension, time_ms);
    free(groups);
    free(members);
    if (error)
        dimension->count = 0;
    return error;
}

// The settings go too: it is used no more.
void metrics_dimension_free(struct metrics_dimension *dimension)
{
    free(dimension->series);
    free(dimension->tallies);
    *dimension = (struct metrics_dimension){0};
}
