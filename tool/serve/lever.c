// SPDX-License-Identifier: Apache-2.0
// POST /api/lever: a lever from the page, where that was allowed when the server was started. Tool
// world.
//
// It runs in its connection's thread, so that streams go on; lever_pull()'s own lock keeps two of
// them apart. The process is found again by its PID and start, since PIDs are given again.
#include "serve/viewer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lever/reclaim/reclaim.h"
#include "render/lever.h"

#ifdef EBB_WITH_JSON

#include <jansson.h>

// What is asked for. False for anything but {"subject": N, "lever": "reclaim"}, with or without
// "dry_run".
static bool parse_wish(struct text body, unsigned *ret_subject, bool *ret_is_dry_run)
{
    // NULL for what is no JSON: jansson's getters take that.
    json_t *wish = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *subject = json_object_get(wish, "subject");
    const char *lever = json_string_value(json_object_get(wish, "lever"));
    json_int_t id = json_integer_value(subject);
    bool is_wish = id > 0 && id <= UINT32_MAX && lever && strcmp(lever, "reclaim") == 0;
    if (is_wish) {
        *ret_subject = (unsigned)id;
        *ret_is_dry_run = json_is_true(json_object_get(wish, "dry_run"));
    }
    json_decref(wish);
    return is_wish;
}

#else

// A build without JSON understands nobody: every wish is refused.
static bool parse_wish(struct text body, unsigned *ret_subject, bool *ret_is_dry_run)
{
    (void)body;
    (void)ret_subject;
    (void)ret_is_dry_run;
    return false;
}

#endif

// The subject as it is now. 0, -ENOENT, -errno.
static int find_subject(struct viewer *viewer, unsigned id, struct subject *ret_subject)
{
    struct subject *subjects;
    size_t count;
    // The lock is not held while the lever is pulled: rounds and streams go on.
    pthread_mutex_lock(&viewer->lock);
    int error = history_subjects(viewer->options.history, &subjects, &count);
    pthread_mutex_unlock(&viewer->lock);
    if (error)
        return error;
    error = -ENOENT;
    for (size_t i = 0; i < count && error; i++) {
        // Ids are never given again; ended ones stay in the list.
        if (subjects[i].id == id && !subjects[i].has_ended) {
            *ret_subject = subjects[i];
            error = 0;
        }
    }
    free(subjects);
    return error;
}

// Holds the very process that is shown. 0; -ESRCH: another has its PID; -errno.
static int open_subject(const struct subject *subject, struct process **ret_process)
{
    struct process *process;
    int error = process_open("/proc", subject->pid, &process);
    if (error)
        return error;
    // The PID may have been given again since the last sample.
    if (process_start_ticks(process) != subject->start_ticks) {
        process_close(process);
        return -ESRCH;
    }
    *ret_process = process;
    return 0;
}

// Asked between two bites: Ctrl-C does not wait for a target of many GiB.
static bool is_stopped(void *context)
{
    struct viewer *viewer = context;
    pthread_mutex_lock(&viewer->lock);
    bool is_stopping = viewer->is_stopping;
    pthread_mutex_unlock(&viewer->lock);
    return is_stopping;
}

// The report is the answer, as `ebb reclaim --json` prints it; refusals are reports too.
static int pull(struct viewer *viewer, struct process *process, bool is_dry_run,
                struct http_answer *answer)
{
    struct lever_report report;
    memset(&report, 0, sizeof report);
    struct reclaim reclaim = {
        // No walk of smaps before and after: the target's mmap would wait for it.
        .is_gentle = true,
        .options = {.is_dry_run = is_dry_run, .is_stopped = is_stopped, .user = viewer},
    };
    int error = lever_pull(&reclaim_lever, &reclaim, process, is_dry_run, &report);
    // As the command prints it: one form to read, wherever it comes from.
    if (!error)
        error = render_lever_json(&report, &answer->body);
    lever_report_free(&report);
    return error;
}

// Everything that can be wrong is told apart, since people read it on the page.
int viewer_lever(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct viewer *viewer = context;
    unsigned id;
    bool is_dry_run;
    struct subject subject;
    struct process *process;
    if (!parse_wish(http_request_body(request), &id, &is_dry_run))
        return http_answer_error(answer, 400,
                                 "expected {\"subject\": NUMBER, \"lever\": \"reclaim\"}");
    int error = find_subject(viewer, id, &subject);
    if (!error)
        error = open_subject(&subject, &process);
    if (!error) {
        error = pull(viewer, process, is_dry_run, answer);
        process_close(process);
    }
    if (error == -ENOENT || error == -ESRCH || error == -ESTALE)
        return http_answer_error(answer, 404, "this process is not there any more");
    // Most refusals are reports. These came before there was one.
    if (error == -EPERM || error == -EACCES)
        return http_answer_error(answer, 403, "this ebb has no right to do that to the process");
    return error;
}
