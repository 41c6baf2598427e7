#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb tune on mallocs that are asked by a call in the target: redis with jemalloc, glibc, mimalloc
# and tcmalloc under a program that goes on working.
# timeout: 120
# beside: others
import glob
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "go")]
import tap  # noqa: E402
from real_programs import Missing, free_port, listens, need, process, wait_for  # noqa: E402
from tuned import EBB, tune, undo  # noqa: E402

MIB = 1 << 20
KEYS = 300000
# As many must hit a running ebb, in as many tries at most.
KILLS, TRIES = 20, 400
# Nothing goes back by itself: what falls, falls because of the tune.
HOLDING = {"MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"}
# A program that allocates whenever it is asked, and says whether its data is whole.
WORKER = """
import sys
data = {i: bytes([i % 251]) * (i % 5000) for i in range(4000)}
print('ready', flush=True)
for line in sys.stdin:
    more = [bytearray(3000) for _ in range(2000)]
    good = all(data[i] == bytes([i % 251]) * (i % 5000) for i in data)
    print(int(good and len(more) == 2000), flush=True)
"""


def rollup(pid, key):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(rf"^{key}: +(\d+)", file.read(), re.M)[1]) * 1024


class Redis:
    """A redis on loopback, asked in its own protocol."""

    def __init__(self, folder, environment):
        self.port = free_port()
        self.command = [need("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                        "--save", "", "--dir", folder, "--enable-debug-command", "local"]
        self.log, self.environment = f"{folder}/redis.log", {**os.environ, **environment}

    def __enter__(self):
        self.running = process(self.command, self.log, env=self.environment)
        self.pid = self.running.__enter__().pid
        wait_for(listens(self.port), "redis")
        self.client = socket.create_connection(("127.0.0.1", self.port))
        return self

    def __exit__(self, *_):
        self.client.close()
        self.running.__exit__(None, None, None)

    def ask(self, *words):
        text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self.client.sendall(text.encode())
        return self.client.recv(65536).decode().strip()

    def load(self):
        """Many players come, most of them leave."""
        self.ask("DEBUG", "POPULATE", str(KEYS), "key", "300")
        self.ask("EVAL", f"for i = 1000, {KEYS} do redis.call('del', 'key:' .. i) end", "0")
        return self.ask("DEBUG", "DIGEST")


def game_server(folder):
    try:
        target = Redis(folder, HOLDING)
    except Missing as missing:
        tap.skip("game-server", missing)
        return
    with target:
        digest = target.load()
        pid, full = target.pid, rollup(target.pid, "Rss")
        tap.report(full > 80 * MIB, "game-server: the players are gone, RSS is not", full)
        planned, _ = tune(pid, "--dirty-decay=now", "--dry-run")
        tap.report(planned["outcome"] == "planned" and rollup(pid, "Rss") >= full - MIB,
                   "game-server: a plan calls nothing", planned)
        report, status = tune(pid, "--dirty-decay=now")
        lazy = rollup(pid, "LazyFree")
        tap.report(status == 0 and report["changes"][0]["before"] == "off" and lazy > 50 * MIB,
                   "game-server: --dirty-decay=now makes free pages lazy at once", (report, lazy))
        report, status = tune(pid, "--madv-free=off")
        rss = rollup(pid, "Rss")
        tap.report(status == 0 and rss < full / 2,
                   "game-server: --madv-free=off: RSS has fallen", (report, full, rss))
        tap.report(report["waited"]["longest_seconds"] > 0, "game-server: the wait is told", report)
        # Whatever redis frees from now on goes at once.
        target.load()
        again = rollup(pid, "Rss")
        tap.report(again < full / 2, "game-server: and stays down after the next load", again)
        statuses = undo(report) + undo(planned) + [tune(pid, "--dirty-decay=off")[1]]
        target.load()
        tap.report(set(statuses) == {0} and rollup(pid, "Rss") > full - 8 * MIB,
                   "game-server: undone, memory stays again", (statuses, rollup(pid, "Rss")))
        report, status = tune(pid, "--background-thread=on", "--dirty-decay=5s")
        names = {change["name"]: change["after"] for change in report["changes"]}
        tap.report(status == 0 and names == {"background_thread": "on",
                                             "dirty_decay_ms": "5000ms"},
                   "game-server: several settings at once", report)
        tap.report(target.ask("DEBUG", "DIGEST") == digest and target.ask("PING") == "+PONG",
                   "game-server: redis has the same data and goes on")
        report, status = tune(pid, "--gogc=50")
        tap.report(status == 1 and "jemalloc" in str(report["refusal"]),
                   "a wrong option names the runtime that is there", report)
        killed(target)


def killed(target):
    """kill -9 of ebb in the middle of calls: redis lives, and can be tuned."""
    chance = random.Random(4121)
    digest = target.ask("DEBUG", "DIGEST")
    cut, began = 0, time.monotonic()
    tune(target.pid, "--dirty-decay=30s")
    usual = time.monotonic() - began
    for number in range(TRIES):
        if cut >= KILLS:
            break
        ebb = subprocess.Popen([EBB, "tune", f"--dirty-decay={number % 50 + 1}s", str(target.pid)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, usual))
        ebb.kill()
        cut += ebb.wait() == -signal.SIGKILL
        if target.ask("PING") != "+PONG":
            break
    report, status = tune(target.pid, "--dirty-decay=10s")
    tap.report(cut >= KILLS and status == 0 and target.ask("DEBUG", "DIGEST") == digest,
               f"kill -9 of ebb {KILLS} times at work: redis lives and can be tuned", (cut, report))


class Worker:
    """A Python on top of a malloc."""

    def __init__(self, preload=None):
        environment = {**os.environ, "PYTHONMALLOC": "malloc"}
        if preload:
            environment["LD_PRELOAD"] = preload
        self.child = subprocess.Popen(["/usr/bin/python3", "-c", WORKER], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, env=environment)

    def __enter__(self):
        assert self.child.stdout.readline() == "ready\n"
        self.pid = self.child.pid
        # Until it sleeps in its read.
        time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def works(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return self.child.stdout.readline() == "1\n"


def listed(pid):
    report, _ = tune(pid)
    return {item["option"]: item["value"] for item in report["items"]}


def glibc():
    with Worker() as target:
        pid = target.pid
        before = listed(pid)
        if "--mallopt=arena_max=N" not in before:
            tap.skip("glibc", "the C library here is not glibc")
            return
        report, status = tune(pid, "--mallopt=arena_max=2,trim_threshold=64K,mmap_max=100")
        tap.report(status == 0 and len(report["changes"]) == 3,
                   "glibc: three settings by mallopt()", report)
        after = listed(pid)
        tap.report((after["--mallopt=arena_max=N"], after["--mallopt=trim_threshold=N"],
                    after["--mallopt=mmap_max=N"]) == ("2", "65536", "100"),
                   "glibc: malloc_par has them", after)
        tap.report(any("cannot be undone" in text for text in report["warnings"]),
                   "glibc: what cannot be undone is said", report)
        tap.report(target.works(), "glibc: the program goes on")
        undo(report)
        values = listed(pid)
        tap.report(values["--mallopt=mmap_max=N"] == before["--mallopt=mmap_max=N"] and
                   target.works(), "glibc: the old values are back", values)


def preloaded(name, pattern, option, wanted, wrong):
    found = sorted(glob.glob(pattern))
    if not found:
        tap.skip(name, f"{pattern} is not installed")
        return
    with Worker(found[0]) as target:
        report, status = tune(target.pid, f"--option={option}={wanted}")
        old = report["changes"][0]["before"] if report.get("changes") else None
        tap.report(status == 0 and report["steps"][0]["result"] == "read back",
                   f"{name}: {option} is set", report)
        again, _ = tune(target.pid, f"--option={option}={wanted}")
        statuses = undo(report)
        back, _ = tune(target.pid, f"--option={option}={wanted}")
        tap.report(statuses == [0] and back["changes"][0]["before"] == old,
                   f"{name}: undone, it has its old value", (again, back))
        tap.report(target.works(), f"{name}: the program goes on")
        report, status = tune(target.pid, "--option=no_such_name=1")
        tap.report(status == 1, f"{name}: a name that it does not have", report)
        report, status = tune(target.pid, "--mallopt=arena_max=1")
        tap.report(status == 1 and wrong in str(report["refusal"]),
                   f"{name}: mallopt is refused behind another malloc", report)


def main():
    with tempfile.TemporaryDirectory() as folder:
        game_server(folder)
    if shutil.which("/usr/bin/python3"):
        glibc()
        preloaded("mimalloc", "/usr/lib/*/libmimalloc.so.*", "decommit_delay"
                  if glob.glob("/usr/lib/*/libmimalloc.so.2.0") else "purge_delay", 77, "mimalloc")
        preloaded("tcmalloc", "/usr/lib/*/libtcmalloc_minimal.so.4", "aggressive_memory_decommit",
                  1, "tcmalloc")
    else:
        tap.skip("other mallocs", "/usr/bin/python3 is not installed")
    tap.done()


main()
