#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The helper thread of libebb has open files of its own: what it opens takes no number from the
# program, and what the program closes is closed. Signals it leaves to the program.
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ["SRC"], "tests", "e2e"))
from tap import done, report, skip  # noqa: E402  (the path above comes first)

LIB = os.path.join(os.environ["BUILD"], "libebb.so")

# Makes enough garbage for a helper, and frees and allocates on, so that it looks all the time.
# Closes its input again and again: the number that the next open() gets must be 0.
PROGRAM = """
import os, sys
end, wrong = sys.stdin.readline(), 0
kept = [bytes(3000) for _ in range(30000)]
del kept[:25000]
for i in range(20000):
    os.close(0)
    fd = os.open("/dev/null", os.O_RDONLY)
    wrong += fd != 0
    if fd != 0:
        os.dup2(fd, 0)
        os.close(fd)
    if i % 2000 == 0:
        kept[:] = [bytes(3000) for _ in range(5000)]
        import time; time.sleep(0.1)
print("wrong", wrong, flush=True)
import time; time.sleep(60)
"""


def helper_of(pid):
    """Its thread's number, or 0."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as file:
            if file.read().strip() == "ebb-helper":
                return int(tid)
    return 0


def takes_term(pid, tid):
    """Whether SIGTERM may be handled by this thread."""
    with open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") as file:
        masks = [line.split()[1] for line in file if line.startswith("SigBlk:")]
    return not int(masks[0], 16) >> (signal.SIGTERM - 1) & 1


def check(trace):
    env = {**os.environ, "LD_PRELOAD": LIB, "PYTHONMALLOC": "malloc",
           "EBB_CONF": "return_within:40" + (",trace:purge" if trace else "")}
    allowed = {"2"} if trace else set()
    seen, files, takers = 0, set(), set()
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=env, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as child:
        try:
            child.stdin.write("go\n")
            child.stdin.flush()
            for _ in range(100):
                tid = helper_of(child.pid)
                if tid:
                    time.sleep(0.005)
                    files = set(os.listdir(f"/proc/{child.pid}/task/{tid}/fd"))
                    takers.add((takes_term(child.pid, tid), takes_term(child.pid, child.pid)))
                    seen += 1
                if seen == 5:
                    break
                time.sleep(0.02)
            answer = child.stdout.readline()
        finally:
            child.kill()
    name = "with a trace" if trace else "without a trace"
    report(seen > 0, f"{name}: there is a helper")
    # At the moment of a look it has one file more.
    report(len(files - allowed) <= 1, f"{name}: it shares no file with the program", files)
    report(takers == {(False, True)}, f"{name}: signals are the program's", takers)
    report(answer == "wrong 0\n", f"{name}: every number is the program's", answer)


def main():
    if not os.path.exists(LIB):
        print("1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)")
        return
    if tuple(map(int, os.uname().release.split(".")[:2])) < (5, 9):
        skip("files of its own", "the kernel has no close_range()")
    else:
        check(False)
        check(True)
    done()


main()
