// SPDX-License-Identifier: Apache-2.0
// Rows of groups, see top_groups.h. Tool world; pure.
#include "render/top_groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum {
    CHURN_ENDS = 6,    // so many ends a minute are no accident
    PROGRAM_ENDS = 18, // nor are so many under several names, none of which comes to six
    DEAD_GROUPS = 256, // groups without a process that are remembered for a minute
};

// What the two limits are for: a deploy that starts a dozen workers ends none of them, so it is no
// churn; a shell that calls a tool once a second is. And a program may give itself a new name each
// time: then no two starts have one name, each name is forgotten at once, and its executable stands
// for it.

// Ids of groups are hashes with the first bit set; the second tells the brief rows.
static const unsigned group_bit = 1u << 31, brief_bit = 1u << 30;

bool top_row_is_group(unsigned subject)
{
    return (subject & group_bit) != 0;
}

// FNV-1a. Two names with one hash would share a row: one in a billion, and nothing breaks.
static unsigned hash_name(uint32_t hash, const char *name)
{
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return group_bit | (hash & ~(group_bit | brief_bit));
}

static const uint32_t hash_start = 2166136261u;

unsigned top_group_id(const char *name)
{
    return hash_name(hash_start, name);
}

// Another start, so that a name and an executable that are called alike are two.
unsigned top_program_id(const char *exe)
{
    return hash_name(~hash_start, exe);
}

// Lets the slots go that are older than a minute. Clocks that were set back change nothing.
static void rate_advance(struct top_rate *rate, int64_t now_ms)
{
    int64_t slot = now_ms / TOP_RATE_SLOT_MS;
    // Nothing for a minute or more, or never: no slot is worth keeping.
    if (slot - rate->newest >= TOP_RATE_SLOTS)
        memset(rate->counts, 0, sizeof rate->counts);
    else
        for (int64_t passed = rate->newest + 1; passed <= slot; passed++)
            rate->counts[passed % TOP_RATE_SLOTS] = 0;
    if (slot > rate->newest)
        rate->newest = slot;
}

// What is older than a minute by now does not count any more.
static void rate_count(struct top_rate *rate, int64_t time_ms, int64_t now_ms)
{
    rate_advance(rate, now_ms);
    int64_t slot = time_ms / TOP_RATE_SLOT_MS;
    if (slot > rate->newest - TOP_RATE_SLOTS && slot <= rate->newest && slot >= 0)
        rate->counts[slot % TOP_RATE_SLOTS]++;
}

// The slot of now is not over yet: the sum is of 55 to 60 seconds.
static unsigned rate_minute(struct top_rate *rate, int64_t now_ms)
{
    unsigned sum = 0;
    rate_advance(rate, now_ms);
    for (int i = 0; i < TOP_RATE_SLOTS; i++)
        sum += rate->counts[i];
    return sum;
}

// Groups ascend by their id: where it is, or belongs.
static size_t group_place(const struct top *top, unsigned id)
{
    size_t low = 0, high = top->group_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (top->groups[middle].all.subject < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct top_group *group_find(const struct top *top, unsigned id)
{
    size_t place = group_place(top, id);
    return place < top->group_count && top->groups[place].all.subject == id ? &top->groups[place]
                                                                            : NULL;
}

// Moves a few hundred groups at most, when a name is seen for the first time.
static struct top_group *group_add(struct top *top, unsigned id, const char *name)
{
    // Groups move here and when others go: nobody keeps a pointer to one from round to round, the
    // view least of all, which knows them by their ids.
    if (array_reserve_one(&top->groups, &top->group_capacity, top->group_count,
                          sizeof *top->groups))
        return NULL;
    size_t place = group_place(top, id);
    struct top_group *group = &top->groups[place];
    memmove(group + 1, group, (top->group_count++ - place) * sizeof *group);
    *group = (struct top_group){.all = {.subject = id}, .brief = {.subject = id | brief_bit}};
    text_copy(text_of(name), group->all.figures.name, sizeof group->all.figures.name);
    text_copy(text_of(name), group->brief.figures.name, sizeof group->brief.figures.name);
    return group;
}

// When it began and not when it was seen: those that ran before us count as well.
static int count_start(struct top *top, unsigned id, const char *name, int64_t start_ms,
                       int64_t now_ms)
{
    struct top_group *group = group_find(top, id);
    if (!group)
        group = group_add(top, id, name);
    if (!group)
        return -ENOMEM;
    rate_count(&group->starts, start_ms, now_ms);
    return 0;
}

// Called once for each process, when its row is made.
int top_groups_start(struct top *top, const struct top_row *row, int64_t now_ms)
{
    int error = count_start(top, row->group, row->group_name, row->start_ms, now_ms);
    if (error || row->program == 0)
        return error;
    error = count_start(top, row->program, row->exe, row->start_ms, now_ms);
    struct top_group *program = group_find(top, row->program);
    if (program)
        program->is_program = true;
    return error;
}

// By its own start, so that a process that ran long before ebb is none. A clock that was set back
// makes ages negative: such processes are young until it has caught up.
static bool is_brief(const struct top_row *row, int64_t now_ms)
{
    return now_ms - row->start_ms < TOP_BRIEF_MS;
}

static bool is_churn(struct top_group *group, int64_t now_ms)
{
    return rate_minute(&group->ends, now_ms) >= (group->is_program ? PROGRAM_ENDS : CHURN_ENDS);
}

void top_groups_end(struct top *top, const struct top_row *row, int64_t now_ms)
{
    struct top_group *group = group_find(top, row->group);
    // A service that is stopped after a day is no loop.
    if (!group || !is_brief(row, now_ms))
        return;
    rate_count(&group->ends, now_ms, now_ms);
    // What its name stands for needs nobody else to stand for it: a shell's scripts are many.
    struct top_group *program = row->program ? group_find(top, row->program) : NULL;
    if (program && !is_churn(group, now_ms))
        rate_count(&program->ends, now_ms, now_ms);
}

int top_verdict_rank(enum verdict_code verdict)
{
    // What calls for somebody stands above what merely could be had back.
    static const int ranks[] = {
        [VERDICT_LAZY] = 3,   [VERDICT_KEPT] = 2,  [VERDICT_FRAGMENTED] = 1, [VERDICT_GROWING] = 0,
        [VERDICT_IN_USE] = 4, [VERDICT_FILES] = 5, [VERDICT_UNKNOWN] = 6};
    return verdict >= VERDICT_LAZY && verdict <= VERDICT_UNKNOWN ? ranks[verdict] : 7;
}

// Sums begin anew in each round; the history and the name stay.
static void sum_begin(struct top_row *sum)
{
    struct table_row *figures = &sum->figures;
    figures->is_group = true;
    figures->members = figures->starts_per_minute = 0;
    figures->rss_bytes = figures->effective_bytes = 0;
    figures->lazy_bytes = figures->kept_bytes = SAMPLE_UNKNOWN;
    figures->verdict = (enum verdict_code)0;
    figures->runtimes[0] = sum->headline[0] = sum->next[0] = '\0';
    sum->has_account = false;
    sum->unread = 0;
    memset(sum->row_bytes, 0, sizeof sum->row_bytes);
}

// Known as soon as one is known: what is missing is told as "not read".
static void sum_known(uint64_t *sum, uint64_t bytes)
{
    if (bytes != SAMPLE_UNKNOWN)
        *sum = (*sum == SAMPLE_UNKNOWN ? 0 : *sum) + bytes;
}

// What processes share counts for each of them, as in every sum of RSS.
static void sum_add(struct top_row *sum, const struct top_row *row)
{
    struct table_row *figures = &sum->figures;
    figures->members++;
    // Both are of the same sample: their difference is what is lazily freed.
    figures->rss_bytes += row->figures.rss_bytes;
    figures->effective_bytes += row->figures.effective_bytes;
    sum_known(&figures->lazy_bytes, row->figures.lazy_bytes);
    sum_known(&figures->kept_bytes, row->figures.kept_bytes);
    // One that grows among a hundred that do not is what somebody should see.
    if (top_verdict_rank(row->figures.verdict) < top_verdict_rank(figures->verdict))
        figures->verdict = row->figures.verdict;
    // Processes of one name are of one program, as good as always.
    if (!figures->runtimes[0])
        text_copy(text_of(row->figures.runtimes), figures->runtimes, sizeof figures->runtimes);
    sum->unread += !row->has_account;
    if (!row->has_account)
        return;
    // As old as its oldest part.
    if (!sum->has_account || row->account_ms < sum->account_ms)
        sum->account_ms = row->account_ms;
    sum->has_account = true;
    for (int i = 0; i < ROW_COUNT; i++)
        sum->row_bytes[i] += row->row_bytes[i];
}

// What the largest process says stands for the group, with its PID before it.
static void sum_quote(struct top_group *group, const struct top_row *row)
{
    if (!row->has_account ||
        (group->all.headline[0] && row->figures.effective_bytes <= group->largest_bytes))
        return;
    // Its next step is a command with its PID: that of the largest is where most can be had.
    group->largest_bytes = row->figures.effective_bytes;
    text_format(group->all.headline, sizeof group->all.headline, "the largest, %d: %s",
                row->figures.pid, row->headline);
    text_copy(text_of(row->next), group->all.next, sizeof group->all.next);
}

// After all rows: rates, history, and whether it stands in the plain list.
static void sum_end(struct top_group *group, int64_t now_ms)
{
    unsigned starts = rate_minute(&group->starts, now_ms);
    group->is_churning = is_churn(group, now_ms);
    // Both have a history of their own, which goes on while nobody of them runs: the chart of a
    // crash loop shows its teeth.
    struct top_row *sums[] = {&group->all, &group->brief};
    for (size_t i = 0; i < 2; i++) {
        sums[i]->figures.starts_per_minute = starts;
        top_row_push(sums[i]);
    }
}

// The group that stands for a brief process in the plain list: that of its name, else that of its
// program; NULL: none.
static struct top_group *stand_in(const struct top *top, const struct top_row *row,
                                  struct top_group *group)
{
    if (is_churn(group, top->time_ms))
        return group;
    struct top_group *program = row->program ? group_find(top, row->program) : NULL;
    return program && is_churn(program, top->time_ms) ? program : NULL;
}

// Rows tell by a flag that a group stands for them: the list need not look for it.
static void sum_rows(struct top *top)
{
    for (size_t i = 0; i < top->count; i++) {
        struct top_row *row = &top->rows[i];
        struct top_group *group = group_find(top, row->group);
        // Without memory for its group a process stands alone.
        row->is_collapsed = false;
        if (!group)
            continue;
        sum_add(&group->all, row);
        sum_quote(group, row);
        if (!is_brief(row, top->time_ms))
            continue;
        // Its own group sums it up before it churns, so that the history is there when it does.
        struct top_group *one = stand_in(top, row, group);
        row->is_collapsed = one != NULL;
        sum_add(one ? &one->brief : &group->brief, row);
    }
}

// Three walks: begin, add, end. Between them a row finds its group by halving, so that two thousand
// processes cost some twenty thousand comparisons of numbers.
void top_groups_sum(struct top *top)
{
    for (size_t i = 0; i < top->group_count; i++) {
        sum_begin(&top->groups[i].all);
        sum_begin(&top->groups[i].brief);
    }
    sum_rows(top);
    size_t kept = 0, dead = 0;
    for (size_t i = 0; i < top->group_count; i++) {
        struct top_group *group = &top->groups[i];
        sum_end(group, top->time_ms);
        bool is_dead = group->all.figures.members == 0;
        dead += is_dead;
        // Names that are made up by the thousand must not pile up.
        if (is_dead && !group->is_churning &&
            (group->all.figures.starts_per_minute == 0 || dead > DEAD_GROUPS))
            continue;
        if (kept != i)
            top->groups[kept] = *group;
        kept++;
    }
    top->group_count = kept;
}

// The brief row has the id of its group and one bit more.
const struct top_row *top_groups_find(const struct top *top, unsigned subject)
{
    const struct top_group *group = group_find(top, subject & ~brief_bit);
    if (!group)
        return NULL;
    return subject & brief_bit ? &group->brief : &group->all;
}
