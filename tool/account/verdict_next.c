// SPDX-License-Identifier: Apache-2.0
// What to do next, by verdict and runtime: only commands and settings that exist. Tool world; pure.
//
// What works on the running process comes before what needs a restart, which is said. Nothing here
// may lose data or stop the target without saying so.
#include <string.h>

#include "account/verdict_text.h"
#include "base/number.h"
#include "base/units.h"

// Levers reach the processes of this very system only. The command stands first, where no line
// break can fall into it.
static void next_lever(const struct verdict_input *input, struct verdict_lines *lines,
                       const char *command, const char *what)
{
    if (input->is_live)
        verdict_say(lines, "%s %d: %s.", command, input->pid, what);
}

// Can its malloc be asked to give back what it keeps? All by a function that ebb can call in the
// process, but for libebb.
static bool has_purge(const struct runtime_report *owner)
{
    static const char *const names[] = {"glibc", "jemalloc", "tcmalloc", "mimalloc", "libebb"};
    // Go has one, too (debug.FreeOSMemory), which cannot be called from outside.
    for (size_t i = 0; owner && i < sizeof names / sizeof *names; i++)
        if (strcmp(owner->name, names[i]) == 0)
            return true;
    return false;
}

// Advice is for the runtime that owns the row: a setting of another one would change nothing. What
// works now comes first, then what lasts until the program restarts, then what lasts.
static void next_lazy(const struct verdict_input *input, struct verdict_lines *lines)
{
    verdict_say(lines,
                "Nothing is lost. Put alarms on effective RSS (RSS - LazyFree), not on RSS.");
    const struct runtime_report *owner = verdict_row_owner(input, ROW_LAZY);
    next_lever(input, lines, "ebb reclaim",
               has_purge(owner)
                   ? "the kernel takes it now, and nothing else (as root; --runtime as its user)"
                   : "the kernel takes it now, and nothing else (as root)");
    // Several owners, or none that is known: there is no one setting to change, but a filter that
    // holds for all of them.
    if (!owner) {
        verdict_say(lines, "From the next start on: ebb run --madv-free=off -- COMMAND.");
        return;
    }
    bool is_go = owner->facts & FACT_GO, is_jemalloc = strcmp(owner->name, "jemalloc") == 0;
    bool is_libebb = strcmp(owner->name, "libebb") == 0;
    if ((is_go && (owner->facts & FACT_GIVES_LAZILY)) || is_jemalloc || is_libebb)
        next_lever(input, lines, "ebb tune --madv-free=off",
                   "from now on memory goes back at once, until it restarts");
    if (owner->facts & FACT_GO_1_12_TO_1_15)
        verdict_say(lines, "From the next start on: GODEBUG=madvdontneed=1 in its environment, or "
                           "ebb run --madv-free=off -- COMMAND.");
    else if (is_go && (owner->facts & FACT_GIVES_LAZILY))
        verdict_say(lines, "Its GODEBUG has madvdontneed=0. Without that, memory goes back at once "
                           "from the next start on, as is the default from Go 1.16 on.");
    else if (is_jemalloc)
        verdict_say(lines, "From the next start on: MALLOC_CONF=muzzy_decay_ms:0 in its "
                           "environment, or ebb run --madv-free=off -- COMMAND.");
    else if (is_libebb)
        verdict_say(lines,
                    "From the next start on: EBB_CONF=policy:dontneed in its environment, or "
                    "ebb run --madv-free=off -- COMMAND.");
    else
        verdict_say(lines, "From the next start on: ebb run --madv-free=off -- COMMAND.");
}

// Go's scavenger: runtime/mgcscavenge.go, retainExtraPercent. glibc: mallopt(3).
static void next_kept(const struct verdict_input *input, struct verdict_lines *lines)
{
    const struct runtime_report *owner = verdict_row_owner(input, ROW_KEPT);
    if (!owner)
        return;
    if (strcmp(owner->name, "Go") == 0) {
        verdict_say(lines,
                    "Go's scavenger gives it back in the background, down to 10 %% above the "
                    "last heap goal: look again in some minutes.");
        verdict_say(lines,
                    "To bound it: GOMEMLIMIT (Go 1.19 and later) or a lower GOGC. At once, from "
                    "inside: debug.FreeOSMemory().");
        next_lever(input, lines, "ebb tune --memory-limit=SIZE",
                   "the same limit in the running process (Go 1.19 and later)");
        return;
    }
    bool is_glibc = strcmp(owner->name, "glibc") == 0;
    bool is_jemalloc = strcmp(owner->name, "jemalloc") == 0;
    bool is_libebb = strcmp(owner->name, "libebb") == 0;
    // docs/runtimes.md tells what stays.
    bool is_partial = strcmp(owner->name, "mimalloc") == 0;
    if (has_purge(owner))
        next_lever(input, lines, "ebb reclaim --runtime",
                   is_libebb    ? "it gives it back now, all that is whole pages"
                   : is_partial ? "its malloc gives back now what no object pins, by a call in the "
                                  "process"
                                : "its malloc gives it back now, by a call in the process");
    if (is_libebb)
        next_lever(input, lines, "ebb tune", "its policy, and how soon it gives back by itself");
    else if (has_purge(owner) && !is_jemalloc)
        verdict_say(lines, "From the next start on: ebb run --malloc=ebb -- COMMAND gives free "
                           "pages back wherever they lie.");
    if (is_glibc)
        verdict_say(lines,
                    "glibc's own settings reach less: MALLOC_TRIM_THRESHOLD_=131072 the end of "
                    "its heap, MALLOC_ARENA_MAX=2 the number of arenas where there are many "
                    "threads.");
    if (is_jemalloc)
        next_lever(input, lines, "ebb tune --dirty-decay=1s",
                   "from now on a second after its last use, until it restarts");
    if (is_jemalloc)
        verdict_say(lines,
                    "From the next start on: "
                    "MALLOC_CONF=dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true "
                    "gives it back a second after its last use, idle threads' too.");
}

// Nothing takes holes out of pages that objects live in: only what makes fewer of them helps.
static void next_fragmented(const struct verdict_input *input, struct verdict_lines *lines)
{
    const struct runtime_report *owner = verdict_row_owner(input, ROW_SLACK);
    // Some programs can: redis copies its values together where its build has activedefrag.
    verdict_say(lines, "Now: nothing from outside. Objects do not move unless the program itself "
                       "moves them; else a restart is what packs those that live on.");
    if (owner && strcmp(owner->name, "Go") == 0)
        verdict_say(lines,
                    "Few live objects pin many spans: a heap profile by count (go tool pprof "
                    "-inuse_objects) shows which live long.");
    if (owner && strcmp(owner->name, "glibc") == 0)
        verdict_say(lines,
                    "Small long-lived objects between freed ones: fewer arenas "
                    "(MALLOC_ARENA_MAX=2), or an allocator with size classes of its own pages "
                    "(jemalloc, mimalloc).");
}

// Which of them it is decides what helps; where nothing stands out, all are said.
static void next_files(const struct account *account, struct verdict_lines *lines)
{
    const uint64_t *rows = account->row_bytes;
    uint64_t written = account->written_file_bytes;
    uint64_t clean = rows[ROW_CODE_FILES] - number_least(rows[ROW_CODE_FILES], written);
    uint64_t tenth = (rows[ROW_CODE_FILES] + rows[ROW_SHARED]) / 10;
    if (clean >= tenth)
        verdict_say(lines, "Clean file pages go when anything needs memory: no leak, and nothing "
                           "to do.");
    if (rows[ROW_SHARED] >= tenth)
        verdict_say(lines, "Shared memory belongs to all who map it and goes with its last user; "
                           "a file in /dev/shm stays until it is deleted, too.");
    // Every program has some of it: its own data.
    if (written >= tenth * 3)
        verdict_say(lines, "What was written in private mappings of files is the program's own "
                           "memory: it goes when the program unmaps it or ends.");
}

// The same question over time, typed for this very process: a pid of another tree means somebody
// else here.
static void next_watch(const struct verdict_input *input, const char *why, const char *time,
                       struct verdict_lines *lines)
{
    // As the user typed it, so that the line can be pasted.
    if (input->operand)
        verdict_say(lines, "%s ebb explain --for %s %s", why, time, input->operand);
    else
        verdict_say(lines, "%s ebb explain --for %s %d", why, time, input->pid);
}

// node's V8 names its host. Any other host of V8 must not get node's signal, which would end it.
static bool is_node(const struct runtime_report *v8)
{
    return v8 && strstr(v8->version, "-node.");
}

static void next_profile_v8(const struct verdict_input *input, struct verdict_lines *lines)
{
    if (!is_node(verdict_find_runtime(input, "V8")))
        verdict_say(lines, "Where from: two heap snapshots, compared in the developer tools.");
    else if (input->is_live)
        verdict_say(lines,
                    "Where from: node inspect -p %d, then takeHeapSnapshot('FILE'), twice (each "
                    "is a pause), compared in the developer tools. The inspector stays open on "
                    "127.0.0.1:9229, where every local user may reach it.",
                    input->pid);
    else
        verdict_say(lines,
                    "Where from: two heap snapshots (node --heapsnapshot-signal=SIGUSR2 from the "
                    "next start on), compared in the developer tools.");
}

// How to find where memory comes from, in this runtime: with what is there already before what must
// be switched on at the next start.
static void next_profile(const struct verdict_input *input, struct verdict_lines *lines)
{
    if (verdict_find_runtime(input, "Go"))
        verdict_say(lines, "Where from: go tool pprof -inuse_space of two heap profiles "
                           "(/debug/pprof/heap), with -base the earlier one.");
    else if (verdict_find_runtime(input, "JVM") && input->is_live)
        verdict_say(
            lines,
            "Where from: jcmd %d GC.class_histogram, twice (each collects the whole heap, a "
            "pause). A heap fills up to -Xmx before that: only what is left then leaks.",
            input->pid);
    else if (verdict_find_runtime(input, "V8"))
        next_profile_v8(input, lines);
    else if (verdict_find_runtime(input, "CPython"))
        verdict_say(
            lines, "Where from: python3 -X tracemalloc from the next start on, and two snapshots.");
    else if (verdict_find_runtime(input, "jemalloc"))
        verdict_say(lines,
                    "Where from: MALLOC_CONF=prof:true (a build with profiling) and jeprof.");
    else if (input->is_live)
        verdict_say(lines,
                    "Where from: heaptrack -p %d (it stops and changes the target), or a heap "
                    "profile from the next start on.",
                    input->pid);
    else
        verdict_say(lines, "Where from: a heap profile from the next start on.");
}

// Only the right to look, or the runtime itself, can tell more.
static void next_unknown(const struct verdict_input *input, struct verdict_lines *lines)
{
    if (input->lacks_rights)
        verdict_say(lines,
                    "Look again with the rights named under \"could not read\"; ebb doctor says "
                    "what this host allows.");
    if (verdict_find_fact(input, FACT_ASK))
        next_lever(input, lines, "ebb explain --ask",
                   "its malloc is asked what it holds, by a call in the process");
    if (has_purge(verdict_row_owner(input, ROW_HELD)))
        next_lever(input, lines, "ebb reclaim --runtime",
                   "its malloc gives back what of that is free, by a call in the process");
    if (!input->is_live)
        return;
    if (verdict_find_runtime(input, "JVM")) {
        verdict_say(lines,
                    "jcmd %d GC.run collects its garbage (a pause), and gives back what -Xms and "
                    "MaxHeapFreeRatio allow.",
                    input->pid);
        verdict_say(lines,
                    "jcmd %d GC.heap_info tells what the heap holds; VM.native_memory (started "
                    "with -XX:NativeMemoryTracking=summary) tells the rest.",
                    input->pid);
    }
    if (is_node(verdict_find_runtime(input, "V8")))
        verdict_say(lines,
                    "node inspect -p %d, then exec('process.memoryUsage()'), tells heap from "
                    "buffers. The inspector stays open on 127.0.0.1:9229, where every local user "
                    "may reach it.",
                    input->pid);
}

// Why to look again, after a growth that was not found.
static const char *next_question(const struct growth *growth)
{
    if (growth->is_doubted)
        return "It rises, and may be a wave, a warm-up or a beginning. Over a longer time:";
    return growth->is_rising ? "What rises is not what leaks, so far. Over a longer time:"
                             : "It did not grow while it was observed. Over a longer time:";
}

void verdict_advise(const struct verdict_input *input, enum verdict_code code,
                    struct verdict_lines *lines)
{
    switch (code) {
    case VERDICT_LAZY:
        next_lazy(input, lines);
        break;
    case VERDICT_KEPT:
        next_kept(input, lines);
        break;
    case VERDICT_FRAGMENTED:
        next_fragmented(input, lines);
        break;
    case VERDICT_GROWING:
        next_watch(input, "A warm-up or a cache that fills up looks the same:", "600s", lines);
        next_profile(input, lines);
        break;
    case VERDICT_IN_USE:
        if (input->growth)
            next_watch(input, next_question(input->growth), "600s", lines);
        break;
    case VERDICT_FILES:
        next_files(input->account, lines);
        break;
    case VERDICT_UNKNOWN:
        next_unknown(input, lines);
        break;
    }
    // One reading cannot tell: the most useful next step after every verdict but growth itself.
    if (!input->growth && input->account)
        next_watch(input, "Does it grow?", "60s", lines);
}
