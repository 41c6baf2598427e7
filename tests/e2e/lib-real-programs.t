#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Programs of the distribution on libebb by preload: each says what it says on the system's malloc.
# beside: others
import os
import random
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from real_programs import free_port, listens, process, wait_for  # noqa: E402
from tap import done, report, skip  # noqa: E402

BUILD, SRC, SCRATCH = os.environ["BUILD"], os.environ["SRC"], os.environ["TMPDIR"]
LIB = f"{BUILD}/libebb.so"

PYTHON = """
import json, random, subprocess, threading
random.seed(7)
rows = [{str(i): list(range(i % 50)), "x": "y" * (i % 3000)} for i in range(20000)]
print(len(json.dumps(rows)))
def churn(number):
    kept = [bytes(random.randrange(5000)) for _ in range(3000)]
    del kept[number % 2::2]
threads = [threading.Thread(target=churn, args=(i,)) for i in range(16)]
[one.start() for one in threads]
[one.join() for one in threads]
print(subprocess.run(["echo", "a child"], capture_output=True, text=True).stdout)
big = bytearray()
for i in range(300):
    big += bytes([i & 255]) * 50000
print(len(big), sum(big[::1000]))
"""
PERL = 'my %h; $h{$_} = "x" x ($_ % 1000) for 1 .. 60000; delete $h{$_ * 3} for 1 .. 20000;' \
       'print scalar(keys %h), " ", length(join("", map { $h{$_} } sort keys %h)), "\n"'
SQL = "create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c" \
      " where x < 60000) insert into t select x, hex(x * 7919 % 1000) from c;" \
      "create index i on t(b); select count(*), sum(length(b)), max(b) from t group by b % 5;"
COMMANDS = {
    "python3": ["python3", "-c", PYTHON],
    "perl": ["perl", "-e", PERL],
    "sqlite3": ["sqlite3", ":memory:", SQL],
    "git": ["git", "-C", SRC, "log", "--stat", "-n", "60"],
    "gcc": ["gcc", "-O2", "-S", "-o", "-", "-std=c11", "-D_GNU_SOURCE", f"-I{SRC}/lib",
            f"-I{SRC}", f"{SRC}/lib/heap/span.c"],
    "g++": ["g++", "-x", "c++", "-O1", "-S", "-o", "-", os.devnull, "-include", "map"],
    "sort": ["sort", "-r", "--parallel=4", f"{SRC}/tool/cmd/main.c"],
}


def environment(lib):
    env = {**os.environ, "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    return {**env, "LD_PRELOAD": lib} if lib else env


def run(command, lib=None, feed=None):
    return subprocess.run(command, capture_output=True, check=False, timeout=120, input=feed,
                          env=environment(lib), cwd=SCRATCH)


def try_command(name, command):
    if not shutil.which(command[0]):
        skip(name, f"{command[0]} is not installed")
        return
    system, ours = run(command), run(command, LIB)
    same = (system.returncode, system.stdout, system.stderr) == \
        (ours.returncode, ours.stdout, ours.stderr)
    report(same and ours.returncode == 0, f"{name} says the same on libebb",
           f"{system.returncode} and {ours.returncode}\n{ours.stderr.decode()[-800:]}")


def keeps_streams(cli):
    """redis 7.0 compares a freed address with that of a new node, whose entry it leaves out when
    they are the same: streams of entries longer than a node show whether sizes share addresses."""
    number = random.Random(7)
    values = ["x" * number.randrange(5000) for _ in range(600)]
    orders = "".join(f"XADD stream{i % 3} {i + 1}-1 a v{value}\r\nSET other{i % 50} {value}\r\n"
                     for i, value in enumerate(values))
    run([*cli, "--pipe"], feed=orders.encode())
    found = [run([*cli, "xrange", f"stream{i}", "-", "+"]).stdout.split() for i in range(3)]
    wanted = [[word.encode() for j in range(i, len(values), 3)
               for word in (f"{j + 1}-1", "a", f"v{values[j]}")] for i in range(3)]
    report(found == wanted, "redis keeps streams of long entries",
           [(len(one), len(two)) for one, two in zip(found, wanted)])


def try_redis():
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        skip("redis", "redis-server is not installed")
        return
    port = str(free_port())
    server = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir",
              SCRATCH, "--enable-debug-command", "yes"]
    with process(server, f"{SCRATCH}/redis.log", env=environment(LIB)) as child:
        wait_for(lambda: listens(int(port))(), "redis")
        with open(f"/proc/{child.pid}/maps", encoding="utf-8") as maps:
            report(LIB in maps.read(), "redis has libebb mapped")
        load = run(["redis-benchmark", "-p", port, "-q", "-n", "20000", "-c", "20", "-r", "5000",
                    "-d", "300", "-t", "set,lpush,sadd,hset,mset"])
        cli = ["redis-cli", "-p", port]
        keeps_streams(cli)
        before = run([*cli, "debug", "digest"]).stdout
        saved = run([*cli, "bgsave"]).stdout
        wait_for(lambda: b"rdb_bgsave_in_progress:0" in run([*cli, "info", "persistence"]).stdout,
                 "the background save")
        reloaded = run([*cli, "debug", "reload"]).stdout
        after = run([*cli, "debug", "digest"]).stdout
        report(load.returncode == 0 and b"OK" in reloaded and b"started" in saved
               and re.fullmatch(rb"[0-9a-f]{40}\n", before) and before == after,
               "redis keeps its data over load, a forked save and a reload",
               f"{load.stderr}\n{saved} {reloaded} {before} {after}")


def main():
    if not os.path.exists(LIB):
        print("1..0 # SKIP this build has no libebb.so")
        return
    for name, command in COMMANDS.items():
        try_command(name, command)
    try_redis()
    done()


main()
