#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Looking at a process must not touch it: what ebb asks of the kernel while it explains, and what
# the target notices of it.
# timeout: 120
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB = os.environ["EBB"]
# Calls that stop, signal or change another process.
HARMFUL = ["ptrace", "process_vm_writev", "kill", "tkill", "tgkill", "rt_sigqueueinfo",
           "pidfd_send_signal", "process_madvise", "move_pages", "migrate_pages",
           "sched_setaffinity", "setpriority", "prlimit64", "kcmp"]
# Files that ebb may write: none below /proc, and only its own cache elsewhere.
WRITES = re.compile(r'open(?:at)?\(.*"(?P<path>[^"]*)", [^)]*(?:O_WRONLY|O_RDWR|O_CREAT)')
PYTHON = ("import time\nkeep = [str(i) for i in range(300000)]\ndel keep[::2]\n"
          "print('ready', flush=True)\ntime.sleep(600)\n")


def own_limit_is_read(line):
    """prlimit64(0, ..., NULL, ...) reads a limit of ebb itself."""
    return re.search(r"prlimit64\(0, \w+, NULL", line)


def check_calls(pid, folder):
    if not shutil.which("strace"):
        tap.skip("no call of ebb's stops, signals or changes the target", "strace is not installed")
        tap.skip("ebb opens nothing of the target for writing", "strace is not installed")
        return
    log = f"{folder}/calls"
    subprocess.run(["strace", "-f", "-o", log, "-e", "trace=openat,open," + ",".join(HARMFUL), EBB,
                    "explain", "--json", str(pid)], stdout=subprocess.DEVNULL, check=True)
    lines = open(log, encoding="utf-8", errors="replace").read().splitlines()
    calls = [line for line in lines if re.search(rf"\b({'|'.join(HARMFUL)})\(", line)]
    harmful = [line for line in calls if not own_limit_is_read(line)]
    tap.report(len(lines) > 20 and not harmful, "no call stops, signals or changes the target",
           "\n".join(harmful) or "strace saw nothing")
    written = [match.group("path") for match in map(WRITES.search, lines) if match]
    outside = [path for path in written if "/ebb/" not in path or path.startswith("/proc")]
    tap.report(not outside, "ebb opens nothing of the target for writing", "\n".join(outside))


def harmful_calls(folder, pid, *options):
    log = f"{folder}/calls"
    subprocess.run(["strace", "-f", "-o", log, "-e", "trace=" + ",".join(HARMFUL), EBB, "explain",
                    *options, str(pid)], stdout=subprocess.DEVNULL, check=True)
    lines = open(log, encoding="utf-8", errors="replace").read().splitlines()
    calls = [line for line in lines if re.search(rf"\b({'|'.join(HARMFUL)})\(", line)]
    return [line for line in calls if not own_limit_is_read(line)]


def check_ask(folder):
    """A malloc that can be asked is not, unless somebody wants it to be."""
    libraries = glob.glob("/usr/lib/*/libtcmalloc_minimal.so.4")
    if not libraries or not shutil.which("strace"):
        tap.skip("without --ask a malloc that could be asked is not",
                 "libtcmalloc_minimal.so.4 or strace is not installed")
        return
    with subprocess.Popen([sys.executable, "-c", PYTHON], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "LD_PRELOAD": libraries[0]}) as child:
        try:
            child.stdout.readline()
            harmful = harmful_calls(folder, child.pid)
            tap.report(not harmful, "without --ask a malloc that could be asked is not",
                       "\n".join(harmful))
            # The same look finds what is there with it: so it would have found it before.
            harmful = harmful_calls(folder, child.pid, "--ask")
            tap.report(any("ptrace(" in line for line in harmful), "with --ask it is",
                       "\n".join(harmful))
        finally:
            child.kill()


def figures(pid):
    """What the target would notice: faults, its resident pages, who traces it."""
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    status = open(f"/proc/{pid}/status", encoding="ascii").read()
    rss = [int(re.search(rf"{name}:\s+(\d+)", status).group(1)) for name in ("RssAnon", "RssFile")]
    switches = re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status).group(1)
    return {"minor faults": int(fields[7]), "major faults": int(fields[9]), "RssAnon, RssFile": rss,
            "wake-ups": switches}


def check_target(pid):
    time.sleep(0.5)
    before = figures(pid)
    for _ in range(30):
        subprocess.run([EBB, "explain", "--json", str(pid)], stdout=subprocess.DEVNULL, check=True)
    after = figures(pid)
    tap.report(before == after, "a sleeping target notices nothing of 30 readings",
           f"{before}\n{after}")


def check_killed_reader(pid):
    """kill -9 of ebb at any instant leaves the target as it was."""
    before = figures(pid)
    for number in range(40):
        reader = subprocess.Popen([EBB, "explain", "--json", str(pid)], stdout=subprocess.DEVNULL)
        time.sleep(number * 0.0005)
        reader.kill()
        reader.wait()
    after = figures(pid)
    state = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()[0]
    tap.report(before == after and state == "S", "kill -9 of ebb leaves the target as it was",
           f"{before}\n{after}\n{state}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen([sys.executable, "-c", PYTHON], stdout=subprocess.PIPE,
                              text=True) as child:
            try:
                child.stdout.readline()
                check_target(child.pid)
                check_killed_reader(child.pid)
                check_calls(child.pid, folder)
            finally:
                child.kill()
        check_ask(folder)
    tap.done()


main()
