# SPDX-License-Identifier: Apache-2.0
# The measured figures summed up: geometric means, worst cases, and the goals beside what was
# reached. Pure: from the results' dictionary to numbers.
import math

from allocators import OURS
from memory import JUDGED_S, SCENARIOS
from programs import FAST_PATHS


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def names_of(rows):
    """Allocators in the order in which they were measured, of rows by program."""
    found = {}
    for row in rows.values():
        found.update(dict.fromkeys(row))
    return list(found)


def relative(rows, figure):
    """({allocator: geometric mean of its figure over the best single peer's}, programs counted):
    only programs that all allocators ran to the end count."""
    names = names_of(rows)
    counted = [row for row in rows.values()
               if all(row.get(name, {}).get(figure, 0) > 0 for name in names)]
    peers = [name for name in names if name != OURS]
    if not counted or not peers:
        return {}, 0
    means = {name: geometric_mean([row[name][figure] for row in counted]) for name in names}
    best = min(means[name] for name in peers)
    return {name: mean / best for name, mean in means.items()}, len(counted)


def over_best_peer(row, figure):
    """Ours over the best peer for one program, or None."""
    peers = [one[figure] for name, one in row.items() if name != OURS and one.get(figure)]
    ours = row.get(OURS, {}).get(figure)
    return ours / min(peers) if ours and peers else None


def worst(rows, figure):
    """(ratio, program) where ours is worst against the best peer for it, or None."""
    found = [(over_best_peer(row, figure), program) for program, row in rows.items()]
    return max((pair for pair in found if pair[0]), default=None)


def _of(results, allocator):
    """Whether an allocator is a peer with default settings."""
    told = results["allocators"].get(allocator, {})
    return allocator != OURS and not told.get("settings") and not told.get("trims")


def _goal(name, goal, reached, is_met):
    return {"name": name, "goal": goal, "reached": reached, "met": is_met}


def _throughput_goals(programs):
    goals = []
    means, count = relative(programs, "cpu_s")
    if OURS in means:
        goals.append(_goal("throughput: geometric mean over the best single peer", "≤ 0.97",
                           f"{means[OURS]:.2f} ({count} programs)", means[OURS] <= 0.97))
    case = worst(programs, "cpu_s")
    if case:
        goals.append(_goal("throughput: worst program over the best peer for it", "≤ 1.10",
                           f"{case[0]:.2f} ({case[1]})", case[0] <= 1.10))
    means, count = relative(programs, "peak_kib")
    if OURS in means:
        goals.append(_goal("peak RSS: geometric mean over the lowest peer", "≤ 1.07",
                           f"{means[OURS]:.2f}", means[OURS] <= 1.07))
    return goals


def _fast_path_goals(results):
    counts = results["instructions"]
    if not counts:
        return []
    return [_goal("fast path: instructions of a malloc and its free",
                  ", ".join(f"{way} ≤ {goal}" for way, _, goal in FAST_PATHS),
                  ", ".join(f"{count:.1f}" for count in counts.values()),
                  all(counts[way] <= goal for way, _, goal in FAST_PATHS))]


def _return_goals(results):
    goals = []
    ratios = {scenario: rows[OURS]["ratio"] for scenario, rows in results["return"]["mixed"].items()
              if "ratio" in rows.get(OURS, {})}
    if ratios:
        case = max(ratios, key=ratios.get)
        goals.append(_goal(f"return: effective RSS {JUDGED_S} s after, worst scenario",
                           "≤ 1.2 × live", f"{ratios[case]:.2f} ({case}), all: " + ", ".join(
                               f"{ratio:.2f}" for ratio in ratios.values()),
                           max(ratios.values()) <= 1.2 and len(ratios) == len(SCENARIOS)))
    against = {}
    for scenario, rows in results["return"]["small"].items():
        peers = [row["ratio"] for name, row in rows.items()
                 if _of(results, name) and "ratio" in row]
        if peers and "ratio" in rows.get(OURS, {}):
            against[scenario] = rows[OURS]["ratio"] / min(peers)
    if against:
        case = max(against, key=against.get)
        goals.append(_goal("return, small objects: over the best peer, worst scenario", "< 1",
                           f"{against[case]:.2f} ({case})", against[case] < 1))
    return goals


def _spike_goals(results):
    rows = results["spikes"]
    peers = [row["cpu_s"] for name, row in rows.items() if _of(results, name) and "cpu_s" in row]
    ours = rows.get(OURS, {})
    if "cpu_s" not in ours or not peers:
        return []
    cpu = ours["cpu_s"] / min(peers)
    share = ours["average_effective"] / (ours["peak_kib"] * 1024)
    return [_goal("spikes: CPU over the cheapest peer", "≤ 1.1", f"{cpu:.2f}", cpu <= 1.1),
            _goal("spikes: average effective RSS over peak", "≤ 0.4", f"{share:.2f}",
                  share <= 0.4)]


def _limit_goals(results):
    rows = [row for pace in results["limit"].values() for row in (pace.get(OURS),)
            if row and "failed" not in row]
    if not rows:
        return []
    ooms, runs = sum(row["ooms"] for row in rows), sum(row["rounds"] for row in rows)
    stalls = [row["stall_ms"] for row in rows if row["stall_ms"] is not None]
    longest = max(stalls, default=0)
    return [_goal("limit of 1.3 × live: runs that ended out of memory", "0", f"{ooms} of {runs}",
                  ooms == 0),
            _goal("limit of 1.3 × live: longest wait for a block", "≤ 10 ms",
                  f"{longest:.1f} ms" if stalls else "-", bool(stalls) and longest <= 10)]


def metadata_percent(results):
    """{sizes: percent of the full heap that is metadata, by libebb's own account}."""
    found = {}
    for sizes, scenarios in results["return"].items():
        for rows in scenarios.values():
            row = rows.get(OURS, {})
            if row.get("metadata"):
                found[sizes] = 100 * row["metadata"] / row["full_rss"]
    return found


def _metadata_goals(results):
    goals = []
    percents = metadata_percent(results)
    if percents:
        goals.append(_goal("metadata of a full heap", "≤ 2 %", ", ".join(
            f"{sizes} {percent:.2f} %" for sizes, percent in percents.items()),
            max(percents.values()) <= 2))
    hello = results["hello"]
    if "private_dirty" in hello.get(OURS, {}) and "private_dirty" in hello.get("glibc", {}):
        more = (hello[OURS]["private_dirty"] - hello["glibc"]["private_dirty"]) >> 10
        goals.append(_goal("hello-world: private dirty memory beyond glibc's", "≤ 256 KiB",
                           f"{more} KiB", more <= 256))
    return goals


def goals(results):
    return (_throughput_goals(results["programs"]) + _fast_path_goals(results)
            + _return_goals(results) + _spike_goals(results) + _limit_goals(results)
            + _metadata_goals(results))
