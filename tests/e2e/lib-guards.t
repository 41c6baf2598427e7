#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# EBB_CONF=guard:N: misuses are told of guarded blocks, and real programs do not notice: the same
# answers with every block guarded, and a redis that keeps its data with one in 1,000.
# beside: others
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from real_programs import free_port, listens, process, wait_for  # noqa: E402
from tap import done, report, skip  # noqa: E402

BUILD, SCRATCH = os.environ["BUILD"], os.environ["TMPDIR"]
LIB = f"{BUILD}/libebb.so"
AT = "0x[0-9a-f]+"
MISUSES = {
    "double_free": rf"double free of {AT} \(guarded block of 48 bytes\)",
    "double_free_of_many": rf"double free of {AT} \(guarded block of 200 bytes\)",
    "double_free_by_threads": rf"double free of {AT} \(guarded block of 48 bytes\)",
    "interior": rf"invalid free of {AT} \(inside a guarded block of 64 bytes\)",
    "realloc_of_freed": rf"realloc of the freed block {AT} \(guarded block of 48 bytes\)",
}
PYTHON = """
import json, threading
rows = [{str(i): list(range(i % 9)), "x": "y" * (i % 700)} for i in range(1500)]
def churn():
    return [bytes(i) for i in range(900)]
threads = [threading.Thread(target=churn) for _ in range(4)]
[one.start() for one in threads]
[one.join() for one in threads]
print(len(json.dumps(rows)), json.loads(json.dumps(rows)) == rows)
"""
PERL = 'my %h; $h{$_} = "x" x ($_ % 1000) for 1 .. 4000; delete $h{$_ * 3} for 1 .. 1000;' \
       'print scalar(keys %h), " ", length(join("", map { $h{$_} } sort keys %h)), "\n"'
SQL = "create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c" \
      " where x < 4000) insert into t select x, hex(x * 7919 % 1000) from c;" \
      "create index i on t(b); select count(*), sum(length(b)), max(b) from t group by b % 5;"
COMMANDS = {
    "python3": ["python3", "-c", PYTHON],
    "perl": ["perl", "-e", PERL],
    "sqlite3": ["sqlite3", ":memory:", SQL],
}


def environment(conf):
    env = {**os.environ, "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    return {**env, "LD_PRELOAD": LIB, "EBB_CONF": conf} if conf else env


def run(command, conf=None):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100,
                          env=environment(conf), cwd=SCRATCH)


def guarded_pages(pid):
    """Pages that stand alone: writable mappings of 4 KiB between inaccessible ones."""
    count, before = 0, ""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        for line in maps:
            first, last = (int(one, 16) for one in line.split()[0].split("-"))
            rights = line.split()[1]
            count += rights == "rw-p" and last - first == 4096 and before == "---p"
            before = rights
    return count


def try_redis():
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        skip("redis", "redis-server is not installed")
        return
    port = str(free_port())
    server = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir",
              SCRATCH, "--enable-debug-command", "yes"]
    with process(server, f"{SCRATCH}/redis.log", env=environment("guard:1000")) as child:
        wait_for(lambda: listens(int(port))(), "redis")
        load = run(["redis-benchmark", "-p", port, "-q", "-n", "20000", "-c", "20", "-r", "5000",
                    "-d", "300", "-t", "set,lpush,sadd,hset"])
        cli = ["redis-cli", "-p", port]
        before = run([*cli, "debug", "digest"]).stdout
        pages = guarded_pages(child.pid)
        reloaded = run([*cli, "debug", "reload"]).stdout
        after = run([*cli, "debug", "digest"]).stdout
        report(load.returncode == 0 and "OK" in reloaded
               and re.fullmatch(r"[0-9a-f]{40}\n", before) and before == after,
               "redis keeps its data with one block in 1,000 guarded",
               f"{load.stderr}\n{reloaded} {before} {after}")
        report(pages >= 10, "and some are", f"{pages} pages stand alone")


def main():
    if not os.path.exists(LIB):
        print("1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)")
        return
    for name, line in MISUSES.items():
        ran = run([f"{BUILD}/tests/lib/lib_misuse", name], "guard:1")
        report(ran.returncode == -signal.SIGABRT
               and re.fullmatch(rf"ebb: fatal: {line}\n", ran.stderr), name,
               f"status {ran.returncode}: {ran.stdout}{ran.stderr}")
    for name, command in COMMANDS.items():
        if not shutil.which(command[0]):
            skip(name, f"{command[0]} is not installed")
            continue
        system, ours = run(command), run(command, "guard:1")
        report(ours.returncode == 0 and (system.stdout, system.stderr) == (ours.stdout,
               ours.stderr), f"{name} says the same with every block guarded",
               f"{system.returncode} and {ours.returncode}\n{ours.stderr[-800:]}")
    try_redis()
    done()


main()
