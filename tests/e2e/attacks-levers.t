#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Levers at targets that change under them: what ebb says is about the process that is there, or
# that it is no longer. And groups with kernel threads, a table of descriptors that is full, scripts
# whose interpreter nobody sees.
# timeout: 60
import json
import os
import random
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB = os.environ["EBB"]
ROUNDS = 120
# What was looked for in a program and not found in the next one, told as if it were an answer.
MISLEADING = ("could not be surveyed", "Stale file handle", "cannot be read")


def ebb(*arguments, **options):
    return subprocess.run([EBB, *map(str, arguments)], capture_output=True, text=True, check=False,
                          **options)


def execs_all_the_time():
    """A shell that becomes itself again and again, under one process ID."""
    script = os.path.join(os.environ["TMPDIR"], "again")
    with open(script, "w", encoding="ascii") as file:
        file.write('sleep 0.00$(($$ % 5)); exec sh "$0"\n')
    child = subprocess.Popen(["sh", script])
    gone = 0
    try:
        for _ in range(ROUNDS):
            lever = random.choice((["tune", "--mallopt=top_pad=65536"], ["reclaim", "--runtime"]))
            ran = ebb(*lever, "--json", child.pid)
            said = ran.stdout + ran.stderr
            wrong = [words for words in MISLEADING if words in said]
            if ran.returncode not in (0, 1, 3) or wrong or child.poll() is not None:
                tap.report(False, "a target that calls exec all the time",
                           f"{lever} {ran.returncode}: {wrong}: {said}")
                return
            gone += "called exec" in said
            time.sleep(random.random() / 200)
    finally:
        child.kill()
        child.wait()
    tap.report(True, "a target that calls exec all the time lives, and is not told wrong things")
    print(f"# {gone} of {ROUNDS} met an exec")


def group_of_kernel_threads():
    ran = ebb("reclaim", "--dry-run", "--cgroup", "/")
    if "there is no group" in ran.stderr or ran.returncode not in (0, 1, 4):
        tap.skip("the group of all processes", "it is not seen here: " + ran.stderr.strip())
        return
    tap.report("kernel thread" not in ran.stdout and str(os.getpid()) in ran.stdout,
               "--cgroup /: kernel threads are not in the table", ran.stdout + ran.stderr)


def few_descriptors():
    ran = ebb("reclaim", "--dry-run", "--cgroup", "/",
              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4)))
    tap.report(ran.returncode == 1 and "no group" not in ran.stderr and
               "Too many open files" in ran.stderr,
               "a group that cannot be read for want of descriptors is not said to be missing", ran)


def scripts():
    for name, line, needs in (("crlf", "#!/bin/sh\r", "carriage returns"),
                              ("lost", "#!/nonexistent/shell -e", "/nonexistent/shell")):
        path = os.path.join(os.environ["TMPDIR"], name)
        with open(path, "w", encoding="ascii", newline="") as file:
            file.write(line + "\n")
        os.chmod(path, 0o755)
        ran = ebb("run", "--madv-free=off", path)
        tap.report(ran.returncode == 127 and needs in ran.stderr,
                   f"a script whose interpreter is not there ({name}): it is named", ran)


def nothing_lazy():
    """Without lazily freed memory, the way on is told."""
    with subprocess.Popen(["sleep", "60"]) as child:
        time.sleep(0.2)
        ran = ebb("reclaim", "--dry-run", "--json", child.pid)
        child.kill()
    if ran.returncode != 0:
        tap.skip("nothing lazily freed", ran.stderr.strip() or "refused here")
        return
    tap.report(any("--runtime" in note for note in json.loads(ran.stdout)["notes"]),
               "nothing lazily freed: the note names --runtime", ran.stdout)


execs_all_the_time()
group_of_kernel_threads()
few_descriptors()
scripts()
nothing_lazy()
tap.done()
