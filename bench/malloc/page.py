# SPDX-License-Identifier: Apache-2.0
# docs/malloc-bench.md, written whole from the results.
import tables

INTRODUCTION = """# libebb beside other mallocs

This page is written by `bench/malloc/run --docs docs`; its figures are those of one run, measured
in turns. `bench/malloc` has the programs: each knows nothing of any malloc and gets one by preload.
`EBB_BENCH_PEERS=a.so:b.so` adds peers. *Tuned* rows are peers that were told to give back; they are
not what goals are judged by.

![Geometric means, and what is left over time](malloc-bench.svg)"""

WORKLOADS = (
    ("tight, batch", "pairs, and batches of 25 to 1,600 blocks, of 16 B to 1 KiB"),
    ("ages", "every block lives 1 to 65,536 steps, log-uniform; 16 B to 1 KiB"),
    ("random-small", "a random one of 10,000 blocks is replaced; 16 to 1,000 B"),
    ("random-wide", "a random one of 1,000 blocks is replaced; 16 B to 1 MiB, log-uniform"),
    ("producer", "a thread allocates 16 B to 4 KiB, another frees"),
    ("xmalloc", "two threads allocate batches of 4,096 blocks of 64 B, two free them"),
    ("larson", "four lanes of threads that replace blocks of their predecessors and end"),
    ("exchange", "two threads replace blocks and swap a quarter; one in a hundred is large"),
    ("scratch", "two threads write blocks that were neighbours once: false sharing"),
    ("storm", "20,000 short threads; half of their blocks outlive them"),
    ("numbers, strings, trees", "many small numbers; words, lines and a table; binary trees"),
    ("large", "eight live blocks of 5 to 25 MiB, each page written"),
    ("grow-double, grow-step", "vectors that grow by realloc, by doubling or by an item"),
    ("calloc", "16 B to 64 KiB that must be zero and come back dirty"),
    ("real programs", "redis under redis-benchmark, sqlite3, python3 (`PYTHONMALLOC=malloc`), "
     "perl, lua, git gc, gcc"),
    ("what is left", "four threads fill 1 GiB: 16 B to 64 KiB, log-uniform, and one in a thousand "
     "of 1 to 4 MiB (or 16 to 512 B); nine in ten blocks are freed at random"),
)


def _machine(results):
    machine, options = results["machine"], results["options"]
    lines = ["## This run", "",
             f"{machine['processors']} processors ({machine['model']}), "
             f"{machine['memory_mib'] >> 10} GiB, Linux {machine['kernel']}, transparent huge "
             f"pages {machine['huge_pages']}; {options['rounds']} rounds of the suite, "
             f"{options['real_rounds']} of real programs, heaps of {options['mib']} MiB, "
             f"{results['seconds'] / 60:.0f} minutes in all.", "",
             "| allocator | version | settings |", "|---|---|---|"]
    for name, told in results["allocators"].items():
        settings = " ".join(f"`{key}={value}`" for key, value in told["settings"].items())
        if told["trims"]:
            settings = "`malloc_trim()` after freeing"
        lines.append(f"| {name} | {told['version'] or '-'} | {settings or 'defaults'} |")
    for name, reason in {**results["missing"], **results["skipped"]}.items():
        lines.append(f"\nSkipped: {name}, since {reason}.")
    return "\n".join(lines)


def write(results):
    parts = [INTRODUCTION]
    parts += [tables.as_markdown(table) for table in tables.build(results)]
    what = tables.Table("What is measured", "", ["program", "what it does"], WORKLOADS)
    return "\n\n".join(parts + [tables.as_markdown(what), _machine(results)]) + "\n"
