# SPDX-License-Identifier: Apache-2.0
# What the benches share: whole-process timings by wait4, interleaved runs, medians, targets that
# end by pid.
import contextlib
import os
import statistics
import subprocess
import sys
import time

EBB = os.environ.get("EBB", "build/ebb")
BUILD = os.environ.get("BUILD", "build")


def built(path):
    """A program of the build; where it is not there, says how to build it, and ends."""
    if not os.path.exists(path):
        sys.exit(f"{sys.argv[0]}: there is no {path}: `make bench` builds what is measured, "
                 f"as does `ninja -C {BUILD} ebb libebb bench_programs test_programs`")
    return path


def start(command, **options):
    """subprocess.Popen(), that ends with a word on a program that is not there."""
    try:
        return subprocess.Popen(command, **options)
    except FileNotFoundError:
        built(command[0])
        raise


def run_once(command):
    """Runs a command to its end. Returns wall seconds, CPU seconds and exit status."""
    started = time.monotonic()
    child = start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                  stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "status": child.returncode}


def peak_kib(command):
    """The peak RSS of a command. A child of Python would inherit Python's own peak, so GNU time
    starts it."""
    run = subprocess.run(["/usr/bin/time", "-f", "%M", *command], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, check=False)
    return int(run.stderr.split()[-1])


def interleave(commands, rounds, warmup=1):
    """Runs each command in turn, so that a drift of the machine meets all.

    Returns one list of runs per command."""
    results = [[] for _ in commands]
    for number in range(warmup + rounds):
        for index, command in enumerate(commands):
            run = run_once(command)
            if number >= warmup:
                results[index].append(run)
    return results


def median(runs, figure):
    return statistics.median(run[figure] for run in runs)


def median_ratio(runs, peer_runs, figure):
    """The median of the ratios pair by pair."""
    return statistics.median(a[figure] / b[figure] for a, b in zip(runs, peer_runs))


@contextlib.contextmanager
def target(command, ready="ready", env=None):
    """Starts a target, waits for its line `ready`, and ends it by its pid."""
    child = start(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        for line in child.stdout:
            if line.strip() == ready:
                break
        else:
            raise RuntimeError(f"{command[0]} ended before it was ready")
        yield child
    finally:
        child.kill()
        child.wait()
