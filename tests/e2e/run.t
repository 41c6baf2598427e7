#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb run against real programs: MADV_FREE is off in all of them, in their children and in every way
# to call the kernel, and nothing else changes. The stories go-upgrade, two-kernels, pod-env and
# game-server end here with RSS that falls.
# timeout: 240
# beside: others
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "go")]
import held  # noqa: E402
import real_programs  # noqa: E402
import tap  # noqa: E402

EBB, SRC = os.environ["EBB"], os.environ["SRC"]
OFF = [EBB, "run", "--madv-free=off"]
MIB = 1 << 20
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def memory_of(pid):
    """(RSS, LazyFree) in bytes."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        text = rollup.read()
    return tuple(int(re.search(rf"^{name}: +(\d+) kB", text, re.M)[1]) << 10
                 for name in ("Rss", "LazyFree"))


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
        return dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)


def children_of(pid):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if int(status_of(entry)["PPid"]) == pid:
                found.append(int(entry))
    return found


@contextlib.contextmanager
def running(command, ready="ready", env=None, **options):
    """A program up to its line `ready`: yields (process, the lines before). Ends it and what it
    started, by their numbers."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                             env={**os.environ, **(env or {})}, **options)
    lines = []
    try:
        for line in child.stdout:
            if line.strip() == ready:
                break
            lines.append(line.strip())
        yield child, lines
    finally:
        for pid in [*children_of(child.pid), child.pid]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          **options)


def compile_freer(folder, name, *flags):
    output = f"{folder}/{name}"
    done = run("gcc", "-O1", *flags, "-o", output, f"{HERE}/run/freer.c")
    return output if done.returncode == 0 else None


def frees(program):
    """Every way to ask for MADV_FREE, and every way to get a child that does."""
    for how in ("madvise", "high", "process"):
        with running([program, how]) as (child, lines):
            rss, lazy = memory_of(child.pid)
            if lines != ["taken"]:
                tap.skip(f"{how} is refused", f"this kernel: {lines}")
                continue
            tap.report(lazy > 60 * MIB and rss > lazy, f"{how}: without the filter it is lazy",
                       lazy)
        with running([*OFF, program, how]) as (child, lines):
            rss, lazy = memory_of(child.pid)
            tap.report(lines == ["refused"] and lazy == 0 and rss < 32 * MIB,
                       f"{how}: with the filter it is refused and RSS falls", f"{lines} {rss}")
    with running([*OFF, program, "x32"]) as (child, lines):
        tap.report(lines == ["refused"], "the x32 number of madvise is refused", lines)
    for way in ("fork", "vfork", "spawn"):
        with running([*OFF, program, way, "madvise"]) as (child, lines):
            tap.report(lines == ["refused"], f"a child by {way} inherits the filter", lines)
    if os.geteuid() == 0:
        with running([*NOBODY, *OFF, program, "madvise"]) as (child, lines):
            status = status_of(child.pid)
            tap.report(lines == ["refused"] and status["NoNewPrivs"] == "1",
                       "without privileges it works with no_new_privs", lines)
        with running([*OFF, program, "madvise"]) as (child, lines):
            tap.report(status_of(child.pid)["NoNewPrivs"] == "0", "root keeps no_new_privs off")


def compat(folder):
    # The headers of asm/ serve both, and only gcc-multilib puts them where -m32 looks.
    program = compile_freer(folder, "freer32", "-m32", "-idirafter",
                            "/usr/include/x86_64-linux-gnu")
    if not program:
        tap.skip("a 32-bit program is refused", "gcc -m32 cannot link here")
        return
    with running([*OFF, program, "madvise"]) as (_, lines):
        tap.report(lines == ["refused"], "a 32-bit program is refused", lines)
    done = run(EBB, "run", "--malloc=jemalloc", program)
    tap.report(done.returncode == 1 and "i386" in done.stderr,
               "a library of another machine is refused", done.stderr)


def checks(program):
    done = run(*OFF, "--check=1s", "--", "timeout", "2", program, "madvise")
    tap.report("LazyFree stayed 0 for 1.0 s in timeout" in done.stderr and
               "1 descendant" in done.stderr, "--check says that LazyFree stayed 0", done.stderr)
    started = time.monotonic()
    done = run("sh", "-c", f"{EBB} run --madv-free=off --check=30s sleep 0.3 2>&1 | cat")
    tap.report("has ended" in done.stdout and time.monotonic() - started < 10,
               "--check ends with the command and lets its pipe go", done.stdout)
    done = run(*OFF, "--check=1s", "--", "timeout", "2", program, "uring")
    if "taken" not in done.stdout:
        tap.skip("--check sees what io_uring frees lazily", f"no io_uring: {done.stdout.split()}")
        return
    tap.report(re.search(r"LazyFree rose to 6\d.\d MiB in freer", done.stderr),
               "--check sees what io_uring frees lazily", done.stderr)


def becomes_the_command():
    """Process, descriptors, signals and exit status are the command's, as if ebb were not there."""
    done = run(*OFF, "sh", "-c", "exit 7")
    tap.report(done.returncode == 7 and done.stderr == "", "the exit status passes", done)
    done = run(*OFF, "sh", "-c", "kill -9 $$")
    tap.report(done.returncode == -9, "the death by a signal passes", done.returncode)
    done = run(*OFF, "cat", input="through\n")
    tap.report(done.stdout == "through\n", "stdin and stdout pass", done)
    done = run("sh", "-c", f"{EBB} run --madv-free=off ls -l /proc/self/fd <&-")
    tap.report("/dev/null" not in done.stdout, "a closed stdin stays closed", done.stdout)
    for ignored, mode in (("0", "restore"), ("1", "ignore")):
        trap = "trap '' PIPE; " if ignored == "1" else ""
        line = f"{trap}exec {EBB} run --madv-free=off grep SigIgn /proc/self/status"
        done = run("sh", "-c", line)
        bit = int(done.stdout.split()[1], 16) >> (signal.SIGPIPE - 1) & 1
        tap.report(bit == int(ignored), f"SIGPIPE stays as it was ({mode})", done.stdout)
    with subprocess.Popen([*OFF, "--check=60s", "sleep", "60"], start_new_session=True,
                          stderr=subprocess.DEVNULL) as child:
        time.sleep(0.2)
        with open(f"/proc/{child.pid}/comm", encoding="ascii") as comm:
            tap.report(comm.read() == "sleep\n", "ebb has become the command")
        names = sorted(os.listdir(f"/proc/{child.pid}/fd"))
        tap.report(names == ["0", "1", "2"], "it has no descriptor of ebb's", names)
        tap.report(children_of(child.pid) == [], "the command has no child that it did not start")
        os.kill(child.pid, signal.SIGTSTP)
        time.sleep(0.1)
        tap.report(status_of(child.pid)["State"][0] in "TS", "SIGTSTP reaches the command")
        os.kill(child.pid, signal.SIGCONT)
        os.killpg(child.pid, signal.SIGINT)
        tap.report(child.wait(10) == -signal.SIGINT, "SIGINT to its group reaches the command")
    with subprocess.Popen([*OFF, "sleep", "60"]) as child:
        time.sleep(0.2)
        child.terminate()
        tap.report(child.wait(10) == -signal.SIGTERM, "SIGTERM reaches the command")


def service(burst, environment, *prefix):
    """RSS and LazyFree of the service after its burst, and its process's environment."""
    with running([*prefix, burst, "256", "10"], env=environment) as (child, _):
        with open(f"/proc/{child.pid}/environ", encoding="utf-8") as environ:
            values = dict(entry.split("=", 1) for entry in environ.read().split("\0") if entry)
        return *memory_of(child.pid), values


def build_burst(go, folder, name):
    output = f"{folder}/{name}"
    subprocess.run([go, "build", "-o", output, f"{SRC}/tests/e2e/go/burst.go"], check=True,
                   env={"GOCACHE": f"{folder}/cache", **held.go_environment(False)})
    return output


def go_upgrade(folder):
    """A service rebuilt with a Go that frees lazily by default."""
    try:
        burst = build_burst(held.go_command("1.15"), folder, "burst-1.15")
    except (held.Skip, held.Failure) as problem:
        tap.skip("go-upgrade", str(problem))
        return
    rss, lazy, _ = service(burst, {})
    tap.report(rss > 200 * MIB and lazy > 150 * MIB, "go-upgrade: Go 1.15 keeps its RSS", rss)
    rss, lazy, _ = service(burst, {}, *OFF)
    tap.report(rss < 64 * MIB and lazy == 0, "go-upgrade: with ebb run it falls", f"{rss} {lazy}")


def two_kernels(burst):
    """The filter is the kernel without MADV_FREE."""
    lazily = {"GODEBUG": "gctrace=0,madvdontneed=0"}
    new_rss, new_lazy, _ = service(burst, lazily)
    tap.report(new_rss > 200 * MIB and new_lazy > 150 * MIB,
               "two-kernels: on this one, the memory stays", f"{new_rss} {new_lazy}")
    # Set behind ebb's back, so that the filter alone is at work.
    shell = ["sh", "-c", 'GODEBUG=madvdontneed=0 exec "$@"', "sh"]
    old_rss, old_lazy, values = service(burst, {}, *OFF, *shell)
    tap.report(values["GODEBUG"] == "madvdontneed=0" and old_rss < 64 * MIB and old_lazy == 0,
               "two-kernels: on one without MADV_FREE it falls, whatever the program sets",
               f"{old_rss} {old_lazy} {values.get('GODEBUG')}")


def pod_env(burst):
    """What one would put into a pod's environment, without losing what is there."""
    given = {"GODEBUG": "gctrace=0,madvdontneed=0,gcstoptheworld=0", "MALLOC_CONF": "narenas:2"}
    rss, lazy, values = service(burst, given, *OFF)
    tap.report(values["GODEBUG"] == "gctrace=0,gcstoptheworld=0,madvdontneed=1",
               "pod-env: the one key is replaced, the others stay", values["GODEBUG"])
    tap.report(values["MALLOC_CONF"] == "muzzy_decay_ms:0,narenas:2",
               "pod-env: jemalloc's settings too", values["MALLOC_CONF"])
    tap.report(rss < 64 * MIB and lazy == 0, "pod-env: RSS falls", f"{rss} {lazy}")
    rss, lazy, values = service(burst, {}, EBB, "run", "--madv-free=on")
    tap.report(lazy > 150 * MIB and values["GODEBUG"] == "madvdontneed=0",
               "--madv-free=on brings the old behaviour back", f"{lazy} {values.get('GODEBUG')}")


def ask_redis(port, *lines):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(60)
        for line in lines:
            client.sendall(line.encode() + b"\r\n")
            client.recv(100)


FORGET = "for i = 0, 399999 do redis.call('del', 'key:' .. i) end"


def after_load(folder, prefix, conf):
    """RSS and LazyFree of a redis that was full and is empty."""
    port = real_programs.free_port()
    server = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
              folder, "--enable-debug-command", "local"]
    environment = {**os.environ, "MALLOC_CONF": conf}
    with real_programs.process([*prefix, *server], f"{folder}/redis.log", env=environment) as child:
        real_programs.wait_for(real_programs.listens(port), "redis")
        # FLUSHALL would purge by itself.
        ask_redis(port, "DEBUG POPULATE 400000 key 300", f'EVAL "{FORGET}" 0')
        # Dirty pages decay within a second or so.
        end = time.monotonic() + 4
        while time.monotonic() < end:
            time.sleep(0.25)
            rss, lazy = memory_of(child.pid)
            if rss < 60 * MIB:
                break
        return rss, lazy


def game_server(folder):
    """jemalloc with lazily freed pages, under a server whose load falls."""
    if not shutil.which("redis-server"):
        tap.skip("game-server", "redis-server is not installed")
        return
    muzzy = "dirty_decay_ms:500,muzzy_decay_ms:-1"
    rss, lazy = after_load(folder, [], muzzy)
    tap.report(lazy > 50 * MIB, "game-server: redis on jemalloc keeps its RSS", f"{rss} {lazy}")
    rss, lazy = after_load(folder, OFF, muzzy)
    tap.report(lazy == 0 and rss < 60 * MIB, "game-server: with ebb run it falls", f"{rss} {lazy}")
    # The setting put back behind ebb: jemalloc 5 falls through to MADV_DONTNEED.
    shell = ["sh", "-c", f'MALLOC_CONF={muzzy} exec "$@"', "sh"]
    rss, lazy = after_load(folder, [*OFF, *shell], "")
    tap.report(lazy == 0 and rss < 60 * MIB, "game-server: by the filter alone too",
               f"{rss} {lazy}")


def mimalloc(folder):
    """It repeats a call that answers EAGAIN for ever; EINVAL makes it fall back."""
    program = f"{folder}/pages"
    source = ("#include <stdlib.h>\n#include <string.h>\n#include <stdio.h>\n"
              "int main(void){static char*p[4000];for(int r=0;r<4;r++){"
              "for(int i=0;i<4000;i++){p[i]=malloc(60000);memset(p[i],1,60000);}"
              "for(int i=0;i<4000;i++)free(p[i]);}puts(\"done\");return 0;}\n")
    done = run("gcc", "-O1", "-x", "c", "-", "-o", program, input=source)
    setting = {**os.environ, "MIMALLOC_PAGE_RESET": "1", "MIMALLOC_RESET_DELAY": "0",
               "MIMALLOC_PURGE_DELAY": "0", "MIMALLOC_SHOW_ERRORS": "0"}
    behind = ["sh", "-c", 'MIMALLOC_PURGE_DECOMMITS=0 MIMALLOC_ALLOW_DECOMMIT=0 exec "$@"', "sh"]
    try:
        done = subprocess.run([*OFF, "--malloc=mimalloc", *behind, program], env=setting,
                              capture_output=True, text=True, check=False, timeout=30)
    except subprocess.TimeoutExpired:
        tap.report(False, "mimalloc does not loop", "no end after 30 s")
        return
    if "not installed" in done.stderr:
        tap.skip("mimalloc does not loop", "libmimalloc is not installed")
        return
    tap.report(done.stdout == "done\n", "mimalloc does not loop", done)


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        becomes_the_command()
        program = compile_freer(folder, "freer", "-static")
        if program:
            frees(program)
            checks(program)
            compat(folder)
        else:
            tap.skip("static programs", "gcc cannot link statically here")
        mimalloc(folder)
        game_server(folder)
        go_upgrade(folder)
        if shutil.which("go"):
            burst = build_burst(shutil.which("go"), folder, "burst")
            two_kernels(burst)
            pod_env(burst)
        else:
            tap.skip("two-kernels, pod-env", "go is not installed")
    tap.done()


main()
