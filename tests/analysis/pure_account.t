#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The account is pure as the linker sees it: what tool/account calls, and what that calls in
# tool/base, ends in nothing but memory, text, sorting and arithmetic of libc.
import os
import re
import subprocess
import sys

PURE = re.compile(
    r"(_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__\w+_chk|__errno_location|__assert_fail|"
    r"__ctype_b_loc|mem\w+|str\w+|v?snprintf|qsort|bsearch|malloc|calloc|realloc|reallocarray|"
    r"free|abort|l?l?abs|"
    r"sqrt|fabs|floor|ceil|l?l?round|pow|log|exp|fmin|fmax|__isoc23_strto\w+)$")

# Of other layers, looked at: these compute from what they are given.
PURE_NEIGHBOURS = {"kernel_at_least", "mappings_path", "report_figure"}


def objects_of(archive):
    """(defined, undefined) symbols of each object in an archive."""
    listed = subprocess.run(["nm", archive], capture_output=True, text=True, check=True).stdout
    for part in re.split(r"\n(?=\S+\.o:\n)", listed):
        symbols = re.findall(r"^(?:[0-9a-f]+)? +(\w) (\S+)$", part, re.M)
        yield ({name for kind, name in symbols if kind.isupper() and kind != "U"},
               {name for kind, name in symbols if kind == "U"})


def main():
    folder = os.path.join(os.environ["BUILD"], "tool")
    owner = {}
    for archive in ("libebb_account.a", "libebb_base.a"):
        for defined, undefined in objects_of(os.path.join(folder, archive)):
            owner.update({name: undefined for name in defined})
    start = [undefined for _, undefined in objects_of(os.path.join(folder, "libebb_account.a"))]
    wanted, seen, foreign = sorted(set().union(*start)), set(), set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in owner:
            wanted += owner[name]
        elif not PURE.match(name) and name not in PURE_NEIGHBOURS:
            foreign.add(name)
    print("1..1")
    for name in sorted(foreign):
        print(f"# reaches {name}")
    good = seen and not foreign
    word = "ok" if good else "not ok"
    print(f"{word} 1 - tool/account reaches nothing that reads, writes or waits")
    return 0 if good else 1


sys.exit(main())
