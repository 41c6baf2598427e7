#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Real programs built with the Go versions that no distribution ships a toolchain of. They come from
# npm packages and cannot be asked for their ReadMemStats, so their ledgers are held against
# themselves, against the kernel's view of the heap, and against the lines of GODEBUG=gctrace=1.
# timeout: 300
# beside: others
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "go"))
import held  # noqa: E402

# Go version, package, program inside it, and how to keep it from ending: "fifo" blocks a bundler on
# a module that never comes, "bazel" a build tool on a build that does not end.
PROGRAMS = [
    ("1.11.2", "@bazel/ibazel@0.8.1", "bin/linux_amd64/ibazel", "bazel"),
    ("1.12.9", "esbuild-linux-64@0.0.2", "bin/esbuild", "fifo"),
    ("1.13.8", "esbuild-linux-64@0.1.9", "bin/esbuild", "fifo"),
    ("1.14.2", "esbuild-linux-64@0.5.26", "bin/esbuild", "fifo"),
    ("1.16", "esbuild-linux-64@0.8.49", "bin/esbuild", "fifo"),
    ("1.17.1", "esbuild-linux-64@0.12.29", "bin/esbuild", "fifo"),
    ("1.18", "esbuild-linux-64@0.14.34", "bin/esbuild", "fifo"),
    ("1.20.7", "@esbuild/linux-x64@0.18.20", "bin/esbuild", "fifo"),
]
MIB = 1 << 20
# Where Go on 64-bit Linux puts its heap.
HEAP_START, HEAP_END = 0xC000000000, 0xC100000000


def fetch(package, program):
    """The program's path; unpacked once below the cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "ebb-tests", "npm", package.replace("/", "_"))
    path = os.path.join(folder, "package", program)
    if os.path.exists(path):
        return path
    if not shutil.which("npm"):
        raise held.Skip("npm is not installed")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as work:
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=work, capture_output=True,
                              text=True)
        names = [name for name in os.listdir(work) if name.endswith(".tgz")]
        if done.returncode != 0 or not names:
            raise held.Skip(f"npm cannot fetch {package}")
        with tarfile.open(os.path.join(work, names[0])) as archive:
            archive.extract(f"package/{program}", work)
        os.chmod(os.path.join(work, "package", program), 0o755)
        os.makedirs(folder, exist_ok=True)
        os.replace(os.path.join(work, "package"), os.path.join(folder, "package"))
    return path


def prepare(folder):
    """A big module beside one that is a FIFO, and a build tool that does nothing for long."""
    os.mkfifo(os.path.join(folder, "never.js"))
    with open(os.path.join(folder, "big.js"), "w", encoding="ascii") as file:
        for i in range(20000):
            file.write(f"export function f{i}(a, b) {{ return [a + {i}, b * {i}].map(x => x) }}\n")
    with open(os.path.join(folder, "in.js"), "w", encoding="ascii") as file:
        file.write('import * as b from "./big.js"; import * as n from "./never.js";\n'
                   "console.log(b, n)\n")
    tool = os.path.join(folder, "bazel")
    with open(tool, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexec sleep 60\n")
    os.chmod(tool, 0o755)


def command_of(path, kind, folder):
    if kind == "bazel":
        return [path, f"-bazel_path={folder}/bazel", "build", "//x"]
    return [path, "in.js", "--bundle", "--outfile=out.js"]


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))


def wait_for_rest(child):
    """Until it has used no processor time for a while."""
    ticks, quiet = -1, 0
    for _ in range(200):
        if child.poll() is not None:
            raise held.Failure(f"it ended with {child.returncode}")
        now = cpu_ticks(child.pid)
        quiet = quiet + 1 if now == ticks else 0
        ticks = now
        if quiet >= 5:
            return
        time.sleep(0.1)
    raise held.Failure("it does not come to rest")


def children_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
                found += map(int, children.read().split())
        except OSError:
            pass
    return found


def resident_heap(pid):
    """Bytes of Go's heap that are resident and not lazily freed."""
    total, inside = 0, False
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            head = re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line)
            if head:
                inside = HEAP_START <= int(head[1], 16) < HEAP_END
            elif inside and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
            elif inside and line.startswith("LazyFree:"):
                total -= int(line.split()[1]) * 1024
    return total


def inconsistencies(document, runtime, pid):
    """What contradicts itself or the kernel."""
    figures = runtime["ledger"]
    missing = [name for name in held.BYTES + held.EXACT + held.RATIOS if name not in figures]
    if missing:
        return [f"{', '.join(missing)}: missing"]
    f = type("Figures", (), figures)
    parts = (f.HeapSys + f.StackSys + f.MSpanSys + f.MCacheSys + f.BuckHashSys + f.GCSys
             + f.OtherSys)
    usable = f.HeapSys - f.HeapReleased + f.StackInuse + f.GCSys
    resident = resident_heap(pid)
    is_off = held.setting(runtime, "GOGC") == "off"
    rules = {
        "Sys is the sum of its parts": f.Sys == parts,
        "HeapSys is HeapInuse + HeapIdle": f.HeapSys == f.HeapInuse + f.HeapIdle,
        "HeapReleased is within HeapIdle": f.HeapReleased <= f.HeapIdle,
        "HeapAlloc is within HeapInuse": 0 < f.HeapAlloc <= f.HeapInuse,
        "HeapObjects is Mallocs - Frees": f.HeapObjects == f.Mallocs - f.Frees > 0,
        "MSpanInuse is within MSpanSys": 0 < f.MSpanInuse <= f.MSpanSys,
        "NextGC is out of reach if and only if GOGC is off": (f.NextGC > 1 << 60) == is_off,
        f"the resident heap ({resident}) is within what Go has not returned ({usable})":
            resident <= usable + 2 * MIB,
        f"most of HeapInuse is resident ({resident})": resident >= f.HeapInuse // 2,
        "the account sums to RSS": sum(row["bytes"] for row in document["account"])
                                   == document["rss_bytes"],
    }
    return [f"not so: {rule}; {json.dumps(figures)}" for rule, holds in rules.items() if not holds]


def check_trace(runtime, trace):
    """The last line of gctrace says how many collections there were."""
    with open(trace, encoding="ascii", errors="replace") as file:
        lines = re.findall(r"^gc (\d+) @", file.read(), re.M)
    wanted = int(lines[-1]) if lines else 0
    if runtime["ledger"].get("NumGC") != wanted:
        return [f"NumGC is {runtime['ledger'].get('NumGC')}, gctrace counts {wanted}"]
    return []


def check(version, package, program, kind, folder):
    path = fetch(package, program)
    trace = os.path.join(folder, "trace")
    env = dict(os.environ, GODEBUG="gctrace=1", GOGC="75")
    with open(trace, "w", encoding="ascii") as stderr:
        child = subprocess.Popen(command_of(path, kind, folder), cwd=folder, stderr=stderr, env=env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for_rest(child)
        document, runtime = held.explain(child.pid)
        wrong = [] if runtime["version"] == version else [f"version {runtime['version']}"]
        return wrong + inconsistencies(document, runtime, child.pid) + check_trace(runtime, trace)
    finally:
        # A build tool's own child sits in a process group of its own.
        left = children_of(child.pid)
        child.kill()
        child.wait()
        for pid in left:
            os.kill(pid, signal.SIGKILL)


def main():
    print(f"1..{len(PROGRAMS)}")
    if os.uname().machine != "x86_64":
        for number, row in enumerate(PROGRAMS, 1):
            print(f"ok {number} - go {row[0]} # SKIP the programs are for x86-64")
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        for number, (version, package, program, kind) in enumerate(PROGRAMS, 1):
            title = f"{number} - go {version}: {package}"
            try:
                wrong = check(version, package, program, kind, folder)
            except held.Skip as skip:
                print(f"ok {title} # SKIP {skip}", flush=True)
                continue
            except held.Failure as failure:
                wrong = [str(failure)]
            print(f"{'not ok' if wrong else 'ok'} {title}")
            for text in wrong:
                print(f"# {text}", flush=True)


main()
