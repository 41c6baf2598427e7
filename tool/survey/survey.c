// SPDX-License-Identifier: Apache-2.0
// Taking a survey, see survey.h. Tool world; one thread.
#include "survey/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "survey/reading.h"

// Room for a proc root and a pid; a longer root is cut, and the advice with it.
enum { OPERAND_MAX = 320 };

// Whatever lies there; nothing does in most processes.
static const uint64_t probe_address = 0x10000;

// Without a first account there is nothing to compare the last one with: no use in waiting.
static bool survey_observes(const struct survey_options *options, const struct survey *survey)
{
    return options->observe_s > 0 && survey->has_account;
}

// A first survey is made only to compare the second one with it: what is shown is the state at the
// end, so identity (threads, status, cgroup) is read again as well.
static int survey_read_growth(const struct survey_options *options, struct process *process,
                              struct survey *survey)
{
    // Large, and limits on stacks are small where somebody has a reason to look at memory.
    struct survey *last = calloc(1, sizeof *last);
    if (!last)
        return -ENOMEM;
    int error = survey_observe(options, process, survey, last);
    survey_free(error ? last : survey);
    if (!error)
        *survey = *last;
    free(last);
    return error;
}

// The advice names commands to type, so it has to say the tree that this pid is one of.
static void survey_reach_verdict(const struct survey_options *options, struct survey *survey)
{
    bool is_live = strcmp(options->proc_root, "/proc") == 0;
    char operand[OPERAND_MAX];
    text_format(operand, sizeof operand, "--proc-root %s %d", options->proc_root, survey->pid);
    struct verdict_input input = {
        .account = survey->has_account ? &survey->account : NULL,
        .reports = survey->reports,
        .report_count = survey->report_count,
        .growth = survey->has_growth ? &survey->growth : NULL,
        .cgroup = &survey->cgroup,
        .host = &survey->host,
        .pid = survey->pid,
        .operand = is_live ? NULL : operand,
        .is_live = is_live,
        .thread_count = survey->status.threads,
        .lacks_rights = survey->lacks_rights,
    };
    verdict_reach(&input, &survey->verdict);
}

// All readings of one held process. The check comes last: figures from before and after an exec
// never stand in one account.
static int survey_read(const struct survey_options *options, struct process *process,
                       struct survey *survey)
{
    // Of two readings only the last is shown: the target is asked once.
    struct survey_options first = *options;
    first.ask = options->ask && options->observe_s <= 0;
    int error = survey_read_identity(options, process, survey);
    if (!error)
        error = survey_read_memory(&first, process, survey);
    if (!error && survey_observes(options, survey))
        error = survey_read_growth(options, process, survey);
    // Ledgers are read from memory, which takes more rights than smaps: any address will do to ask.
    uint64_t word;
    survey->lacks_rights =
        !survey->has_account || process_peek_u64(process, probe_address, &word) == -EPERM;
    return error ? error : process_check(process);
}

// The verdict needs no process any more, so the handle is closed before it is reached.
static int survey_try(const struct survey_options *options, int pid, struct survey *ret_survey)
{
    struct process *process;
    int error = process_open(options->proc_root, pid, &process);
    if (error)
        return error;
    struct survey *survey = calloc(1, sizeof *survey);
    error = survey ? survey_read(options, process, survey) : -ENOMEM;
    process_close(process);
    if (!error) {
        survey_reach_verdict(options, survey);
        *ret_survey = *survey;
    } else if (survey) {
        survey_free(survey);
    }
    free(survey);
    return error;
}

void survey_judge(const struct survey_options *options, const struct growth *growth,
                  struct survey *survey)
{
    survey->growth = *growth;
    survey->has_growth = true;
    survey_reach_verdict(options, survey);
}

int survey_take(const struct survey_options *options, int pid, struct survey *ret_survey)
{
    int error = survey_try(options, pid, ret_survey);
    // A process that has just called exec is a new program: worth one more look.
    return error == -ESTALE ? survey_try(options, pid, ret_survey) : error;
}

void survey_free(struct survey *survey)
{
    for (size_t i = 0; i < survey->report_count; i++)
        runtime_report_free(&survey->reports[i]);
    free(survey->reports);
    free(survey->unread);
    account_free(&survey->account);
    *survey = (struct survey){0};
}
