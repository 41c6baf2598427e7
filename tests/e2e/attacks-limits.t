#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb within limits that shells and units set: files that may not grow, and what a command that it
# starts gets to see of how ebb copes with them.
# timeout: 60
# beside: others
import os
import re
import resource
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB, TMPDIR = os.environ["EBB"], os.environ["TMPDIR"]


def ebb(*arguments, limit=None):
    """With the files' size limited, as `ulimit -f` does; SIGXFSZ as in a shell."""
    def prepare():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run([EBB, *map(str, arguments)], capture_output=True, text=True, check=False,
                          restore_signals=True, preexec_fn=prepare)


def check_textfile():
    """What is there stays, nothing else is left, and the reason is told."""
    folder = os.path.join(TMPDIR, "textfile")
    os.mkdir(folder)
    path = os.path.join(folder, "ebb.prom")
    with open(path, "w", encoding="ascii") as file:
        file.write("old\n")
    ran = ebb("export", "--once", "--textfile", path, os.getpid(), limit=4096)
    with open(path, encoding="ascii") as file:
        text = file.read()
    tap.report(ran.returncode == 1 and "too large" in ran.stderr and text == "old\n" and
               os.listdir(folder) == ["ebb.prom"],
               "metrics beyond the limit of a file's size: told, and the old ones stay",
               f"{ran} {os.listdir(folder)}")


def ignored_signals(*words):
    """Those that a command ignores which ebb has started."""
    ran = ebb(*words, "--", "sh", "-c", "grep SigIgn: /proc/self/status", limit=1 << 20)
    found = re.search(r"SigIgn:\s*(\w+)", ran.stdout)
    return int(found.group(1), 16) if found else str(ran)


def check_commands():
    ran = ebb("run", "--madv-free=off", "true", limit=0)
    tap.report(ran.returncode == 0, "run: a journal that may not grow does not keep the command "
               "from its work", ran)
    seen = {words: ignored_signals(*words) for words in (
        ("run", "--madv-free=off"), ("record", "-q", "-o", os.path.join(TMPDIR, "signals.ebb")))}
    bits = 1 << signal.SIGXFSZ - 1 | 1 << signal.SIGPIPE - 1
    tap.report(all(isinstance(found, int) and not found & bits for found in seen.values()),
               "and commands have the signals as they were", seen)


check_textfile()
check_commands()
tap.done()
