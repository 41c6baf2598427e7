// SPDX-License-Identifier: Apache-2.0
// What a round does with each process: cheap readings, ends, execs, and those that are new. Tool
// world; internal to the sampler.
//
// Any process may end, call exec or be replaced between any two lines here: each step either has
// all it needs from one reading, or leaves it to the next round.
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "sample/sampler_internal.h"

enum { SAMPLER_GROUP_MS = 60000 }; // processes seldom change their group

// The moment of a reading, for its sample and its subject.
void sampler_stamp(const struct sampler *sampler, struct sample *sample, struct subject *subject)
{
    struct sampler_clocks now = sampler_read_clocks(sampler);
    sample->time_ms = now.real_ms;
    sample->boot_ms = now.boot_ms;
    subject->last_ms = now.real_ms;
}

// The cheap sample. A deeper reading later in the round takes its place.
static int follow_add_sample(struct sampler *sampler, struct follow *follow,
                             struct subject *subject)
{
    struct sample sample = follow_cheap_sample(follow, &sampler->batch.host);
    sampler_stamp(sampler, &sample, subject);
    follow->sample = sampler->batch.sample_count;
    sampler->cost.cheap++;
    return batch_add_sample(&sampler->batch, &sample);
}

// Makes a subject of one that matches, with its first sample. 0 or -ENOMEM. Room comes first, so
// that there is never a subject that nobody follows.
static int sampler_adopt(struct sampler *sampler, const struct find_match *match,
                         const struct cheap_reading *cheap)
{
    int error = array_reserve_one(&sampler->subjects, &sampler->subject_capacity,
                                  sampler->subject_count, sizeof *sampler->subjects);
    if (!error)
        error = array_reserve_one(&sampler->follows, &sampler->follow_capacity,
                                  sampler->follow_count, sizeof *sampler->follows);
    if (error)
        return error;
    struct subject *subject = &sampler->subjects[sampler->subject_count++];
    *subject = match->subject;
    subject->id = ++sampler->last_id;
    struct sampler_clocks now = sampler_read_clocks(sampler);
    subject->first_ms = now.real_ms;
    struct follow *follow = &sampler->follows[sampler->follow_count++];
    *follow = (struct follow){
        .id = subject->id,
        .pid = subject->pid,
        .cheap = *cheap,
        .plan = {.since_ns = now.mono_ns, .no_account = sampler->options.no_accounts},
        .lazy_bytes = SAMPLE_UNKNOWN,
        .swap_bytes = SAMPLE_UNKNOWN,
        .group_read_ms = now.boot_ms,
    };
    error = batch_tell(&sampler->batch, subject->id, EVENT_APPEARED, 0, subject->name);
    return error ? error : follow_add_sample(sampler, follow, subject);
}

// Its first reading, if it is still who it was when it was described. 0, -ESRCH, -ESTALE, -errno.
static int sampler_meet(struct sampler *sampler, const struct find_match *match,
                        struct cheap_reading *ret_cheap)
{
    int error = cheap_read(&sampler->find.reader, match->subject.pid, NULL, ret_cheap);
    if (error)
        return error == -ENOEXEC ? -ESRCH : error;
    switch (cheap_compare(&match->identity, &ret_cheap->identity)) {
    case CHEAP_SAME:
        return 0;
    case CHEAP_OTHER:
        return -ESRCH;
    case CHEAP_RENAMED:
    case CHEAP_EXEC:
        break;
    }
    return -ESTALE;
}

// One that called exec since it was found is described anew and met in the next round: nobody is
// lost who may not be found again. True while it is worth waiting for.
static bool sampler_rewrite(struct sampler *sampler, struct find_match *match)
{
    int error = find_describe(&sampler->find, match->subject.pid, match);
    return error == -ESTALE || (!error && find_wants(&sampler->find, &match->subject, true));
}

// Those who have ended in the meantime have never been there.
int sampler_adopt_matches(struct sampler *sampler)
{
    struct find_matches *matches = &sampler->matches;
    size_t kept = 0;
    int error = 0;
    for (size_t i = 0; i < matches->count && !error; i++) {
        struct find_match *match = &matches->items[i];
        struct cheap_reading cheap;
        int met = sampler_meet(sampler, match, &cheap);
        if (met == 0)
            error = sampler_adopt(sampler, match, &cheap);
        else if (met == -ESTALE && sampler_rewrite(sampler, match))
            matches->items[kept++] = *match;
        else
            find_forget(&sampler->find, match->subject.pid);
    }
    matches->count = kept;
    return error;
}

// The end of a subject: of its process, or of the program that it was.
static int follow_end(struct sampler *sampler, struct follow *follow, enum event_kind kind,
                      const char *text)
{
    sampler_get_subject(sampler, follow->id)->has_ended = true;
    follow->is_gone = true;
    return batch_tell(&sampler->batch, follow->id, kind, 0, text);
}

// It executes something else now, which is a subject of its own if it matches, even where no new
// ones are looked for: it is the process that was asked for. In the middle of the exec nothing is
// told yet; the next round sees the difference again.
static int follow_exec(struct sampler *sampler, size_t index)
{
    struct follow *follow = &sampler->follows[index];
    struct find_match match;
    struct cheap_reading cheap;
    if (find_describe(&sampler->find, follow->pid, &match) != 0 ||
        match.identity.start_ticks != follow->cheap.identity.start_ticks ||
        sampler_meet(sampler, &match, &cheap) != 0)
        return 0;
    int pid = follow->pid;
    int error = follow_end(sampler, follow, EVENT_EXEC, match.subject.name);
    if (!error && find_wants(&sampler->find, &match.subject, true))
        return sampler_adopt(sampler, &match, &cheap);
    // A stranger from now on, who may become one of ours again.
    find_forget(&sampler->find, pid);
    return error;
}

// Has it become something else since its last reading?
static bool follow_has_execed(struct sampler *sampler, const struct follow *follow,
                              const struct cheap_reading *now, const struct subject *subject)
{
    enum cheap_change change = cheap_compare(&follow->cheap.identity, &now->identity);
    // A new comm alone is a program that names itself; a new command line with it is an exec that
    // hides its addresses from us.
    if (change == CHEAP_RENAMED && !cheap_is_seen(&now->identity))
        return find_has_other_line(&sampler->find, subject);
    return change == CHEAP_EXEC;
}

// Names change with comm; and those read in the middle of an exec, when there is no address to be
// seen yet, are not all there.
static void follow_refresh_names(struct sampler *sampler, const struct follow *follow,
                                 const struct cheap_reading *now, struct subject *subject)
{
    const struct cheap_identity *before = &follow->cheap.identity;
    if (strcmp(before->comm, now->identity.comm) != 0 ||
        (!cheap_is_seen(before) && cheap_is_seen(&now->identity)))
        find_read_names(&sampler->find, now->identity.comm, subject);
}

// With an account the group is read as well, but not everybody gets accounts.
static void follow_refresh_group(struct sampler *sampler, struct follow *follow,
                                 struct subject *subject)
{
    uint64_t now_ms = sampler->last.boot_ms;
    // Not all of them in one round.
    if (now_ms - follow->group_read_ms < SAMPLER_GROUP_MS + follow->id % 64 * 256)
        return;
    follow->group_read_ms = now_ms;
    find_read_group(&sampler->find, subject);
}

// The cheap reading of one that is followed.
static int sampler_visit(struct sampler *sampler, size_t index)
{
    struct follow *follow = &sampler->follows[index];
    struct subject *subject = sampler_get_subject(sampler, follow->id);
    struct cheap_reading now;
    int error = cheap_read(&sampler->find.reader, follow->pid, &follow->cheap, &now);
    if (error == -ESRCH || error == -ENOEXEC ||
        (!error && cheap_compare(&follow->cheap.identity, &now.identity) == CHEAP_OTHER)) {
        // Who has its number now may match as well.
        find_forget(&sampler->find, follow->pid);
        return follow_end(sampler, follow, EVENT_ENDED, "");
    }
    // Whatever else it is (no descriptor, no memory), it tells nothing of the process.
    if (error)
        return 0;
    if (follow_has_execed(sampler, follow, &now, subject))
        return follow_exec(sampler, index);
    follow_refresh_names(sampler, follow, &now, subject);
    cheap_remember(&follow->cheap.identity, &now.identity);
    follow->cheap = now;
    follow_refresh_group(sampler, follow, subject);
    return follow_add_sample(sampler, follow, subject);
}

// In the order of their appearance, which is that of the samples in a batch.
int sampler_visit_all(struct sampler *sampler)
{
    // What an exec appends has been read already.
    size_t count = sampler->follow_count;
    int error = 0;
    for (size_t i = 0; i < count && !error; i++) {
        // Whoever cannot be read this time has no sample.
        sampler->follows[i].sample = SIZE_MAX;
        error = sampler_visit(sampler, i);
    }
    return error;
}
