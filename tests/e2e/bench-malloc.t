#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A tiny form of bench/malloc/run: every figure is there and plausible, and the page and its chart
# are written from them. How long anything takes is not looked at.
import json
import os
import subprocess
import sys
import xml.dom.minidom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report  # noqa: E402

BUILD, SRC, SCRATCH = os.environ["BUILD"], os.environ["SRC"], os.environ["TMPDIR"]
RUN, MIB = f"{SRC}/bench/malloc/run", 1 << 20
PARTS = "^(throughput/(trees|producer)|real/sqlite3|return/mixed/A|spikes|limit/burst|hello)$"
PROGRAM_FIGURES = {"cpu_s", "wall_s", "peak_kib", "minor_faults", "runs"}


def run(*words, peers=""):
    return subprocess.run([RUN, *words], capture_output=True, text=True, check=False, timeout=100,
                          env={**os.environ, "EBB_BENCH_PEERS": peers})


def check_programs(results, names):
    for program, rows in results["programs"].items():
        good = set(rows) == names and all(
            PROGRAM_FIGURES <= set(row) and 0 < row["cpu_s"] < 60 and 0 < row["wall_s"] < 60
            and 500 < row["peak_kib"] < 1000000 and row["minor_faults"] > 20
            for row in rows.values())
        report(good, f"{program}: CPU, wall, peak and faults of each allocator", rows)
    wanted = {"throughput/trees", "throughput/producer"}
    report(wanted <= set(results["programs"]), "the programs that were asked for",
           list(results["programs"]))


def check_return(results, names):
    rows = results["return"]["mixed"].get("A", {})
    report(set(rows) == names, "return: a row of each allocator", rows)
    for name, row in rows.items():
        times = [point[0] for point in row.get("curve", [])]
        good = (times == [0.1, 0.5, 1] and 32 * MIB <= row["full_bytes"] < 52 * MIB
                and 0.03 < row["live_bytes"] / row["full_bytes"] < 0.3
                and row["full_rss"] > row["full_bytes"]
                and 0.9 < row["ratio"] < 20
                and all(0 <= lazy <= rss for _, rss, lazy in row["curve"]))
        report(good, f"return: {name}'s heap, full and after", row)


def check_rest(results, names):
    for name, row in results["spikes"].items():
        good = (0 < row["average_effective"] <= row["average_rss"] <= row["peak_kib"] * 1024
                and row["peak_kib"] > 25 * 1024 and len(row["samples"]) > 20)
        report(good, f"spikes: {name}'s CPU, peak and averages",
               {key: value for key, value in row.items() if key != "samples"})
    report(set(results["spikes"]) == names, "spikes: a row of each allocator")
    if "limit/burst" in results["skipped"]:
        print(f"# no limit: {results['skipped']['limit/burst']}")
    else:
        rows = results["limit"]["burst"]
        report(set(rows) == names and all(
            row["rounds"] == 1 and row["ooms"] in (0, 1)
            and (row["stall_ms"] is None) == (row["ooms"] == 1) and row["free_stall_ms"] > 0
            for row in rows.values()), "limit: stalls, or out of memory", rows)
    rows = results["hello"]
    report(set(rows) == names and all(20 * 1024 < row["private_dirty"] <= row["rss"] < 50 * MIB
                                      for row in rows.values())
           and (rows.get("libebb", {}).get("metadata") or 1) > 0,
           "hello: what each allocator takes", rows)


def check_page(results, path):
    ran = run("--from", path, "--docs", SCRATCH)
    report(ran.returncode == 0, "the page from the figures of an earlier run", ran.stderr)
    with open(f"{SCRATCH}/malloc-bench.md", encoding="utf-8") as file:
        page = file.read()
    report(all(f"| {goal['name']} | {goal['goal']} | {goal['reached']} |" in page
               for goal in results["goals"]) and "malloc-bench.svg" in page,
           "the page has the goals beside what was reached", page)
    drawn = xml.dom.minidom.parse(f"{SCRATCH}/malloc-bench.svg")
    curves = drawn.getElementsByTagName("polyline")
    report(len(curves) == len(results["return"]["mixed"]["A"]), "the chart has their curves")


def main():
    listed = run("--list").stdout.split()
    report({"throughput/larson", "real/redis", "return/small/F", "spikes", "limit/paced"}
           <= set(listed), "--list names the parts", listed)
    path, text = f"{SCRATCH}/results.json", f"{SCRATCH}/text.so"
    with open(text, "w", encoding="ascii") as file:
        file.write("no library\n")
    ran = run("--quick", "--rounds", "1", "--percent", "5", "--mib", "32", "--only", PARTS,
              "--allocators", "^(libebb|glibc|text)$", "--json", path,
              peers=f"{text}:/nowhere/none.so")
    report(ran.returncode == 0, "a tiny form runs", ran.stderr)
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    names = {"libebb", "glibc"} if os.path.exists(f"{BUILD}/libebb.so") else {"glibc"}
    report(set(results["allocators"]) == names and "text" in results["missing"]
           and "/nowhere/none.so" in results["missing"], "peers that cannot be loaded are told",
           results["missing"])
    check_programs(results, names)
    check_return(results, names)
    check_rest(results, names)
    check_page(results, path)
    done()


main()
