#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The model of tests/lib/stress.c against the release engine at rates that nobody would set, over
# forks, signals, short threads and sleep; forks in the middle of the helper's work; a storm of
# short threads. Seeds differ from run to run and are printed with what tries them again.
# timeout: 2000
# EBB_LONG: half an hour or STRESS_SECONDS of it, and a storm of 100,000 threads. STRESS_SEED: the
# first seed.
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report  # noqa: E402

BUILD = os.environ["BUILD"]
LIB = f"{BUILD}/libebb.so"
IS_LONG = bool(os.environ.get("EBB_LONG"))
SECONDS = float(os.environ.get("STRESS_SECONDS", "1800" if IS_LONG else "10"))
THREADS = 100000 if IS_LONG else 20000
# Which of some hundred slots are in use is luck, so that one by one they are touched to their ends.
# What leaks grows without a bound; two hundred bytes per thread are seen here.
GROWTH_KIB_MAX = 1536
POLICIES = ("policy:auto", "policy:free", "policy:dontneed", "policy:auto,helper:off",
            "policy:free,limit:16M", "policy:keep", "policy:auto,guard:50")
# Together they have every mode; each is short, so that a few seconds see them all.
MODES = (
    ("tight", "press", "signals"), ("sleep", "signals"), ("fork", "purge"),
    ("tight", "press", "turnover"), ("turnover", "fork", "policy"), ("resize", "purge", "signals"),
    ("tight", "press", "fork", "signals"), ("turnover", "sleep"), ("purge", "policy", "sleep"),
    ("tight", "signals", "policy"), ("fork", "sleep", "press"), ("trim", "turnover", "signals"),
    ("trim", "fork", "turnover", "signals", "purge", "policy", "sleep", "resize", "press"),
)
ROUNDS = 200000 if IS_LONG else 20000


def run(name, *arguments, conf="", timeout_s=120):
    """Status and what was said; a program that hangs is ended so that it says how to see it."""
    env = {**os.environ, "LD_PRELOAD": LIB, "EBB_CONF": conf}
    with subprocess.Popen([f"{BUILD}/tests/lib/lib_{name}", *map(str, arguments)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env) as child:
        try:
            said, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)
            said = "hangs\n" + child.communicate()[0]
        return child.returncode, said


def stress(seed, count):
    """One run: which modes and settings comes from the seed."""
    modes = MODES[count % len(MODES)]
    conf = f"return_within:10ms,{POLICIES[seed % len(POLICIES)]}"
    threads = 1 + seed // 7 % 6
    rounds = ROUNDS // 4 if "fork" in modes else ROUNDS
    status, said = run("stress", seed, rounds, threads, *modes, conf=conf)
    return status == 0, f"seed {seed}, {threads} threads, {' '.join(modes)}, {conf}: " \
        f"status {status}\n{said}"


def main():
    if not os.path.exists(LIB):
        print("1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)")
        return
    first = int(os.environ.get("STRESS_SEED") or random.randrange(1 << 30))
    began, count, bad = time.monotonic(), 0, ""
    while not bad and (time.monotonic() - began < SECONDS or count < len(MODES)):
        good, told = stress(first + count, count)
        bad = "" if good else told
        count += 1
    report(not bad, f"nothing is spoiled in {count} runs, seeds from {first}", bad)
    status, said = run("forks", 2000 if IS_LONG else 60, conf="return_within:10ms",
                       timeout_s=1000)
    report(status == 0, "children of a process whose helper works go on", said)
    status, said = run("threads", THREADS, timeout_s=500)
    grown = [0, 1 << 20]
    if said.startswith("resident:"):
        grown = [int(one) for one in said.split()[1:3]]
    report(status == 0 and grown[1] <= grown[0] + GROWTH_KIB_MAX,
           f"memory is flat over {THREADS} short threads", f"{status} {said}")
    done()


main()
