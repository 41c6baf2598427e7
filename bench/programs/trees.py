# SPDX-License-Identifier: Apache-2.0
# A server as the tree of its processes: started without rights, measured from outside by what
# /proc tells, and ended by pid with all that it started.
import contextlib
import ctypes
import os
import pwd
import re
import signal
import subprocess
import time

from memory import resident
from programs import Failed

PR_SET_CHILD_SUBREAPER = 36
FIGURES = ("cpu_s", "peak_kib", "rss_kib", "effective_kib")
END_S = 20


def adopt_orphans():
    """Whatever a server leaves behind becomes a child of this process, which can then end it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def without_rights():
    """subprocess options: as root, servers run as nobody; else as whoever we are."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give_away(path):
    """Makes a file or folder theirs who run the servers."""
    whose = without_rights()
    if whose:
        os.chown(path, whose["user"], whose["group"])


def is_open(folder):
    """Whether those who run the servers may search a folder and all above it."""
    while without_rights() and folder != "/":
        if not os.stat(folder).st_mode & 1:
            return False
        folder = os.path.dirname(folder)
    return True


def _stat(pid):
    """The fields of /proc/PID/stat from the state on, or None where it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def descendants(root):
    """The pids below a process, parents first; without zombies."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = _stat(pid)
        if fields and fields[0] != b"Z":
            children.setdefault(int(fields[1]), []).append(int(pid))
    found = list(children.get(root, []))
    for pid in found:
        found += children.get(pid, [])
    return found


def _cpu_s(pid):
    """User and system time, that of ended children included."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0


def _peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        found = re.search(r"VmHWM:\s+(\d+)", file.read())
    return int(found.group(1)) if found else 0


def measure(root):
    """FIGURES of a process and all below it, as sums: what they share counts for each."""
    sums = dict.fromkeys(FIGURES, 0)
    for pid in [root, *descendants(root)]:
        try:
            rss, lazy = resident(pid)
            one = (_cpu_s(pid), _peak_kib(pid), rss >> 10, (rss - lazy) >> 10)
        except (OSError, KeyError):
            continue  # it has just ended
        for figure, value in zip(FIGURES, one):
            sums[figure] += value
    return sums


def mapped(root):
    """What each process of a tree has mapped, as text."""
    texts = []
    for pid in [root, *descendants(root)]:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
    return [text for text in texts if text]


def end_strays():
    """Kills and reaps every child of ours, and those that they leave us. For when no server is
    meant to run."""
    until = time.monotonic() + END_S
    while time.monotonic() < until:
        strays = descendants(os.getpid())
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not strays:
            return
        time.sleep(0.02)


@contextlib.contextmanager
def running(command, environment, folder, log):
    """Starts a server in its folder and yields its process, which afterwards has ended."""
    with open(log, "ab") as output:
        child = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=output, **without_rights())
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


def end(child):
    """Asks a server to end. Returns the status with which it did."""
    child.terminate()
    try:
        return child.wait(END_S)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"did not end within {END_S} s of SIGTERM") from late
