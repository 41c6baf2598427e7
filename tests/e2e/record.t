#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb record against real processes: true figures, commands and their status, restarts, exec,
# levers, kill -9 at any instant, a full disk, a read-only one.
# timeout: 120
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB, TMPDIR = os.environ["EBB"], os.environ["TMPDIR"]
# Levers tell here, and not to the host's recordings.
RUNTIME = os.path.join(TMPDIR, "runtime")
ENVIRONMENT = {**os.environ, "XDG_RUNTIME_DIR": RUNTIME}

# Holds memory, gives half of it back lazily, and waits.
HOLDER = """
import mmap, sys, time
block = mmap.mmap(-1, 48 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
block.madvise(15)
block.write(b"x" * (48 << 20))
block.madvise(8, 0, 24 << 20)
print("ready", flush=True)
time.sleep(100)
"""
# For each line on its standard input: rises high and falls again, before anybody can look.
SPIKES = """
import mmap, sys
print("ready", flush=True)
for line in sys.stdin:
    block = mmap.mmap(-1, int(line) << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, int(line) << 20, 4096):
        block[at] = 1
    block.close()
    print("done", flush=True)
"""
# Its figures never stand still.
WORKER = """
import mmap, time
block = mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
print("ready", flush=True)
while True:
    for pages in range(1, 2000, 7):
        block.madvise(4)
        block[:pages * 4096] = b"x" * (pages * 4096)
        time.sleep(0.003)
"""


@contextlib.contextmanager
def running(code, name="python3", stdin=subprocess.DEVNULL):
    child = subprocess.Popen([name, "-c", code], executable=sys.executable,
                             stdout=subprocess.PIPE, stdin=stdin)
    try:
        child.stdout.readline()
        yield child
    finally:
        child.kill()
        child.wait()


def path(name):
    return os.path.join(TMPDIR, name)


def record(*arguments, **options):
    return subprocess.run([EBB, "record", *arguments], capture_output=True, text=True,
                          check=False, env=ENVIRONMENT, timeout=60, **options)


def start(*arguments):
    return subprocess.Popen([EBB, "record", *arguments], env=ENVIRONMENT, text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def rows(file, sql):
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()


def is_intact(file):
    return rows(file, "PRAGMA integrity_check") == [("ok",)]


def wait_for(what, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(sqlite3.Error):
            if what():
                return True
        time.sleep(0.02)
    return False


def check_figures():
    file = path("figures.ebb")
    with running(HOLDER) as child:
        run = record("-o", file, "--interval", "200ms", "--for", "1s", str(child.pid))
        explained = json.loads(subprocess.run([EBB, "explain", "--json", str(child.pid)],
                                              capture_output=True, check=False).stdout)
    tap.report(run.returncode == 0, "an idle process is recorded", run.stderr)
    account = rows(file, "SELECT in_use, slack, kept, lazy, metadata, stacks, code_files, shared, "
                         "held, unexplained FROM accounts ORDER BY time_ms DESC LIMIT 1")
    names = ["in_use", "slack", "kept", "lazy", "metadata", "stacks", "code_files", "shared",
             "held", "unexplained"]
    wanted = [sum(row["bytes"] for row in explained["account"] if row["row"] == name)
              for name in names]
    # The kernel counts lazily freed pages in batches of each processor.
    batch = 64 * 4096
    tap.report(account and all(abs(one - other) <= batch * (name in ("lazy", "unexplained"))
                               for one, other, name in zip(account[0], wanted, names)),
               "rows are those of ebb explain", f"{account}\n{wanted}")
    sample = rows(file, "SELECT rss, lazy, effective FROM samples ORDER BY time_ms DESC LIMIT 1")
    tap.report(sample == [(sum(account[0]), account[0][3], sum(wanted) - account[0][3])],
               "so are RSS, lazy and effective RSS", f"{sample}")
    tap.report(not os.path.exists(file + "-wal") and is_intact(file), "it ends as one sound file")
    check_queries(file)


def check_queries(file):
    """What the documentation says to type."""
    with open(os.path.join(os.environ["SRC"], "docs/recording.md"), encoding="utf-8") as page:
        queries = re.findall(r"```sql\n(.*?)```", page.read(), re.DOTALL)
    bad = []
    for query in queries:
        try:
            # Peaks that no reading saw are rare.
            if not rows(file, query) and "FROM peak" not in query:
                bad.append(f"no rows: {query}")
        except sqlite3.Error as error:
            bad.append(f"{error}: {query}")
    tap.report(len(queries) >= 7 and not bad, "the documented queries", "\n".join(bad))


def check_peaks_and_the_end():
    """A peak between two readings, a recorder that sleeps, and what is there at the end."""
    file = path("peak.ebb")
    with running(SPIKES, stdin=subprocess.PIPE) as child:
        recorder = start("-q", "-o", file, "--interval", "700ms", "--share", "0.001",
                         str(child.pid))
        wait_for(lambda: rows(file, "SELECT count(*) FROM sample")[0][0] > 0)
        # Should a reading meet the first one, it does not meet both.
        for mib in (b"20\n", b"40\n"):
            child.stdin.write(mib)
            child.stdin.flush()
            child.stdout.readline()
            time.sleep(0.7)
        recorder.send_signal(signal.SIGSTOP)
        time.sleep(3)
        recorder.send_signal(signal.SIGCONT)
        time.sleep(0.8)
        stopped_ms = time.time() * 1000
        recorder.send_signal(signal.SIGINT)
        recorder.wait(10)
    row = json.loads(subprocess.run([EBB, "report", "--json", file], capture_output=True,
                                    check=False).stdout)["processes"][0]
    missed = row["kernel_peak_rss_bytes"] or 0
    # On a busy host a reading may meet it: then there is none that was missed.
    seen = row["peak_rss_bytes"] > row["first_rss_bytes"] + (8 << 20)
    tap.report(seen or row["peak_rss_bytes"] + (8 << 20) < missed, "a peak that no reading saw",
               row)
    text = subprocess.run([EBB, "report", file], capture_output=True, text=True, check=False).stdout
    tap.report((seen or "Peak RSS by the kernel: " in text) and "no readings for" in text,
               "is told, and a time without readings too", text)
    last = rows(file, "SELECT max(time_ms) FROM accounts")[0][0]
    tap.report(last > stopped_ms - 200 and row["account_age_seconds"] < 1,
               "the last account is of the end", f"{last} {stopped_ms} {row}")
    uncovered = rows(file, "SELECT max(last_at_ms) - min(first_at_ms) - (SELECT sum(covered_ms) "
                           "FROM minute) FROM (SELECT coalesce(last_at_ms, (SELECT value FROM "
                           "about WHERE key = 'last_at_ms')) AS last_at_ms, first_at_ms "
                           "FROM subject)")[0][0]
    tap.report(1800 < uncovered < 3500, "nothing stands while nobody reads", uncovered)


def check_overwriting():
    file = path("there.ebb")
    with open(file, "w", encoding="utf-8") as out:
        out.write("mine")
    run = record("-o", file, "--", "touch", path("touched"))
    with open(file, encoding="utf-8") as kept:
        tap.report(run.returncode == 1 and kept.read() == "mine" and "nothing is overwritten"
                   in run.stderr and not os.path.exists(path("touched")),
                   "what is there is not overwritten, and the command not begun", run.stderr)


def check_commands():
    file = path("command.ebb")
    run = record("-o", file, "--interval", "50ms", "--", "sh", "-c", "sleep 0.8; exit 7")
    names = [name for (name,) in rows(file, "SELECT name FROM subject ORDER BY id")]
    tap.report(run.returncode == 7 and "sh" in names, "a command's status is handed on",
               f"{run.returncode} {names} {run.stderr}")
    run = record("-q", "-o", path("killed.ebb"), "--", "sh", "-c", "kill -9 $$")
    tap.report(run.returncode == 137 and run.stderr == "", "a signal as shells tell it", run.stderr)
    run = record("-o", path("none.ebb"), "--", "no-such-command")
    tap.report(run.returncode == 127 and not os.path.exists(path("none.ebb")),
               "no command, no file", run.stderr)
    child = start("-q", "-o", path("term.ebb"), "--", "sh", "-c",
                  "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    ready = wait_for(lambda: rows(path("term.ebb"), "SELECT count(*) FROM subject")[0][0] > 0)
    child.send_signal(signal.SIGTERM)
    tap.report(ready and child.wait(10) == 5, "SIGTERM is handed on")


def check_ignored():
    """Under nohup, and with children that nobody waits for."""
    def under_nohup(*arguments):
        return subprocess.Popen(["sh", "-c", 'trap "" HUP CHLD; exec "$@"', "sh", EBB, "record",
                                 "-q", "--interval", "50ms", *arguments], env=ENVIRONMENT)

    child = under_nohup("-o", path("nohup.ebb"), "--", "sh", "-c", "exit 6")
    tap.report(child.wait(10) == 6, "a status comes where SIGCHLD was ignored")
    file = path("nohup-1.ebb")
    child = under_nohup("-o", file, str(os.getpid()))
    wait_for(lambda: rows(file, "SELECT count(*) FROM sample")[0][0] > 0)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    goes_on = child.poll() is None
    child.terminate()
    tap.report(goes_on and child.wait(10) == 0, "an ignored SIGHUP stays ignored")


def check_children():
    """The shell's child is found by its parent, and so is one whose parent has ended."""
    file = path("children.ebb")
    run = record("-q", "-o", file, "--interval", "100ms", "--", "sh", "-c",
                 "(sh -c 'exec sleep 1.7' & ) ; sleep 1.5; true")
    names = {name for (name,) in rows(file, "SELECT name FROM subject")}
    count = rows(file, "SELECT count(DISTINCT pid) FROM subject WHERE name = 'sleep'")[0][0]
    tap.report(run.returncode == 0 and "sh" in names and count == 2,
               "children are recorded, orphans too", f"{names} {count} {run.stderr}")


def check_following():
    """A service that is restarted, and one that calls exec."""
    file, name = path("follow.ebb"), f"ebb-svc-{os.getpid()}"
    recorder = start("-q", "--follow", "-o", file, "--interval", "100ms", name)
    shutil.copy(shutil.which("sleep"), path(name))
    seen = "SELECT count(*) FROM subject"
    for number in (1, 2):
        child = subprocess.Popen([path(name), "100"])
        found = wait_for(lambda: rows(file, seen)[0][0] >= number)
        child.kill()
        child.wait()
        if not found:
            break
    time.sleep(0.3)
    recorder.send_signal(signal.SIGINT)
    status = recorder.wait(10)
    ended = rows(file, "SELECT count(*) FROM subject WHERE last_at_ms IS NOT NULL")[0][0]
    tap.report(status == 0 and rows(file, seen)[0][0] == 2 and ended == 2,
               "--follow: waits, and records a restart as a second process",
               f"{status} {recorder.stderr.read()}")
    file = path("exec.ebb")
    shell = subprocess.Popen(["sh", "-c", "sleep 0.7; exec sleep 1.5"])
    run = record("-q", "-o", file, "--interval", "100ms", "--for", "1.5s", str(shell.pid))
    shell.kill()
    shell.wait()
    subjects = rows(file, "SELECT name FROM subject ORDER BY id")
    kinds = [kind for (kind,) in rows(file, "SELECT kind FROM event")]
    tap.report(run.returncode == 0 and subjects == [("sh",), ("sleep",)] and 2 in kinds,
               "exec begins a new process of the recording", f"{subjects} {kinds} {run.stderr}")


def check_levers():
    name = "a lever that another ebb pulls is an event"
    if os.geteuid() != 0:
        tap.skip(name, "reclaiming needs root")
        return
    file = path("lever.ebb")
    os.makedirs(RUNTIME, mode=0o700, exist_ok=True)
    with running(HOLDER) as child:
        recorder = start("-q", "-o", file, "--interval", "100ms", "--for", "20s", str(child.pid))
        wait_for(lambda: rows(file, "SELECT count(*) FROM sample")[0][0] > 0)
        pulled = subprocess.run([EBB, "reclaim", str(child.pid)], capture_output=True, text=True,
                                check=False, env=ENVIRONMENT)
        time.sleep(0.3)
        recorder.send_signal(signal.SIGTERM)
        recorder.wait(10)
    events = rows(file, "SELECT subject, text FROM events WHERE kind = 6")
    tap.report(pulled.returncode == 0 and len(events) == 1 and events[0][0] == 1 and
               events[0][1].startswith("reclaim: done, RSS"), name,
               f"{events} {pulled.stdout} {pulled.stderr}")


def check_kills(child):
    """At any instant the file is sound, and what was flushed is there."""
    bad = []
    for number in range(8):
        file = path(f"kill-{number}.ebb")
        recorder = start("-q", "-o", file, "--interval", "10ms", str(child.pid))
        time.sleep(random.uniform(0.0, 0.4))
        recorder.kill()
        recorder.wait()
        recorder.stderr.close()
        # Killed before there was anything: no tables, or no file.
        if not os.path.exists(file) or os.path.getsize(file) == 0:
            continue
        report = subprocess.run([EBB, "report", file], capture_output=True, text=True, check=False)
        has_tables = rows(file, "SELECT count(*) FROM sqlite_master")[0][0] > 0
        has_samples = has_tables and rows(file, "SELECT count(*) FROM sample")[0][0] > 0
        if not is_intact(file) or has_samples != (report.returncode == 0):
            bad.append(f"{file} {report.stderr}")
    tap.report(not bad, "killed at random instants, files are sound", "\n".join(bad))


def check_loss(recorder, file, started):
    """Of a kill after some seconds: at most the last five are lost."""
    time.sleep(max(0.0, started + 6.5 - time.monotonic()))
    killed_ms = time.time() * 1000
    recorder.kill()
    recorder.wait()
    last = rows(file, "SELECT max(time_ms) FROM samples")[0][0]
    tap.report(is_intact(file) and last is not None and killed_ms - last < 5500,
               "a kill loses the last five seconds at most", f"{killed_ms} {last}")
    return file


@contextlib.contextmanager
def mounted(size):
    folder = path(f"disk-{size}")
    os.makedirs(folder, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", folder],
                          capture_output=True, check=False).returncode == 0
    try:
        yield folder if done else None
    finally:
        if done:
            subprocess.run(["umount", "-l", folder], check=False)


@contextlib.contextmanager
def full_disk(child):
    """Recording onto a disk that is full from now on; what came of it is judged at the end."""
    name = "a full disk: ends clearly, the file is sound"
    with mounted("1m") as folder:
        if not folder:
            yield
            tap.skip(name, "no tmpfs may be mounted here")
            return
        file = os.path.join(folder, "full.ebb")
        recorder = start("-o", file, "--interval", "10ms", "--for", "40s", str(child.pid))
        wait_for(lambda: rows(file, "SELECT count(*) FROM sample")[0][0] > 0)
        with open(os.path.join(folder, "filler"), "wb", buffering=0) as filler, \
                contextlib.suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        yield
        said = recorder.communicate(timeout=50)[1]
        tap.report(recorder.returncode == 1 and "No space left" in said and "intact" in said and
                   is_intact(file) and rows(file, "SELECT count(*) FROM sample")[0][0] > 0, name,
                   f"{recorder.returncode} {said}")
        shown = subprocess.run([EBB, "report", file], capture_output=True, text=True, check=False)
        tap.report(shown.returncode == 0, "and can be reported", shown.stderr)


def check_read_only(cut):
    name = "a cut recording on a read-only disk is read"
    with mounted("8m") as folder:
        if not folder:
            tap.skip(name, "no tmpfs may be mounted here")
            return
        file = os.path.join(folder, "cut.ebb")
        shutil.copy(cut, file)
        if os.path.exists(cut + "-wal"):
            shutil.copy(cut + "-wal", file + "-wal")
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        shown = subprocess.run([EBB, "report", "--json", file], capture_output=True, text=True,
                               check=False)
        tap.report(shown.returncode == 0 and len(shown.stdout) > 500, name,
                   f"{shown.stdout} {shown.stderr}")


def main():
    # Killed for its time, it still unmounts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.makedirs(RUNTIME, mode=0o700, exist_ok=True)
    with running(WORKER) as worker:
        file, started = path("loss.ebb"), time.monotonic()
        recorder = start("-q", "-o", file, "--interval", "50ms", str(worker.pid))
        with full_disk(worker):
            check_figures()
            check_overwriting()
            check_commands()
            check_ignored()
            check_children()
            check_kills(worker)
            check_read_only(check_loss(recorder, file, started))
    check_following()
    check_peaks_and_the_end()
    check_levers()
    tap.done()


main()
