#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Targets that do their worst: hostile names and files, lies about a runtime, processes that change
# while they are looked at. ebb answers, the rows sum to RSS, and nothing but text gets out.
# timeout: 120
# beside: others
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB = os.environ["EBB"]
# Far beyond what any reading here needs: what is caught is an endless loop, not a slow machine.
HANG_S = 30
MOST_MEMORY_KIB = 16384
# Control characters, C1, and what turns the direction of text.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
WAIT = "\nprint('ready', flush=True)\nimport time\ntime.sleep(600)\n"

NAMES = r"""
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None)
libc.prctl(15, b'\033[31m) R 1\n\xe2\x80\xae')
name = sys.argv[1] + '/x\n[heap]\033[2J\u202e\x9b5m'
file = os.open(name, os.O_RDWR | os.O_CREAT)
os.ftruncate(file, 1 << 20)
keep = mmap.mmap(file, 1 << 20)
keep.write(b'x' * (1 << 20))
""" + WAIT

MAPPINGS = """
import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
for i in range(30000):
    address = libc.mmap(None, 4096, 1 + i % 2 * 2, 0x22, -1, 0)
    if i % 2:
        ctypes.memset(address, 1, 1)
""" + WAIT

CHANGING = """
import mmap, threading
def change():
    while True:
        block = mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        block.write(b'x' * (1 << 20))
        block.close()
        [str(i) * 20 for i in range(2000)]
for _ in range(4):
    threading.Thread(target=change, daemon=True).start()
""" + WAIT

FORKED = """
import mmap, os, time
block = mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
block.write(b'x' * (64 << 20))
block.madvise(8)
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent:
        time.sleep(0.05)
    os._exit(0)
""" + WAIT

# exit(2) of the thread alone, as pthread_exit() in main() ends with.
HEADLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60}.get(__import__("platform").machine(), 93), 0)
"""

# As numpy does with each large array: advice for a part of a block splits its mapping.
SPLIT = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for i in range(8):
    block = libc.malloc(8 << 20)
    ctypes.memset(block, 1, 8 << 20)
    skipped = 4096 - block % 4096
    libc.madvise(ctypes.c_void_p(block + skipped), ctypes.c_size_t((8 << 20) - skipped), 14)
""" + WAIT

# Texts by which programs are told apart, in one that has none of them.
FAKE_C = r"""
#include <stdio.h>
#include <unistd.h>
#include <string.h>
__attribute__((section(".go.buildinfo"), used, aligned(16))) static const char info[64] =
    "\xff Go buildinf:\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08go1.22.5";
__attribute__((section(".gopclntab"), used, aligned(32))) static const unsigned char table[4096] =
    {0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8, 0xff, 0xff, 0xff, 0x7f};
struct { unsigned long words[4096]; } memstats __asm__("runtime.memstats"),
    heap __asm__("runtime.mheap_"), controller __asm__("runtime.gcController");
static const char *const texts[] = {"<jemalloc>: ", "5.3.0-0-g54eaed1d8b56", "MALLOC_CONF",
    "/etc/malloc.conf", "mimalloc: error: ", "MIMALLOC_PURGE_DELAY", "node.js v18.1.0",
    "OpenJDK 64-Bit Server VM", "DOTNET_gcServer", "_PyRuntime", "PYTHONMALLOC"};
int main(void)
{
    size_t sum = table[3] + (size_t)info[1];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sum += strlen(texts[i]);
    for (size_t i = 0; i < 4096; i++) {
        memstats.words[i] = (i % 7 + 1) * 8192;
        heap.words[i] = controller.words[i] = 8192 * i;
    }
    printf("ready %zu\n", sum);
    fflush(stdout);
    for (;;)
        pause();
}
"""

HELD_GO = """package main

import (
    "runtime"
    "time"
)

var keep [][]byte

func main() {
    for i := 0; i < 2000; i++ {
        keep = append(keep, make([]byte, 20000))
    }
    runtime.GC()
    time.Sleep(200 * time.Millisecond)
    var m runtime.MemStats
    runtime.ReadMemStats(&m)
    println(m.HeapInuse, m.HeapAlloc, m.Sys, m.NumGC)
    time.Sleep(time.Hour)
}
"""
HELD_FIGURES = ("HeapInuse", "HeapAlloc", "Sys", "NumGC")
# What stands for an answer where there was none.
NOTHING = {"runtimes": [], "unread": [], "verdict": {"name": "", "traps": []}}


class Target:
    """A child that is ready; ended by its pid."""

    def __init__(self, *command, **options):
        self.child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                      stdin=subprocess.DEVNULL, **options)

    def __enter__(self):
        self.line = self.child.stdout.readline().decode(errors="replace")
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    @property
    def pid(self):
        return self.child.pid


def python(source, *arguments):
    return Target(sys.executable, "-c", source, *arguments)


def ebb(*arguments):
    """The run, its output as text, and its peak memory in KiB where GNU time is there."""
    command, memory = [EBB, *map(str, arguments)], 0
    with tempfile.NamedTemporaryFile("r") as measured:
        if os.access("/usr/bin/time", os.X_OK):
            command = ["/usr/bin/time", "-q", "-f", "%M", "-o", measured.name, *command]
        run = subprocess.run(command, capture_output=True, timeout=HANG_S, check=False)
        words = measured.read().split()
        memory = int(words[-1]) if words else 0
    run.stdout, run.stderr = run.stdout.decode(errors="strict"), run.stderr.decode(errors="strict")
    return run, memory


def problems(pid, *options, statuses=(0,)):
    """What is wrong with an explanation of `pid`, and the explanation."""
    run, memory = ebb("explain", "--json", *options, pid)
    wrong = []
    if run.returncode not in statuses:
        wrong.append(f"exit status {run.returncode}: {run.stderr}")
    if memory > MOST_MEMORY_KIB:
        wrong.append(f"{memory} KiB of memory")
    if UNSAFE.search(run.stdout) or UNSAFE.search(run.stderr):
        wrong.append("raw control characters: " + ascii(run.stdout + run.stderr))
    if run.returncode != 0:
        return wrong, NOTHING
    try:
        said = json.loads(run.stdout)
    except ValueError as error:
        return [*wrong, f"{error}: {ascii(run.stdout)}"], NOTHING
    rows = sum(row["bytes"] for row in said["account"])
    if rows != said["rss_bytes"]:
        wrong.append(f"rows make {rows}, RSS is {said['rss_bytes']}")
    return wrong, said


def runtime_of(said, name):
    return next((found for found in said["runtimes"] if found["name"] == name), None)


def check_names(folder):
    with python(NAMES, folder) as target:
        wrong, _ = problems(target.pid)
        for arguments in (["explain", target.pid], ["explain", "--all"]):
            run, _ = ebb(*arguments)
            if run.returncode != 0 or UNSAFE.search(run.stdout + run.stderr):
                wrong.append(f"{arguments}: {run.returncode} {ascii(run.stdout + run.stderr)}")
        tap.report(not wrong, "names with escapes, newlines and bidi overrides", "\n".join(wrong))
    with python(WAIT, "x" * 100000, "\033[31m\n\u202e") as target:
        wrong, _ = problems(target.pid)
        tap.report(not wrong, "a command line of 100 KB", "\n".join(wrong))


def check_changing():
    with python(MAPPINGS) as target:
        wrong, _ = problems(target.pid)
        tap.report(not wrong, "30000 mappings", "\n".join(wrong))
    with python(CHANGING) as target:
        wrong = [line for _ in range(5) for line in problems(target.pid)[0]]
        tap.report(not wrong, "mapping and unmapping without pause", "\n".join(wrong))
        os.kill(target.pid, signal.SIGSTOP)
        wrong, _ = problems(target.pid)
        tap.report(not wrong, "a stopped target", "\n".join(wrong))
    with python(SPLIT) as target:
        wrong, said = problems(target.pid)
        in_use = sum(row["bytes"] for row in said.get("account", []) if row["row"] == "in_use")
        if runtime_of(said, "glibc") and in_use < 64 << 20:
            wrong.append(f"{in_use} bytes in use: {said['unread']}")
        tap.report(not wrong, "blocks that advice has split into several mappings",
                   "\n".join(wrong))
    with python(FORKED) as target:
        wrong, said = problems(target.pid)
        traps = " ".join(said["verdict"]["traps"])
        if said["verdict"]["name"] != "lazy" or "forked" not in traps:
            wrong.append(str(said["verdict"]))
        tap.report(not wrong, "lazily freed pages that a fork shares", "\n".join(wrong))


def check_headless():
    """The main thread has ended, others hold memory: that is no process which holds none."""
    with python(HEADLESS) as target:
        end = time.monotonic() + 5
        while time.monotonic() < end and state_of(target.pid) != "Z":
            time.sleep(0.01)
        run, _ = ebb("explain", target.pid)
    tap.report(run.returncode == 3 and "first thread has ended" in run.stderr and
               "no memory" not in run.stderr, "a process whose first thread has ended",
               f"{run.returncode} {run.stderr}")


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def check_ends():
    wrong = []
    for number in range(20):
        with Target("sh", "-c", f"echo ready; sleep 0.0{number:02}") as target:
            wrong += problems(target.pid, statuses=(0, 3))[0]
            target.child.wait()
    tap.report(not wrong, "targets that end while they are read", "\n".join(wrong))
    wrong = []
    for number in range(10):
        with Target("sh", "-c", f"echo ready; sleep 0.0{number}; exec sleep 600") as target:
            wrong += problems(target.pid, statuses=(0, 3))[0]
    tap.report(not wrong, "targets that become another program", "\n".join(wrong))
    with Target("sh", "-c", "echo ready; sleep 0.5") as target:
        wrong, _ = problems(target.pid, "--for=2s", statuses=(3,))
        tap.report(not wrong, "a target that ends while it is watched", "\n".join(wrong))
    with Target("sh", "-c", "echo ready; while :; do (:); done"):
        wrong = [f"{run.returncode} {run.stderr}" for run, _ in
                 (ebb("explain", "--all") for _ in range(3)) if run.returncode != 0]
        tap.report(not wrong, "--all while processes come and go", "\n".join(wrong))


def check_many_readers():
    with python("keep = 'x' * (30 << 20)" + WAIT) as target:
        readers = [subprocess.Popen([EBB, "explain", "--json", str(target.pid)],
                                    stdout=subprocess.PIPE) for _ in range(20)]
        said = [json.loads(reader.communicate(timeout=HANG_S)[0]) for reader in readers]
        sizes = {(one["rss_bytes"], one["effective_rss_bytes"]) for one in said}
        statuses = {reader.returncode for reader in readers}
        tap.report(len(sizes) == 1 and statuses == {0}, "20 readers of one target agree",
                   f"{sizes} {statuses}")
        for arguments in (["explain", target.pid], ["explain", "--json", "--all"], ["doctor"],
                          ["--help"]):
            with open("/dev/full", "w") as full:
                run = subprocess.run([EBB, *map(str, arguments)], stdout=full, check=False,
                                     stderr=subprocess.PIPE, text=True, timeout=HANG_S)
            tap.report(run.returncode == 1 and "cannot write" in run.stderr,
                       f"a full output is told: {' '.join(map(str, arguments[:-1] or arguments))}",
                       f"{run.returncode} {run.stderr}")


def library_of(pid, name):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        found = re.search(rf"(/\S*/{name})$", maps.read(), re.M)
    return found.group(1) if found else None


def check_libraries(folder):
    with python(WAIT) as target:
        library = library_of(target.pid, r"libc\.so\.6")
    if not library:
        tap.skip("a C library deleted, or overwritten with noise", "python3 has no libc.so.6")
        return
    copy = f"{folder}/libc.so.6"
    environment = {**os.environ, "LD_LIBRARY_PATH": folder}
    shutil.copy(library, copy)
    waits = [sys.executable, "-c", WAIT]
    with Target(*waits, env=environment) as target:
        os.unlink(copy)
        with open(copy, "wb") as other:
            other.write(b"no library" * 100)
        wrong, said = problems(target.pid)
        if not runtime_of(said, "glibc"):
            wrong.append(str(said["runtimes"]))
        tap.report(not wrong, "a C library that was deleted and replaced", "\n".join(wrong))
    os.unlink(copy)
    shutil.copy(library, copy)
    with Target(*waits, env=environment) as target:
        os.kill(target.pid, signal.SIGSTOP)
        with open(copy, "r+b") as other:
            other.write(os.urandom(os.path.getsize(copy)))
        wrong, _ = problems(target.pid)
        tap.report(not wrong, "a C library overwritten with noise", "\n".join(wrong))
    os.unlink(copy)


def check_fakes(folder):
    name = "texts and symbols of runtimes in a C program"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        tap.skip(name, "no C compiler")
        return
    source = f"{folder}/fake.c"
    with open(source, "w", encoding="utf-8") as file:
        file.write(FAKE_C)
    subprocess.run([compiler, "-g", "-O1", "-w", "-o", f"{folder}/fake", source], check=True)
    with Target(f"{folder}/fake") as target:
        wrong, said = problems(target.pid)
        go = runtime_of(said, "Go")
        if go and go["ledger"]:
            wrong.append(f"figures of a Go that is not there: {go['ledger']}")
        others = {found["name"] for found in said["runtimes"]} - {"Go", "glibc"}
        if others:
            wrong.append(f"found {others}")
        tap.report(not wrong, name, "\n".join(wrong))


def build_go(folder):
    source = f"{folder}/held.go"
    with open(source, "w", encoding="utf-8") as file:
        file.write(HELD_GO)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GO")}
    environment.update(GOCACHE=f"{folder}/cache", GO111MODULE="off", GOFLAGS="", GOENV="off",
                       GOTOOLCHAIN="local", CGO_ENABLED="0")
    subprocess.run(["go", "build", "-ldflags=-s -w", "-o", f"{folder}/held", source], check=True,
                   env=environment)
    with open(f"{folder}/held", "rb") as file:
        return file.read()


def go_is_right(binary, refusal_is_wrong):
    """None when the figures are the program's own, or refused; else what is wrong."""
    with subprocess.Popen([binary], stderr=subprocess.PIPE, text=True) as child:
        try:
            own = dict(zip(HELD_FIGURES, map(int, child.stderr.readline().split())))
            wrong, said = problems(child.pid)
        finally:
            child.kill()
    go = runtime_of(said, "Go")
    ledger = go["ledger"] if go else {}
    if refusal_is_wrong and not ledger:
        wrong.append(f"refused: {said['unread']}")
    wrong += [f"{name}: {ledger[name]}, the program says {value}" for name, value in own.items()
              if ledger and abs(ledger[name] - value) > 65536]
    return wrong


def check_go(folder):
    lies = ["1.11", "1.14", "1.15", "1.17", "1.18", "1.19", "1.20", "1.21", "1.22", "1.23", "1.24",
            "1.25", "1.26", "1.99"]
    if not shutil.which("go"):
        tap.skip("a stripped Go program that lies about its version", "go is not installed")
        return
    bytes_of = build_go(folder)
    version = re.search(rb"go(1\.\d\d)", bytes_of)
    wrong = go_is_right(f"{folder}/held", True)
    tap.report(not wrong, "a stripped Go program", "\n".join(wrong))
    wrong = []
    for lie in lies if version else []:
        with open(f"{folder}/lies", "wb") as file:
            file.write(bytes_of.replace(b"go" + version.group(1), b"go" + lie.encode()))
        os.chmod(f"{folder}/lies", 0o755)
        wrong += [f"as {lie}: {line}" for line in go_is_right(f"{folder}/lies", False)]
    tap.report(not wrong, "a stripped Go program that lies about its version", "\n".join(wrong))
    wrong = []
    # Of the ELF header: the count of sections, the one of their names, where their headers lie.
    for offset, value in ((0x3c, 0xffff), (0x3c, 1), (0x3e, 0xffff), (0x28, 0xffff),
                          (0x2e, 0xffff)):
        damaged = bytearray(bytes_of)
        damaged[offset:offset + 2] = value.to_bytes(2, "little")
        with open(f"{folder}/damaged", "wb") as file:
            file.write(damaged)
        os.chmod(f"{folder}/damaged", 0o755)
        wrong += [f"at {offset:#x}: {line}" for line in go_is_right(f"{folder}/damaged", False)]
    tap.report(not wrong, "a Go program whose section headers lie", "\n".join(wrong))


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_names(folder)
        check_changing()
        check_headless()
        check_ends()
        check_many_readers()
        check_libraries(folder)
        check_fakes(folder)
        check_go(folder)
    tap.done()


main()
