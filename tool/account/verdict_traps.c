// SPDX-License-Identifier: Apache-2.0
// Known traps that apply to a process: what misleads people about its memory. Tool world; pure.
//
// Each has cost somebody a night: a trap is a fact that makes a true number read wrongly. Where the
// facts come from is said with each.
#include "account/verdict_text.h"
#include "base/units.h"

// A trap is named only where it matters: from this share of RSS on, in percent, and from this size.
static const uint64_t telling_share = 10;
static const uint64_t telling_bytes = 16 << 20;

static bool is_telling(const struct verdict_input *input, uint64_t bytes)
{
    return bytes >= telling_bytes && bytes * 100 >= input->account->rss_bytes * telling_share;
}

// Go: runtime/mem_linux.go, sysUnused(), picks the advice. jemalloc's statistics count muzzy pages
// as given back.
static void trap_runtimes(const struct verdict_input *input, struct verdict_lines *lines)
{
    if (verdict_find_fact(input, FACT_GO_1_12_TO_1_15 | FACT_GIVES_LAZILY))
        verdict_say(
            lines,
            "Go 1.12 to 1.15 give memory back lazily by default (MADV_FREE) on Linux 4.5 and "
            "later: RSS stays up after the load until the kernel needs the pages.");
    if (verdict_find_fact(input, FACT_JEMALLOC_MUZZY))
        verdict_say(lines, "jemalloc's muzzy_decay_ms is not 0: purged pages stay in RSS as lazily "
                           "freed ones, and jemalloc's own stats.resident leaves them out.");
    if (verdict_find_fact(input, FACT_RACE_DETECTOR))
        verdict_say(lines,
                    "Built with the race detector: its shadow memory takes several times the "
                    "program's own and is never given back. Do not judge memory by this build.");
}

// A thread allocates from its own arena (malloc/arena.c, arena_get2(): up to eight for each
// processor), and nothing moves free memory from one to another.
static void trap_arenas(const struct verdict_input *input, struct verdict_lines *lines)
{
    const struct runtime_report *glibc = verdict_find_fact(input, FACT_MANY_ARENAS);
    const struct runtime_figure *arenas = glibc ? report_figure(glibc, "arenas") : NULL;
    if (arenas && input->thread_count > 1)
        verdict_say(
            lines,
            "glibc keeps free memory per arena: %llu arenas for %zu threads. What one arena "
            "has free, no other can use.",
            (unsigned long long)arenas->value, input->thread_count);
}

// A reading that changed underfoot is shown, but never as if it were exact.
static void trap_approximate(const struct verdict_input *input, struct verdict_lines *lines)
{
    for (size_t i = 0; i < input->report_count; i++)
        if (input->reports[i].approximate)
            verdict_say(
                lines, "%s was busy while its figures were read: they are approximate. Look again.",
                input->reports[i].name);
}

// Reclaim puts a lazily freed page back that was written or is mapped elsewhere (mm/rmap.c,
// try_to_unmap_one()), and a huge page is one page to it.
static void trap_kernel(const struct verdict_input *input, struct verdict_lines *lines)
{
    const struct account *account = input->account;
    char bytes[UNITS_TEXT_MAX];
    if (input->host && input->host->kernel.major > 0 &&
        !kernel_at_least(input->host->kernel, 4, 12))
        verdict_say(lines,
                    "This kernel does not show lazily freed pages (LazyFree came with 4.12): "
                    "they count as in use here.");
    if (is_telling(input, account->huge_bytes)) {
        units_format_bytes(account->huge_bytes, bytes, sizeof bytes);
        verdict_say(
            lines,
            "%s are huge pages: one object keeps 2 MiB resident, and one written byte takes "
            "back the lazy free of all 2 MiB.",
            bytes);
    }
    if (is_telling(input, account->shared_anon_bytes)) {
        units_format_bytes(account->shared_anon_bytes, bytes, sizeof bytes);
        verdict_say(
            lines,
            "%s are shared with a forked process (a background save?): both show it in RSS, "
            "and nothing of it can be reclaimed while both live.",
            bytes);
    }
    if (is_telling(input, account->locked_bytes)) {
        units_format_bytes(account->locked_bytes, bytes, sizeof bytes);
        verdict_say(lines,
                    "%s are locked (mlock): the kernel takes nothing of it, and nothing of it can "
                    "be freed lazily.",
                    bytes);
    }
    if (is_telling(input, account->swap_bytes)) {
        units_format_bytes(account->swap_bytes, bytes, sizeof bytes);
        verdict_say(lines, "%s more are swapped out: not in RSS, but owned by the process.", bytes);
    }
}

// MADV_FREE moves pages to the inactive file list (mm/swap.c, lru_lazyfree_fn()), which working_set
// leaves out; writing to them again moves none back before the kernel scans the list.
static void trap_cgroup(const struct verdict_input *input, struct verdict_lines *lines)
{
    const struct account *account = input->account;
    if (!input->cgroup || input->cgroup->version == 0 || !is_telling(input, account->lazy_bytes))
        return;
    verdict_say(lines, "Lazily freed pages count in container_memory_rss and in the OOM killer's "
                       "score, but not in working_set. Pages that were written again stay on "
                       "inactive_file, so working_set can show too little.");
}

// What would lead somebody astray who looks at other tools as well.
void verdict_name_traps(const struct verdict_input *input, struct verdict_lines *lines)
{
    trap_runtimes(input, lines);
    trap_approximate(input, lines);
    if (!input->account)
        return;
    trap_arenas(input, lines);
    trap_kernel(input, lines);
    trap_cgroup(input, lines);
}
