# SPDX-License-Identifier: Apache-2.0
# The figures of the malloc suite summed up, and as lines on a terminal.
import math

from allocators import OURS


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def relative(programs, figure):
    """{allocator: geometric mean of its figure over that of the best allocator but ours}, over the
    programs that all of them ran."""
    names = sorted(set().union(*programs.values()))
    ran = [rows for rows in programs.values()
           if all(figure in rows.get(name, {}) and rows[name][figure] > 0 for name in names)]
    if not ran:
        return {}
    means = {name: geometric_mean([rows[name][figure] for rows in ran]) for name in names}
    best = min((value for name, value in means.items() if name != OURS), default=None)
    return {name: value / best for name, value in means.items()} if best else {}


def worst(programs, figure):
    """(the program where ours is worst against the best peer for it, that ratio), or None."""
    ratios = {}
    for program, rows in programs.items():
        peers = [row[figure] for name, row in rows.items() if name != OURS and row.get(figure)]
        if peers and rows.get(OURS, {}).get(figure):
            ratios[program] = rows[OURS][figure] / min(peers)
    return max(ratios.items(), key=lambda item: item[1]) if ratios else None


def print_program(part, rows):
    ours = rows.get(OURS, {}).get("cpu_s")
    print(f"{part:26}", end="")
    for name, row in rows.items():
        if "failed" in row:
            print(f"  {name} FAILED ({row['failed']})", end="")
            continue
        ratio = f" {row['cpu_s'] / ours:4.2f}x" if ours and name != OURS else ""
        print(f"  {name} {row['cpu_s']:.3f}s{ratio} {row['peak_kib'] / 1024:.0f}M", end="")
    print(flush=True)


def print_summary(results):
    programs = results["programs"]
    for figure in ("cpu_s", "wall_s", "peak_kib"):
        means = relative(programs, figure)
        print(f"geometric means of {figure}, best peer 1: " +
              ", ".join(f"{name} {value:.3f}" for name, value in means.items()))
    print("worst program of libebb, cpu_s over the best peer for it:", worst(programs, "cpu_s"))
