#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Programs made to try a malloc, on libebb by preload: the same answers as on the system's, nothing
# spoiled, no child stuck, memory flat over thousands of threads. EBB_LIB_STRESS=N: N times longer.
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SRC"], "tests", "e2e"))
from tap import done, report  # noqa: E402  (the path above comes first)

BUILD = os.environ["BUILD"]
LIB = f"{BUILD}/libebb.so"
LONGER = int(os.environ.get("EBB_LIB_STRESS", "1"))
RESIDENT_KIB_MAX = 24 << 10


def run(name, *arguments, lib=LIB):
    env = {**os.environ, "LD_PRELOAD": lib} if lib else os.environ
    return subprocess.run([f"{BUILD}/tests/lib/lib_{name}", *map(str, arguments)], text=True,
                          capture_output=True, check=False, timeout=50 * LONGER, env=env)


def said(ran):
    return f"status {ran.returncode}\n{ran.stdout[-500:]}{ran.stderr[-500:]}"


def main():
    if not os.path.exists(LIB):
        print("1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)")
        return
    system, ours = run("conformance", lib=None), run("conformance")
    differing = [f"system: {one}\nlibebb: {other}" for one, other
                 in zip(system.stdout.splitlines(), ours.stdout.splitlines()) if one != other]
    report(system.stdout.count("\n") > 800 and system.stdout == ours.stdout
           and ours.returncode == 0, "each entry with each edge answers as the system's malloc",
           "\n".join(differing) or said(ours))
    for seed in range(LONGER):
        for threads, words in ((1, ["trim"]), (4, ["trim"]), (3, ["fork", "trim"])):
            rounds = 16000 if "fork" in words else 60000
            ran = run("stress", seed, rounds, threads, *words)
            report(ran.returncode == 0, f"nothing is spoiled: seed {seed}, {threads} threads, "
                   + " and ".join(words), said(ran))
    ran = run("forks", 60 * LONGER)
    report(ran.returncode == 0, "children of a busy process go on", said(ran))
    ran = run("threads", 8000 * LONGER)
    last = int(ran.stdout.split()[-1]) if ran.stdout.startswith("resident:") else -1
    report(ran.returncode == 0 and 0 < last < RESIDENT_KIB_MAX,
           "memory is flat over thousands of threads", said(ran))
    done()


main()
