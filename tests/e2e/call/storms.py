# SPDX-License-Identifier: Apache-2.0
# Many calls in a busy process; and ebb killed at any instant of them.
import random
import subprocess
import time

from target import (CALLER, FULL, JEMALLOC, call, caller, end_subject, missing, program, PROGRAMS,
                    purge_of, status_of, subject, tap, ask)

# Each waits in its own way, and some get signals a thousand times a second.
KINDS = ["epoll", "main:epoll", "epoll-limited", "poll", "poll-limited", "read", "recv", "select",
         "sleep", "ppoll", "signalled", "restarted", "pause", "sigwait", "main:ppoll"]
CHURNERS = 8
CALLS_EACH = 1000 if FULL else 12
KILLS = 500 if FULL else 40
STRACE_CALLS_MAX = 60


def check_calls(malloc):
    """Every kind of wait, with all that a thread owns looked at: 0 bad, 0 EINTR without a cause."""
    name = "jemalloc" if malloc else "glibc"
    calls = stops = retries = longest = 0
    problems = []
    for kind in KINDS:
        with subject(CHURNERS, kind, malloc=malloc) as child:
            time.sleep(0.05)
            result = call(child.pid, *purge_of(malloc), timeout=600,
                          options=["-n", str(CALLS_EACH), "-p", "1000", "-w", "20000"])
            end = end_subject(child)
        calls += int(result.get("calls", 0))
        stops += int(result.get("stops", 0))
        retries += int(result.get("retries", 0))
        longest = max(longest, int(result.get("longest_us", 0)))
        if result["status"] != 0 or not end or end["bad"] != "0" or end["told"] != "0":
            problems.append(f"{kind}: {result['output']} {end}")
    print(f"# {name}: {calls} calls, {stops} stops, {retries} retries, longest {longest} us")
    tap.report(not problems and calls == CALLS_EACH * len(KINDS),
               f"{name}: calls in {len(KINDS)} kinds of waits beside {CHURNERS} busy threads",
               "\n".join(problems))


def check_stops_alone():
    """Stopped and let go, without a call: nobody sees it."""
    problems = []
    for kind in ("epoll", "sigwait", "epoll-limited", "poll-limited", "signalled"):
        with subject(0, kind) as child:
            result = call(child.pid, *purge_of(None),
                          options=["-n", "60", "-b", "0", "-p", "500", "-w", "20000"])
            end = end_subject(child)
        if result["status"] != 0 or not end or end["bad"] != "0" or end["told"] != "0":
            problems.append(f"{kind}: {result['output']} {end}")
    tap.report(not problems, "stops without a call", "\n".join(problems))


def kill_at(pid, malloc, seconds):
    with subprocess.Popen(caller(pid, purge_of(malloc), "-n", "1000000", "-w", "20000"),
                          stdout=subprocess.DEVNULL) as child:
        time.sleep(seconds)
        child.kill()


def check_kills(malloc):
    """kill -9 of ebb at random instants of its endless calls."""
    name = "jemalloc" if malloc else "glibc"
    kinds = ["poll", "epoll", "read", "main:select", "restarted"]
    chance = random.Random(1)
    problems, kills, told = [], 0, 0
    for kind in kinds:
        with subject(4, kind, malloc=malloc) as child:
            for _ in range(KILLS // len(kinds)):
                kill_at(child.pid, malloc, 0.015 + chance.random() * 0.06)
                kills += 1
            end = end_subject(child)
        if not end or end["bad"] != "0":
            problems.append(f"{kind}: {end}")
        else:
            told += int(end["told"])
    print(f"# {name}: {kills} kills, {told} of them told by EINTR of epoll_wait")
    tap.report(not problems, f"{name}: ebb killed {kills} times in the midst of calls",
               "\n".join(problems))


def kill_at_each(name, mode, function, system_call):
    """Dies on the way into its first, second, third ... system call of this name."""
    problems = []
    number = 0
    for number in range(1, STRACE_CALLS_MAX):
        with program([f"{PROGRAMS}/test_plain", mode]) as child:
            strace = ["strace", "-o", "/dev/null", "-e", f"trace={system_call}", "-e",
                      f"inject={system_call}:signal=SIGKILL:when={number}"]
            result = call(child.pid, *function, options=["-b", "2"], wrapper=strace)
            if result["status"] == 0:
                break
            answer = ask(child)
            calls = answer.split()[3:4]
            state = status_of(child.pid, "SigBlk"), status_of(child.pid, "TracerPid")
        if not answer.startswith("got hello") or not answer.endswith("errno 77") \
                or calls not in (["0"], ["1"], ["2"]) or state != ("0" * 16, "0"):
            problems.append(f"at {system_call} {number}: {answer!r} {state}")
    tap.report(not problems and 1 < number < STRACE_CALLS_MAX - 1,
               f"{name}: ebb killed before each of its {number - 1} {system_call} calls",
               "\n".join(problems) or f"{number} calls")


def check_each_step():
    if missing("strace"):
        tap.skip("ebb killed at each of its system calls", "strace is not installed")
        return
    kill_at_each("by a marker", "read", ["spoil_errno"], "ptrace")
    kill_at_each("by a marker", "read", ["spoil_errno"], "process_vm_writev")
    kill_at_each("by a marker", "read", ["spoil_errno"], "tgkill")
    kill_at_each("by a marker", "thread", ["spoil_errno"], "ptrace")
    kill_at_each("without markers", "no-markers", ["spoil_errno"], "ptrace")


def check_two_at_once():
    """Two callers of one process, as fast as they can: nobody is hurt, nobody waits for ever."""
    with subject(4, "poll", "read") as child:
        command = caller(child.pid, purge_of(None), "-n", "1000000", "-w", "20000")
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        time.sleep(1)
        for one in both:
            one.kill()
            one.communicate()
        end = end_subject(child)
    tap.report(end and end["bad"] == "0", "two callers at once", end)


def check_all():
    assert CALLER
    for malloc in (None, JEMALLOC):
        if malloc is None or JEMALLOC:
            check_calls(malloc)
            check_kills(malloc)
    if not JEMALLOC:
        tap.skip("calls in jemalloc", "libjemalloc is not installed")
    check_stops_alone()
    check_each_step()
    check_two_at_once()
