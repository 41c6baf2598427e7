# SPDX-License-Identifier: Apache-2.0
# Whole programs on each allocator in turn: what they take of CPU, wall time, memory and faults.
import json
import os
import re
import shutil
import statistics
import subprocess

from allocators import BUILD

PROGRAMS = f"{BUILD}/bench/malloc/bench_malloc_"
TIMEOUT_S = 120
# What a malloc and its free cost in instructions: way, block size, goal.
FAST_PATHS = (("tight", 48, 47), ("batch", 48, 50), ("random", 1000, 67))
FIGURES = ("cpu_s", "wall_s", "peak_kib", "minor_faults")
# Mode by mode: the program that has it.
THROUGHPUT = {"tight": "churn", "batch": "churn", "ages": "churn", "random-small": "churn",
              "random-wide": "churn", "producer": "threads", "xmalloc": "threads",
              "larson": "threads", "exchange": "threads", "scratch": "threads", "storm": "threads",
              "numbers": "structures", "strings": "structures", "trees": "structures",
              "large": "blocks", "grow-double": "blocks", "grow-step": "blocks",
              "calloc": "blocks"}


class Failed(Exception):
    """A program did not end well on an allocator."""


def measured(allocator, result, command):
    """The command that runs a command on an allocator and writes to `result` what it took."""
    return [f"{PROGRAMS}measure", result, allocator.lib or "-", *command]


def read_result(path):
    with open(path, encoding="ascii") as file:
        run = json.load(file)
    run["cpu_s"] = run["user_s"] + run["sys_s"]
    return run


def measure(allocator, command, scratch, environment=None, **options):
    """Runs a command to its end on an allocator."""
    result = f"{scratch}/measured"
    ran = subprocess.run(measured(allocator, result, command), stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                         timeout=TIMEOUT_S, env=allocator.environment(**(environment or {})),
                         **options)
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"status {ran.returncode} {' '.join(said)}".strip())
    return read_result(result)


def throughput(mode, percent):
    """A program of this suite as a function of (allocator, scratch)."""
    command = [PROGRAMS + THROUGHPUT[mode], mode, str(percent)]
    return lambda allocator, scratch: measure(allocator, command, scratch)


def compare(run, allocators, rounds, scratch):
    """Interleaved rounds. Returns {allocator: {figure: median, "runs": […]} or {"failed": why}}."""
    runs = {one.name: [] for one in allocators}
    failed = {}
    for number in range(rounds):
        # Turned by one each round, so that nobody always follows the same neighbour.
        turned = allocators[number % len(allocators):] + allocators[:number % len(allocators)]
        for one in turned:
            if one.name in failed:
                continue
            try:
                runs[one.name].append(run(one, scratch))
            except (Failed, subprocess.TimeoutExpired) as error:
                failed[one.name] = str(error).replace(scratch, "")
    return {name: {"failed": failed[name]} if name in failed else
            {figure: statistics.median(one[figure] for one in of) for figure in FIGURES} |
            {"runs": [[round(one[figure], 6) for figure in FIGURES] for one in of]} | extra(of)
            for name, of in runs.items()}


def extra(runs):
    """Medians of what a program tells beside the figures of all."""
    more = {"after_kib"} & set(runs[0])
    return {figure: statistics.median(one[figure] for one in runs) for figure in more}


def instructions(allocator):
    """{way: instructions inside a malloc and its free}, as the difference of two runs that
    callgrind counts; None where it cannot."""
    counts = {}
    for way, size, _ in FAST_PATHS if shutil.which("valgrind") else ():
        collected = []
        for pairs in (20000, 60000):
            ran = subprocess.run(
                ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}",
                 "--toggle-collect=malloc", "--toggle-collect=free",
                 f"{BUILD}/bench/bench_lib_tight", way, str(size), str(pairs)],
                capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
                env=allocator.environment(LD_PRELOAD=allocator.lib))
            found = re.search(r"Collected : (\d+)", ran.stderr)
            collected.append(int(found.group(1)) if found else 0)
        if not all(collected):
            return None
        counts[way] = (collected[1] - collected[0]) / 40000
    return counts or None
