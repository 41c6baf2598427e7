# SPDX-License-Identifier: Apache-2.0
# The program of little memory under a memory group's limit, version 1 or 2, and without one beside
# it, which tells what the machine itself makes a thread wait.
import contextlib
import os
import signal
import subprocess
import time

import programs

V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
LIMIT_PER_LIVE = 1.3
PACES_MS = {"burst": 0, "paced": 20}


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


class Group:
    """A memory group with a limit and without swap. It is removed at the end, and whatever is left
    in it is killed before: that can only be the bench's own."""

    def __init__(self, limit_bytes):
        self.is_v1 = os.path.exists(f"{V1}/memory.limit_in_bytes")
        self.path = f"{V1 if self.is_v1 else V2}/ebb-bench-{os.getpid()}"
        self.limit_bytes = limit_bytes

    def __enter__(self):
        os.mkdir(self.path)
        try:
            if self.is_v1:
                write(f"{self.path}/memory.limit_in_bytes", self.limit_bytes)
                write(f"{self.path}/memory.swappiness", 0)
            else:
                write(f"{self.path}/memory.max", self.limit_bytes)
                write(f"{self.path}/memory.swap.max", 0)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for _ in range(200):
            with contextlib.suppress(OSError):
                for pid in read(f"{self.path}/cgroup.procs").split():
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
                return
            time.sleep(0.02)

    def enter(self):
        """For preexec_fn."""
        write(f"{self.path}/cgroup.procs", "0")

    def _number(self, name, key):
        for line in read(f"{self.path}/{name}").splitlines():
            if line.split()[0] == key:
                return int(line.split()[1])
        return 0

    def kills(self):
        return self._number("memory.oom_control" if self.is_v1 else "memory.events", "oom_kill")

    def failures(self):
        """How often the limit stood in the way."""
        if self.is_v1:
            return int(read(f"{self.path}/memory.failcnt"))
        return self._number("memory.events", "max")


def unusable():
    """Why no group can be limited here, or None."""
    if os.geteuid() != 0:
        return "limiting memory needs root"
    if not os.path.exists(f"{V1}/memory.limit_in_bytes"):
        with contextlib.suppress(OSError):
            if "memory" not in read(f"{V2}/cgroup.subtree_control").split():
                return "memory groups are not enabled here"
    try:
        with Group(1 << 30):
            return None
    except OSError as error:
        return f"no memory group can be made: {error.strerror}"


def run(allocator, live_mib, pace_ms, is_limited):
    """{stall_ms, oom, failures}: the longest wait for a block; None after an OOM kill."""
    command = [f"{programs.PROGRAMS}limit", str(live_mib), str(pace_ms)]
    command += ["trim"] if allocator.trims else []
    preload = {"LD_PRELOAD": allocator.lib} if allocator.lib else {}
    limit = int(live_mib * LIMIT_PER_LIVE) << 20
    with Group(limit) if is_limited else contextlib.nullcontext() as group:
        ran = subprocess.run(command, capture_output=True, text=True, check=False,
                             timeout=programs.TIMEOUT_S, env=allocator.environment(**preload),
                             preexec_fn=group.enter if group else None)
        kills, failures = (group.kills(), group.failures()) if group else (0, 0)
    if ran.returncode != 0 and not kills and "malloc failed" not in ran.stderr:
        raise programs.Failed(f"status {ran.returncode}")
    stall = int(ran.stdout) / 1e6 if ran.returncode == 0 else None
    return {"stall_ms": stall, "oom": stall is None, "failures": failures}
