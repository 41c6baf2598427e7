#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Every misuse of the heap ends with its line and SIGABRT, in the default build; writes outside of
# blocks where all blocks are guarded.
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SRC"], "tests", "e2e"))
from tap import done, report  # noqa: E402  (the path above comes first)

BUILD = os.environ["BUILD"]
LIB, PROGRAM = f"{BUILD}/libebb.so", f"{BUILD}/tests/lib/lib_misuse"
AT = "0x[0-9a-f]+"
DOUBLE = f"double free of {AT} "
INSIDE = rf"{AT} \(inside a block of size class"
FOREIGN = rf"invalid free of {AT} \(not from this heap\)"
# The whole line behind "ebb: fatal: ".
EXPECTED = {
    "double_free": DOUBLE + r"\(size class 48\)",
    "double_free_later": DOUBLE + r"\(size class 48\)",
    "double_free_of_many": DOUBLE + r"\(size class 208\)",
    "double_free_medium": DOUBLE + r"\(size class 40960\)",
    "double_free_large": DOUBLE + r"\(large block\)",
    "double_free_huge": DOUBLE + r"\(large block\)",
    "double_free_in_thread": DOUBLE + r"\(size class 48\)",
    "double_free_by_threads": DOUBLE + r"\(size class 48\)",
    "double_free_after_thread": DOUBLE + r"\(size class 48\)",
    "double_free_of_purged": DOUBLE + r"\(size class 1024\)",
    "interior": rf"invalid free of {INSIDE} 64\)",
    "interior_by_a_byte": rf"invalid free of {INSIDE} 64\)",
    "interior_medium": rf"invalid free of {INSIDE} 114688\)",
    "interior_large": rf"invalid free of {AT} \(not an allocated block\)",
    "stack": FOREIGN,
    "global": FOREIGN,
    "mapping": FOREIGN,
    "wild": FOREIGN,
    "unallocated": rf"invalid free of {AT} \(not an allocated block\)",
    "realloc_of_freed": rf"realloc of the freed block {AT} \(size class 48\)",
    "realloc_of_interior": rf"invalid realloc of {INSIDE} 64\)",
    "size_of_freed": rf"size query of the freed block {AT} \(size class 48\)",
    "size_of_interior": rf"invalid size query of {INSIDE} 64\)",
    "size_of_interior_medium": rf"invalid size query of {INSIDE} 114688\)",
    "size_of_foreign": rf"invalid size query of {AT} \(not from this heap\)",
}
# A write behind a large block meets an inaccessible page.
FAULTS = {"overflow_into_guard"}
# With EBB_CONF=guard:1: the access itself faults, or the block's free tells. Larger ones than
# 64 KiB are no samples.
GUARDED = {
    "overflow_by_a_byte": "",
    "overflow_into_neighbour": "",
    "overflow_of_medium": "",
    "underflow": rf"underflow of {AT} \(guarded block of 48 bytes\)",
    "write_after_free": "",
    "write_after_reuse": "",
}
UNSEEN = {"write_after_free_large"}


def main():
    if not os.path.exists(LIB):
        print("1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)")
        return
    listed = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    report(set(names) == set(EXPECTED) | FAULTS | set(GUARDED) | UNSEEN,
           "every misuse has its expectation")
    for name in sorted(set(names) - UNSEEN):
        conf = {"EBB_CONF": "guard:1"} if name in GUARDED else {}
        ran = subprocess.run([PROGRAM, name], capture_output=True, text=True, check=False,
                             timeout=30, env={**os.environ, "LD_PRELOAD": LIB, **conf})
        line = EXPECTED.get(name) or GUARDED.get(name)
        end = signal.SIGABRT if line else signal.SIGSEGV
        wanted = rf"ebb: fatal: {line}\n" if line else ""
        report(ran.returncode == -end and re.fullmatch(wanted, ran.stderr), name,
               f"status {ran.returncode}: {ran.stdout}{ran.stderr}")
    done()


main()
