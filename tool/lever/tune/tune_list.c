// SPDX-License-Identifier: Apache-2.0
// What can be tuned in a process, and its present values, see tune.h. Tool world; no state.
//
// Values are those that the runtimes' readers tell, which call nothing: of jemalloc that is what it
// began with. Whether a change is possible is tried as far as it can be without one.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "lever/tune/tune_call.h"
#include "lever/tune/tune_go.h"
#include "lever/tune/tune_libebb.h"

// As long as `ebb explain` gives each reader.
enum { BUDGET_MS = 1000 };

struct listing {
    struct tune_scene scene;
    struct tune_list *list;
    struct tune_refusal rights; // error 0: memory may be written
    struct tune_refusal calls;  // error 0: calls can be made
};

// As `ebb explain` names it.
static void name_runtime(const struct runtime_report *report, char *ret_name, size_t size)
{
    text_format(ret_name, size, "%s%s%s", report->name, report->version[0] ? " " : "",
                report->version);
}

// What cannot be done is listed too: that it cannot is what people come to learn.
static int add_item(struct listing *listing, const struct runtime_report *report,
                    const char *option, const char *value, const char *source,
                    const struct tune_refusal *refusal)
{
    struct tune_list *list = listing->list;
    int error = array_reserve_one(&list->items, &list->capacity, list->count, sizeof *list->items);
    if (error)
        return error;
    struct tune_item *item = &list->items[list->count++];
    *item = (struct tune_item){.is_possible = refusal->error == 0};
    text_copy(text_of(option), item->option, sizeof item->option);
    name_runtime(report, item->runtime, sizeof item->runtime);
    text_copy(text_of(value), item->value, sizeof item->value);
    text_copy(text_of(source), item->source, sizeof item->source);
    // Nothing is said of what is possible.
    if (refusal->error) {
        memcpy(item->why, refusal->why, sizeof item->why);
        memcpy(item->needs, refusal->needs, sizeof item->needs);
    }
    return 0;
}

// The runtime's setting of that name, or NULL.
static const struct runtime_setting *find_setting(const struct runtime_report *report,
                                                  const char *name)
{
    for (size_t i = 0; i < report->setting_count; i++)
        if (strcmp(report->settings[i].name, name) == 0)
            return &report->settings[i];
    return NULL;
}

// An item whose value is the runtime's setting of that name; "" where it is not known.
static int add_setting(struct listing *listing, const struct runtime_report *report,
                       const char *option, const char *name, const struct tune_refusal *refusal)
{
    const struct runtime_setting *setting = find_setting(report, name);
    return add_item(listing, report, option, setting ? setting->value : "",
                    setting ? setting->source : "", refusal);
}

// Listing never faults a page in: an absent one is unknown.
static int read_peek(void *context, uint64_t address, size_t bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    int error = process_peek(context, address, &value, bytes);
    if (!error)
        *ret_value = value;
    return error;
}

// The knob's own value says what the runtime does from 1.26 on only together with the other one.
static int add_madv_free(struct listing *listing, const struct runtime_report *report,
                         struct tune_go *go)
{
    static const char option[] = "--madv-free=on|off";
    // A knob that is not found and one that may not be written are told apart: the first no right
    // helps.
    struct tune_refusal refusal = {0};
    struct tune_go_policy policy;
    int error = tune_go_find_knob(&listing->scene, go, &refusal);
    if (error == -ENOMEM)
        return error;
    if (!error)
        error = tune_go_read_policy(go, read_peek, listing->scene.target.process, &policy);
    // The reader's value comes from the environment then, and says so.
    if (error)
        return add_setting(listing, report, option, "GODEBUG madvdontneed",
                           refusal.error ? &refusal : &listing->rights);
    // Off is what people want, and it could not be had.
    bool is_stuck = go->runtime.version.minor >= GO_MINOR_KNOWS_ZERO && !go->advise &&
                    policy.gives_lazily && !listing->rights.error;
    if (is_stuck)
        tune_refuse(&refusal, -ENOTSUP, "GODEBUG=madvdontneed=1 at the next start",
                    "runtime.adviseUnused was not found");
    return add_item(listing, report, option, policy.gives_lazily ? "on" : "off",
                    go->advise ? "runtime.debug, runtime.adviseUnused" : "runtime.debug",
                    is_stuck ? &refusal : &listing->rights);
}

// A version's lack stands before the lack of rights.
static int add_go(struct listing *listing, const struct runtime_report *report)
{
    // Its own search, not the reader's: what is listed as possible is what a change would find.
    struct tune_go go = {0};
    struct tune_refusal pacer = {0}, limit = {0};
    // A runtime that only the reader has found.
    if (!tune_go_find(&listing->scene, &go))
        return 0;
    int error = add_madv_free(listing, report, &go);
    if (error)
        return error;
    // Where it is found, only rights can be missing.
    if (tune_go_find_pacer(&listing->scene, &go, &pacer) == 0)
        pacer = listing->rights;
    limit = pacer;
    if (!limit.error && go_field_address(&go.runtime, GO_CONTROLLER_MEMORY_LIMIT) == 0)
        tune_refuse(&limit, -ENOTSUP, "", "it came with Go 1.19");
    error = add_setting(listing, report, "--gogc=N|off", "GOGC", &pacer);
    return error ? error
                 : add_setting(listing, report, "--memory-limit=SIZE|off", "GOMEMLIMIT", &limit);
}

// jemalloc's values as the options take them: a number without its unit invites a slip.
static void word_value(const struct runtime_setting *setting, char *ret_value, size_t size)
{
    const char *value = setting->value;
    size_t len = strlen(setting->name);
    bool is_time = len > 3 && strcmp(setting->name + len - 3, "_ms") == 0;
    if (is_time && strcmp(value, "-1") == 0)
        value = "off";
    else if (is_time && strcmp(value, "0") == 0)
        value = "now";
    else if (strcmp(value, "true") == 0)
        value = "on";
    else if (strcmp(value, "false") == 0)
        value = "off";
    bool has_digits = value[0] >= '0' && value[0] <= '9';
    text_format(ret_value, size, "%s%s", value, is_time && has_digits ? "ms" : "");
}

// What was set at the start says nothing of what the program has set since, and there is no page to
// read that from: only a call could tell, and listing makes none.
static int add_started(struct listing *listing, const struct runtime_report *report,
                       const char *option, const char *name, const struct tune_refusal *refusal)
{
    const struct runtime_setting *setting = find_setting(report, name);
    char source[sizeof((struct tune_item *)0)->source] = "", value[64] = "";
    if (setting) {
        text_format(source, sizeof source, "at its start: %s", setting->source);
        word_value(setting, value, sizeof value);
    }
    return add_item(listing, report, option, value, source, refusal);
}

// The muzzy decay time stands for --madv-free too: muzzy pages are its lazily freed ones.
static int add_jemalloc(struct listing *listing, const struct runtime_report *report)
{
    static const char *const rows[][2] = {
        {"--dirty-decay=DURATION|off|now", "dirty_decay_ms"},
        {"--muzzy-decay=DURATION|off|now", "muzzy_decay_ms"},
        {"--background-thread=on|off", "background_thread"},
    };
    // Rights first: where no call can be made, whether mallctl() is there does not matter.
    struct tune_jemalloc jemalloc = {0};
    struct tune_refusal refusal = listing->calls;
    if (!refusal.error && !tune_jemalloc_find(&listing->scene, &jemalloc))
        tune_refuse(&refusal, -ENOENT, "a jemalloc with its symbols", "mallctl() was not found");
    // Unknown where the version is.
    const struct runtime_setting *muzzy = find_setting(report, "muzzy_decay_ms");
    bool is_off = muzzy && strcmp(muzzy->value, "0") == 0;
    int error = add_item(listing, report, "--madv-free=on|off",
                         !muzzy   ? ""
                         : is_off ? "off"
                                  : "on",
                         muzzy ? "muzzy_decay_ms" : "", &refusal);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !error; i++)
        error = add_started(listing, report, rows[i][0], rows[i][1], &refusal);
    return error;
}

// malloc_par's own values, in force now.
static int add_glibc(struct listing *listing, const struct runtime_report *report)
{
    struct tune_glibc glibc = {0};
    struct tune_refusal refusal = listing->calls;
    // Another malloc serves the program: what glibc's would do does not matter.
    if (!tune_glibc_find(&listing->scene, &glibc))
        return 0;
    if (!refusal.error && !glibc.function)
        tune_refuse(&refusal, -ENOENT, "GLIBC_TUNABLES at the next start",
                    "mallopt() was not found");
    struct glibc_par par;
    // Holds what the reader does not show.
    bool has_par = tune_glibc_read(&listing->scene, &glibc, &par) == 0;
    int error = 0;
    for (size_t i = 0; tune_mallopt_names[i] && !error; i++) {
        const char *name = tune_mallopt_names[i];
        char option[64], value[32] = "";
        uint64_t number;
        text_format(option, sizeof option, "--mallopt=%s=N", name);
        if (has_par && tune_mallopt_value(&par, name, &number))
            snprintf(value, sizeof value, "%" PRIu64, number);
        // The reader's own words where it has some: "(moves with use)".
        if (find_setting(report, name))
            error = add_setting(listing, report, option, name, &refusal);
        else
            error =
                add_item(listing, report, option, value, value[0] ? "malloc_par" : "", &refusal);
    }
    return error;
}

// Every option that the reader shows, which are those that decide when memory goes back.
static int add_mimalloc(struct listing *listing, const struct runtime_report *report)
{
    struct tune_properties options = {0};
    struct tune_refusal refusal = listing->calls;
    // A tcmalloc beside it would answer for itself.
    bool is_there = tune_properties_find(&listing->scene, &options) && options.is_mimalloc;
    if (!refusal.error && !is_there)
        tune_refuse(&refusal, -ENOENT, "a mimalloc with its symbols",
                    "mi_option_set() was not found");
    int error = 0;
    for (size_t i = 0; i < report->setting_count && !error; i++) {
        char option[80];
        text_format(option, sizeof option, "--option=%s=N", report->settings[i].name);
        error = add_item(listing, report, option, report->settings[i].value,
                         report->settings[i].source, &refusal);
    }
    return error;
}

// Two of its properties decide what stays resident.
static int add_tcmalloc(struct listing *listing, const struct runtime_report *report)
{
    static const char *const rows[][2] = {
        {"--option=aggressive_memory_decommit=0|1", "aggressive_decommit"},
        {"--option=max_total_thread_cache_bytes=N", "max_total_thread_cache_bytes"},
    };
    struct tune_properties options = {0};
    struct tune_refusal refusal = listing->calls;
    if (!refusal.error && !tune_properties_find(&listing->scene, &options))
        tune_refuse(&refusal, -ENOENT, "a tcmalloc with its symbols",
                    "MallocExtension_SetNumericProperty() was not found");
    int error = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !error; i++)
        error = add_started(listing, report, rows[i][0], rows[i][1], &refusal);
    return error;
}

// What its ledger says is what is in force, whoever has set it.
static int add_libebb(struct listing *listing, const struct runtime_report *report)
{
    static const char *const rows[][2] = {
        {"--policy=auto|free|dontneed|keep", "policy"},
        {"--return-within=DURATION", "return_within"},
    };
    struct tune_libebb libebb = {0};
    struct tune_refusal refusal = listing->rights;
    // The reader has found it, so that only its ledger can be what is wrong.
    tune_libebb_find(&listing->scene, &libebb);
    if (!refusal.error)
        tune_libebb_check(&libebb, &refusal);
    int error = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !error; i++)
        error = add_setting(listing, report, rows[i][0], rows[i][1], &refusal);
    return error;
}

// What levers there are for a runtime, by the name that its reader gives it.
static int add_runtime(struct listing *listing, const struct runtime_report *report)
{
    static const struct {
        const char *name;
        int (*add)(struct listing *, const struct runtime_report *);
    } rows[] = {{"Go", add_go},
                {"jemalloc", add_jemalloc},
                {"glibc", add_glibc},
                {"mimalloc", add_mimalloc},
                {"tcmalloc", add_tcmalloc},
                {"libebb", add_libebb}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, report->name) == 0)
            return rows[i].add(listing, report);
    return 0;
}

// Opened for writing and closed again; nothing is written.
static void try_rights(struct process *process, struct listing *listing)
{
    // Failing here is no failure of the list: it is what the list tells.
    struct poke poke;
    struct tune_calls calls = {0};
    int error = poke_open(process, &listing->scene.mappings, &poke);
    if (error)
        tune_refuse(&listing->rights, error, error == -EPERM ? tune_needs_attach : "",
                    "its memory may not be written");
    else
        poke_close(&poke);
    // What is refused stays in the listing.
    tune_calls_open(&listing->scene, &calls, &listing->calls);
    tune_calls_close(&calls);
}

// The readers of explain know the values; what they could not read has none.
static int list_runtimes(struct listing *listing)
{
    // All readers run, since one may hold what another would claim; only six have levers.
    struct runtime_report *reports = NULL;
    size_t count = 0;
    // The readers tell more than is asked here, and take as long as for explain.
    listing->scene.target.budget_ms = BUDGET_MS;
    int error = runtimes_read(&listing->scene.target, &reports, &count);
    for (size_t i = 0; i < count && !error; i++)
        error = add_runtime(listing, &reports[i]);
    for (size_t i = 0; i < count; i++)
        runtime_report_free(&reports[i]);
    free(reports);
    return error;
}

// The last check refuses a list of two programs, before and after an exec.
int tune_list_read(struct process *process, struct tune_list *ret_list)
{
    // Built aside, so that a failure leaves the caller's as it was.
    struct tune_list list = {.pid = process_pid(process)};
    struct listing listing = {.list = &list};
    struct tune_refusal refusal = {0};
    lever_read_name(process, list.name, sizeof list.name);
    // No mappings, no list: that is told as by every verb that reads.
    int error = tune_scene_open(process, &listing.scene, &refusal);
    if (!error) {
        try_rights(process, &listing);
        error = list_runtimes(&listing);
    }
    tune_scene_close(&listing.scene);
    if (!error)
        error = process_check(process);
    if (error) {
        tune_list_free(&list);
        return error;
    }
    *ret_list = list;
    return 0;
}

// Leaves an empty one.
void tune_list_free(struct tune_list *list)
{
    free(list->items);
    *list = (struct tune_list){0};
}
