#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb run --limit: a cgroup with that limit, for the command alone, which is gone when the last
# process in it is; also when the command is killed or leaves a child behind.
# timeout: 120
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import tap  # noqa: E402

EBB = os.environ["EBB"]
MIB = 1 << 20
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          **options)


def group_of(pid):
    """The folder of a process's memory group, and its limit's file."""
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
        lines = [line.split(":", 2) for line in file.read().splitlines()]
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            return f"/sys/fs/cgroup/memory{path}", "memory.limit_in_bytes"
    return f"/sys/fs/cgroup{lines[-1][2]}", "memory.max"


def gone(path, seconds=5):
    end = time.monotonic() + seconds
    while os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.05)
    return not os.path.exists(path)


def watchers():
    """Processes of ebb that still look after a group."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/cmdline", "rb") as cmdline:
                words = cmdline.read().split(b"\0")
            if words[:3] == [EBB.encode(), b"run", b"--limit=64MiB"]:
                found.append(int(entry))
    return found


@contextlib.contextmanager
def limited(*command):
    child = subprocess.Popen([EBB, "run", "--limit=64MiB", *command], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.wait()
        child.stdout.close()


def lives_in_a_group():
    mine, _ = group_of("self")
    with limited("sh", "-c", "sleep 60 & echo ready; wait") as child:
        child.stdout.readline()
        group, name = group_of(child.pid)
        with open(f"{group}/{name}", encoding="ascii") as limit:
            tap.report(int(limit.read()) == 64 * MIB, "the limit is in force", group)
        tap.report(group != mine and os.path.basename(group) == f"ebb-run-{child.pid}",
                   "in a group of its own", group)
        tap.report(group_of(watchers()[0])[0] == mine, "the watcher stays outside of it")
    # That was SIGKILL, with a child of the shell left behind.
    tap.report(os.path.isdir(group), "the group stays while somebody is in it")
    with open(f"{group}/cgroup.procs", encoding="ascii") as procs:
        for pid in procs.read().split():
            os.kill(int(pid), signal.SIGKILL)
    tap.report(gone(group), "and is gone after the last one")
    time.sleep(0.2)
    tap.report(watchers() == [], "so is the watcher", watchers())


def no_group_left(mine, seconds=5):
    end = time.monotonic() + seconds
    while any(name.startswith("ebb-run-") for name in os.listdir(mine)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


HUNGRY = """
x = bytearray(200 << 20)
for line in open("/proc/self/status"):
    if line.startswith("VmRSS"): print(line.split()[1])
"""


def ends():
    done = run(EBB, "run", "--limit=64MiB", "sh", "-c", "cat /proc/self/cgroup; exit 3")
    path = re.search(r"/\S*ebb-run-\d+", done.stdout)
    mine, _ = group_of("self")
    tap.report(done.returncode == 3 and path, "the exit status passes", done)
    tap.report(gone(f"{mine}/{os.path.basename(path[0])}"), "a command that ends leaves no group")
    done = run(EBB, "run", "--limit=32MiB", sys.executable, "-c", HUNGRY)
    # With swap it lives on, and no more of it is resident.
    tap.report(done.returncode == -9 or done.returncode == 0 and int(done.stdout) <= 32 << 10,
               "no more than the limit is resident", done)
    tap.report(no_group_left(mine), "which leaves no group either", os.listdir(mine))
    done = run(EBB, "run", "--limit=64MiB", "/nonexistent")
    tap.report(done.returncode == 127 and no_group_left(mine), "no command, no group", done.stderr)
    # The interpreter is missing: found out by exec alone, with the group made.
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/bad"
        with open(program, "wb") as file:
            file.write(b"#!/nonexistent/interpreter\n")
        os.chmod(program, 0o755)
        done = run(EBB, "run", "--limit=64MiB", program)
        tap.report(done.returncode == 127 and no_group_left(mine) and
                   "the interpreter that it names" in done.stderr,
                   "an exec that fails leaves no group", done)


def watcher_dies():
    """Nobody removes the group then, and nobody is harmed; the next run sweeps old ones."""
    with limited("sleep", "60") as child:
        time.sleep(0.3)
        group, _ = group_of(child.pid)
        for pid in watchers():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        tap.report(child.poll() is None, "the command outlives its watcher")
    tap.report(os.path.isdir(group), "its empty group is left")
    os.rmdir(group)


def without_rights():
    done = run(*NOBODY, EBB, "run", "--limit=64MiB", "true")
    tap.report(done.returncode == 4 and "no right to make a memory cgroup" in done.stderr and
               "What would help" in done.stderr, "without rights it says what would help", done)
    done = run(*NOBODY, EBB, "run", "--limit=64MiB", "--dry-run", "true")
    tap.report(done.returncode == 4, "and so does --dry-run", done)


# In place of systemd-run, as it behaves with --scope: makes a group, moves there, becomes the
# command. The rest of the host is real; systemd itself rules few build machines.
STUB = """#!/bin/sh
echo "$@" >"$EBB_STUB_LOG"
while [ "$1" != -- ]; do
    case $1 in MemoryLimit=*) limit=${1#*=} ;; esac
    shift
done
shift
mkdir "$EBB_STUB_GROUP" && echo "${EBB_STUB_LIMIT:-$limit}" >"$EBB_STUB_GROUP/memory.limit_in_bytes"
echo $$ >"$EBB_STUB_GROUP/cgroup.procs"
exec "$@"
"""
# A host where systemd runs and the group's folder may not be written to.
HOST = """
mount --make-rprivate / && mkdir -p "$1/rw" && mount --bind "$2" "$1/rw" &&
mount --bind "$2" "$2" && mount -o remount,ro,bind "$2" &&
mount -t tmpfs none /run && mkdir -p /run/systemd/system || exit 77
shift 2
exec "$@"
"""


def by_systemd():
    mine, name = group_of("self")
    if name != "memory.limit_in_bytes":
        tap.skip("through systemd-run", "only tried with cgroup version 1")
        return
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/systemd-run", "w", encoding="ascii") as stub:
            stub.write(STUB)
        os.chmod(f"{folder}/systemd-run", 0o755)
        group = f"{folder}/rw/ebb-stub-{os.getpid()}"
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}",
                       "EBB_STUB_LOG": f"{folder}/log", "EBB_STUB_GROUP": group}
        command = ["unshare", "-m", "sh", "-c", HOST, "sh", folder, mine, EBB, "run",
                   "--madv-free=off", "--limit=64MiB", "--", "sh", "-c",
                   "cat /proc/self/cgroup; env; exit 5"]
        done = run(*command, env=environment)
        if done.returncode == 77 or done.stderr.startswith("unshare:"):
            tap.skip("through systemd-run", "no mount namespace can be made")
            return
        with contextlib.suppress(OSError):
            os.rmdir(f"{mine}/{os.path.basename(group)}")
        with open(f"{folder}/log", encoding="ascii") as log:
            said = log.read()
        tap.report(said.startswith(f"--scope --quiet -p MemoryLimit={64 * MIB} -- {EBB} run "
                                   f"--madv-free=off --limit={64 * MIB} -- sh -c"),
                   "systemd-run is asked where there is no right to make a group", said)
        tap.report(done.returncode == 5 and os.path.basename(group) in done.stdout and
                   "EBB_RUN_SCOPE" not in done.stdout and "GODEBUG=madvdontneed=1" in done.stdout,
                   "and the rest is done inside of the scope", done)
        done = run(*command, env={**environment, "EBB_STUB_LIMIT": "-1"})
        with contextlib.suppress(OSError):
            os.rmdir(f"{mine}/{os.path.basename(group)}")
        tap.report(done.returncode == 1 and "the limit is not in force" in done.stderr,
                   "a scope without the limit is refused", done)


def main():
    mine, _ = group_of("self")
    done = run(EBB, "run", "--limit=64MiB", "--dry-run", "true")
    if shutil.which("setpriv") and os.geteuid() == 0:
        without_rights()
    if done.returncode != 0:
        tap.skip("a cgroup of its own", " ".join(done.stderr.split()) or done.stdout)
    elif not os.access(mine, os.W_OK):
        tap.skip("a cgroup of its own", "it is systemd that makes one here")
    else:
        lives_in_a_group()
        ends()
        watcher_dies()
        by_systemd()
    tap.done()


main()
