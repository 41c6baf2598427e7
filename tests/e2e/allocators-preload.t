#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Mallocs preloaded under one program: each is found and named with its version, its settings and
# where they come from; glibc beside it keeps its own row.
# timeout: 240
# beside: others
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "allocators"))
import running as at  # noqa: E402
from running import check, examine, installed, running, runtime, setting, skip  # noqa: E402

# library, name of the runtime, environment, then settings as (name, value, start of the source).
CASES = [
    ("libjemalloc.so.2", "jemalloc", {"MALLOC_CONF": "muzzy_decay_ms:1234,narenas:2"},
     [("muzzy_decay_ms", "1234", "environment MALLOC_CONF"), ("narenas", "2",
                                                              "environment MALLOC_CONF"),
      ("dirty_decay_ms", "10000", "default of 5."), ("background_thread", "false",
                                                     "default of 5.")]),
    ("libtcmalloc_minimal.so.4", "tcmalloc", {"TCMALLOC_RELEASE_RATE": "7"},
     [("release_rate", "7", "environment TCMALLOC_RELEASE_RATE"),
      ("max_total_thread_cache_bytes", "33554432", "default of")]),
    ("libtcmalloc.so.4", "tcmalloc", {}, [("release_rate", "1.0", "default of")]),
    # The name is looked up in small letters, too, and the library's own table says what is in
    # force.
    ("libmimalloc.so.2", "mimalloc", {"mimalloc_page_reset": "1"},
     [("page_reset", "1", "environment mimalloc_page_reset"), ("eager_commit_delay", "1",
                                                               "default of 2.")]),
]

program = os.path.join(at.BUILD, "tests/programs/prog_alloc_mixed")
for file, name, env, settings in CASES:
    path = installed(file)
    if not path:
        skip(file, f"{file} is not installed")
        continue
    with running([program], {"LD_PRELOAD": path, **env}) as (pid, _):
        report, found = examine(file, pid, name)
        if not report:
            continue
        check(found["version"] != "", f"{file}: the version is known", found)
        for key, value, source in settings:
            said = setting(found, key)
            good = said[0] == value and said[1].startswith(source)
            check(good, f"{file}: {key} is {value} by {source}", said)

# Of two the first serves the program: what it can tell of its own must not go to the other one.
both = [installed("libjemalloc.so.2"), installed("libtcmalloc_minimal.so.4")]
if all(both):
    with running([program], {"LD_PRELOAD": ":".join(both)}) as (pid, _):
        report = examine("jemalloc before tcmalloc", pid, "jemalloc")[0]
        held = {row["runtime"]: row["bytes"] for row in report["account"] if row["row"] == "held"}
        used = sum(row["bytes"] for row in report["account"] if row["row"] == "in_use")
        check(held.get("tcmalloc", 0) < used, "jemalloc before tcmalloc: jemalloc has the memory",
              report["account"])
else:
    skip("jemalloc before tcmalloc", "libjemalloc or libtcmalloc is not installed")

with running([program]) as (pid, _):
    report, found = examine("no preload", pid, "glibc")
    if report:
        others = [each["name"] for each in report["runtimes"] if each["name"] != "glibc"]
        check(not others, "no preload: nothing else is taken for a malloc", others)

# A program that only speaks of allocators has none of them; nor has the tool itself, which knows
# their variables.
SPEAKS = os.path.join(at.BUILD, "tests/programs/prog_alloc_speaks")
ITSELF = [at.EBB, "explain", "--for", "30s"]


def has_none(label, pid):
    report = at.explain(pid)
    check(report is not None, f"{label}: explained")
    for name in ("jemalloc", "tcmalloc", "mimalloc", "V8", "libebb"):
        check(report and runtime(report, name) is None, f"{label}: {name} is not found",
              report and report["runtimes"])


with running([SPEAKS]) as (speaker, _):
    has_none("a program that speaks of mallocs", speaker)
    with running([*ITSELF, str(speaker)], ready=None) as (pid, _):
        has_none("ebb itself", pid)


def linked_tcmalloc(folder):
    """A copy in the program itself, with symbols and without."""
    archive, cc = installed("libtcmalloc_minimal.a"), at.compiler()
    if not archive or not cc:
        skip("linked tcmalloc", "libtcmalloc_minimal.a or a C compiler is not installed")
        return
    for label, options in (("linked", []), ("linked and stripped", ["-s"])):
        path = os.path.join(folder, "linked")
        command = [cc, "-D_GNU_SOURCE", "-O1", *options, "-o", path,
                   os.path.join(at.SRC, "tests/programs/alloc_mixed.c"),
                   "-Wl,--whole-archive", archive, "-Wl,--no-whole-archive", "-lstdc++",
                   "-lpthread", "-lm"]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            skip(f"{label} tcmalloc", "libtcmalloc_minimal.a does not link here")
            continue
        with running([path]) as (child, _):
            found = examine(f"{label} tcmalloc", child, "tcmalloc")[1]
            check(found and found["version"].startswith("2."), f"{label} tcmalloc: its version",
                  found)


def static_speaker(folder):
    """A static program has a malloc() of its own, which the C library's texts tell from others."""
    path, cc = os.path.join(folder, "speaker"), at.compiler()
    source = os.path.join(at.SRC, "tests/programs/alloc_speaks.c")
    for label, options in (("static", []), ("static and stripped", ["-s"])):
        command = [cc or "cc", "-static", *options, "-o", path, source]
        if not cc or subprocess.run(command, check=False, capture_output=True).returncode:
            skip(f"{label} program that speaks of mallocs", "no C compiler, or no static libc")
            continue
        with running([path]) as (child, _):
            report = at.explain(child)
            check(report and runtime(report, "tcmalloc") is None,
                  f"{label} program that speaks of mallocs: tcmalloc is not found",
                  report and report["runtimes"])


with tempfile.TemporaryDirectory() as scratch:
    linked_tcmalloc(scratch)
    static_speaker(scratch)
sys.exit(at.finish())
