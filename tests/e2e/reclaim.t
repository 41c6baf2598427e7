#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb reclaim: lazily freed memory goes at once, page by page, and nothing else does. With the
# stories released-but-resident (Go) and game-server (jemalloc) on real programs.
# timeout: 240
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import real_programs  # noqa: E402
import tap  # noqa: E402
from reclaiming import (MIB, Target, may_see_frames, reclaim, rollup, run, swap_file,  # noqa: E402
                        untouched)

SRC = os.environ["SRC"]
BATCHES = 4 * MIB  # what may wait in the kernel's batches of each processor


def small_pages():
    with Target() as target:
        target.tell("map free small 256", "map live small 64", "map huge huge 32", "free free")
        plan = reclaim(target.pid, "--dry-run")
        tap.report(plan["outcome"] == "planned" and rollup(target.pid, "LazyFree") > 255 * MIB,
                   "--dry-run changes nothing", plan)
        report = reclaim(target.pid)
        before, after = report["before"], report["after"]
        tap.report(report["outcome"] == "done" and report["status"] == 0, "done", report)
        tap.report(after["lazy_bytes"] <= BATCHES, "LazyFree is gone", report)
        fell = before["rss_bytes"] - after["rss_bytes"]
        tap.report(fell > 256 * MIB - BATCHES, "RSS falls by it", report)
        tap.report(before["virtual_bytes"] == after["virtual_bytes"] and
                   before["swap_bytes"] == after["swap_bytes"], "VIRT and swap do not change",
                   report)
        tap.report(before["anon_huge_bytes"] == after["anon_huge_bytes"] >= 30 * MIB,
                   "live huge pages stay", report)
        tap.report(target.wrong("live") == (0, 0) and target.wrong("huge") == (0, 0),
                   "live data is intact")
        wrong, zero = target.wrong("free")
        tap.report(wrong == 0 and zero * 8 > 256 * MIB - BATCHES, "what was freed reads as zero",
                   (wrong, zero))
        waited = report["waited"]
        tap.report("mmap" in waited["what"] and waited["longest_seconds"] > 0,
                   "the report tells how long mmap waited", waited)
        again = reclaim(target.pid)
        tap.report(again["status"] == 0 and untouched(again, "in use again") == 0,
                   "a second run finds nothing in use", again)


def written_again():
    with Target() as target:
        target.tell("map a small 64", "free a", "write a 0 16384", "write a 32768 4")
        report = reclaim(target.pid)
        kept = untouched(report, "in use again")
        tap.report(kept == (16 * MIB) + 4096, "what was written again is counted", report)
        tap.report(target.wrong("a 0 16384") == (0, 0) and target.wrong("a 32768 4") == (0, 0),
                   "what was written again is kept")
        again = reclaim(target.pid)
        tap.report(untouched(again, "in use again") == 0,
                   "the kernel knows of it from then on", again)


def locked():
    with Target() as target:
        # Other mappings wait until all of the first is drained.
        target.tell("map a small 16", "map b small 4", "free a", "free b", "lock a 0 8192")
        report = reclaim(target.pid)
        tap.report(untouched(report, "locked") == 8 * MIB, "locked pages are told and left",
                   report)
        tap.report(target.wrong("a 0 8192") == (0, 0), "they stay in memory")


def shared():
    with Target() as target:
        target.tell("map a small 32", "map b small 4", "free a", "free b")
        child, = target.tell("fork")
        report = reclaim(target.pid)
        bytes_shared = untouched(report, "shared with a fork")
        tap.report(abs(bytes_shared - 36 * MIB) <= BATCHES, "pages shared with a fork are left",
                   report)
        why = [row["why"] for row in report["untouched"] if row["what"] == "shared with a fork"]
        tap.report(why and f"PID {child} (" in why[0], "the fork is named", why)
        target.tell("unfork")
        report = reclaim(target.pid)
        tap.report(report["after"]["lazy_bytes"] <= BATCHES, "without it they go", report)


def huge_pages():
    with Target() as target:
        target.tell("map a huge 64", "map live huge 32")
        if rollup(target.pid, "AnonHugePages") < 90 * MIB:
            tap.skip("huge pages", "the kernel gives no huge pages here")
            return
        # Two huge pages in use again among thirty free ones: not split, or mended.
        target.tell("free a", "write a 4096 2048", "write a 40960 4")
        report = reclaim(target.pid)
        tap.report(report["after"]["lazy_bytes"] == 0, "wholly free huge pages go", report)
        tap.report(report["after"]["anon_huge_bytes"] == 36 * MIB,
                   "live ones, and those in use again, are mapped as huge pages still", report)
        tap.report(target.wrong("live") == (0, 0) and target.wrong("a 4096 2048") == (0, 0) and
                   target.wrong("a 40960 4") == (0, 0), "their data is intact")
        # Most of them in use again: free ones cannot be told from them.
        target.tell("fill a", "map c huge 64", "free c", "write c 0 51200")
        report = reclaim(target.pid)
        tap.report(untouched(report, "in huge pages") == 64 * MIB and
                   report["after"]["anon_huge_bytes"] == report["before"]["anon_huge_bytes"],
                   "where most are in use again they are left", report)
        free = rollup(target.pid, "LazyFree")
        tap.report(free > 8 * MIB and abs(report["after"]["lazy_bytes"] - free) <= BATCHES,
                   "what is free among them is told", (free, report["after"]))
        report = reclaim(target.pid, "--force")
        tap.report(report["after"]["lazy_bytes"] == 0 and target.wrong("c 0 51200") == (0, 0),
                   "--force takes the free ones", report)


def with_swap():
    name = "with swap on, pages written again are kept, not swapped"
    with swap_file() as problem, Target() as target:
        if problem:
            tap.skip(name, problem)
            return
        target.tell("map a small 128", "map live small 64", "free a", "write a 0 65536")
        report = reclaim(target.pid)
        # The kernel may have found some of them written by itself just before: not every time.
        for _ in range(3):
            if untouched(report, "in use again") == 64 * MIB:
                break
            target.tell("fill a", "free a", "write a 0 65536")
            report = reclaim(target.pid)
        tap.report(report["after"]["swap_bytes"] == 0 and
                   untouched(report, "in use again") == 64 * MIB, name, report)
        tap.report(report["after"]["lazy_bytes"] <= BATCHES, "the others go", report)
        tap.report(target.wrong("a 0 65536") == (0, 0) and target.wrong("live") == (0, 0),
                   "data is intact")


def stopped_and_small_bites():
    with Target() as target:
        target.tell("map a small 64", "free a")
        os.kill(target.pid, signal.SIGSTOP)
        report = reclaim(target.pid, "--bite", "256KiB")
        tap.report(report["outcome"] == "done" and report["after"]["lazy_bytes"] <= BATCHES,
                   "a target stopped by SIGSTOP needs not run for it", report)
        os.kill(target.pid, signal.SIGCONT)
        tap.report("in 2" in report["steps"][0]["result"], "bites are as small as asked for",
                   report)


def stopped_by_ctrl_c():
    with Target() as target:
        target.tell("map a small 1024", "free a")
        child = subprocess.Popen([os.environ["EBB"], "reclaim", "--bite=256KiB", str(target.pid)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        full = rollup(target.pid, "Rss")
        while rollup(target.pid, "Rss") > full - 64 * MIB and child.poll() is None:
            time.sleep(0.002)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=30)
        if "done" in out.splitlines()[0]:
            tap.skip("Ctrl-C", "the work was done before the signal came")
            return
        tap.report(child.returncode == 1 and "stopped after" in out,
                   "Ctrl-C ends between two bites",
                   out)
        tap.report(target.wrong("a")[0] == 0, "and leaves the target in order")


def one_at_a_time():
    with Target() as target:
        target.tell("map a small 32", "free a")
        # The lock that an ebb at work holds.
        directory = os.open(f"/proc/{target.pid}", os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(directory, fcntl.LOCK_EX)
        report = reclaim(target.pid)
        tap.report(report["outcome"] == "refused" and "another ebb" in report["refusal"] and
                   report["status"] == 1 and rollup(target.pid, "LazyFree") > 28 * MIB,
                   "a second ebb is refused while the first is at work", report)
        os.close(directory)
        tap.report(reclaim(target.pid)["outcome"] == "done", "and not afterwards")


GROUP = "/sys/fs/cgroup/memory/ebb-reclaim-test"


def make_group():
    try:
        os.makedirs(f"{GROUP}/below", exist_ok=True)
        return os.path.exists(f"{GROUP}/memory.force_empty")
    except OSError:
        return False


def join(folder, pid):
    with open(f"{folder}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(pid))


def group():
    if not make_group():
        tap.skip("groups", "no memory controller of version 1 that may be written")
        return
    try:
        with Target() as first, Target() as second, Target() as other:
            join(GROUP, first.pid)
            join(f"{GROUP}/below", second.pid)
            for target in (first, second, other):
                target.tell("map a small 32", "free a")
            ran = run("--cgroup", "/ebb-reclaim-test")
            left = [rollup(target.pid, "LazyFree") for target in (first, second)]
            tap.report(ran.returncode == 0 and max(left) <= BATCHES,
                       "--cgroup: every process of the group and of those below", ran)
            tap.report(rollup(other.pid, "LazyFree") > 24 * MIB, "and no other")
            tap.report(f"{first.pid}" in ran.stdout and f"{second.pid}" in ran.stdout and
                       "sum" in ran.stdout, "a table with a sum", ran.stdout)
            first.tell("fill a", "free a")
            ran = run("--cgroup", GROUP, "--kernel")
            tap.report(ran.returncode == 0 and rollup(first.pid, "LazyFree") <= BATCHES and
                       "page cache" in ran.stdout, "--kernel asks the kernel, with a warning", ran)
    finally:
        for folder in (f"{GROUP}/below", GROUP):
            for _ in range(50):
                try:
                    os.rmdir(folder)
                    break
                except OSError:
                    time.sleep(0.05)


def go_service(folder):
    if not shutil.which("go"):
        tap.skip("released-but-resident", "go is not installed")
        return
    binary = f"{folder}/api"
    subprocess.run(["go", "build", "-o", binary, f"{SRC}/tests/e2e/go/burst.go"], check=True,
                   env={"GOCACHE": f"{folder}/cache", **os.environ, "GO111MODULE": "off"})
    with subprocess.Popen([binary, "512", "10"], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "GODEBUG": "madvdontneed=0"}) as child:
        try:
            child.stdout.readline()
            report = reclaim(child.pid)
            before, after = report["before"], report["after"]
            tap.report(before["lazy_bytes"] > 400 * MIB and after["lazy_bytes"] <= BATCHES and
                       after["rss_bytes"] < before["rss_bytes"] - 400 * MIB,
                       "released-but-resident: the burst of a Go service goes", report)
            tap.report(child.poll() is None, "the service lives on")
        finally:
            child.kill()


def ask(client, *words):
    client.sendall(b"".join([b"*%d\r\n" % len(words)] +
                            [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]))
    answer = b""
    while not answer.endswith(b"\r\n"):
        answer += client.recv(4096)
    return answer


MUZZY = "background_thread:true,dirty_decay_ms:100,muzzy_decay_ms:-1"


def game_server(folder):
    try:
        command = [real_programs.need("redis-server")]
    except real_programs.Missing as missing:
        tap.skip("game-server", missing)
        return
    port = real_programs.free_port()
    command += ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
                "--enable-debug-command", "local"]
    environment = {**os.environ, "MALLOC_CONF": MUZZY, "JE_MALLOC_CONF": MUZZY}
    with real_programs.process(command, f"{folder}/redis.log", env=environment) as child:
        real_programs.wait_for(real_programs.listens(port), "redis")
        with socket.create_connection(("127.0.0.1", port)) as client:
            ask(client, b"DEBUG", b"POPULATE", b"100000", b"stay", b"200")
            ask(client, b"SELECT", b"1")
            ask(client, b"DEBUG", b"POPULATE", b"300000", b"go", b"500")
            # SYNC would have redis purge the arenas itself, and for good.
            ask(client, b"FLUSHDB", b"ASYNC")
            digest = ask(client, b"DEBUG", b"DIGEST")
            end = time.monotonic() + 30
            while rollup(child.pid, "LazyFree") < 100 * MIB and time.monotonic() < end:
                time.sleep(0.05)
            # Until nothing more becomes free.
            time.sleep(0.5)
            if rollup(child.pid, "LazyFree") < 100 * MIB:
                tap.skip("game-server", "this redis does not free lazily (not jemalloc's muzzy)")
                return
            report = reclaim(child.pid)
            before, after = report["before"], report["after"]
            tap.report(after["rss_bytes"] < before["rss_bytes"] - 100 * MIB,
                       "game-server: redis with jemalloc gives back what it freed", report)
            tap.report(ask(client, b"DEBUG", b"DIGEST") == digest and len(digest) > 40,
                       "all keys are what they were", digest)


def main():
    if not may_see_frames():
        tap.skip("ebb reclaim, page by page", "needs root in the first user namespace")
        tap.done()
        return
    small_pages()
    written_again()
    locked()
    shared()
    huge_pages()
    stopped_and_small_bites()
    stopped_by_ctrl_c()
    one_at_a_time()
    group()
    with tempfile.TemporaryDirectory() as folder:
        game_server(folder)
        go_service(folder)
    with_swap()
    tap.done()


main()
