// SPDX-License-Identifier: Apache-2.0
// glibc's mallopt(3) by call, see tune_call.h. Tool world; no state.
#include "lever/tune/tune_call.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lever/tune/lasting.h"
#include "runtime/glibc/locate.h"

// HEAP_MAX_SIZE / 2 of 64-bit targets: do_set_mmap_threshold() refuses more.
static const int64_t mmap_threshold_max = 32 << 20;

const char *const tune_mallopt_names[] = {"trim_threshold", "top_pad",   "mmap_threshold",
                                          "mmap_max",       "arena_max", NULL};

// In the order of the names, as malloc.h numbers them.
static const struct mallopt_row {
    int parameter;
    int64_t min, max;
    size_t offset; // in struct glibc_par
} rows[] = {
    // -1 is the largest number there is: never trim.
    {M_TRIM_THRESHOLD, -1, INT_MAX, offsetof(struct glibc_par, trim_threshold)},
    {M_TOP_PAD, 0, INT_MAX, offsetof(struct glibc_par, top_pad)},
    {M_MMAP_THRESHOLD, 0, mmap_threshold_max, offsetof(struct glibc_par, mmap_threshold)},
    {M_MMAP_MAX, 0, INT_MAX, offsetof(struct glibc_par, mmapped_chunks_limit)},
    {M_ARENA_MAX, 0, INT_MAX, offsetof(struct glibc_par, arena_max)},
};

// Names and rows stand in the same order.
static const struct mallopt_row *find_row(const char *name)
{
    for (size_t i = 0; tune_mallopt_names[i]; i++)
        if (strcmp(tune_mallopt_names[i], name) == 0)
            return &rows[i];
    return NULL;
}

// Limits are those of an int and of do_set_*(): a refusal costs less here than in the target.
int tune_mallopt_check(const struct tune_setting *setting, int *ret_parameter)
{
    const struct mallopt_row *row = find_row(setting->name);
    if (!row)
        return -ENOENT;
    if (setting->value < row->min || setting->value > row->max)
        return -ERANGE;
    *ret_parameter = row->parameter;
    return 0;
}

// All are 64-bit words in our copy, whatever they are in glibc's.
bool tune_mallopt_value(const struct glibc_par *par, const char *name, uint64_t *ret_value)
{
    const struct mallopt_row *row = find_row(name);
    if (!row)
        return false;
    memcpy(ret_value, (const char *)par + row->offset, sizeof *ret_value);
    return true;
}

// mallopt() is glibc's own; one that another malloc defines is not asked.
bool tune_glibc_find(const struct tune_scene *scene, struct tune_glibc *glibc)
{
    static const struct runtime_reader *const others[] = {&jemalloc_reader, &tcmalloc_reader,
                                                          &mimalloc_reader, &libebb_reader};
    static const char *const names[] = {"mallopt"};
    // Preloaded or linked: theirs is the malloc() that the program calls.
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i]->find(&scene->target))
            return false;
    glibc->image = glibc_image(&scene->target);
    if (!glibc->image)
        return false;
    struct image_symbol symbol = {0};
    glibc_version(glibc->image, glibc->version, sizeof glibc->version);
    // libc.so exports it for ever; a static program has it if it kept its symbols.
    if (image_find_symbols(glibc->image, names, 1, &symbol) == 1 && symbol.value)
        glibc->function = symbol.value + glibc->image->bias;
    return true;
}

// The types of memory.h.
static int peek_process(void *context, uint64_t address, void *ret_data, size_t len)
{
    return process_peek(context, address, ret_data, len);
}

// Only the settings are wanted: nothing is counted.
static int count_nothing(void *context, const struct page_range *ranges, size_t count,
                         uint64_t *ret_bytes)
{
    (void)context;
    (void)ranges;
    (void)count;
    *ret_bytes = 0;
    return 0;
}

// No call: malloc_par lies in libc's data. So old values are known before anything is stopped.
int tune_glibc_read(const struct tune_scene *scene, const struct tune_glibc *glibc,
                    struct glibc_par *ret_par)
{
    char version_text[16];
    // The target runs on this kernel.
    long page_bytes = sysconf(_SC_PAGESIZE);
    struct glibc_memory memory = {.peek = peek_process,
                                  .count_resident = count_nothing,
                                  .context = scene->target.process,
                                  .page_bytes = page_bytes > 0 ? (uint64_t)page_bytes : 4096};
    struct glibc_state state;
    int error = glibc_memory_open(&memory);
    if (error)
        return error;
    // It picks the layout of malloc_par.
    unsigned version = glibc_version(glibc->image, version_text, sizeof version_text);
    error = glibc_locate(&scene->target, &memory, glibc->image, version, &state);
    glibc_memory_close(&memory);
    // Then a change is made all the same, and told without its old value.
    if (!error && !state.has_par)
        error = -ENOENT;
    if (!error)
        *ret_par = state.par;
    return error;
}

// All settings into one list, each in the place of an older one of its name. False when they do not
// fit together.
static bool merge_settings(struct text list, const struct tune_settings *settings,
                           char ret_merged[LASTING_VALUE_MAX])
{
    char next[LASTING_VALUE_MAX], key[96], value[32];
    bool fits = text_copy(list, ret_merged, LASTING_VALUE_MAX);
    for (size_t i = 0; i < settings->count && fits; i++) {
        snprintf(key, sizeof key, "glibc.malloc.%s", settings->items[i].name);
        snprintf(value, sizeof value, "%" PRId64, settings->items[i].value);
        // Tunables are parted by colons.
        fits = lasting_merge(text_of(ret_merged), ':', key, '=', value, next, sizeof next);
        text_copy(text_of(next), ret_merged, LASTING_VALUE_MAX);
    }
    return fits;
}

// GLIBC_TUNABLES as it would have to be, with what the user has set there.
static int note_lasting(const struct tune_scene *scene, const struct tune_settings *settings,
                        struct lever_report *report)
{
    struct text list = text_of("");
    char merged[LASTING_VALUE_MAX];
    proc_environ_find(scene->target.environ_text, "GLIBC_TUNABLES", &list);
    bool is_merged = merge_settings(list, settings, merged);
    bool fits = is_merged || merge_settings(text_of(""), settings, merged);
    int error = lasting_add_until(report);
    // Sixteen settings with long numbers are no line to paste.
    return error || !fits ? error : lasting_add_list(report, "GLIBC_TUNABLES", merged, is_merged);
}

// Side effects that nobody asked for are told.
// Source: __libc_mallopt() and do_set_*() of malloc.c.
static int note_effects(const struct tune_glibc *glibc, const struct tune_settings *settings,
                        struct lever_report *report)
{
    // do_set_trim_threshold() and its kind set no_dyn_threshold; do_set_arena_max() does not.
    bool ends_moving = false, has_arenas = false;
    for (size_t i = 0; i < settings->count; i++) {
        // The only one that does not touch the thresholds' freedom.
        bool is_arenas = strcmp(settings->items[i].name, "arena_max") == 0;
        has_arenas = has_arenas || is_arenas;
        ends_moving = ends_moving || !is_arenas;
    }
    int error = lever_add_note(report, "mallopt() also gives the fast chunks of the main arena "
                                       "back to its lists");
    if (!error && ends_moving && !(glibc->has_before && glibc->before.is_threshold_fixed))
        error = lever_add_warning(report, "From now on glibc no longer moves mmap_threshold and "
                                          "trim_threshold with use; that cannot be undone");
    // arena_get2() of arena.c keeps the limit that it has found once.
    if (!error && has_arenas)
        error = lever_add_note(report, "Arenas that are there stay. glibc settles on its limit "
                                       "when it makes one and arena_max is set or more than 8 are "
                                       "there: from then on it no longer looks at arena_max");
    return error;
}

// mallopt() runs under the main arena's lock, for microseconds.
int tune_glibc_plan(const struct tune_scene *scene, struct tune_glibc *glibc,
                    const struct tune_request *request, struct lever_report *report,
                    struct tune_refusal *refusal)
{
    if (!glibc->function)
        return tune_refuse(refusal, -ENOENT, "GLIBC_TUNABLES at the next start",
                           "mallopt() was not found: the program is static and stripped");
    // Before the first call: mallopt() itself may begin malloc's state.
    glibc->has_before = tune_glibc_read(scene, glibc, &glibc->before) == 0;
    glibc->first_step = report->step_count;
    int error = 0;
    for (size_t i = 0; i < request->mallopt.count && !error; i++) {
        const struct tune_setting *setting = &request->mallopt.items[i];
        error =
            lever_add_step(report, "set %s of glibc%s%s to %" PRId64 " by mallopt()", setting->name,
                           glibc->version[0] ? " " : "", glibc->version, setting->value);
    }
    if (!error)
        error = note_effects(glibc, &request->mallopt, report);
    return error ? error : note_lasting(scene, &request->mallopt, report);
}

// mallopt() answers 1 where it took the value.
static void set_one(struct tune_calls *calls, const struct tune_glibc *glibc,
                    const struct tune_setting *setting, struct lever_step *step)
{
    int parameter;
    uint64_t answer = 0, started_ns = lever_now_ns();
    // Checked when it was typed as well; this gives the number.
    int error = tune_mallopt_check(setting, &parameter);
    if (!error) {
        const uint64_t arguments[] = {(uint64_t)(int64_t)parameter, (uint64_t)setting->value};
        error = call_make(calls->session, glibc->function, arguments, 2, &answer);
    }
    step->took_ns = lever_now_ns() - started_ns;
    if (error)
        tune_calls_fail(calls, step, error, strerror(-error));
    // An int: the upper half of the register means nothing.
    else if ((uint32_t)answer != 1)
        lever_end_step(step, LEVER_STEP_FAILED, "mallopt() refused the value");
    else
        lever_end_step(step, LEVER_STEP_DONE, "mallopt() answered 1");
}

// The largest number is what -1 became.
static void format_value(uint64_t value, char *ret_text, size_t size)
{
    if (value == UINT64_MAX)
        text_copy(text_of("-1"), ret_text, size);
    else
        snprintf(ret_text, size, "%" PRIu64, value);
}

// What malloc_par holds now, and the command that puts the old value back, where mallopt() can
// take it.
static int verify(const struct tune_glibc *glibc, const struct glibc_par *after,
                  const struct tune_setting *setting, struct lever_step *step,
                  struct lever_report *report)
{
    struct lever_change change = {0};
    uint64_t old = 0, now;
    text_copy(text_of(setting->name), change.name, sizeof change.name);
    format_value((uint64_t)setting->value, change.after, sizeof change.after);
    // Its answer alone is no proof.
    if (after && tune_mallopt_value(after, setting->name, &now)) {
        format_value(now, change.after, sizeof change.after);
        bool is_set = now == (uint64_t)setting->value;
        lever_end_step(step, is_set ? LEVER_STEP_DONE : LEVER_STEP_FAILED,
                       is_set ? "read back" : "it was set, and malloc_par reads otherwise");
    }
    if (glibc->has_before && tune_mallopt_value(&glibc->before, setting->name, &old)) {
        struct tune_setting back = {.value = (int64_t)old};
        int parameter;
        memcpy(back.name, setting->name, sizeof back.name);
        format_value(old, change.before, sizeof change.before);
        // What moved by itself may be larger than mallopt() takes.
        if (tune_mallopt_check(&back, &parameter) == 0)
            text_format(change.undo, sizeof change.undo, "ebb tune %d --mallopt=%s=%s", report->pid,
                        change.name, change.before);
    }
    return lever_add_change(report, &change);
}

// All settings in one stop: each call takes microseconds.
int tune_glibc_act(const struct tune_scene *scene, struct tune_glibc *glibc,
                   const struct tune_request *request, struct tune_calls *calls,
                   struct lever_report *report)
{
    // Steps and settings have the same order; the plan added no other steps between them.
    const struct tune_settings *settings = &request->mallopt;
    struct lever_step *steps = &report->steps[glibc->first_step];
    int error = call_begin(calls->session);
    for (size_t i = 0; i < settings->count; i++) {
        // The same reason for all: no thread was fit.
        if (error)
            tune_calls_fail(calls, &steps[i], error, strerror(-error));
        else
            set_one(calls, glibc, &settings->items[i], &steps[i]);
    }
    call_end(calls->session);
    // The page with malloc_par was written, and may be another than before.
    struct glibc_par after;
    // What was absent before may be there now.
    process_forget_residency(scene->target.process);
    bool has_after = tune_glibc_read(scene, glibc, &after) == 0;
    error = 0;
    for (size_t i = 0; i < settings->count && !error; i++)
        if (steps[i].state == LEVER_STEP_DONE)
            error =
                verify(glibc, has_after ? &after : NULL, &settings->items[i], &steps[i], report);
    return error;
}
