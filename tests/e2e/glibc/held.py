# SPDX-License-Identifier: Apache-2.0
# What the glibc test and bench share: running a test program at rest, asking it and ebb for the
# same figures.
import json
import os
import re
import subprocess
import time

BUILD = os.environ.get("BUILD", "build")
EBB = os.environ.get("EBB", os.path.join(BUILD, "ebb"))
FIELDS = ("arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost").split()
KEPT = "resident_free_pages_bytes"
KEPT_TOLERANCE_BYTES = 64 << 10

# What each scenario runs.
SCENARIOS = {
    "plain": ["glibc_plain"],
    "plain, sbrk by the program itself": ["glibc_plain", "sbrk"],
    "a brk that cannot grow": ["glibc_plain", "blocked"],
    "mapped blocks": ["glibc_mmapped", "200"],
    "one fragmented arena": ["glibc_frag", "0", "60000", "16", "3000", "60"],
    "five fragmented arenas": ["glibc_frag", "4", "20000", "16", "3000", "60"],
    "arenas of several heaps": ["glibc_frag", "2", "60000", "16", "4000", "50"],
    "trimmed": ["glibc_frag", "3", "20000", "16", "6000", "70", "trim"],
    "fastbins": ["glibc_frag", "2", "50000", "16", "120", "90"],
}


def program(command):
    return [os.path.join(BUILD, "tests", "programs", "prog_" + command[0]), *command[1:]]


class Held:
    """A test program that stands still; ask() returns its own figures."""

    def __init__(self, command, env=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **(env or {})})
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{command[0]} did not come up")

    def ask(self):
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return {name: int(value)
                for name, value in re.findall(r"(\w+)=(\d+)", self.process.stdout.readline())}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def explain(pid, budget="0"):
    """The whole answer and glibc's part of it, and how long it took."""
    start = time.monotonic()
    done = subprocess.run([EBB, "explain", "--json", "--budget=" + budget, str(pid)],
                          capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise RuntimeError(f"ebb explain: status {done.returncode}: {done.stderr.strip()}")
    answer = json.loads(done.stdout)
    found = [runtime for runtime in answer["runtimes"] if runtime["name"] == "glibc"]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} glibcs found")
    return answer, found[0], seconds


def row(answer, name):
    return sum(part["bytes"] for part in answer["account"]
               if part["row"] == name and part["runtime"] == "glibc")


def compare(answer, runtime, own):
    """Pairs of (name, ebb's figure, the program's own, what it may differ by)."""
    ledger = runtime["ledger"]
    pairs = [(name, ledger.get(name), own[name], own[name] * 0.01) for name in FIELDS]
    # The program can go through its chunks only where they lie in one piece.
    if own["walked"] < own["fordblks"] // 2:
        return pairs
    tolerance = max(own["kept"] * 0.01, KEPT_TOLERANCE_BYTES)
    pairs.append((KEPT, ledger.get(KEPT), own["kept"], tolerance))
    pairs.append(("row kept", row(answer, "kept"), own["kept"], tolerance))
    return pairs
