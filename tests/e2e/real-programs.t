#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Real programs: their accounts sum to RSS, and next to nothing of it is unexplained.
# timeout: 240
# beside: others
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ["SRC"], "tests/e2e"))
import real_programs  # noqa: E402
import tap  # noqa: E402

UNEXPLAINED_SHARE, UNEXPLAINED_BYTES = 0.02, 4 << 20
# The runtime that each program is known to have.
EXPECTED = {"etcd": "Go", "redis": "jemalloc", "postgres": "glibc", "postgres backend": "glibc",
            "python3": "CPython", "node": "V8", "java": "JVM", "nginx": "glibc",
            "nginx worker": "glibc", "git": "glibc", "ebb": "glibc"}


def examine(label, pid):
    report, status = real_programs.explain(pid)
    tap.report(status == 0 and report is not None, f"{label}: explained", f"exit status {status}")
    if report is None:
        return
    total = sum(entry["bytes"] for entry in report["account"])
    tap.report(total == report["rss_bytes"], f"{label}: the rows sum to RSS",
          f"{total} of {report['rss_bytes']}")
    unexplained = sum(e["bytes"] for e in report["account"] if e["row"] == "unexplained")
    limit = max(UNEXPLAINED_SHARE * report["rss_bytes"], UNEXPLAINED_BYTES)
    tap.report(unexplained <= limit, f"{label}: unexplained is at most 2 % or 4 MiB",
          f"{unexplained} of {report['rss_bytes']}")
    names = [runtime["name"] for runtime in report["runtimes"]]
    tap.report(EXPECTED[label] in names, f"{label}: {EXPECTED[label]} is named", f"found {names}")


def main():
    for name, starter in real_programs.STARTERS.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                with starter(folder) as pids:
                    for label, pid in pids.items():
                        examine(label, pid)
            except real_programs.Missing as missing:
                tap.skip(name, missing)
    tap.done()


main()
