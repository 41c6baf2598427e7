#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The golden instruction counts of a malloc and its free, which no change may raise unseen: counted
# inside the two functions by callgrind, as the difference of two runs.
# beside: others
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report, skip  # noqa: E402

BUILD = os.environ["BUILD"]
LIB, PROGRAM = f"{BUILD}/libebb.so", f"{BUILD}/bench/bench_lib_tight"
FEW, MANY = 20000, 60000
# x86-64, gcc 12 -O2. Other compilers get what the goals allow: 47, 50 and 67.
GOLDEN = {"tight": 46.0, "batch": 46.0, "random": 46.9}
GOALS = {"tight": 47, "batch": 50, "random": 67}
SIZES = {"tight": 48, "batch": 48, "random": 1000}


def instructions(way, pairs):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               "--toggle-collect=malloc", "--toggle-collect=free",
               PROGRAM, way, str(SIZES[way]), str(pairs)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100,
                         env={**os.environ, "LD_PRELOAD": LIB})
    found = re.search(r"Collected : (\d+)", ran.stderr)
    return int(found.group(1)) if found else None


def main():
    if not shutil.which("valgrind") or not os.path.exists(LIB) or not os.path.exists(PROGRAM):
        print("1..0 # SKIP no valgrind, or this build has no libebb.so")
        return
    for way, goal in GOALS.items():
        few, many = instructions(way, FEW), instructions(way, MANY)
        if not few or not many:
            skip(way, "valgrind does not run it here")
            continue
        count = (many - few) / (MANY - FEW)
        report(count <= goal, f"{way}: {count:.1f} instructions a pair, at most {goal}",
               f"golden with gcc 12: {GOLDEN[way]}")
        if abs(count - GOLDEN[way]) > 0.5:
            print(f"# {way}: {count:.1f} differs from the golden {GOLDEN[way]}")
    done()


main()
