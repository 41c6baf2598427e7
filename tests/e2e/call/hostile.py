# SPDX-License-Identifier: Apache-2.0
# Calls in processes that are stopped, traced, confined, of another architecture, about to end, or
# that sleep where nobody may be called.
import os
import signal
import subprocess
import sys
import time

from target import (PROGRAMS, SOURCES, ask, call, caller, missing, program, status_of, tap,
                    wait_until, words)

PLAIN = f"{PROGRAMS}/test_plain"
BUMP = ["bump", "1", "2", "3", "4", "5", "6"]
BUMPED = "654321"
REFUSED = "3"


def plain(mode, binary=PLAIN):
    return program([binary, mode])


def system_call(pid):
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return file.read().split()[0]


def is_whole(child, calls):
    return ask(child) == f"got hello calls {calls} errno 77"


def check_places():
    """Where a thread may be called: on its own stack, with room, outside of handlers."""
    for mode, fits in (("read", True), ("thread", True), ("own", True), ("fork", True),
                       ("no-markers", True), ("small", False), ("own-small", False),
                       ("coroutine", False), ("altstack", False), ("handler", False)):
        with plain(mode) as child:
            time.sleep(0.05)
            result = call(child.pid, *BUMP, options=["-b", "3", "-w", "100"])
            good = result["value"] == BUMPED and result["calls"] == "3" if fits \
                else result["error"] == "-11" and result.get("why")
            whole = is_whole(child, 3 if fits else 0)
            rest = child.communicate()[0]
        tap.report(good and whole and "changed" not in rest and "ended with" not in rest,
                   f"{mode}: {'called' if fits else 'left alone'}", result["output"] + rest)


def check_other_binaries(folder):
    kinds = (("static", ["gcc", "-static", "-pthread"], "", BUMPED),
             ("static, musl", ["musl-gcc", "-static", "-idirafter", "/usr/include", "-idirafter",
                               "/usr/include/x86_64-linux-gnu"], "musl-gcc", "unknown"),
             ("32-bit", ["gcc", "-m32", "-pthread", "-idirafter",
                         "/usr/include/x86_64-linux-gnu"], "", None))
    for name, compiler, needed, value in kinds:
        binary = f"{folder}/plain-{name.replace(' ', '')}"
        made = not (needed and missing(needed)) and subprocess.run(
            [*compiler, "-O1", "-D_GNU_SOURCE", f"{SOURCES}/plain.c", "-o", binary],
            capture_output=True, check=False).returncode == 0
        if not made:
            tap.skip(f"a {name} program", "no compiler for it is installed")
            continue
        with plain("read", binary) as child:
            result = call(child.pid, *BUMP)
            if value:
                good = result["value"] == value and is_whole(child, 1)
            else:
                good = result.get("refused") == "-95" and is_whole(child, 0)
        tap.report(good, f"a {name} program: {'called' if value else 'refused'}", result["output"])


def check_filters():
    if os.geteuid() != 0:
        tap.skip("seccomp filters", "they are read by root only")
        return
    with plain("filter-kill") as child:
        result = call(child.pid, *BUMP)
        tap.report(result["error"] == "-1" and "madvise" in result["why"] and is_whole(child, 0),
                   "a filter that kills for madvise: refused", result["output"])
    with plain("filter-errno") as child:
        result = call(child.pid, *BUMP)
        tap.report(result.get("value") == BUMPED and is_whole(child, 1),
                   "a filter that answers an errno: called", result["output"])


def check_stopped():
    with plain("read") as child:
        child.send_signal(signal.SIGSTOP)
        wait_until(lambda: status_of(child.pid, "State") == "T")
        result = call(child.pid, *BUMP)
        still = status_of(child.pid, "State")
        child.send_signal(signal.SIGCONT)
        tap.report(result["status"] == 3 and result["refused"] == "-16" and "CONT" in
                   result["needs"] and still == "T" and is_whole(child, 0),
                   "a stopped process is refused, and stays stopped", result["output"])


def check_traced():
    if missing("strace"):
        tap.skip("a traced process", "strace is not installed")
        return
    with plain("read") as child:
        tracer = subprocess.Popen(["strace", "-o", "/dev/null", "-p", str(child.pid)],
                                  stderr=subprocess.DEVNULL)
        wait_until(lambda: status_of(child.pid, "TracerPid") != "0")
        result = call(child.pid, *BUMP)
        tracer.terminate()
        tracer.wait()
        tap.report(result.get("refused") == "-16" and str(tracer.pid) in result["why"]
                   and is_whole(child, 0), "a traced process is refused, with its tracer's PID",
                   result["output"])


def check_rights():
    if os.geteuid() != 0 or missing("setpriv"):
        tap.skip("calls without rights", "needs root and setpriv")
        return
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with plain("read") as child:
        result = call(child.pid, *BUMP, wrapper=nobody)
        tap.report(result["status"] != 0 and is_whole(child, 0), "a stranger may not call",
                   result["output"])
    with program([*nobody, PLAIN, "read"]) as child:
        result = call(child.pid, *BUMP, wrapper=nobody)
        tap.report(result.get("value") == BUMPED and is_whole(child, 1),
                   "its own user may, without any privilege", result["output"])


def check_restarted():
    """SIGSTOP and SIGCONT turn a poll() into restart_syscall, which hides what it was."""
    script = "import select\nprint('ready', flush=True)\nselect.poll().poll(600000)"
    with program([sys.executable, "-c", script]) as child:
        wait_until(lambda: system_call(child.pid) == "7")
        child.send_signal(signal.SIGSTOP)
        wait_until(lambda: status_of(child.pid, "State") == "T")
        child.send_signal(signal.SIGCONT)
        wait_until(lambda: system_call(child.pid) == "219")
        result = call(child.pid, "getpid")
        # It may be on its way back into the wait.
        wait_until(lambda: system_call(child.pid) == "7")
        after = system_call(child.pid)
        tap.report(result.get("value") == str(child.pid) and after == "7",
                   "a wait that the kernel has begun again", f"{result['output']}{after}")


def check_fault():
    with plain("read") as child:
        result = call(child.pid, "fault")
        tap.report(result["error"] == "-14" and "faulted" in result["why"] and is_whole(child, 1),
                   "a function that faults: the thread is put back", result["output"])


def check_room():
    with plain("thread") as child:
        result = call(child.pid, "use_stack", "40000")
        tap.report(result.get("error") == "0" and is_whole(child, 1),
                   "40,000 bytes of stack are there for the function", result["output"])


def check_time_limit():
    with plain("read") as child:
        result = call(child.pid, "sleep_ms", "700", options=["-t", "100"])
        # It comes back by itself, without anybody, and answers when it has.
        good = result["error"] == "-62" and is_whole(child, 1)
        tap.report(good and status_of(child.pid, "SigBlk") == "0" * 16,
                   "a call that takes too long is left to itself, and ends well", result["output"])


def check_stop_inside():
    """SIGSTOP while the function runs, from somebody else: the call ends after SIGCONT."""
    with plain("read") as child:
        one = subprocess.Popen(caller(child.pid, ["sleep_ms", "300"]), stdout=subprocess.PIPE,
                               text=True)
        time.sleep(0.1)
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.4)
        child.send_signal(signal.SIGCONT)
        result = words(one.communicate(timeout=20)[0])
        tap.report(result["value"] == "300" and is_whole(child, 1), "SIGSTOP inside a call",
                   result["output"])


def check_suspended_caller():
    """^Z while the function runs: ebb stops only once the target's thread goes on."""
    with plain("read") as child:
        # A group without a parent in its session would not be stopped by it at all.
        one = subprocess.Popen(caller(child.pid, ["sleep_ms", "300"]), stdout=subprocess.PIPE,
                               text=True, process_group=0)
        wait_until(lambda: status_of(child.pid, "TracerPid") == str(one.pid))
        one.send_signal(signal.SIGTSTP)
        goes_on = wait_until(lambda: status_of(child.pid, "TracerPid") == "0")
        one.send_signal(signal.SIGCONT)
        result = words(one.communicate(timeout=20)[0])
        tap.report(goes_on and result["value"] == "300" and is_whole(child, 1),
                   "ebb is suspended inside a call: the target goes on", result["output"])


def check_end_inside():
    with plain("read") as child:
        result = call(child.pid, "leave", "5")
        tap.report(result["error"] == "-3" and child.wait() == 5, "a process that ends in a call",
                   result["output"])
    with plain("read") as child:
        one = subprocess.Popen(caller(child.pid, ["sleep_ms", "5000"]), stdout=subprocess.PIPE,
                               text=True)
        time.sleep(0.1)
        child.kill()
        result = words(one.communicate(timeout=20)[0])
        tap.report(result["error"] == "-3", "a process that is killed in a call", result["output"])


def check_exec_inside():
    with plain("exec") as child:
        time.sleep(0.05)
        one = subprocess.Popen(caller(child.pid, ["sleep_ms", "3000"]), stdout=subprocess.PIPE,
                               text=True)
        time.sleep(0.2)
        child.send_signal(signal.SIGUSR2)
        result = words(one.communicate(timeout=20)[0])
        child.stdout.readline()
        tap.report(result["error"] in ("-116", "-3") and is_whole(child, 0),
                   "a process that executes another program in a call", result["output"])


def check_all():
    check_places()
    check_other_binaries(os.environ["TMPDIR"])
    for check in (check_filters, check_stopped, check_traced, check_rights, check_restarted,
                  check_fault, check_room, check_time_limit, check_stop_inside,
                  check_suspended_caller, check_end_inside, check_exec_inside):
        check()
