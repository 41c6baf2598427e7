#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A tiny form of bench/programs/run: every figure is there and plausible, what goes wrong is told,
# and neither a server nor a folder is left, also where the bench is ended. How long anything takes
# is not looked at.
# beside: others
import glob
import json
import os
import signal
import subprocess
import sys
import time

BUILD, SRC, SCRATCH = os.environ["BUILD"], os.environ["SRC"], os.environ["TMPDIR"]
RUN = f"{SRC}/bench/programs/run"
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), f"{SRC}/bench/programs",
                f"{SRC}/bench/malloc", f"{SRC}/bench"]

import rounds  # noqa: E402  (the path above comes first)
import servers  # noqa: E402
import trees  # noqa: E402
from allocators import Allocator  # noqa: E402
from tap import done, report, skip  # noqa: E402

MALLOCS = [Allocator("libebb", f"{BUILD}/libebb.so"), Allocator("system")]


def left():
    """What a bench has left: folders, and processes that work in one."""
    found = glob.glob(f"{SCRATCH}/ebb-bench-*")
    for link in glob.glob("/proc/[0-9]*/cwd"):
        try:
            path = os.readlink(link)
        except OSError:
            continue
        if path.startswith(f"{SCRATCH}/ebb-bench-"):
            found.append(f"{link} {path}")
    return found


def check_tiny():
    path = f"{SCRATCH}/results.json"
    ran = subprocess.run([RUN, "--only", "^(command/sort|server/memcached)$", "--rounds", "1",
                          "--percent", "2", "--json", path], capture_output=True, text=True,
                         check=False, timeout=100)
    report(ran.returncode == 0 and "sort" in ran.stdout and not left(),
           "a tiny form runs, and leaves nothing", f"{ran.stdout}{ran.stderr}{left()}")
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    if "server/memcached" in results["skipped"]:
        skip("a server", results["skipped"]["server/memcached"])
    for name, row in results["programs"].items():
        good = row["same"] and 0.5 < row["peak_ratio"] < 2 and all(
            0 <= row[one]["cpu_s"] < 60 and 1000 < row[one]["peak_kib"] < 100000
            and len(row[one]["runs"]) == 1 for one in ("system", "libebb"))
        if name.startswith("server/"):
            good = good and all(1000 < row[one]["effective_kib"] <= row[one]["rss_kib"]
                                <= row[one]["peak_kib"] for one in ("system", "libebb"))
        report(good, f"{name}: CPU and memory, with the same answers", row)


class Sleeper(servers.Server):
    """A server that says what a preloaded library might, and leaves a child behind."""
    text = 'sleep 60 & [ -z "$LD_PRELOAD" ] || echo "ebb: fatal: made up"; exec sleep 60'

    def configure(self):
        pass

    def command(self):
        return ["sh", "-c", self.text]

    def is_up(self):
        return len(trees.descendants(os.getpid())) > 1

    def load(self, child):
        return "the answer"


class Ended(Sleeper):
    text = "echo why; exit 3"


class Loading(Sleeper):
    def load(self, child):
        raise ConnectionRefusedError("nobody answers")


def check_wrong():
    trees.adopt_orphans()
    rounds.SETTLE_S = 0

    def compare(row):
        # Where the library is must be open to those without rights.
        return rounds.compare(rounds.Server(row, SCRATCH, 100), MALLOCS, 1)
    row = compare(Sleeper)
    report(row.get("same") is False and "ebb: fatal: made up" in str(row["answers"])
           and "status -15" in str(row["answers"]),
           "a line of libebb's is not the same answer", row)
    report(not trees.descendants(os.getpid()), "what a server leaves behind is ended")
    row = compare(Ended)
    report("status 3" in row.get("failed", "") and "why" in row["failed"],
           "a server that does not come up is told", row)
    row = compare(Loading)
    report("nobody answers" in row.get("failed", "") and not trees.descendants(os.getpid()),
           "a load that fails is told, and the server ended", row)
    row = rounds.compare(rounds.Server(Sleeper, SCRATCH, 100),
                         [Allocator("libebb", "/nowhere/none.so"), MALLOCS[1]], 1)
    report("/nowhere/none.so is not in all" in row.get("failed", ""),
           "a library that is not there is told", row)


def check_ended():
    """SIGTERM while a server runs."""
    if not servers.find("memcached"):
        skip("ended while a server runs", "memcached is not installed")
        return
    bench = subprocess.Popen([RUN, "--only", "server/memcached", "--percent", "20"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while len(left()) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    seen = left()
    bench.send_signal(signal.SIGTERM)
    status = bench.wait(60)
    report(len(seen) >= 2 and status == 1 and not left(),
           "ended while a server runs, it leaves nothing", f"{seen}\n{status}\n{left()}")


def main():
    if not os.path.exists(MALLOCS[0].lib):
        print("1..0 # SKIP this build has no libebb.so")
        return
    check_tiny()
    check_wrong()
    check_ended()
    done()


main()
