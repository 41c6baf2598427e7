#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# `ebb explain --ask` against what the program says of itself: tcmalloc's and jemalloc's statistics
# by calls; mimalloc, which is read from outside; and refusals, which leave the rest as it was.
# timeout: 120
# beside: others
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "allocators")]
import running as at  # noqa: E402
from keeping import keeping  # noqa: E402
from running import check, installed, ledger, rows, runtime, skip  # noqa: E402

# An answer's own call may move a batch from one cache to another.
NEAR_BYTES = 256 << 10


def ask(pid, *options):
    done = subprocess.run([at.EBB, "explain", "--ask", "--json", *options, str(pid)],
                          capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout) if done.stdout else None


def near(a, b, limit=NEAR_BYTES):
    return a is not None and b is not None and abs(a - b) <= limit


def owned(report, name):
    """Bytes of each row that belong to this runtime, and their errors."""
    sums, errors = {}, {}
    for entry in report["account"]:
        if entry["runtime"] == name:
            sums[entry["row"]] = sums.get(entry["row"], 0) + entry["bytes"]
            errors[entry["row"]] = errors.get(entry["row"], 0) + entry["error_bytes"]
    return sums, errors


def check_account(label, report, calls):
    """What holds for every account; and that it was asked, or not."""
    check(sum(rows(report).values()) == report["rss_bytes"], f"{label}: rows sum to RSS",
          rows(report))
    if calls:
        check(report.get("ask", {}).get("calls", 0) > 0 and report["ask"]["longest_stop_ns"] > 0,
              f"{label}: the cost is told", report.get("ask"))
    else:
        check("ask" not in report, f"{label}: nothing was called", report.get("ask"))


def tcmalloc(file):
    path = installed(file)
    if not path:
        skip(file, f"{file} is not installed")
        return
    with keeping({"LD_PRELOAD": path, "TCMALLOC_RELEASE_RATE": "0"}, threads=3) as program:
        held = at.explain(program.pid)
        check(rows(held).get("held", 0) > 50 << 20 and
              any("--ask" in entry["needs"] for entry in held["unread"]),
              f"{file}: without --ask it is held, and says what would help", held["unread"])
        check_account(f"{file}, not asked", held, calls=False)
        before = program.ask("digest")
        said, report = program.stats(), ask(program.pid)
        check_account(file, report, calls=True)
        sums, errors = owned(report, "tcmalloc")
        print(f"# {file}: {sums} errors {errors} said {said}")
        check(near(sums.get("in_use"), said["generic.current_allocated_bytes"]),
              f"{file}: in use is what it says itself", (sums, said))
        # Sizes that the program asked for, rounded up to classes: all of its blocks.
        check(near(sums.get("in_use"), said["usable"], 1 << 20),
              f"{file}: and what the program's blocks are", (sums, said))
        kept, free = sums.get("kept", 0), said["tcmalloc.pageheap_free_bytes"]
        check(near(kept + errors.get("kept", 0), free) or near(kept, free),
              f"{file}: kept is its free pages, as far as they are resident", (sums, errors, said))
        check(sums.get("held", 0) < 4 << 20, f"{file}: next to nothing is held", sums)
        check(program.ask("digest") == before, f"{file}: its blocks are what they were")
        program.ask("work")
        check(program.ask("digest") == before, f"{file}: and are so after more work")


def jemalloc():
    path = installed("libjemalloc.so.2")
    if not path:
        skip("jemalloc", "libjemalloc.so.2 is not installed")
        return
    with keeping({"LD_PRELOAD": path, "MALLOC_CONF": "dirty_decay_ms:-1"}, threads=3) as program:
        said, report = program.stats(), ask(program.pid)
        check_account("jemalloc", report, calls=True)
        found = runtime(report, "jemalloc")
        for name in ("allocated", "active", "retained"):
            inside, asked = said[f"stats.{name}"], ledger(found, f"mallctl {name}")
            read = ledger(found, name)
            check(near(inside, asked) and near(asked, read),
                  f"jemalloc: {name}: asked, read and said are the same", (asked, read, inside))
        dirty = ledger(found, "mallctl dirty")
        check(near(dirty, ledger(found, "dirty")), "jemalloc: dirty: asked and read are the same",
              (dirty, ledger(found, "dirty")))


def unread_jemalloc():
    """Extents that cannot be read, here for want of time: then the statistics are all there is."""
    path, label = installed("libjemalloc.so.2"), "jemalloc without time"
    if not path:
        skip(label, "libjemalloc.so.2 is not installed")
        return
    with keeping({"LD_PRELOAD": path, "MALLOC_CONF": "dirty_decay_ms:-1"}, threads=3) as program:
        said, report = program.stats(), ask(program.pid, "--budget", "1ms")
        check_account(label, report, calls=True)
        sums, errors = owned(report, "jemalloc")
        print(f"# {label}: {sums} errors {errors} said {said}")
        check(any("asked" in entry["source"] for entry in report["account"]),
              f"{label}: the parts are what it answered", report["account"])
        check(near(sums.get("in_use"), said["stats.allocated"]),
              f"{label}: in use is what it says itself", (sums, said))
        check(sums.get("kept", 0) > 50 << 20, f"{label}: dirty pages are kept", sums)
        check(sums.get("held", 0) < 4 << 20, f"{label}: next to nothing is held", sums)


def mimalloc():
    """No function of its own tells what is in use: it is read from outside, with and without."""
    path = installed("libmimalloc.so.2")
    if not path:
        skip("mimalloc", "libmimalloc.so.2 is not installed")
        return
    for threads in (1, 4):
        with keeping({"LD_PRELOAD": path}, threads=threads) as program:
            said, report = program.stats(), ask(program.pid)
            label = f"mimalloc, {threads} threads"
            found = runtime(report, "mimalloc")
            if not found["version"] == "2.0.9":
                check(rows(report).get("held", 0) > 0, f"{label}: held", found)
                continue
            sums, _ = owned(report, "mimalloc")
            print(f"# {label}: {sums} said {said}")
            check_account(label, report, calls=False)
            check(near(sums.get("in_use"), said["usable"], 1 << 20),
                  f"{label}: in use is what the program's blocks are", (sums, said))
            check(sums.get("kept", 0) > 50 << 20 and sums.get("held", 0) == 0,
                  f"{label}: what was freed is kept, nothing is held", sums)
            unexplained = rows(report).get("unexplained", 0)
            check(unexplained < 4 << 20, f"{label}: next to nothing is unexplained", unexplained)


def refused(folder):
    """Where no call can be made, the words stand in the account, and the rest is as before."""
    path, strace = installed("libtcmalloc_minimal.so.4"), shutil.which("strace")
    if not path or not strace:
        skip("refused", "libtcmalloc_minimal.so.4 or strace is not installed")
        return
    with keeping({"LD_PRELOAD": path}) as program:
        # Nobody else may stop what has a tracer.
        tracer = subprocess.Popen([strace, "-o", f"{folder}/log", "-p", str(program.pid)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while tracer_of(program.pid) == 0 and time.monotonic() < deadline:
                time.sleep(0.02)
            report = ask(program.pid)
            check(report and rows(report).get("held", 0) > 50 << 20, "traced: it is held",
                  report and rows(report))
            words = " ".join(entry["what"] + " " + entry["needs"] for entry in report["unread"])
            print(f"# {words}")
            check(f"process {tracer.pid} traces" in words, "traced: it says who is in the way",
                  words)
            check_account("traced", report, calls=False)
        finally:
            tracer.terminate()
            tracer.wait()


def tracer_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("TracerPid:"))


def glibc():
    """Read from outside; asked, its own words say the same."""
    with keeping({}) as program:
        report = ask(program.pid)
        check_account("glibc", report, calls=True)
        ledger = next(r["ledger"] for r in report["runtimes"] if r["name"] == "glibc")
        check(ledger.get("mallinfo2 arena", 0) > 0 and
              all(abs(ledger[f"mallinfo2 {name}"] - ledger[name]) <= 4096
                  for name in ("arena", "uordblks", "fordblks", "hblkhd")),
              "glibc: mallinfo2 says what was read from outside", ledger)


def usage():
    for options in (["--all", "--ask"], ["--ask", "--proc-root", "/nowhere", "1"]):
        done = subprocess.run([at.EBB, "explain", *options], capture_output=True, check=False)
        check(done.returncode == 2, f"usage: {' '.join(options)}", done.stderr)


tcmalloc("libtcmalloc_minimal.so.4")
tcmalloc("libtcmalloc.so.4")
jemalloc()
unread_jemalloc()
mimalloc()
with tempfile.TemporaryDirectory() as scratch:
    refused(scratch)
glibc()
usage()
sys.exit(at.finish())
