#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Eight threads free, rewrite and verify their pages while ebb reclaims them without pause: plain,
# with huge pages, with forks that come and go, with swap on. Not one wrong word. Each form runs for
# 2 s, or 60 with EBB_LONG=1.
# timeout: 420
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from reclaiming import PROGRAMS, may_see_frames, reclaim, swap_file  # noqa: E402

SECONDS = "60" if os.environ.get("EBB_LONG") else "2"


def counter(name):
    with open("/proc/vmstat", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(name + " "))


def attack(name, *forms):
    storm = subprocess.Popen([f"{PROGRAMS}/prog_reclaim_storm", SECONDS, *forms],
                             stdout=subprocess.PIPE, text=True)
    swapped = counter("pswpout")
    passes, failed = 0, []
    try:
        storm.stdout.readline()
        while storm.poll() is None:
            report = reclaim(storm.pid)
            passes += report["outcome"] == "done"
            if report["status"] not in (0, 3):
                failed.append(report)
        said = storm.stdout.read().split()
    finally:
        storm.kill()
        storm.wait()
    figures = dict(zip(said[::2], map(int, said[1::2])))
    print(f"# {name}: {passes} passes, {figures}, {counter('pswpout') - swapped} pages swapped out")
    tap.report(figures.get("wrong") == 0 and figures["words"] > 1000000 and storm.returncode == 0,
               f"{name}: no wrong word", figures)
    # On a busy host not one pass may come to its end before the target does.
    tap.report(figures.get("dropped", 0) > 100 and not failed,
               f"{name}: pages were taken meanwhile", failed[:1] or figures)


def main():
    if not may_see_frames():
        tap.skip("integrity", "needs root in the first user namespace")
        tap.done()
        return
    attack("plain")
    attack("huge pages", "huge")
    attack("forks", "forks")
    with swap_file() as problem:
        if problem:
            tap.skip("swap", problem)
        else:
            attack("swap", "forks")
            attack("swap and huge pages", "huge")
    tap.done()


main()
