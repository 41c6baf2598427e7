// SPDX-License-Identifier: Apache-2.0
// Asking mallocs by calls, see purge_ask.h. Tool world; no state.
//
// While a malloc gives pages back it holds the lock of what it works on, and the thread that was
// borrowed stands still. So everything that can be done in pieces is, see stop.h.
#include "lever/purge_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "lever/stop.h"
#include "proc/threads.h"
#include "runtime/allocators/tcmalloc_property.h"

// A piece of tcmalloc's, about 5 ms of madvise(): spans are given back whole, so it may take
// longer.
static const uint64_t piece_bytes = 16ULL << 20;

enum { ROUNDS_MAX = 4096, ARENAS_MAX = 4096, THREADS_MAX = 1024 };

const char *purge_kind_name(enum purge_kind kind)
{
    static const char *const names[] = {"jemalloc", "tcmalloc", "mimalloc", "glibc"};
    return names[kind];
}

// A function of one image, by its only name.
// By image, so that each malloc is asked by its own function and not by a namesake's.
static uint64_t find_function(const struct image *image, const char *name)
{
    const char *const names[] = {name, NULL};
    struct images one = {.items = (struct image *)image, .count = 1};
    const struct image *found;
    uint64_t address;
    return call_find_function(&one, names, &address, &found) == 0 ? address : 0;
}

// The same, but for a malloc that takes the place of glibc's: no other image is asked for glibc's.
static bool find_malloc(const struct image *image, struct purge_target *ret_target)
{
    static const struct {
        enum purge_kind kind;
        const char *function, *step, *property;
    } mallocs[] = {
        {PURGE_TCMALLOC, "MallocExtension_ReleaseFreeMemory", "MallocExtension_ReleaseToSystem",
         "MallocExtension_GetNumericProperty"},
        // Google's, of C linkage: size_t bytes in (tcmalloc/internal_malloc_extension.h).
        {PURGE_TCMALLOC, "MallocExtension_Internal_ReleaseMemoryToSystem", NULL, NULL},
        {PURGE_MIMALLOC, "mi_collect", NULL, NULL},
        {PURGE_GLIBC, "malloc_trim", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof mallocs / sizeof mallocs[0]; i++) {
        uint64_t function = find_function(image, mallocs[i].function);
        // libebb has a malloc_trim() too, and is asked without a call: purge_libebb.h.
        bool is_libebb =
            function && mallocs[i].kind == PURGE_GLIBC && find_function(image, "ebb_purge") != 0;
        if (!function || is_libebb)
            continue;
        *ret_target =
            (struct purge_target){.kind = mallocs[i].kind, .image = image, .function = function};
        if (mallocs[i].step)
            ret_target->step_function = find_function(image, mallocs[i].step);
        if (mallocs[i].property)
            ret_target->property_function = find_function(image, mallocs[i].property);
        return true;
    }
    return false;
}

// glibc's comes last: what the others free through it goes back as well.
static void sort_glibc_last(struct purge_target *targets, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        if (targets[i].kind != PURGE_GLIBC)
            continue;
        struct purge_target glibc = targets[i];
        memmove(targets + i, targets + i + 1, (count - i - 1) * sizeof *targets);
        targets[count - 1] = glibc;
        return;
    }
}

size_t purge_find(const struct images *images, struct purge_target *ret_found, size_t capacity)
{
    // jemallocs first: their prefix is any, so that they are looked for by themselves.
    struct mallctl jemallocs[MALLCTL_COPIES_MAX];
    size_t copies = mallctl_find(images, jemallocs, MALLCTL_COPIES_MAX);
    size_t count = 0;
    for (size_t i = 0; i < copies && count < capacity; i++)
        ret_found[count++] = (struct purge_target){
            .kind = PURGE_JEMALLOC, .image = jemallocs[i].image, .mallctl = jemallocs[i]};
    bool has_glibc = false;
    // A second glibc, of another namespace of the linker (dlmopen), serves nobody but itself.
    for (size_t i = 0; i < images->count && count < capacity; i++) {
        struct purge_target found;
        if (!find_malloc(&images->items[i], &found) || (found.kind == PURGE_GLIBC && has_glibc))
            continue;
        has_glibc = has_glibc || found.kind == PURGE_GLIBC;
        ret_found[count++] = found;
    }
    sort_glibc_last(ret_found, count);
    return count;
}

// The malloc said no: the session goes on, so that the others can still be asked.
static int refuse(char *ret_answer, const char *what, int error)
{
    text_format(ret_answer, LEVER_WHAT_MAX, "it answered %s to %s", strerror(-error), what);
    return -EPROTO;
}

// Arena by arena: "arena.4096.purge" would do all in one go, with the thread held all the while.
// Arenas that do not exist yet answer at once.
static int purge_arenas(struct stop *stop, struct mallctl *mallctl, char *ret_answer)
{
    // Arenas of ended threads count too: their pages are kept like any other's.
    uint32_t arenas;
    int error = mallctl_read_u32(stop->session, mallctl, "arenas.narenas", &arenas);
    if (error)
        return mallctl->call_error ? error : refuse(ret_answer, "arenas.narenas", error);
    uint32_t purged = 0, refused = 0;
    // Arenas that come in meanwhile are empty, and are not asked.
    for (uint32_t i = 0; i < arenas && i < ARENAS_MAX; i++) {
        char name[MALLCTL_NAME_MAX];
        bool is_there = false;
        mallctl_arena_name(name, "initialized", i);
        error = mallctl_read_bool(stop->session, mallctl, name, &is_there);
        // Before 5.0 the control is not there: all are tried.
        if (error == 0 && !is_there)
            continue;
        if (!mallctl->call_error) {
            mallctl_arena_name(name, "purge", i);
            error = mallctl_do(stop->session, mallctl, name);
        }
        // What is purged by now stays so.
        if (mallctl->call_error)
            return error;
        // A user's own arena may have hooks that keep its pages; others are none the worse.
        purged += error == 0;
        refused += error != 0;
        error = stop_breathe(stop);
        if (error)
            return error;
    }
    if (purged == 0)
        return refuse(ret_answer, "every arena.N.purge", -EINVAL);
    text_format(ret_answer, LEVER_WHAT_MAX, "%u arena%s in %u stop%s%s", purged,
                purged == 1 ? "" : "s", stop->count, stop->count == 1 ? "" : "s",
                refused > 0 ? "; some refused" : "");
    return 0;
}

// Piece by piece, until the page heap has no free pages or gives no more. A piece may be set off
// against what an earlier one gave beyond its size (src/tcmalloc.cc, extra_bytes_released_), so one
// without effect does not end it, but two do.
static int release_pieces(struct stop *stop, const struct purge_target *target, uint64_t *ret_bytes)
{
    static const char free_bytes[] = "tcmalloc.pageheap_free_bytes";
    uint64_t first = 0;
    int error =
        tcmalloc_property_read(stop->session, target->property_function, free_bytes, &first);
    // Threads at work free spans meanwhile: the rounds have an end.
    uint64_t before = first;
    unsigned idle = 0;
    for (unsigned i = 0; i < ROUNDS_MAX && !error && before > 0 && idle < 2; i++) {
        uint64_t now;
        error = call_make(stop->session, target->step_function, &piece_bytes, 1, NULL);
        if (!error)
            error =
                tcmalloc_property_read(stop->session, target->property_function, free_bytes, &now);
        if (error)
            break;
        idle = now < before ? 0 : idle + 1;
        before = now;
        error = stop_breathe(stop);
    }
    if (!error)
        *ret_bytes = before < first ? first - before : 0;
    return error;
}

static int release_tcmalloc(struct stop *stop, const struct purge_target *target, char *ret_answer)
{
    // Other builds of it may lack either function: then it is done in one go.
    uint64_t bytes = 0;
    int error = -ENOENT;
    if (target->step_function && target->property_function)
        error = release_pieces(stop, target, &bytes);
    if (error && error != -ENOENT)
        return error;
    // What pieces leave, and all of it where there are none.
    // gperftools' function takes no argument, Google's how much to release.
    const uint64_t all = UINT64_MAX;
    int rest = call_make(stop->session, target->function, &all, 1, NULL);
    if (rest)
        return rest;
    char size[UNITS_TEXT_MAX];
    units_format_bytes(bytes, size, sizeof size);
    text_format(ret_answer, LEVER_WHAT_MAX, "%s%s%u stop%s", error ? "" : size,
                error ? "in " : " of free spans in ", stop->count, stop->count == 1 ? "" : "s");
    return 0;
}

// void mi_collect(bool force), in one thread. 0; -errno as the session's calls.
static int collect_thread(struct call_session *session, const struct purge_target *target,
                          pid_t tid)
{
    const uint64_t force = 1;
    int error = call_begin_thread(session, tid);
    if (!error)
        error = call_make(session, target->function, &force, 1, NULL);
    call_end(session);
    return error;
}

// One thread's trouble is no reason to leave the others out: it is at work, a signal went first, or
// it has ended.
static bool is_of_one_thread(int error)
{
    return error == -EAGAIN || error == -EINTR || error == -ESRCH;
}

// A heap belongs to a thread, and only that thread may collect it: each that sleeps in a fit wait
// makes the call itself. What ended threads left is taken on by the first.
static int collect_mimalloc(struct call_session *session, struct process *process,
                            const struct purge_target *target, char *ret_answer)
{
    // Those that come in meanwhile have collected nothing that is old.
    struct proc_thread *threads;
    size_t count, collected = 0;
    int error = proc_threads_read(process, &threads, &count);
    if (error)
        return error;
    for (size_t i = 0; i < count && i < THREADS_MAX && (!error || is_of_one_thread(error)); i++) {
        error = collect_thread(session, target, threads[i].tid);
        collected += error == 0;
    }
    free(threads);
    // Some are better than none: what was collected has gone back.
    if (collected == 0)
        return error;
    // What ended it early is the session's to tell; call_end() has kept its words.
    bool has_ended = error && !is_of_one_thread(error);
    const char *others = has_ended ? call_why(session)->why
                         : collected < count
                             ? "the others were not in a wait that may be begun anew"
                             : "";
    text_format(ret_answer, LEVER_WHAT_MAX, "the heaps of %zu of %zu threads%s%s", collected, count,
                others[0] ? "; " : "", others);
    return 0;
}

// int malloc_trim(size_t pad): 1 when memory went back. One call for all arenas: glibc has no
// smaller piece.
static int trim_glibc(struct stop *stop, const struct purge_target *target, char *ret_answer)
{
    const uint64_t pad = 0;
    uint64_t answer;
    int error = call_make(stop->session, target->function, &pad, 1, &answer);
    if (!error)
        text_format(ret_answer, LEVER_WHAT_MAX, "it answered %u (%s)", (uint32_t)answer,
                    (uint32_t)answer ? "memory went back" : "there was nothing to give back");
    return error;
}

// Each malloc in its own words.
static int ask(struct stop *stop, struct purge_target *target, char *ret_answer)
{
    switch (target->kind) {
    case PURGE_JEMALLOC:
        return purge_arenas(stop, &target->mallctl, ret_answer);
    case PURGE_TCMALLOC:
        return release_tcmalloc(stop, target, ret_answer);
    case PURGE_GLIBC:
        return trim_glibc(stop, target, ret_answer);
    case PURGE_MIMALLOC:
        break;
    }
    return -EINVAL;
}

int purge_ask(struct call_session *session, struct process *process, struct purge_target *target,
              char ret_answer[LEVER_WHAT_MAX])
{
    // The thread is let go in any case, whichever call failed.
    struct stop stop = {.session = session};
    ret_answer[0] = '\0';
    if (target->kind == PURGE_MIMALLOC)
        return collect_mimalloc(session, process, target, ret_answer);
    int error = stop_begin(&stop);
    if (!error)
        error = ask(&stop, target, ret_answer);
    call_end(session);
    return error;
}
