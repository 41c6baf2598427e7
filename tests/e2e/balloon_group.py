# SPDX-License-Identifier: Apache-2.0
# Memory groups of version 1 and programs inside them, for tests/e2e/balloon.t. Whatever was made is
# removed again, also when the test is ended by a signal.
import contextlib
import os
import signal
import subprocess
import sys
import time

MOUNT = "/sys/fs/cgroup/memory"
MIB = 1 << 20


def usable():
    """Why groups cannot be made here, or None."""
    if os.geteuid() != 0:
        return "making memory groups needs root"
    if not os.path.exists(f"{MOUNT}/memory.limit_in_bytes"):
        return "no memory hierarchy of version 1 is mounted"
    try:
        path = f"{MOUNT}/ebb-test-{os.getpid()}-probe"
        os.mkdir(path)
        os.rmdir(path)
    except OSError as error:
        return f"no group can be made: {error.strerror}"
    return None


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def keyed(path, key):
    for line in read(path).splitlines():
        fields = line.replace(":", "").split()
        if fields and fields[0] == key:
            return int(fields[1])
    return None


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


class Group:
    """A group with a limit, without swapping. Processes that are left in it at the end are killed:
    they can only be the test's own."""
    number = 0

    def __init__(self, limit_mib, parent=None):
        Group.number += 1
        name = f"ebb-test-{os.getpid()}-{Group.number}"
        self.path = f"{parent.path if parent else MOUNT}/{name}"
        self.limit_mib = limit_mib

    def __enter__(self):
        os.mkdir(self.path)
        if self.limit_mib:
            self.set("memory.limit_in_bytes", self.limit_mib * MIB)
        self.set("memory.swappiness", 0)
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

    def set(self, name, value):
        write(f"{self.path}/{name}", value)

    def usage(self):
        return int(read(f"{self.path}/memory.usage_in_bytes"))

    def oom_kills(self):
        return keyed(f"{self.path}/memory.oom_control", "oom_kill")

    def enter(self):
        """For preexec_fn."""
        write(f"{self.path}/cgroup.procs", "0")


class Program:
    """A program in a group that says "ready" and takes orders of one letter."""

    def __init__(self, group, command, environment=None):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      preexec_fn=group.enter,
                                      env={**os.environ, **(environment or {})})
        self.pid = self.child.pid

    def __enter__(self):
        line = self.child.stdout.readline()
        if line != b"ready\n":
            self.__exit__()
            raise RuntimeError(f"the program said {line}")
        return self

    def send(self, letter):
        self.child.stdin.write(letter.encode())
        self.child.stdin.flush()

    def answer(self):
        return self.child.stdout.readline().decode().strip()

    def order(self, letter):
        self.send(letter)
        return self.answer()

    def rollup(self, key):
        return keyed(f"/proc/{self.pid}/smaps_rollup", key) * 1024

    def virtual(self):
        return keyed(f"/proc/{self.pid}/status", "VmSize") * 1024

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def end_cleanly():
    """So that every __exit__ runs when the test is ended."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
