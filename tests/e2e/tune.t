#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb tune on real runtimes: Go's knobs by one store, what the program then does, what is refused,
# and that nothing else of the target changes.
# timeout: 240
import fcntl
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "go")]
import held  # noqa: E402
import tap  # noqa: E402
from tuned import EBB, Tuned, build, tune, undo  # noqa: E402

MIB = 1 << 20
LAZY = {"GODEBUG": "madvdontneed=0"}
# Version, variant, environment in which it frees lazily, what is written.
GO_ROWS = [
    ("1.15", "stripped", {}, "GODEBUG madvdontneed"),
    ("1.15", "plain", {}, "GODEBUG madvdontneed"),
    ("1.19", "stripped", LAZY, "GODEBUG madvdontneed"),
    ("1.24", "stripped", LAZY, "GODEBUG madvdontneed"),
    ("1.27", "plain", LAZY, "runtime.adviseUnused"),
    ("1.27", "pie stripped", LAZY, "runtime.adviseUnused"),
]
# As many must hit a running ebb, in as many tries at most.
KILLS, TRIES = 20, 400


def rollup(pid, key):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(rf"^{key}: +(\d+)", file.read(), re.M)[1]) * 1024


def writable_memory(pid):
    """{start: bytes} of every private writable mapping, of a target that stands still."""
    found = {}
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw.p", line)
            # Reserved heaps are large and empty.
            if head and int(head[2], 16) - int(head[1], 16) <= 16 * MIB:
                start, end = int(head[1], 16), int(head[2], 16)
                memory.seek(start)
                found[start] = memory.read(end - start)
    return found


def differences(before, after):
    """Addresses of bytes that are not the same."""
    if before.keys() != after.keys():
        return [-1]
    changed = []
    for start, data in before.items():
        if data != after[start]:
            changed += [start + i for i, (a, b) in enumerate(zip(data, after[start])) if a != b]
    return changed


def listed(pid):
    """{option: present value}"""
    return {item["option"].split("=")[0]: item["value"] for item in tune(pid)[0]["items"]}


def explained_settings(pid):
    run = subprocess.run([EBB, "explain", "--json", str(pid)], capture_output=True, check=False)
    return json.loads(run.stdout)["runtimes"][0]["settings"]


def go_upgrade(path, name, environment, knob):
    """A Go service whose memory stays up: turned off, memory falls; undone, it stays again."""
    with Tuned(path, environment) as target:
        pid = target.pid
        target.order("burst 96")
        target.order("drop")
        lazy = rollup(pid, "LazyFree")
        planned, status = tune(pid, "--madv-free=off", "--dry-run")
        tap.report(status == 0 and planned["outcome"] == "planned" and lazy > 80 * MIB,
                   f"go-upgrade, {name}: a plan changes nothing", (planned, lazy))
        report, status = tune(pid, "--madv-free=off")
        tap.report(status == 0 and report["outcome"] == "done" and
                   [change["name"] for change in report["changes"]] == [knob],
                   f"go-upgrade, {name}: --madv-free=off is done by {knob}", report)
        again, _ = tune(pid, "--madv-free=off")
        tap.report(again["outcome"] == "nothing", f"go-upgrade, {name}: twice is nothing", again)
        settings = explained_settings(pid)
        told = [settings.get(key, {}).get("value") for key in
                ("GODEBUG madvdontneed", "adviseUnused")]
        tap.report(told in (["1", None], ["0", "MADV_DONTNEED"]),
                   f"go-upgrade, {name}: explain sees it", settings)
        wrong = target.order("zero 96")
        tap.report(wrong == [0], f"go-upgrade, {name}: fresh memory is zero", wrong)
        target.order("drop")
        left, rss = rollup(pid, "LazyFree"), rollup(pid, "Rss")
        tap.report(left < 8 * MIB and rss < 60 * MIB,
                   f"go-upgrade, {name}: RSS falls at the next return", (left, rss))
        statuses = undo(report)
        target.order("burst 96")
        target.order("drop")
        lazy = rollup(pid, "LazyFree")
        tap.report(statuses == [0] and lazy > 80 * MIB,
                   f"go-upgrade, {name}: undone, memory stays again", (statuses, lazy))
        wrong = target.order("zero 96")
        tap.report(wrong == [0], f"go-upgrade, {name}: fresh memory is zero again", wrong)


def nothing_else_changes(path, name, environment, knob):
    """Bit for bit: reading, planning and refusing change nothing, a change only its own bytes."""
    with Tuned(path, environment) as target:
        pid = target.pid
        target.order("burst 1")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.1)
        before = writable_memory(pid)
        tune(pid)
        tune(pid, "--madv-free=off", "--dry-run")
        tune(pid, "--dirty-decay=now")
        after = writable_memory(pid)
        tap.report(differences(before, after) == [], f"{name}: looking changes no byte")
        report, status = tune(pid, "--madv-free=off")
        changed = differences(after, writable_memory(pid))
        tap.report(status == 0 and len(changed) == 1,
                   f"{name}: one byte of a stopped target changes", (report, changed))
        undo(report)
        left = differences(before, writable_memory(pid))
        tap.report(left == [], f"{name}: undone, every byte is as it was", left)
        os.kill(pid, signal.SIGCONT)
        tap.report(target.order("zero 8") == [0], f"{name}: it goes on")


def percent(path, name):
    """GOGC holds from the next collection on, and is shown as it is."""
    with Tuned(path) as target:
        pid = target.pid
        target.order("burst 40")
        target.order("gc")
        usual = target.next_gc()
        report, status = tune(pid, "--gogc=300")
        tap.report(status == 0 and report["changes"][0]["before"] == "100",
                   f"{name}: --gogc=300 is done", report)
        more = target.next_gc()
        tap.report(1.9 < more / usual < 2.1, f"{name}: the next goal is 4 times what is alive",
                   (usual, more))
        _, runtime = held.explain(pid)
        tap.report(held.setting(runtime, "GOGC") == "300", f"{name}: explain shows it", runtime)
        undo(report)
        back = target.next_gc()
        tap.report(0.9 < back / usual < 1.1, f"{name}: undone, the goal is as before",
                   (usual, back))
        report, _ = tune(pid, "--gogc=off")
        endless = target.next_gc()
        undo(report)
        back = target.next_gc()
        tap.report(endless > 1 << 60 and 0.9 < back / usual < 1.1,
                   f"{name}: off is out of reach, and back again", (endless, back))
        statuses = [tune(pid, f"--gogc={value}")[1] for value in ("off", "300", "off", "100")]
        _, runtime = held.explain(pid)
        tap.report(statuses == [0] * 4 and held.setting(runtime, "GOGC") == "100" and
                   "off" not in str(listed(pid)["--gogc"]),
                   f"{name}: changed again and again without a collection in between", statuses)
        report, status = tune(pid, "--gogc=0")
        tap.report(status == 1 and "--force" in str(report["needs"]),
                   f"{name}: --gogc=0 wants --force", report)


def limit(path, name):
    """A memory limit alone keeps a service that collects nothing else small."""
    with Tuned(path, {"GOGC": "off"}) as target:
        pid = target.pid
        target.order("burst 40")
        report, status = tune(pid, "--memory-limit=30M", "--dry-run")
        tap.report(status == 0 and "No collection" in report["warnings"][0],
                   f"{name}: before the first collection nobody knows what is alive", report)
        target.order("gc")
        report, status = tune(pid, "--memory-limit=30M")
        tap.report(status == 1 and "alive" in str(report["refusal"]),
                   f"{name}: a limit below what is alive is refused", report)
        report, status = tune(pid, "--memory-limit=120M")
        tap.report(status == 0 and report["changes"][0]["before"] == "off",
                   f"{name}: --memory-limit=120M is done", report)
        target.order("churn 600")
        cycles, rss = target.order("stats")[1], rollup(pid, "Rss")
        # One was ordered; how many the limit takes is the pacer's affair, what stays is not.
        tap.report(cycles >= 3 and rss < 160 * MIB, f"{name}: the limit is kept", (cycles, rss))
        undo(report)
        target.order("churn 300")
        later = target.order("stats")[1]
        tap.report(later <= cycles + 1, f"{name}: undone, nothing collects", (cycles, later))


def go_versions(folder):
    for version, variant, environment, knob in GO_ROWS:
        name = f"go {version} {variant}"
        try:
            path = build(version, variant, folder)
        except held.Skip as problem:
            tap.skip(name, problem)
            continue
        go_upgrade(path, name, environment, knob)
        if variant != "plain":
            nothing_else_changes(path, name, environment, knob)
        if version == "1.15" and variant == "stripped":
            with Tuned(path) as target:
                report, status = tune(target.pid, "--gogc=50")
                tap.report(status == 1 and "only symbols" in str(report["refusal"]),
                           f"{name}: GOGC cannot be told from other words: refused", report)
                report, status = tune(target.pid, "--memory-limit=1G")
                tap.report(status == 1 and "came with 1.19" in str(report["refusal"]),
                           f"{name}: no memory limit before 1.19", report)
        elif version != "1.27" or variant == "pie stripped":
            percent(path, name)
        if version in ("1.19", "1.27"):
            limit(path, name)


def works_meanwhile(folder):
    """Turned to and fro while the program returns memory and takes it again: every byte is zero."""
    for version in ("1.24", "1.27"):
        name = f"go {version}: turned to and fro at work"
        try:
            path = build(version, "stripped", folder)
        except held.Skip as problem:
            tap.skip(name, problem)
            continue
        with Tuned(path) as target:
            target.child.stdin.write("work 60\n")
            target.child.stdin.flush()
            statuses = []
            while not select.select([target.child.stdout], [], [], 0)[0]:
                way = ["on", "off"][len(statuses) % 2]
                statuses.append(tune(target.pid, f"--madv-free={way}")[1])
            wrong = target.child.stdout.readline().strip()
            tap.report(wrong == "0" and len(statuses) > 10 and set(statuses) == {0}, name,
                       (wrong, statuses))


def attacks(folder):
    """What looks like Go and is none, and what is Go and damaged."""
    source = f"{folder}/speaks.c"
    with open(source, "w", encoding="ascii") as file:
        file.write('#include <unistd.h>\nconst char *text[] = {"madvdontneed", "runtime.debug", '
                   '"\\xff Go buildinf:"};\nlong pair[3] = {0, 12, 0};\n'
                   'int main(void) { pair[0] = (long)text[0]; pair[2] = (long)pair; '
                   'return pause(); }\n')
    subprocess.run(["cc", "-o", f"{folder}/speaks", source], check=True)
    child = subprocess.Popen([f"{folder}/speaks"])
    time.sleep(0.2)
    report, status = tune(child.pid, "--madv-free=off")
    tap.report(status == 1 and report["outcome"] == "refused",
               "a C program that speaks of Go is refused", report)
    child.kill()
    child.wait()
    try:
        path = build("1.19", "stripped", folder)
    except held.Skip as problem:
        tap.skip("damaged Go binaries are refused", problem)
        return
    with open(path, "rb") as file:
        whole = file.read()
    damages = {"its table of knobs": (b"madvdontneed", b"madvdontneeX"),
               "its build information": (b"\xff Go buildinf:", b"\xff Go buildinX:")}
    for what, (old, new) in damages.items():
        with open(f"{folder}/damaged", "wb") as file:
            file.write(whole.replace(old, new))
        os.chmod(f"{folder}/damaged", 0o755)
        with Tuned(f"{folder}/damaged") as target:
            before = rollup(target.pid, "Rss") > 0
            report, status = tune(target.pid, "--madv-free=on")
            tap.report(before and status == 1 and report["outcome"] == "refused",
                       f"a Go program without {what} is refused", report)
    with Tuned(path, {"GODEBUG": "madvdontneed=7"}) as target:
        report, status = tune(target.pid, "--madv-free=on")
        tap.report(status == 1 and "not touched" in str(report["refusal"]),
                   "a knob with a value that it cannot have is not touched", report)


def rights_and_locks(folder):
    try:
        path = build("1.19", "stripped", folder)
    except held.Skip as problem:
        tap.skip("rights and locks", problem)
        return
    with Tuned(path, LAZY) as target:
        fd = os.open(f"/proc/{target.pid}", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        report, status = tune(target.pid, "--madv-free=off")
        tap.report(status == 1 and "another ebb" in str(report["refusal"]),
                   "two ebbs at once: the second is refused", report)
        os.close(fd)
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            tap.skip("without rights", "needs root and setpriv")
            return
        shutil.copy(EBB, f"{folder}/ebb")
        os.chmod(folder, 0o755)
        plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{folder}/ebb"]
        done = subprocess.run([*plain, "tune", "--madv-free=off", str(target.pid)], text=True,
                              capture_output=True, check=False)
        said = " ".join((done.stdout + done.stderr).split())
        tap.report(done.returncode == 4 and "ptrace" in said,
                   "without rights: status 4, and what would help", said)


def killed(folder):
    """kill -9 of ebb at any instant: the target has the old value or the new one, and lives."""
    try:
        path = build("1.19", "stripped", folder)
    except held.Skip as problem:
        tap.skip("kill -9", problem)
        return
    chance = random.Random(4121)
    with Tuned(path, LAZY) as target:
        target.order("burst 24")
        target.order("drop")
        cut, began = 0, time.monotonic()
        tune(target.pid, "--madv-free=on", "--gogc=100")
        usual = time.monotonic() - began
        for number in range(TRIES):
            if cut >= KILLS:
                break
            options = [["--madv-free=off", "--gogc=50"], ["--madv-free=on", "--gogc=200"]]
            ebb = subprocess.Popen([EBB, "tune", *options[number % 2], str(target.pid)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, usual))
            ebb.kill()
            cut += ebb.wait() == -signal.SIGKILL
        wrong = target.order("zero 24")
        values, status = listed(target.pid), tune(target.pid)[1]
        good = values["--madv-free"] in ("on", "off") and values["--gogc"] in ("50", "100", "200")
        tap.report(wrong == [0] and status == 0 and good and cut >= KILLS,
                   f"kill -9 of ebb {KILLS} times at work: the target lives, its values are whole",
                   (wrong, values, cut))


def narrow(folder):
    program = os.path.join(folder, "narrow")
    source = b"int pause(void);\nint main(void) { return pause(); }\n"
    if subprocess.run(["gcc", "-m32", "-xc", "-o", program, "-"], input=source,
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        tap.skip("a 32-bit program has nothing to tune", "gcc -m32 cannot link here")
        return
    target = subprocess.Popen([program])
    for change in ([], ["--madv-free=off"]):
        done = subprocess.run([EBB, "tune", *change, str(target.pid)], capture_output=True,
                              text=True, check=False)
        tap.report(done.returncode == 1 and "32-bit program" in done.stdout + done.stderr,
                   "a 32-bit program has nothing to tune", done)
    target.kill()
    target.wait()


def main():
    with tempfile.TemporaryDirectory() as folder:
        go_versions(folder)
        works_meanwhile(folder)
        attacks(folder)
        rights_and_locks(folder)
        killed(folder)
        narrow(folder)
    tap.done()


main()
