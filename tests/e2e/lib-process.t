#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# libebb's helper thread is none of the program's: what a process does when it ends stays the same,
# and each of the entries calls it.
# beside: others
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report, skip  # noqa: E402

BUILD = os.environ["BUILD"]
LIB, LAST = f"{BUILD}/libebb.so", f"{BUILD}/tests/lib/lib_last_thread"
RESIZE, STACKS = f"{BUILD}/tests/lib/lib_resize", f"{BUILD}/tests/lib/lib_stacks"


def run(program, *words, conf=""):
    """Its status and what it printed; None for a status where it did not end."""
    try:
        ran = subprocess.run([program, *words], capture_output=True, text=True, timeout=10,
                             check=False, env={**os.environ, "LD_PRELOAD": LIB, "EBB_CONF": conf})
    except subprocess.TimeoutExpired as ran_on:
        return None, ran_on.stdout
    return ran.returncode, ran.stdout


def try_last_thread():
    for conf in ("", "policy:keep", "helper:off"):
        ran = run(LAST, conf=conf)
        report(ran == (0, "main\nworker\n"), f"the last thread ends the process ({conf or 'auto'})",
               ran)
    # The child has the parent's buffer too.
    ran = run(LAST, "fork")
    report(ran == (0, "worker\nmain\nworker\nworker\n"), "and in a child", ran)


def try_resize():
    ran = run(RESIZE, conf="return_within:100ms")
    report(ran[0] == 0 and ran[1].startswith("fell"), "what realloc() alone leaves goes back", ran)


def try_stacks():
    ran = run(STACKS, conf="return_within:100ms")
    report(ran[0] == 0, "threads end, and libc frees their stacks, where no helper runs", ran)


# PR_GET_NO_NEW_PRIVS wants all four words to be 0, so each shows that it goes by; an option that
# is none; a name that cannot be read.
PRCTL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for option, *words in ((39, 0, 0, 0, 0), (39, 1, 0, 0, 0), (39, 0, 1, 0, 0), (39, 0, 0, 1, 0),
                       (39, 0, 0, 0, 1), (99999, 0, 0, 0, 0), (15, 1, 0, 0, 0), (3, 0, 0, 0, 0)):
    ctypes.set_errno(0)
    print(libc.prctl(option, *map(ctypes.c_ulong, words)), ctypes.get_errno())
"""


def try_prctl():
    usual = subprocess.run([sys.executable, "-c", PRCTL], capture_output=True, text=True,
                           timeout=10, check=False)
    ours = run(sys.executable, "-c", PRCTL)
    report(ours == (0, usual.stdout) and "-1 22" in usual.stdout,
           "its prctl() answers as libc's", f"{usual.stdout!r} {ours}")


if os.path.exists(LIB):
    try_prctl()
    try_last_thread()
    try_stacks()
    try_resize()
else:
    skip("libebb beside a process", "this build has no libebb.so")
done()
