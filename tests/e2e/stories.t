#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The stories that ebb comes from, with real programs: what freed memory looks like and what ebb
# says of it.
# timeout: 180
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB, SRC = os.environ["EBB"], os.environ["SRC"]


def explain(pid, *options):
    run = subprocess.run([EBB, "explain", "--json", *options, str(pid)], capture_output=True,
                         text=True, check=False)
    return json.loads(run.stdout), run.returncode


class Service:
    """The Go service of released-but-resident, ended by its pid."""

    def __init__(self, binary, environment, *arguments):
        self.command = [binary, *arguments]
        self.environment = {**os.environ, **environment}

    def __enter__(self):
        self.child = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True,
                                      env=self.environment)
        assert self.child.stdout.readline() == "ready\n"
        return self.child.pid

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def row(account, name):
    return sum(entry["bytes"] for entry in account["account"] if entry["row"] == name)


def go_gives_back_lazily(binary):
    with Service(binary, {"GODEBUG": "madvdontneed=0"}, "512", "10") as pid:
        account, status = explain(pid, "--exit-code")
        tap.report(status == 11, "released-but-resident: the exit status says lazy", status)
        lazy, rss = account["lazy_bytes"], account["rss_bytes"]
        tap.report(lazy > 400 << 20, "released-but-resident: 90 % of the burst is lazy", lazy)
        tap.report(rss - lazy == account["effective_rss_bytes"], "effective RSS is RSS - lazy")
        ledger = account["runtimes"][0]["ledger"]
        difference = abs(ledger["HeapReleased"] - lazy)
        tap.report(difference < 32 << 20, "HeapReleased and LazyFree tell the same",
               f"{ledger['HeapReleased']} {lazy}")
        before = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
        for _ in range(50):
            explain(pid)
        after = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
        # Fields 10 and 12 of stat: minor and major faults. A target at rest must have none.
        tap.report(int(after[7]) - int(before[7]) < 50 and after[9] == before[9],
               "50 readings bring no page of the target in", f"{before[7]} {after[7]}")
        again, _ = explain(pid)
        tap.report(again["lazy_bytes"] >= lazy, "50 readings take no lazy page back",
               f"{lazy} {again['lazy_bytes']}")


def go_gives_back_at_once(binary):
    with Service(binary, {"GODEBUG": "madvdontneed=1"}, "512", "10") as pid:
        account, _ = explain(pid)
        tap.report(account["verdict"]["name"] == "in-use", "with madvdontneed=1 the same is in use",
               account["verdict"])
        tap.report(account["lazy_bytes"] == 0, "with madvdontneed=1 nothing is lazy",
               account["lazy_bytes"])


def go_leaks():
    """A process that grows is told from one that stands still."""
    code = ("import time\nkeep = []\nprint('ready', flush=True)\n"
            "while True:\n    keep.append(bytearray(2 << 20)); time.sleep(0.1)\n")
    with Service(sys.executable, {}, "-c", code) as pid:
        account, status = explain(pid, "--for", "4s", "--exit-code")
        tap.report(status == 14, "a leak is growing", account["verdict"])
        slope = account["growth"]["effective"]["slope_bytes_per_s"]
        tap.report(10e6 < slope < 30e6, "its slope is about 20 MB/s", slope)
    code = "import time\nkeep = bytearray(80 << 20)\nprint('ready', flush=True)\ntime.sleep(60)\n"
    with Service(sys.executable, {}, "-c", code) as pid:
        account, status = explain(pid, "--for", "2s", "--exit-code")
        tap.report(status == 15, "what stands still is in use", account["verdict"])


def main():
    go_leaks()
    if not shutil.which("go"):
        tap.skip("released-but-resident", "go is not installed")
    else:
        with tempfile.TemporaryDirectory() as folder:
            binary = f"{folder}/api"
            subprocess.run(["go", "build", "-o", binary, f"{SRC}/tests/e2e/go/burst.go"],
                           check=True, env={"GOCACHE": f"{folder}/cache", **os.environ,
                                            "GO111MODULE": "off"})
            go_gives_back_lazily(binary)
            go_gives_back_at_once(binary)
    tap.done()


main()
