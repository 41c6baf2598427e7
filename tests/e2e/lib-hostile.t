#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What programs do that an allocator may not expect, tests/lib/hostile.c, on libebb as on libc.
# timeout: 60
# beside: others
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report, skip  # noqa: E402

BUILD = os.environ["BUILD"]
LIB, PROGRAM = f"{BUILD}/libebb.so", f"{BUILD}/tests/lib/lib_hostile"
ATTACKS = {
    "data": "near a limit of data what was freed in one size can be had in another",
    "keys": "a program that has taken all thread-specific keys allocates",
    "advise": "blocks that their owner advises, locks and protects stay whole, also in a child",
    "coroutines": "coroutines move between threads, on small stacks",
    "dumped": "a core that a debugger writes has what is used, and not all that is reserved",
    "control": "garbage in the ledger's control word does no harm",
    "vforked": "a child of vfork that allocates first does not stop its parent's giving back",
    "filtered": "under a filter that ends who makes a newer call a child of fork gives back",
}


def run(name, conf):
    try:
        ran = subprocess.run([PROGRAM, name], capture_output=True, text=True, check=False,
                             timeout=30, env={**os.environ, "LD_PRELOAD": LIB, "EBB_CONF": conf})
    except subprocess.TimeoutExpired as hung:
        return f"{conf}: no end: {hung}"
    return "" if (ran.returncode, ran.stdout) == (0, "ok\n") else f"{conf}: {ran}"


def main():
    if not os.path.exists(LIB):
        skip("programs that misbehave", "this build has no libebb.so")
    else:
        for name, what in ATTACKS.items():
            # What the helper is giving back this moment is charged, and may be missed: none there.
            lazy = "policy:keep" if name == "data" else "policy:free"
            wrong = [run(name, f"return_within:10ms,{how}") for how in (lazy, "helper:off")]
            report(not any(wrong), what, "\n".join(wrong))
    done()


main()
