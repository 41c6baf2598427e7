# SPDX-License-Identifier: Apache-2.0
# The programs of the tests of calls: who is called (subject, plain), and who calls (caller).
import contextlib
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402,F401  (for those who import this)

PROGRAMS = f"{os.environ['BUILD']}/tests/programs"
SOURCES = os.path.dirname(os.path.abspath(__file__))
CALLER = f"{PROGRAMS}/test_caller"
JEMALLOC = next((path for path in ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
                                   "/usr/lib64/libjemalloc.so.2", "/usr/lib/libjemalloc.so.2")
                 if os.path.exists(path)), None)
FULL = bool(os.environ.get("EBB_LONG"))


def environment(malloc):
    return dict(os.environ, LD_PRELOAD=malloc) if malloc else dict(os.environ)


def purge_of(malloc):
    """The function to call, with its arguments."""
    return ["mallctl", "s:arena.4096.purge", "0", "0", "0", "0"] if malloc else ["malloc_trim", "0"]


def caller(pid, function, *options, wrapper=()):
    return [*wrapper, CALLER, *options, str(pid), *function]


def call(pid, *function, options=(), wrapper=(), timeout=60):
    """The caller's words as a dictionary; what it printed stands under "output"."""
    done = subprocess.run(caller(pid, function, *options, wrapper=wrapper), capture_output=True,
                          text=True, timeout=timeout, check=False)
    return words(done.stdout + done.stderr) | {"status": done.returncode}


def words(output):
    found = dict(re.findall(r"(?m)(?:^|(?<= ))(\w+)=(.*?)(?= \w+=|$)", output))
    return found | {"output": output}


@contextlib.contextmanager
def program(command, malloc=None):
    """A program that is ready, with pipes; killed at the end if it is still there."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=environment(malloc))
    try:
        child.stdout.readline()
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


@contextlib.contextmanager
def subject(churners, *kinds, malloc=None):
    with program([f"{PROGRAMS}/test_subject", str(churners), *kinds], malloc) as child:
        yield child


def end_subject(child):
    """Its own account: {"bad": ...}, or None when it died or stayed."""
    child.terminate()
    try:
        output, errors = child.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        return None
    if child.returncode not in (0, 1):
        return None
    return words(output) | {"errors": errors}


def ask(child, line="hello"):
    """What plain answers to a line: proof that it is alive, restored and in the same wait."""
    child.stdin.write(line + "\n")
    child.stdin.flush()
    return child.stdout.readline().strip()


def status_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return re.search(rf"(?m)^{field}:\s+(\S+)", file.read()).group(1)


def wait_until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def missing(name):
    return shutil.which(name) is None
