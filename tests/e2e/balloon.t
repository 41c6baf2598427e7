#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb balloon in real memory groups: what it takes, what it leaves, and each brake biting.
# timeout: 180
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import balloon_group as groups  # noqa: E402
import real_programs  # noqa: E402
import tap  # noqa: E402
from balloon_group import MIB, Group, Program  # noqa: E402

EBB, SRC, BUILD = os.environ["EBB"], os.environ["SRC"], os.environ["BUILD"]
LAZY_LIVE = f"{BUILD}/tests/programs/prog_lazy_live"


def ebb(*arguments, **options):
    """The report (None without), the exit status and what was said on stderr."""
    run = subprocess.run([EBB, "balloon", "--json", *map(str, arguments)], capture_output=True,
                         text=True, check=False, timeout=60, **options)
    return (json.loads(run.stdout) if run.stdout else None), run.returncode, run.stderr


def calm_ebb(*arguments):
    """The same, again when somebody else on this host waits for memory just now."""
    for _ in range(5):
        report, status, said = ebb(*arguments)
        if status == 0 or not any(words in str(report) for words in
                                  ("for memory already", "tasks wait", "more than a second")):
            break
        time.sleep(2)
    return report, status, said


def result(report):
    return report["steps"][1]["result"] if report and len(report["steps"]) > 1 else str(report)


def balloon_of(pid):
    """The balloon child of an ebb, or None."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = groups.read(f"/proc/{entry}/stat")
            if "(ebb-balloon)" in stat and int(stat.rpartition(")")[2].split()[1]) == pid:
                return int(entry)
    return None


def is_running(pid):
    try:
        return groups.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def inflating(group, *arguments):
    """An ebb in the middle of its work, and the pid of its balloon."""
    # Not the shell's nor Python's ignored signals.
    child = subprocess.Popen([EBB, "balloon", "--json", "--cgroup", group.path, *arguments],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             process_group=0)
    try:
        groups.wait_until(lambda: balloon_of(child.pid))
        balloon = balloon_of(child.pid)
        groups.wait_until(lambda: groups.keyed(f"/proc/{balloon}/status", "VmRSS") > 20 << 10)
        yield child, balloon
    finally:
        for number in (signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(OSError):
                child.send_signal(number)
        child.communicate()


class Unharmed:
    """What may not change, whatever a balloon does."""

    def __init__(self, name, group, program=None):
        self.name, self.group, self.program = name, group, program

    def __enter__(self):
        self.kills = self.group.oom_kills()
        self.virtual = self.program.virtual() if self.program else 0
        return self

    def __exit__(self, kind, *_):
        if kind:
            return
        kills = self.group.oom_kills()
        tap.report(kills == self.kills, f"{self.name}: the OOM killer was not called", kills)
        if not self.program or not is_running(self.program.pid):
            return
        tap.report(self.program.virtual() == self.virtual, f"{self.name}: VIRT stands still")
        if self.program.child.args[0] == LAZY_LIVE:
            answer = self.program.order("c")
            tap.report(answer == "0 wrong", f"{self.name}: every word is right", answer)


def takes_lazy_pages():
    """By hand this was a C loop that took 100 MB a second until RES fell and VIRT stood still."""
    name = "go-upgrade, the balloon"
    with Group(512) as group, Program(group, [LAZY_LIVE, "256", "64"]) as program:
        usage = group.usage()
        with Unharmed(name, group, program):
            report, status, said = calm_ebb("--cgroup", group.path, "--until", "lazy<64MiB")
        tap.report(status == 0 and report["outcome"] == "done", f"{name}: done", (said, report))
        lazy = program.rollup("LazyFree")
        tap.report(lazy < 64 * MIB, f"{name}: less than 64 MiB is lazily freed", lazy)
        tap.report(lazy > 16 * MIB, f"{name}: it took no more than was asked for", lazy)
        before, after = report["before"], report["after"]
        tap.report(before["virtual_bytes"] == after["virtual_bytes"] and
                   before["rss_bytes"] - after["rss_bytes"] > 180 * MIB,
                   f"{name}: the report shows RSS falling and VIRT standing", report)
        tap.report(group.usage() < usage - 180 * MIB, f"{name}: the group's usage fell",
                   f"{usage} {group.usage()}")
        tap.report(not groups.read(f"{group.path}/cgroup.procs").split()[1:],
                   f"{name}: the balloon left the group")
        report, status, _ = ebb("--cgroup", group.path, "--until", "lazy<64MiB")
        tap.report(status == 0 and report["outcome"] == "nothing", f"{name}: the second time there "
                   "is nothing to do", report)
        tap.report(any("ebb reclaim" in note for note in
                       ebb("-n", "--cgroup", group.path)[0]["notes"]),
                   f"{name}: says that reclaim would do better")


def plans():
    with Group(512) as group, Program(group, [LAZY_LIVE, "128", "16"]) as program:
        report, status, said = ebb("--dry-run", program.pid)
        tap.report(status == 0 and report["outcome"] == "planned", "--dry-run plans", said)
        tap.report(program.rollup("LazyFree") > 127 * MIB, "--dry-run takes nothing")
        notes = " ".join(report["notes"])
        tap.report("512 MiB" in notes and "20 % of a second" in notes,
                   "--dry-run tells the brakes' numbers", notes)


def takes_from_go(folder):
    if not shutil.which("go"):
        tap.skip("a Go program of the go-upgrade story", "go is not installed")
        return
    binary = f"{folder}/api"
    subprocess.run(["go", "build", "-o", binary, f"{SRC}/tests/e2e/go/burst.go"], check=True,
                   env={"GOCACHE": f"{folder}/cache", **os.environ, "GO111MODULE": "off"})
    with Group(600) as group, Program(group, [binary, "400", "10"],
                                      {"GODEBUG": "madvdontneed=0"}) as program:
        with Unharmed("go-upgrade, Go", group, program):
            report, status, said = calm_ebb(program.pid, "--until", "lazy<50MiB")
        lazy = program.rollup("LazyFree")
        tap.report(status == 0 and lazy < 50 * MIB, "go-upgrade, Go: lazily freed memory is gone",
                   (lazy, said, report))
        tap.report(program.rollup("Rss") < 120 * MIB, "go-upgrade, Go: RSS is what is live",
                   program.rollup("Rss"))


def ask_redis(port, order):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(order + b"\r\n")
        return client.recv(200)


def takes_from_redis(folder):
    name = "game-server, redis with jemalloc"
    try:
        server = real_programs.need("redis-server")
    except real_programs.Missing as missing:
        tap.skip(name, str(missing))
        return
    port = real_programs.free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
               "--enable-debug-command", "local", "--activedefrag", "no"]
    environment = {**os.environ, "MALLOC_CONF": "dirty_decay_ms:100,muzzy_decay_ms:-1"}
    with Group(600) as group, real_programs.process(command, f"{folder}/redis.log",
                                                    env=environment,
                                                    preexec_fn=group.enter) as child:
        real_programs.wait_for(real_programs.listens(port), "redis")
        ask_redis(port, b"DEBUG POPULATE 20000 keep 1000")
        ask_redis(port, b"DEBUG POPULATE 250000 load 1000")
        # FLUSHALL would purge everything itself.
        ask_redis(port, b"""EVAL "for i = 0, 249999 do redis.call('del', 'load:' .. i) end" 0""")
        digest = ask_redis(port, b"DEBUG DIGEST")
        rollup = f"/proc/{child.pid}/smaps_rollup"
        groups.wait_until(lambda: ask_redis(port, b"PING") and
                          groups.keyed(rollup, "LazyFree") > 150 << 10, 5)
        lazy = groups.keyed(rollup, "LazyFree") * 1024
        if lazy < 100 * MIB:
            tap.skip(name, f"only {lazy >> 20} MiB became lazy: redis has another allocator here")
            return
        with Unharmed(name, group):
            report, status, said = calm_ebb(child.pid, "--until", "lazy<48MiB")
        after = groups.keyed(rollup, "LazyFree") * 1024
        tap.report(status == 0 and after < 48 * MIB, f"{name}: lazily freed memory is gone",
                   (lazy, after, said, report))
        tap.report(ask_redis(port, b"DEBUG DIGEST") == digest, f"{name}: the same digest")


def leaves_live_memory_alone():
    with Group(300) as group, Program(group, [LAZY_LIVE, "20", "265"]) as program:
        with Unharmed("nearly full of live memory", group, program):
            report, status, _ = ebb("--cgroup", group.path)
        tap.report(status in (0, 1) and program.rollup("Rss") > 265 * MIB,
                   "nearly full of live memory: it keeps off", report)
    with Group(300) as group, Program(group, [LAZY_LIVE, "200", "20"]) as program:
        program.order("w")
        with Unharmed("written again", group, program):
            report, status, _ = ebb("--cgroup", group.path)
        tap.report(report["outcome"] == "nothing", "written again: nothing to do", report)
    with Group(300) as group, Program(group, [LAZY_LIVE, "200", "20"]) as program:
        program.order("f")
        with Unharmed("shared with a fork", group, program):
            report, status, _ = ebb("--cgroup", group.path)
        tap.report(status == 1 and "shared with a fork" in report["refusal"],
                   "shared with a fork: it says that it cannot", (status, report))


def writes_again_meanwhile():
    """The race that no counter tells of: the target takes its pages back while they are counted. At
    the limit, and when much has been taken; and ebb is killed in the middle of it."""
    for name, seconds, is_killed in (("written again meanwhile", 0, False),
                                     ("written again later", 0.1, False),
                                     ("kill -9 while it is written again", 0.1, True)):
        with Group(700) as group, Program(group, [LAZY_LIVE, "500", "20"]) as program:
            with Unharmed(name, group, program):
                with inflating(group) as (child, _):
                    groups.wait_until(lambda: group.usage() > 690 * MIB)
                    time.sleep(seconds)
                    program.send("w")
                    if is_killed:
                        time.sleep(0.02)
                        child.kill()
                    program.answer()
                    child.wait(40)
            tap.report(is_running(program.pid), f"{name}: the target lives")


def refuses_dangerous_groups():
    with Group(None) as group, Program(group, [LAZY_LIVE, "64", "1"]):
        report, status, _ = ebb("--cgroup", group.path)
        tap.report(status == 1 and "no" not in report["outcome"] and
                   "--host" in report["needs"], "a group without a limit: tells --host", report)
    with Group(300) as group, Program(group, [LAZY_LIVE, "64", "1"]):
        group.set("memory.oom_control", 1)
        report, status, _ = ebb("--cgroup", group.path)
        tap.report(status == 1 and "hang" in report["refusal"],
                   "a group whose OOM killer is off is refused", report)
        group.set("memory.oom_control", 0)
    if len(groups.read("/proc/swaps").splitlines()) > 1:
        tap.skip("a limit of the group above counts", "swap is on, so that it is refused")
        return
    with Group(300) as outer, Group(None, outer) as group, \
            Program(group, [LAZY_LIVE, "128", "16"]) as program:
        report, status, said = calm_ebb("--cgroup", group.path)
        tap.report(status == 0 and program.rollup("LazyFree") < 40 * MIB,
                   "a limit of the group above counts", (said, report))


def says_which_rights():
    if not shutil.which("setpriv"):
        tap.skip("without rights", "setpriv is not installed")
        return
    with Group(300) as group, Program(group, [LAZY_LIVE, "64", "1"]):
        run = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", EBB, "balloon",
                              "--cgroup", group.path], capture_output=True, text=True, check=False)
        tap.report(run.returncode == 4 and "cgroup.procs" in run.stdout,
                   "without rights: says which would help", run.stdout + run.stderr)


def needs_the_oom_score():
    if not shutil.which("unshare"):
        tap.skip("a /proc that cannot be written to", "unshare is not installed")
        return
    script = 'mount --bind /proc /proc && mount -o remount,ro,bind /proc && exec "$@"'
    with Group(300) as group, Program(group, [LAZY_LIVE, "64", "1"]) as program:
        run = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", EBB, "balloon",
                              "--cgroup", group.path], capture_output=True, text=True, check=False)
        if "mount:" in run.stderr:
            tap.skip("a /proc that cannot be written to", run.stderr.splitlines()[0])
            return
        tap.report(run.returncode == 1 and "oom_score_adj" in run.stdout,
                   "without its OOM score it does not grow", run.stdout + run.stderr)
        tap.report(program.rollup("LazyFree") > 63 * MIB, "... and takes nothing")


def dies_with_its_parent():
    with Group(900) as group, Program(group, [LAZY_LIVE, "100", "16"]) as program:
        with Unharmed("kill -9", group, program):
            usage = group.usage()
            with inflating(group) as (child, balloon):
                score = groups.read(f"/proc/{balloon}/oom_score_adj").strip()
                tap.report(score == "1000", "the balloon is the OOM killer's first choice", score)
                child.kill()
                tap.report(groups.wait_until(lambda: not is_running(balloon), 2),
                           "kill -9 of ebb ends the balloon")
            tap.report(groups.wait_until(lambda: group.usage() <= usage + 2 * MIB, 2),
                       "kill -9: its memory is back", f"{usage} {group.usage()}")


def lets_go_on_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP):
        with Group(900) as group, Program(group, [LAZY_LIVE, "100", "16"]):
            with inflating(group) as (child, balloon):
                # As a terminal does it: the balloon gets it, too.
                if number == signal.SIGTSTP:
                    os.killpg(child.pid, number)
                child.send_signal(number)
                output, _ = child.communicate(timeout=10)
                report = json.loads(output)
                tap.report("interrupted" in result(report) and child.returncode == 1,
                           f"{number.name}: says so", report)
                tap.report(not is_running(balloon), f"{number.name}: the balloon is gone")


def keeps_its_time():
    """A balloon that is held up; a parent that is."""
    with Group(900) as group, Program(group, [LAZY_LIVE, "100", "16"]):
        with inflating(group) as (child, balloon):
            os.kill(balloon, signal.SIGSTOP)
            report = json.loads(child.communicate(timeout=10)[0])
            tap.report("more than a second" in result(report), "a step that hangs ends it", report)
        with inflating(group, "--force", "--for=2s") as (child, balloon):
            os.kill(balloon, signal.SIGSTOP)
            report = json.loads(child.communicate(timeout=10)[0])
            tap.report("time limit" in result(report), "the time limit ends it", report)
            tap.report(not is_running(balloon), "the time limit: the balloon is gone")
        with inflating(group, "--for=1s") as (child, balloon):
            child.send_signal(signal.SIGSTOP)
            tap.report(groups.wait_until(lambda: not is_running(balloon), 5),
                       "the balloon keeps the limit when ebb is held up")


def somebody_ends_it():
    with Group(900) as group, Program(group, [LAZY_LIVE, "100", "16"]) as program:
        with inflating(group) as (child, balloon):
            os.kill(balloon, signal.SIGKILL)
            report = json.loads(child.communicate(timeout=10)[0])
            tap.report("somebody ended" in result(report), "the balloon is killed: says so", report)
        with inflating(group) as (child, balloon):
            _, status, said = ebb("--cgroup", group.path)
            tap.report(status == 1 and "another ebb" in said, "two at once: the second refuses",
                       said)
            with Program(group, [LAZY_LIVE, "50", "1"]) as other:
                _, status, said = ebb(other.pid)
                tap.report(status == 1 and "has a balloon here" in said,
                           "two in one group: the second refuses", said)
            program.child.kill()
            program.child.wait()
            output, _ = child.communicate(timeout=10)
            tap.report(child.returncode in (1, 3), "the target ends meanwhile: so does ebb", output)
            tap.report(not is_running(balloon), "the target ends meanwhile: the balloon is gone")


def refuses_swap(folder):
    path = f"{folder}/swap"
    with Group(300) as group, Program(group, [LAZY_LIVE, "64", "1"]) as program:
        group.set("memory.swappiness", 60)
        try:
            with open(path, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(bytes(64 * MIB))
            subprocess.run(["mkswap", path], check=True, capture_output=True)
            on = subprocess.run(["swapon", path], check=False, capture_output=True, text=True)
            if on.returncode != 0:
                tap.skip("swap is on", f"no swap file can be used here: {on.stderr.strip()}")
                return
            report, status, _ = ebb("--cgroup", group.path)
            tap.report(status == 1 and "swap" in report["refusal"], "refuses where swap is used",
                       report)
            tap.report(program.rollup("LazyFree") > 63 * MIB, "... and takes nothing")
            report, status, _ = ebb("--host", "--dry-run", "--size=1MiB")
            tap.report(status == 1 and "swap" in report["refusal"], "refuses on a host with swap",
                       report)
            group.set("memory.swappiness", 0)
            report, status, _ = ebb("--dry-run", "--cgroup", group.path)
            tap.report(status == 0, "goes on where the group cannot swap", report)
        except FileNotFoundError as error:
            tap.skip("swap is on", f"{error.filename} is not installed")
        finally:
            subprocess.run(["swapoff", path], check=False, capture_output=True)
            os.unlink(path)


# Where a group is full of pages that are not on disk yet, its tasks wait for the disk.
WRITES = """
import os, sys
print("ready", flush=True)
while True:
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for _ in range(128):
        os.write(fd, bytes(1 << 20))
    os.close(fd)
"""


def waited_us():
    return int(groups.read("/proc/pressure/memory").split("total=")[1].split()[0])


def stops_for_others(folder):
    """Somebody else waits for memory: a program that writes more than its group can hold."""
    name = "tasks wait for memory (PSI)"
    try:
        waited_us()
    except OSError as error:
        tap.skip(name, f"no PSI here: {error.strerror}")
        return
    with Group(900) as group, Program(group, [LAZY_LIVE, "300", "16"]), Group(16) as small:
        with Program(small, [sys.executable, "-c", WRITES, f"{folder}/written"]), \
                Program(small, [sys.executable, "-c", WRITES, f"{folder}/written too"]):
            before = waited_us()
            time.sleep(0.5)
            share = (waited_us() - before) / 5000
            if share < 25:
                tap.skip(name, f"the writing program waits only {share:.0f} % of the time here")
                return
            report, status, _ = ebb("--cgroup", group.path)
            text = result(report) if report["steps"] else report["refusal"]
            tap.report(status == 1 and "for memory" in text, f"{name}: it stops", report)


def spares_page_cache(folder):
    """Older page cache goes before lazily freed pages: then the balloon is the wrong tool."""
    path = f"{folder}/pages"
    with open(path, "wb") as file:
        file.write(os.urandom(200 * MIB))
        os.fsync(file.fileno())
    drop = os.open(path, os.O_RDONLY)
    os.posix_fadvise(drop, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(drop)
    with Group(500) as group:
        subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True,
                       preexec_fn=group.enter)
        with Program(group, [LAZY_LIVE, "200", "16"]) as program:
            with Unharmed("page cache", group, program):
                cache = groups.keyed(f"{group.path}/memory.stat", "total_cache")
                report, status, _ = ebb("--cgroup", group.path)
                left = groups.keyed(f"{group.path}/memory.stat", "total_cache")
            if cache < 150 * MIB:
                tap.skip("page cache", f"only {cache >> 20} MiB of the file stayed in memory")
                return
            # On a busy host the lazy pages stand still before enough of the cache has gone.
            stood = status == 0 and "falls no further" in result(report)
            tap.report(stood or status == 1 and "page cache" in result(report), "stops when the "
                       "kernel takes page cache", report)
            tap.report(cache - left < 64 * MIB, "most of the page cache is still there",
                       f"{cache} {left}")


def the_host():
    """Within brakes that cannot bite: one MiB."""
    with Group(300) as group, Program(group, [LAZY_LIVE, "64", "1"]) as program:
        report, status, said = ebb("--host", "--dry-run", "--size=1MiB", f"--watch={program.pid}")
        if report and report["outcome"] == "refused":
            tap.skip("--host", report["refusal"])
            return
        tap.report(status == 0 and report["outcome"] == "planned", "--host plans", (said, report))
        report, status, said = ebb("--host", "--size=1MiB", f"--watch={program.pid}")
        tap.report(status == 0 and "as large as it may" in result(report), "--host with one MiB",
                   (said, report))
        tap.report(program.rollup("LazyFree") > 63 * MIB, "... presses on nobody")


def main():
    groups.end_cleanly()
    why = groups.usable()
    if why:
        tap.skip("ebb balloon in real groups", why)
        tap.done()
        return
    with tempfile.TemporaryDirectory() as folder:
        takes_lazy_pages()
        plans()
        takes_from_go(folder)
        takes_from_redis(folder)
        leaves_live_memory_alone()
        writes_again_meanwhile()
        refuses_dangerous_groups()
        says_which_rights()
        needs_the_oom_score()
        dies_with_its_parent()
        lets_go_on_signals()
        keeps_its_time()
        somebody_ends_it()
        refuses_swap(folder)
        stops_for_others(folder)
        spares_page_cache(folder)
        the_host()
    tap.done()


main()
