# SPDX-License-Identifier: Apache-2.0
# What the tests of mallocs and managed runtimes share: start a program, wait until it rests,
# explain it, and check what every account must fulfil. TAP on stdout.
import contextlib
import glob
import json
import os
import shutil
import subprocess
import threading
import time

EBB = os.environ.get("EBB", "build/ebb")
BUILD = os.environ.get("BUILD", "build")
SRC = os.environ.get("SRC", ".")
UNEXPLAINED_SHARE, UNEXPLAINED_BYTES = 0.02, 4 << 20
count = 0
failed = 0


def check(good, name, detail=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)
    if not good:
        print(f"# {detail}", flush=True)


def skip(name, reason):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {reason}", flush=True)


def finish():
    print(f"1..{count}")
    return 1 if failed else 0


def find(*patterns):
    """The first file that matches one of the patterns, or None."""
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            return path
    return None


def installed(name):
    return find(f"/usr/lib/*/{name}", f"/usr/lib/{name}", f"/usr/lib64/{name}")


@contextlib.contextmanager
def running(command, env=None, ready="ready", seconds=60):
    """Starts a program, yields (pid, its lines up to `ready`), and ends it by its pid.

    With `ready` None nothing is read: the program says in another way when it is up."""
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(("MALLOC_", "MIMALLOC_", "TCMALLOC_", "LD_PRELOAD",
                                        "PYTHONMALLOC"))}
    environment.update(env or {})
    output = subprocess.PIPE if ready else subprocess.DEVNULL
    child = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL,
                             env=environment, text=True)
    lines = []
    # A program that never gets ready is ended, which ends the reading.
    alarm = threading.Timer(seconds, child.kill)
    alarm.start()
    try:
        while ready:
            line = child.stdout.readline()
            if not line or line.strip() == ready:
                break
            lines.append(line.strip())
        alarm.cancel()
        time.sleep(0.3)
        yield child.pid, lines
    finally:
        alarm.cancel()
        child.kill()
        child.wait()


def explain(pid):
    done = subprocess.run([EBB, "explain", "--json", str(pid)], capture_output=True, text=True,
                          timeout=60,
                          check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def rows(report):
    sums = {}
    for entry in report["account"]:
        sums[entry["row"]] = sums.get(entry["row"], 0) + entry["bytes"]
    return sums


def runtime(report, name):
    return next((each for each in report["runtimes"] if each["name"] == name), None)


def setting(found, name):
    """(value, source) of a setting, or (None, None)."""
    entry = found["settings"].get(name)
    if entry is None:
        return None, None
    return entry["value"], entry["source"]


def examine(label, pid, name):
    """Checks that hold for every account; returns the report and the runtime, or (None, None)."""
    report = explain(pid)
    check(report is not None, f"{label}: explained")
    if report is None:
        return None, None
    sums = rows(report)
    check(sum(sums.values()) == report["rss_bytes"], f"{label}: rows sum to RSS", sums)
    unexplained = sums.get("unexplained", 0)
    limit = max(UNEXPLAINED_BYTES, UNEXPLAINED_SHARE * report["rss_bytes"])
    print(f"# {label}: RSS {report['rss_bytes'] >> 10} KiB, unexplained {unexplained >> 10} KiB"
          f" ({100 * unexplained / report['rss_bytes']:.2f} %)")
    check(unexplained <= limit, f"{label}: next to nothing is unexplained", sums)
    found = runtime(report, name)
    check(found is not None, f"{label}: {name} is found", [each["name"]
                                                           for each in report["runtimes"]])
    return (report, found) if found else (None, None)


def is_near(a, b, limit=64 << 10):
    return a is not None and b is not None and abs(a - b) <= limit


def ledger(found, name):
    value = found.get("ledger", {}).get(name)
    return value.get("value") if isinstance(value, dict) else value


def compiler():
    return shutil.which("cc") or shutil.which("gcc")
