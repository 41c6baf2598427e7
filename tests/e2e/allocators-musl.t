#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# musl's malloc, dynamic, static, and static without symbols: found and named, its memory held.
# timeout: 120
# beside: others
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "allocators"))
from running import SRC, check, examine, finish, rows, running, skip  # noqa: E402

cc = shutil.which("musl-gcc")
source = os.path.join(SRC, "tests/programs/alloc_mixed.c")
if not cc:
    skip("musl", "musl-gcc is not installed")
    sys.exit(finish())
with tempfile.TemporaryDirectory() as folder:
    for label, options in (("dynamic", []), ("static", ["-static"]), ("static and stripped",
                                                                      ["-static", "-s"])):
        program = os.path.join(folder, "prog")
        subprocess.run([cc, "-D_GNU_SOURCE", "-O1", *options, "-o", program, source], check=True,
                       capture_output=True)
        with running([program]) as (pid, _):
            report, found = examine(label, pid, "musl")
            if not report:
                continue
            check(rows(report).get("held", 0) > 64 << 20, f"{label}: the heap is musl's",
                  rows(report))
            if label == "dynamic":
                check(found["version"].startswith("1."), f"{label}: the version is known",
                      found["version"])
sys.exit(finish())
