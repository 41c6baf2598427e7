#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# jemalloc's extents read from outside against what its mallctl() says inside: the stripped shared
# library, a static copy, a static copy without symbols; a heap that eight threads change meanwhile;
# and muzzy pages under a real redis.
# timeout: 240
# beside: others
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "allocators"))
import running as at  # noqa: E402
from running import check, examine, is_near, ledger, rows, running, setting, skip  # noqa: E402


def against_mallctl(label, command, env):
    with running(command, env) as (pid, lines):
        report, found = examine(label, pid, "jemalloc")
        said = {key: int(value) for key, value in (line.split() for line in lines)}
        if not report:
            return
        check(len(said) == 3, f"{label}: mallctl answered", lines)
        for name in ("allocated", "active", "retained"):
            inside, outside = said.get(f"stats.{name}"), ledger(found, name)
            print(f"# {label}: {name} {inside} inside, {outside} outside")
            check(is_near(inside, outside), f"{label}: {name} is what mallctl says", (inside,
                                                                                      outside))
        check(not found["approximate"], f"{label}: at rest it is exact", found)
        sums = rows(report)
        check(sums.get("kept", 0) > 8 << 20, f"{label}: dirty pages are kept", sums)
        check(sums.get("held", 0) < 1 << 20, f"{label}: nothing is merely held", sums)


def under_load(library):
    """Eight threads that allocate without a pause: approximate, but not given up."""
    program = os.path.join(at.BUILD, "tests/programs/prog_alloc_churn")
    with running([program], {"LD_PRELOAD": library}) as (pid, lines):
        live = int(lines[0].split()[1]) if lines else 0
        for look in range(4):
            label = f"under load, look {look}"
            report, found = examine(label, pid, "jemalloc")
            if not report:
                return
            sums = rows(report)
            in_use, held = sums.get("in_use", 0), sums.get("held", 0)
            print(f"# {label}: in use {in_use}, live {live}, held {held}")
            check(held < 0.1 * report["rss_bytes"], f"{label}: it is read, not held",
                  (sums, report["unread"]))
            check(0.85 * live < in_use < 1.25 * live, f"{label}: in use is about what is live",
                  (in_use, live))
            check(found["approximate"] and any(entry["row"] == "in_use" and entry["error_bytes"] > 0
                                               for entry in report["account"]),
                  f"{label}: said to be approximate, with the error", report["account"])


def static_programs(folder):
    """Yields (label, program) for the copies that can be built here."""
    source = os.path.join(at.SRC, "tests/programs/alloc_mixed.c")
    archive, cc = at.installed("libjemalloc.a"), at.compiler()
    if not archive or not cc:
        skip("static jemalloc", "no C compiler" if archive else "libjemalloc.a is not installed")
        return
    program, bare = os.path.join(folder, "linked"), os.path.join(folder, "stripped")
    command = [cc, "-D_GNU_SOURCE", "-O1", "-o", program, source, archive, "-lm", "-ldl",
               "-lpthread", "-lstdc++"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        skip("static jemalloc", "libjemalloc.a does not link here")
        return
    yield "static", program
    if shutil.which("strip"):
        subprocess.run(["strip", "-o", bare, program], check=True)
        yield "static and stripped", bare


def redis_muzzy(folder):
    server, client = shutil.which("redis-server"), shutil.which("redis-cli")
    if not server or not client:
        skip("redis", "redis is not installed")
        return
    socket = os.path.join(folder, "redis.sock")
    command = [server, "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "",
               "--daemonize", "no"]
    fill = "for i = 1, 60000 do redis.call('set', i, string.rep('x', 600)) end"
    with running(command, {"MALLOC_CONF": "dirty_decay_ms:200,muzzy_decay_ms:-1"},
                 ready=None) as (pid, _):
        def ask(*words):
            return subprocess.run([client, "-s", socket, *words], capture_output=True, text=True,
                                  check=False).stdout
        deadline = time.monotonic() + 20
        while ask("ping").strip() != "PONG" and time.monotonic() < deadline:
            time.sleep(0.1)
        ask("eval", fill, "0")
        # FLUSHALL would purge everything itself.
        ask("eval", "for i = 1, 60000 do redis.call('del', i) end", "0")
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and at.explain(pid)["lazy_bytes"] <= 16 << 20:
            ask("ping")
            time.sleep(0.5)
        report, found = examine("redis", pid, "jemalloc")
        if not report:
            return
        # redis writes its title over the environment: the tool says that it cannot know.
        unread = [entry["what"] for entry in report["unread"]]
        check(setting(found, "muzzy_decay_ms")[0] == "-1" or any("environment" in what
                                                                 for what in unread),
              "redis: its settings are told, or that they are lost", (found["settings"], unread))
        # redis starts the thread itself, by mallctl().
        threads = [open(path, encoding="utf-8").read().strip()
                   for path in glob.glob(f"/proc/{pid}/task/*/comm")]
        check("jemalloc_bg_thd" not in threads or setting(found, "background_thread")[0] == "true",
              "redis: its background thread is told", (found["settings"], threads))
        check(report["lazy_bytes"] > 16 << 20, "redis: muzzy pages are lazily freed",
              report["lazy_bytes"])
        muzzy = ledger(found, "muzzy")
        check(muzzy and muzzy >= report["lazy_bytes"] - (1 << 20),
              "redis: jemalloc's muzzy covers the lazy pages",
              (muzzy, report["lazy_bytes"]))
        memory = ask("info", "memory").splitlines()
        allocated = [line for line in memory if line.startswith("allocator_allocated:")]
        inside = int(allocated[0].split(":")[1]) if allocated else None
        check(is_near(inside, ledger(found, "allocated"), 256 << 10),
              "redis: allocated is what redis says",
              (inside, ledger(found, "allocated")))


shared = at.installed("libjemalloc.so.2")
if shared:
    mixed = os.path.join(at.BUILD, "tests/programs/prog_alloc_mixed")
    against_mallctl("shared", [mixed], {"LD_PRELOAD": shared})
    under_load(shared)
else:
    skip("shared", "libjemalloc.so.2 is not installed")
    skip("under load", "libjemalloc.so.2 is not installed")
with tempfile.TemporaryDirectory() as scratch:
    for name, path in static_programs(scratch):
        against_mallctl(name, [path], {})
    redis_muzzy(scratch)
sys.exit(at.finish())
