# SPDX-License-Identifier: Apache-2.0
# The program alloc_keep under a malloc: it keeps freed memory and answers what it is asked. Used by
# tests/e2e/purge.t and tests/e2e/ask.t.
import contextlib
import os
import subprocess
import threading
import time

BUILD = os.environ.get("BUILD", "build")


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Keeping:
    def __init__(self, child):
        self.child, self.pid = child, child.pid

    def ask(self, word):
        """The lines of its answer to "digest", "stats" or "work"."""
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()
        lines = []
        for line in self.child.stdout:
            if line.strip() == "done":
                return lines
            lines.append(line.strip())
        raise RuntimeError(f"the program ended, {self.child.wait()}")

    def stats(self):
        return {name: int(value) for name, value in (line.split() for line in self.ask("stats"))}


@contextlib.contextmanager
def keeping(env, path=None, mib=120, threads=1):
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(("MALLOC_", "MIMALLOC_", "TCMALLOC_", "LD_PRELOAD"))}
    environment.update(env)
    path = path or os.path.join(BUILD, "tests/programs/prog_alloc_keep")
    child = subprocess.Popen([path, str(mib), str(threads)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, env=environment)
    # A program that hangs is ended, which ends the test's reading.
    alarm = threading.Timer(100, child.kill)
    alarm.start()
    try:
        if child.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{path} did not come up")
        time.sleep(0.2)
        yield Keeping(child)
    finally:
        alarm.cancel()
        child.kill()
        child.wait()
