# SPDX-License-Identifier: Apache-2.0
# Memory over time, read from outside: what goes back after a load has gone, spikes, and what a
# malloc takes for itself.
import os
import re
import subprocess
import threading
import time

import programs

SCENARIOS = {"A": "idle", "B": "active", "C": "other", "D": "remote", "E": "exit", "F": "phases"}
SIZES = ("mixed", "small")
TIMES_S = (0.1, 0.5, 1, 2, 5)
JUDGED_S = 1
SPIKES, PERIOD_MS, SAMPLE_S = 10, 2000, 0.05


def rollup(pid):
    """{key: bytes} of /proc/PID/smaps_rollup."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return {key: int(kib) * 1024 for key, kib in re.findall(r"(\w+): +(\d+) kB", file.read())}


def resident(pid):
    """RSS and, of it, what is lazily freed."""
    rows = rollup(pid)
    return rows["Rss"], rows["LazyFree"]


class Held:
    """A program of the suite on an allocator, which says lines and waits for lines."""

    def __init__(self, allocator, program, *words):
        preload = {"LD_PRELOAD": allocator.lib} if allocator.lib else {}
        self.child = subprocess.Popen([programs.PROGRAMS + program, *words],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      env=allocator.environment(**preload))
        self.text = ""
        self.watchdog = threading.Timer(programs.TIMEOUT_S, self.child.kill)
        self.watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watchdog.cancel()
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def line(self, first):
        """Waits for the line with this first word; returns its other words as numbers."""
        for line in self.child.stdout:
            words = line.split()
            if words[:1] == [first]:
                return [int(word) for word in words[1:]]
            self.text += line
        raise programs.Failed(f"ended with status {self.child.wait()} before it was {first}")

    def go(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def end(self):
        """Its last check of all blocks: it must find them unharmed."""
        self.go()
        if self.child.wait(timeout=programs.TIMEOUT_S) != 0:
            raise programs.Failed("the blocks that live were harmed")

    def metadata(self):
        """What malloc_info() tells of it, where it does."""
        found = re.search(r'<metadata bytes="(\d+)"/>', self.text)
        return int(found.group(1)) if found else None


def give_back(allocator, scenario, sizes, mib, times):
    """One run of a scenario: the heap when full, and what is resident at some times after."""
    words = [SCENARIOS[scenario], sizes, str(mib)] + (["trim"] if allocator.trims else [])
    with Held(allocator, "return", *words) as held:
        full, lists = held.line("full")
        rss, lazy = resident(held.child.pid)
        row = {"full_bytes": full, "full_rss": rss - lists, "metadata": held.metadata()}
        held.go()
        live, lists = held.line("freed")
        freed = time.monotonic()
        curve = []
        for at in times:
            time.sleep(max(0, freed + at - time.monotonic()))
            rss, lazy = resident(held.child.pid)
            curve.append([at, rss - lists, lazy])
        held.end()
    judged = next(point for point in curve if point[0] == JUDGED_S)
    return row | {"live_bytes": live, "lists_bytes": lists, "curve": curve,
                  "ratio": (judged[1] - judged[2]) / live}


def spikes(allocator, mib, count, scratch):
    """CPU and peak of a load that comes and goes; RSS and effective RSS on average."""
    result = f"{scratch}/measured"
    command = [f"{programs.PROGRAMS}spikes", str(mib), str(count), str(PERIOD_MS)]
    child = subprocess.Popen(programs.measured(allocator, result, command
                                               + (["trim"] if allocator.trims else [])),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                             env=allocator.environment())
    samples, watchdog = [], threading.Timer(programs.TIMEOUT_S, child.kill)
    watchdog.start()
    try:
        pid = int(child.stdout.readline().split()[1])
        following = time.monotonic()
        while child.poll() is None:
            try:
                samples.append(resident(pid))
            except (OSError, KeyError):
                break
            following += SAMPLE_S
            time.sleep(max(0, following - time.monotonic()))
        if child.wait(timeout=programs.TIMEOUT_S) != 0:
            raise programs.Failed(f"status {child.returncode}")
    finally:
        watchdog.cancel()
        child.kill()
        child.wait()
        child.stdout.close()
    run = programs.read_result(result)
    number = max(len(samples), 1)
    return {key: run[key] for key in programs.FIGURES} | {
        "average_rss": sum(rss for rss, _ in samples) // number,
        "average_effective": sum(rss - lazy for rss, lazy in samples) // number,
        "samples": [[rss, lazy] for rss, lazy in samples]}


def is_loaded(allocator):
    """Whether a program really runs on it: what cannot be preloaded is left out in silence."""
    with Held(allocator, "hello") as held:
        held.line("hello")
        with open(f"/proc/{held.child.pid}/maps", encoding="utf-8", errors="replace") as maps:
            return not allocator.lib or os.path.realpath(allocator.lib) in maps.read()


def hello(allocator):
    """A program that hardly allocates: its private dirty memory, and what the malloc says of it."""
    with Held(allocator, "hello") as held:
        held.line("hello")
        rows = rollup(held.child.pid)
        return {"private_dirty": rows["Private_Dirty"], "rss": rows["Rss"],
                "metadata": held.metadata()}
