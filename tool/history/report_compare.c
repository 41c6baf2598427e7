// SPDX-License-Identifier: Apache-2.0
// Pairing two reports by the names of their processes, see report.h. Tool world; pure.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "history/report.h"

// Restarts and workers of one name are one group: means by time, peaks of any of them.
static void group_add(struct report_group *group, const struct report_subject *entry)
{
    const struct history_summary *summary = &entry->summary;
    // A process that was seen in one sample counts for that one.
    double weight = (double)(entry->observed_ms ? entry->observed_ms : 1);
    double before = (double)group->observed_ms;
    group->mean_rss_bytes =
        (group->mean_rss_bytes * before + summary->mean_rss_bytes * weight) / (before + weight);
    group->mean_effective_bytes =
        (group->mean_effective_bytes * before + summary->mean_effective_bytes * weight) /
        (before + weight);
    // The largest of any one, not their sum: peaks of several were not at one time.
    if (summary->peak_rss_bytes > group->peak_rss_bytes)
        group->peak_rss_bytes = summary->peak_rss_bytes;
    if (summary->peak_effective_bytes > group->peak_effective_bytes)
        group->peak_effective_bytes = summary->peak_effective_bytes;
    if (summary->missed_rss_bytes > group->missed_rss_bytes)
        group->missed_rss_bytes = summary->missed_rss_bytes;
    // The longest look says most about a slope.
    if (summary->has_slope && entry->observed_ms >= group->slope_ms) {
        group->slope_ms = entry->observed_ms;
        group->has_slope = true;
        group->slope_bytes_per_s = summary->slope_bytes_per_s;
        group->slope_error_bytes_per_s = summary->slope_error_bytes_per_s;
    }
    group->observed_ms += (uint64_t)weight;
    group->processes++;
}

// A process of either side.
struct member {
    const struct report_subject *entry;
    size_t place; // among all: what is equal stays in its order
    int side;
};

// Names are compared as they are: PIDs differ from run to run, and command lines with them.
static int member_order(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    int order = strcmp(a->entry->subject.name, b->entry->subject.name);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

// All of both sides, those of one name together: a host has thousands of names in a week.
static struct member *sort_members(const struct report *const reports[2], size_t count)
{
    struct member *members = calloc(count + 1, sizeof *members);
    size_t place = 0;
    if (!members)
        return NULL;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < reports[side]->subject_count; i++, place++)
            members[place] = (struct member){&reports[side]->subjects[i], place, side};
    qsort(members, count, sizeof *members, member_order);
    return members;
}

// Of both sides, so that what shrank is not sorted away.
static uint64_t pair_peak(const struct report_pair *pair)
{
    uint64_t before = pair->side[0].peak_rss_bytes, after = pair->side[1].peak_rss_bytes;
    return before > after ? before : after;
}

// What can be compared stands above what cannot.
static int pair_order(const void *left, const void *right)
{
    const struct report_pair *a = left, *b = right;
    bool a_both = a->has[0] && a->has[1], b_both = b->has[0] && b->has[1];
    if (a_both != b_both)
        return a_both ? -1 : 1;
    if (pair_peak(a) != pair_peak(b))
        return pair_peak(a) > pair_peak(b) ? -1 : 1;
    return strcmp(a->side[0].name, b->side[0].name);
}

// At most as many pairs as there are processes in both: one array, never grown.
int report_compare(const struct report *before, const struct report *after,
                   struct report_pair **ret_pairs, size_t *ret_count)
{
    const struct report *const reports[2] = {before, after};
    size_t member_count = before->subject_count + after->subject_count, count = 0;
    struct member *members = sort_members(reports, member_count);
    struct report_pair *pairs = calloc(member_count + 1, sizeof *pairs);
    if (!members || !pairs) {
        free(members);
        free(pairs);
        return -ENOMEM;
    }
    const char *name = NULL;
    // Both sides with the same code: what is in one alone leaves the other empty.
    for (size_t i = 0; i < member_count; i++) {
        const struct member *member = &members[i];
        if (!name || strcmp(name, member->entry->subject.name) != 0) {
            name = member->entry->subject.name;
            for (int side = 0; side < 2; side++)
                text_copy(text_of(name), pairs[count].side[side].name, sizeof pairs->side->name);
            count++;
        }
        group_add(&pairs[count - 1].side[member->side], member->entry);
        pairs[count - 1].has[member->side] = true;
    }
    free(members);
    qsort(pairs, count, sizeof *pairs, pair_order);
    *ret_pairs = pairs;
    *ret_count = count;
    return 0;
}
