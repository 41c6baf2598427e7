#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb reclaim where it must not, may not or can no longer: rights one by one, old kernels, processes
# without memory, targets that end or change in the middle. Never half of the work without a word.
# timeout: 120
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from keeping import keeping  # noqa: E402
from reclaiming import (MIB, Target, may_see_frames, reclaim, refuse_process_madvise,  # noqa: E402
                        rollup, run)

NOBODY = "65534"
BATCHES = 4 * MIB


def refused(report, status, why, needs=""):
    return (report["outcome"] == "refused" and report["status"] == status and
            why in report["refusal"] and needs in (report["needs"] or "") and
            why in report["stderr"])


def kept(target):
    return rollup(target.pid, "LazyFree") > 28 * MIB


def other_users():
    with Target() as target:
        target.tell("map a small 32", "free a")
        report = reclaim(target.pid, prefix=["setpriv", "--reuid", NOBODY, "--clear-groups"])
        tap.report(report["status"] == 4 and "CAP_SYS_PTRACE" in
                   (report["needs"] or report["stderr"]) and kept(target),
                   "another user's process: refused, with the capability that helps", report)


def without_nice():
    with Target() as target:
        target.tell("map a small 32", "free a")
        report = reclaim(target.pid, prefix=["setpriv", "--bounding-set=-sys_nice"])
        tap.report(refused(report, 4, "CAP_SYS_NICE", "CAP_SYS_NICE") and kept(target),
                   "without CAP_SYS_NICE: refused, and it is named", report)


def runtime_without_nice():
    """Its malloc is asked all the same; the pages are skipped, with the reason."""
    with keeping({}) as program:
        lacking = ["setpriv", "--bounding-set=-sys_nice"]
        report = reclaim(program.pid, "--runtime", prefix=lacking)
        if not any(step["what"].startswith("ask glibc") for step in report["steps"]):
            tap.skip("--runtime without CAP_SYS_NICE", "no glibc, or calls are not possible here")
            return
        states = [step["state"] for step in report["steps"]]
        tap.report(report["status"] == 0 and states == ["done", "skipped"] and
                   "CAP_SYS_NICE" in report["steps"][1]["result"] and not report["refusal"] and
                   report["after"]["rss_bytes"] < report["before"]["rss_bytes"] - 16 * MIB,
                   "--runtime without CAP_SYS_NICE: malloc gives back, and what is skipped is told",
                   report)
        # Now malloc has nothing left: what is refused then is all that was asked for.
        report = reclaim(program.pid, "--runtime", prefix=lacking)
        tap.report(refused(report, 4, "CAP_SYS_NICE", "CAP_SYS_NICE"),
                   "and a refusal where malloc has nothing to give back", report)


def without_frames():
    """Coarse: by mappings, where that can do no harm; huge pages are left alone."""
    with Target() as target:
        target.tell("map a small 32", "map b small 4", "map live small 16", "map huge huge 16",
                    "free a", "write a 0 4096", "free b")
        report = reclaim(target.pid, prefix=["setpriv", "--bounding-set=-sys_admin"])
        if report["outcome"] == "refused":
            tap.report(refused(report, 4, "frame numbers are hidden", "CAP_SYS_ADMIN") and
                       kept(target), "without frame numbers, where that would harm: refused",
                       report)
            return
        tap.report(report["outcome"] == "done" and report["after"]["lazy_bytes"] <= BATCHES,
                   "without frame numbers: by mappings", report)
        tap.report("Frame numbers are hidden" in report["notes"][0], "and says so", report)
        before, after = report["before"], report["after"]
        tap.report(before["anon_huge_bytes"] == after["anon_huge_bytes"] and
                   before["swap_bytes"] == after["swap_bytes"], "huge pages and swap do not change",
                   report)
        tap.report(target.wrong("live") == (0, 0) and target.wrong("huge") == (0, 0) and
                   target.wrong("a 0 4096") == (0, 0), "live data is intact")


def coarse_beside_huge_pages():
    """In one mapping: the free small pages go, the huge ones stay as they are."""
    with Target() as target:
        target.tell("map a huge 64", "free a 0 1024", "free a 8192 1024")
        if rollup(target.pid, "AnonHugePages") < 50 * MIB:
            tap.skip("coarse beside huge pages", "the kernel gives no huge pages here")
            return
        report = reclaim(target.pid, prefix=["setpriv", "--bounding-set=-sys_admin"])
        if report["outcome"] == "refused":
            tap.skip("coarse beside huge pages", report["refusal"])
            return
        before, after = report["before"], report["after"]
        tap.report(before["anon_huge_bytes"] == after["anon_huge_bytes"],
                   "coarse mode splits no huge page", report)
        wrong, zero = target.wrong("a")
        tap.report(wrong == 0 and zero * 8 <= 2 * MIB, "and drops nothing but what was freed",
                   (wrong, zero))


def old_kernel():
    with Target() as target:
        target.tell("map a small 32", "free a")
        ran = run(target.pid, preexec_fn=refuse_process_madvise)
        tap.report(ran.returncode == 1 and "5.10" in ran.stdout + ran.stderr and kept(target),
                   "a kernel without process_madvise(): refused, with what would do", ran)


def kernel_thread():
    """One of those that are seen here, by its flag; None in a container."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                flags = int(file.read().rpartition(")")[2].split()[6])
        except OSError:
            continue
        if flags & 0x00200000:
            return entry
    return None


def without_memory():
    thread = kernel_thread()
    if thread:
        ran = run(thread)
        tap.report(ran.returncode == 1 and "kernel thread" in (ran.stdout + ran.stderr),
                   "a kernel thread has nothing to take", ran)
    else:
        tap.skip("a kernel thread has nothing to take", "no kernel thread is seen here")
    with subprocess.Popen(["true"]) as child:
        time.sleep(0.2)
        ran = run(child.pid)
        said = ran.stdout + ran.stderr
        tap.report(ran.returncode != 0 and ("zombie" in said or "ended" in said),
                   "nor has a zombie", ran)
    ran = run("4194303")
    tap.report(ran.returncode == 3 and ran.stdout == "", "nor one that is not there", ran)


def other_namespace():
    if not shutil.which("unshare"):
        tap.skip("another PID namespace", "unshare is not installed")
        return
    with Target() as target:
        target.tell("map a small 32", "free a")
        # Its /proc is that of another namespace: the numbers in it are not its own.
        report = reclaim(target.pid, prefix=["unshare", "--pid", "--fork"])
        tap.report(refused(report, 1, "PID namespace") and kept(target),
                   "another PID namespace: refused", report)


def disturbed(delay_ms, disturb):
    """(exit status, stdout, stderr) of ebb when the target is disturbed meanwhile; does it live?"""
    with Target() as target:
        target.tell("map a small 128", "free a")
        ebb = subprocess.Popen([os.environ["EBB"], "reclaim", "--bite=256KiB", str(target.pid)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(delay_ms / 1000)
        disturb(target.child)
        out, err = ebb.communicate(timeout=30)
        return ebb.returncode, out, err, target.child.poll() is None


def in_the_middle(what, disturb, is_good):
    """Whatever instant it is, ebb says one of few things."""
    statuses = set()
    for delay_ms in range(0, 60, 4):
        status, out, err, lives = disturbed(delay_ms, disturb)
        if not is_good(status, err, lives) or not out + err:
            tap.report(False, what, f"{status}\n{out}\n{err}")
            return
        statuses.add(status)
    tap.report(3 in statuses, f"{what} is told of", statuses)


def call_exec(child):
    child.stdin.write("exec\n")
    child.stdin.flush()


def ends_in_the_middle():
    in_the_middle("a target that ends in the middle", lambda child: child.kill(),
                  lambda status, err, lives: status in (0, 3))


def execs_in_the_middle():
    # 1: it was read in the very moment of the change.
    in_the_middle("a target that calls exec in the middle", call_exec,
                  lambda status, err, lives: lives and
                  (status in (0, 3) or (status == 1 and "called exec" in err)))


def main():
    if not may_see_frames():
        tap.skip("rights of ebb reclaim", "needs root in the first user namespace to give up")
        tap.done()
        return
    if shutil.which("setpriv"):
        other_users()
        without_nice()
        runtime_without_nice()
        without_frames()
        coarse_beside_huge_pages()
    else:
        tap.skip("rights one by one", "setpriv is not installed")
    old_kernel()
    without_memory()
    other_namespace()
    ends_in_the_middle()
    execs_in_the_middle()
    tap.done()


main()
