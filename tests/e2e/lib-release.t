#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# libebb gives memory back by itself: programs that fill, free most and then do nothing, looked at
# from outside. The bounds are loose, and waited for: what it takes is measured by bench/.
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report, skip  # noqa: E402

BUILD, SCRATCH = os.environ["BUILD"], os.environ["TMPDIR"]
LIB = f"{BUILD}/libebb.so"
IDLE = f"{BUILD}/tests/lib/lib_idle"
TRACE = re.compile(r"(?:ebb: )?purge \d+ @\d+\.\d{3}s \d+->\d+ MiB kept, \d+->\d+ MiB lazy, "
                   r"\d+ MiB returned, \d+ pages, \d+\.\d ms, (?:unknown|plenty|short)")
# What a program has besides its heap.
OTHER_KIB = 4096


class Idle:
    """A program of tests/lib/idle.c in its first stage."""

    def __init__(self, mib, *ways, conf="", prepare=None, program=IDLE):
        # Not through a shell: the lines of the program are its stages.
        self.child = subprocess.Popen([program, str(mib), *ways], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, preexec_fn=prepare,
                                      env={**os.environ, "LD_PRELOAD": LIB, "EBB_CONF": conf})
        self.pid, self.live_kib, self.stage = 0, 0, ""

    def read_stage(self):
        words = self.child.stdout.readline().split()
        if len(words) == 3:
            self.stage, self.pid, self.live_kib = words[0], int(words[1]), int(words[2]) // 1024
        return len(words) == 3

    def go_on(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def end(self):
        """Its status, after all stages, and what it said on stderr."""
        try:
            _, said = self.child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            _, said = self.child.communicate()
        return self.child.returncode, said

    def field(self, file, name):
        with open(f"/proc/{self.pid}/{file}", encoding="ascii") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith(name + ":"))

    def effective_kib(self):
        return self.field("smaps_rollup", "Rss") - self.field("smaps_rollup", "LazyFree")

    def threads(self):
        """Names by number; one that has ended meanwhile is left out."""
        names = {}
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{self.pid}/task/{tid}/comm", encoding="ascii") as file:
                    names[int(tid)] = file.read().strip()
        return names

    def has_helper(self):
        return "ebb-helper" in self.threads().values()

    def switches(self):
        return sum(self.field(f"task/{tid}/status", "voluntary_ctxt_switches")
                   for tid in self.threads())

    def is_small(self):
        return self.effective_kib() <= 1.6 * self.live_kib + OTHER_KIB

    def told(self):
        return f"{self.effective_kib()} KiB, live {self.live_kib} KiB, {self.threads()}"


def wait_for(question, seconds):
    """Its answer once that is true, or the last one."""
    until = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > until:
            return answer
        time.sleep(0.05)


def falls(program, name, seconds=10):
    report(program.read_stage() and wait_for(program.is_small, seconds), name,
           program.told() if program.pid else program.end())


def try_sleepers(sleepers, helped):
    """The helper ends when there is nothing to do, and comes again when there is."""
    falls(sleepers, "what four sleeping threads have freed goes back")
    report(helped.read_stage() and wait_for(helped.is_small, 10), "and what one has", helped.told())


def try_quiet(sleepers, helped):
    for name, program in (("sleeping threads", sleepers), ("one thread", helped)):
        report(wait_for(lambda one=program: not one.has_helper(), 20), f"{name}: the helper ends",
               program.told())
    before = sleepers.switches(), helped.switches()
    time.sleep(2)
    report(before == (sleepers.switches(), helped.switches()), "and nothing wakes up any more",
           f"{before} {sleepers.switches()} {helped.switches()}")
    # Before the next line what is freed is freed on the fast path.
    helped.go_on()
    falls(helped, "what is freed then calls the helper again")
    report(helped.has_helper(), "who is there", helped.told())


def try_policies(kept, riding):
    report(kept.read_stage() and riding.read_stage(), "policies: both are idle")
    report(wait_for(riding.is_small, 10) and not riding.has_helper(),
           "helper:off: an active thread gives back for all", riding.told())
    report(kept.effective_kib() >= 40000, "policy:keep keeps", kept.told())
    before = kept.switches()
    time.sleep(2)
    report(kept.switches() - before <= 8, "and rests", f"{before} {kept.switches()}")
    kept.end()
    riding.end()


def cpu_ticks(program):
    with open(f"/proc/{program.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def try_locked(locked):
    if not locked.read_stage():
        skip("locked memory", f"mlockall() is refused: {locked.end()}")
        return
    time.sleep(1)
    before = cpu_ticks(locked)
    time.sleep(3)
    spent = cpu_ticks(locked) - before
    status, said = locked.end()
    report(spent <= 30, "locked memory is not tried again and again",
           f"{spent} of 300 ticks")
    report(status == 0 and not said, "and the program goes on", f"{status} {said}")


def try_settings():
    wrong = Idle(8, conf="policy:maybe,return_within:50ms")
    status, said = (wrong.read_stage(), wrong.end())[1]
    report(status == 0 and "'policy:maybe'" in said and said.count("\n") == 1,
           "a wrong setting is told, and the program runs", f"{status} {said}")
    traced = Idle(32, conf="trace:purge,return_within:50ms")
    traced.read_stage()
    wait_for(traced.is_small, 10)
    status, said = traced.end()
    lines = said.splitlines()
    report(status == 0 and lines and all(TRACE.fullmatch(line) for line in lines),
           "trace:purge: a line for each", f"{status} {said}")


SETUID = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
int main(void) { free(malloc(100)); printf("%lu\\n", getauxval(AT_SECURE)); return 0; }
"""


def try_setuid():
    name = "a program with raised rights has no settings from its user"
    if os.getuid() != 0 or not shutil.which("cc"):
        skip(name, "only root can make one" if os.getuid() else "no compiler")
        return
    # A folder that anybody may look into, with a library of its own: it is found by the run path.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copy(os.path.realpath(LIB), f"{folder}/libebb.so")
        with open(f"{folder}/small.c", "w", encoding="ascii") as file:
            file.write(SETUID)
        subprocess.run(["cc", "-o", f"{folder}/small", f"{folder}/small.c", f"-L{folder}", "-lebb",
                        f"-Wl,-rpath,{folder},--no-as-needed"], check=True)
        os.chmod(f"{folder}/small", 0o4755)
        env = {"PATH": os.environ["PATH"], "EBB_CONF": "policy:maybe"}
        plain = subprocess.run([f"{folder}/small"], env=env, capture_output=True, text=True,
                               check=False)
        raised = subprocess.run([f"{folder}/small"], env=env, capture_output=True, text=True,
                                check=False, user=65534, group=65534)
        if raised.stdout != "1\n":
            skip(name, f"setuid has no effect here: {raised}")
            return
        report(plain.stdout == "0\n" and "maybe" in plain.stderr and not raised.stderr, name,
               f"{plain} {raised}")


def limit_space():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def become_nobody():
    os.setgid(65534)
    os.setuid(65534)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def try_children(programs):
    """In ways of life that leave a helper behind, or refuse one."""
    for name, program in programs.items():
        falls(program, f"{name}: memory goes back")
    uid = programs["setuid"]
    uid.go_on()
    good = uid.read_stage() and all(
        uid.field(f"task/{tid}/status", "Uid") == 65534 for tid in uid.threads())
    report(good, "setuid() reaches all threads", uid.told())
    for name, program in programs.items():
        status, said = program.end()
        report(status == 0 and not said, f"{name}: ends well", f"{status} {said}")


def try_refused():
    if os.getuid() == 0 and os.stat(BUILD).st_mode & 1:
        nobody = Idle(32, conf="return_within:50ms", prepare=become_nobody)
        good = nobody.read_stage()
        helped = good and nobody.has_helper()
        status, said = nobody.end()
        report(good and not helped and status == 0 and not said,
               "where no thread may be started the program runs on", f"{status} {said}")
    else:
        skip("where no thread may be started", "needs root, and a folder that all may read")
    filtered = Idle(16, "threads", "filter", conf="return_within:20ms")
    good = filtered.read_stage()
    status, said = filtered.end()
    report(good and status == 0 and not said,
           "under a filter of its own nothing is called that it may not know", f"{status} {said}")


# The shell runs its commands by vfork() or fork(); python3 by vfork() or posix_spawn().
SPAWN = """
import subprocess, time
for round in range(3):
    kept = [bytes(2000) for _ in range(20000)]
    del kept[:]
    for i in range(20):
        assert subprocess.run(["true"], close_fds=False).returncode == 0
        time.sleep(0.01)
"""


def try_spawn():
    ran = subprocess.run([sys.executable, "-c", SPAWN], capture_output=True, text=True, check=False,
                         timeout=60, env={**os.environ, "LD_PRELOAD": LIB, "PYTHONMALLOC": "malloc",
                                          "EBB_CONF": "return_within:20ms"})
    report(ran.returncode == 0 and not ran.stderr, "children by vfork() next to a helper",
           f"{ran.returncode} {ran.stderr}")


def has_flag(program, flag):
    """Of the largest mapping that can be written: the heap's."""
    size, largest, found = 0, 0, False
    with open(f"/proc/{program.pid}/smaps", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("Rss:"):
                size = int(line.split()[1])
            elif line.startswith("VmFlags:") and size > largest:
                largest, found = size, flag in line.split()
    return found


def try_huge(huge, kept):
    kept.read_stage()
    if not kept.field("smaps_rollup", "AnonHugePages"):
        skip("huge pages", f"there are none to be had: {kept.end()}")
        huge.end()
        return
    falls(huge, "a heap of huge pages falls, too")
    report(wait_for(lambda: has_flag(huge, "nh"), 5), "and is to be without from then on")
    kept.end()
    huge.end()


def main():
    if not os.path.exists(LIB):
        print("1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)")
        return
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sleepers = Idle(128, "threads")
    helped = Idle(64, "again")
    try_sleepers(sleepers, helped)
    try_policies(Idle(48, conf="policy:keep"),
                 Idle(48, "threads", "active", conf="helper:off"))
    try_locked(Idle(32, "locked"))
    try_settings()
    try_setuid()
    try_children({"fork": Idle(32, "fork"), "daemon": Idle(32, "daemon"),
                  "setuid": Idle(32, "setuid") if os.getuid() == 0 else Idle(32),
                  "RLIMIT_AS": Idle(32, prepare=limit_space)})
    try_refused()
    try_spawn()
    try_huge(Idle(64, "huge"), Idle(64, "huge", conf="policy:keep"))
    try_quiet(sleepers, helped)
    sleepers.end()
    helped.end()
    done()


main()
