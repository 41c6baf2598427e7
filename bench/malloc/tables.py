# SPDX-License-Identifier: Apache-2.0
# The results as tables: built once, written as text for a terminal or as Markdown for the page.
import dataclasses

import figures
from allocators import OURS
from memory import JUDGED_S, SCENARIOS

MIB = 1 << 20
WHAT = {"A": "idle", "B": "owners lightly active", "C": "another thread active",
        "D": "freed by another thread", "E": "owners exited", "F": "LIFO in phases"}


@dataclasses.dataclass
class Table:
    title: str
    note: str
    header: list
    rows: list


def goals_table(results):
    rows = [[goal["name"], goal["goal"], goal["reached"], "yes" if goal["met"] else "no"]
            for goal in results["goals"]]
    return Table("Goals", "", ["what", "goal", "reached", "met"], rows)


def _cell(row, write):
    if row is None:
        return "-"
    return "failed" if "failed" in row else write(row)


def _programs_table(results, title, note, figure, write):
    programs = results["programs"]
    names = figures.names_of(programs)
    rows = []
    for program, row in programs.items():
        ratio = figures.over_best_peer(row, figure)
        rows.append([program, *(_cell(row.get(name), lambda one: write(one[figure]))
                                for name in names), f"{ratio:.2f}" if ratio else "-"])
    for label, kind in (("suite", "throughput/"), ("real programs", "real/"), ("all", "")):
        of = {program: row for program, row in programs.items() if program.startswith(kind)}
        means, count = figures.relative(of, figure)
        if means:
            rows.append([f"mean, {label} ({count})",
                         *(f"{means[name]:.2f}" if name in means else "-" for name in names), ""])
    return Table(title, note, ["program", *names, f"{OURS} / best peer"], rows)


def program_tables(results):
    if not results["programs"]:
        return []
    note = ("Medians. Means are geometric, relative to the best single peer; what an allocator "
            "could not run does not count.")
    return [_programs_table(results, "CPU seconds", note + " User and system, all threads.",
                            "cpu_s", lambda value: f"{value:.3f}"),
            _programs_table(results, "Wall seconds", note, "wall_s",
                            lambda value: f"{value:.3f}"),
            _programs_table(results, "Peak RSS, MiB", note, "peak_kib",
                            lambda value: f"{value / 1024:.1f}"),
            _programs_table(results, "Minor faults, thousands", note, "minor_faults",
                            lambda value: f"{value / 1000:.1f}"), *_redis_table(results)]


def _redis_table(results):
    rows = [[name, f"{row['after_kib'] / 1024:.1f}"]
            for name, row in results["programs"].get("real/redis", {}).items()
            if "after_kib" in row]
    return [Table("redis, one second after all keys were dropped", "",
                  ["allocator", "effective RSS, MiB"], rows)] if rows else []


def return_tables(results):
    found = []
    for sizes, scenarios in results["return"].items():
        names = figures.names_of(scenarios)
        rows = []
        for name in names:
            cells = [_cell(scenarios[scenario].get(name), lambda row: f"{row['ratio']:.2f}")
                     for scenario in scenarios]
            full = [row[name] for row in scenarios.values() if "ratio" in row.get(name, {})]
            share = full[0]["full_rss"] / full[0]["full_bytes"] if full else None
            rows.append([name, *cells, f"{share:.2f}" if share else "-"])
        if rows:
            found.append(Table(
                f"What is left, {sizes} sizes: effective RSS over live bytes, {JUDGED_S} s after",
                "Live bytes are requested ones; the program's own lists are counted out. " +
                "; ".join(f"{key}: {WHAT[key]}" for key in scenarios) + ". "
                "Last column: RSS over requested bytes while all blocks lived.",
                ["allocator", *scenarios, "full"], rows))
    return found


def spikes_table(results):
    rows = []
    for name, row in results["spikes"].items():
        rows.append([name] + (["failed"] * 5 if "failed" in row else [
            f"{row['cpu_s']:.2f}", f"{row['peak_kib'] / 1024:.0f}",
            f"{row['average_rss'] / MIB:.0f}", f"{row['average_effective'] / MIB:.0f}",
            f"{row['average_effective'] / 1024 / row['peak_kib']:.2f}"]))
    return [Table("Spikes", "The heap is filled every 2 s, nine tenths are freed at random. "
                  "MiB, read every 50 ms.",
                  ["allocator", "CPU s", "peak RSS", "average RSS", "average effective RSS",
                   "effective / peak"], rows)] if rows else []


def limit_tables(results):
    found = []
    for pace, row in results["limit"].items():
        rows = [[name] + (["failed"] * 4 if "failed" in one else [
            f"{one['ooms']} of {one['rounds']}",
            "-" if one["stall_ms"] is None else f"{one['stall_ms']:.1f}",
            "-" if one["free_stall_ms"] is None else f"{one['free_stall_ms']:.1f}",
            str(one["failures"])]) for name, one in row.items()]
        if rows:
            found.append(Table(
                f"A limit of 1.3 × live, {pace}", "Garbage of twice what lives, by 32 threads in "
                "turns. Longest wait for a block and its first writing, in ms, median of the runs; "
                "beside it without a limit.",
                ["allocator", "out of memory", "longest wait", "without a limit", "limit was hit"],
                rows))
    return found


def hello_table(results):
    rows = [[name] + (["failed"] * 3 if "failed" in row else [
        f"{row['private_dirty'] >> 10}", f"{row['rss'] >> 10}",
        f"{row['metadata'] >> 10}" if row["metadata"] else "-"])
            for name, row in results["hello"].items()]
    return [Table("A hello-world, KiB", "Median of what smaps_rollup tells.",
                  ["allocator", "private dirty", "RSS", "metadata by its own account"],
                  rows)] if rows else []


def build(results):
    goals = [goals_table(results)] if results["goals"] else []
    return (goals + program_tables(results) + return_tables(results) + spikes_table(results)
            + limit_tables(results) + hello_table(results))


def as_text(table):
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    drawn = ["  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(line, widths))).rstrip()
             for line in lines]
    return "\n".join([f"\n{table.title}", *drawn])


def as_markdown(table):
    lines = [f"## {table.title}", ""] + ([table.note, ""] if table.note else [])
    lines += ["| " + " | ".join(table.header) + " |", "|" + "---|" * len(table.header)]
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    return "\n".join(lines)


assert set(WHAT) == set(SCENARIOS)
