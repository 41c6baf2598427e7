#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The committed offsets against the DWARF of a program built with every Go version that can be had.
# timeout: 600
# beside: others
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "go"))
import held  # noqa: E402

SCRIPT = os.path.join(HERE, "..", "..", "scripts", "go-offsets")


def check(version):
    """(passed, what to say)"""
    go = held.go_command(version)
    folder = os.environ.get("TMPDIR", "/tmp")
    program = held.build(go, f"{folder}/held-{version}")
    done = subprocess.run([SCRIPT, "--check", program], capture_output=True, text=True)
    return done.returncode == 0, (done.stdout + done.stderr).splitlines()


def main():
    if not shutil.which("readelf"):
        print("1..0 # SKIP readelf is not installed")
        return
    wanted = held.versions()
    print(f"1..{len(wanted)}")
    for number, version in enumerate(wanted, 1):
        title = f"{number} - go {version}: the table's row is what its DWARF says"
        try:
            passed, lines = check(version)
        except held.Skip as skip:
            print(f"ok {title} # SKIP {skip}", flush=True)
            continue
        except held.Failure as failure:
            passed, lines = False, [str(failure)]
        print(f"{'ok' if passed else 'not ok'} {title}")
        for line in lines:
            print(f"# {line}", flush=True)


main()
