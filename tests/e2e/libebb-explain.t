#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb explain of programs on libebb: preloaded, linked, static, stripped; every row against what the
# program says, smaps and pagemap; a heap that moves; ledgers that are wrong.
# timeout: 90
# beside: others
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "allocators")]
import libebb  # noqa: E402
import running as at  # noqa: E402
from libebb import LIB, owned, shapes  # noqa: E402
from running import check, examine, ledger, rows, runtime, setting, skip  # noqa: E402

MIB = 1 << 20
# What the loader and stdio have allocated beside the program's own blocks.
OTHERS_BYTES, OTHERS_BLOCKS = 128 << 10, 64
# Pages that come and go between two readings of a process at rest.
SLOP = 256 << 10
NAMES = ("Sys HeapSys HeapAlloc HeapInuse HeapIdle HeapReleased HeapLazy HeapObjects StackSys "
         "MSpanSys Mallocs Frees Purges").split()


def check_figures(label, program, found):
    """The ledger under Go's names: against the program's own count, and against itself."""
    value = {name: ledger(found, name) for name in NAMES}
    check(None not in value.values(), f"{label}: every figure has its Go name", value)
    check(0 <= value["HeapAlloc"] - program.used <= OTHERS_BYTES,
          f"{label}: HeapAlloc is what the program holds", (value, program.used))
    check(0 <= value["HeapObjects"] - program.blocks <= OTHERS_BLOCKS,
          f"{label}: HeapObjects are its blocks", (value, program.blocks))
    sums = {"Sys": value["HeapSys"] + value["MSpanSys"],
            "HeapSys": value["HeapInuse"] + value["HeapIdle"],
            "Mallocs": value["Frees"] + value["HeapObjects"], "StackSys": 0}
    check(all(value[name] == sums[name] for name in sums), f"{label}: the figures add up",
          (value, sums))
    own = program.ask("stats")
    # An empty span's pages that went back are idle there, and released here.
    wrong = {name: (value[name], own[name]) for name in NAMES if name in own and
             abs(value[name] - own[name]) > (8 * 65536 if name == "HeapReleased" else 0)}
    check(own and not wrong, f"{label}: as ebb_get_stats() tells them in the program", wrong or own)
    return value


def check_account(label, program, preload=True):
    """Everything that holds for a program at rest. Returns its report, rows and figures."""
    report, found = examine(label, program.pid, "libebb")
    if not found:
        return None, {}, {}
    sums, errors = owned(report)
    check(found["approximate"] is False and not report["unread"],
          f"{label}: read whole, and twice alike", (found["approximate"], report["unread"]))
    mine = program.smaps()
    check(abs(sum(sums.values()) - mine["Rss"]) <= SLOP,
          f"{label}: libebb's rows are the reservation's Rss", (sums, mine))
    check(abs(sums["in_use"] - program.used) <= OTHERS_BYTES + errors["in_use"],
          f"{label}: in use is what the program has written", (sums, errors, program.used))
    check(found["method"] == "ebb_ledger" or not preload, f"{label}: found by its symbol", found)
    return report, sums, check_figures(label, program, found)


def kept_and_returned():
    """A policy that gives nothing back; then a purge takes all."""
    with shapes({"EBB_CONF": "policy:keep"}) as program:
        report, sums, value = check_account("kept", program)
        present = program.present()
        check(present >= 20 * MIB, "kept: the freed regions are still in memory", present)
        check(sums.get("kept", 0) >= present, "kept: the row has at least these",
              (sums, present))
        idle = value["HeapIdle"] - value["HeapReleased"]
        # And what other blocks have left: spans, one of 3 MiB.
        check(0 <= idle - present <= 8 * MIB, "kept: HeapIdle - HeapReleased is these",
              (value, present))
        check(report["verdict"]["code"] != "growing" and sums.get("lazily_freed", 0) == 0,
              "kept: nothing is lazily freed", sums)
        before = program.smaps()
        done = subprocess.run([at.EBB, "reclaim", "--runtime", str(program.pid)],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 0, "returned: ebb reclaim --runtime", done.stdout + done.stderr)
        _, sums, value = check_account("returned", program)
        present, after = program.present(), program.smaps()
        check(present == 0, "returned: no page of the freed regions is in memory", present)
        check(value["HeapReleased"] >= 20 * MIB, "returned: HeapReleased says so", value)
        check(sums.get("kept", 0) <= 2 * MIB, "returned: next to nothing is kept", sums)
        check(before["Rss"] - after["Rss"] >= 20 * MIB, "returned: RSS fell", (before, after))


def lazy():
    """Policy free: what went back is in RSS, and is free."""
    with shapes({"EBB_CONF": "policy:free,return_within:100ms"}) as program:
        for _ in range(40):
            if program.smaps()["LazyFree"] >= 20 * MIB:
                break
            time.sleep(0.25)
        else:
            skip("lazy", "nothing was freed lazily: the helper is not running")
            return
        # Until it is quiet.
        time.sleep(1.0)
        _, sums, value = check_account("lazy", program)
        mine, present = program.smaps(), program.present()
        check(abs(sums.get("lazily_freed", sums.get("lazy", 0)) - mine["LazyFree"]) <= SLOP,
              "lazy: the row is smaps' LazyFree", (sums, mine))
        # Of what was given back, pages that were never touched are in no memory.
        check(-SLOP <= value["HeapLazy"] - mine["LazyFree"] <= 4 * MIB,
              "lazy: HeapLazy is smaps' LazyFree", (value, mine))
        check(present >= 20 * MIB, "lazy: the freed regions are still in memory", present)
        check(sums.get("kept", 0) <= 2 * MIB, "lazy: next to nothing is kept", sums)


def moves():
    """A thread that allocates and frees without a pause: bounded by what changed."""
    with shapes({"EBB_CONF": "policy:keep"}) as program:
        program.ask("move")
        good, wrong = 0, []
        for _ in range(12):
            report = at.explain(program.pid)
            found = report and runtime(report, "libebb")
            if not found or sum(rows(report).values()) != report["rss_bytes"]:
                wrong.append(report and report["unread"])
                continue
            sums, errors = owned(report)
            # Its own blocks and 512 of up to 90 KB.
            off = sums.get("in_use", 0) - program.used
            if not -errors.get("in_use", 0) <= off <= 48 * MIB:
                wrong.append((sums, errors, program.used))
            good += ledger(found, "HeapAlloc") is not None
        check(not wrong and good >= 10, "moving: the account stays within its errors",
              (good, wrong))


def linked(folder):
    """In the program itself: shared, static, and static without symbols."""
    cc, source = at.compiler(), os.path.join(at.SRC, "tests/programs/ebb_shapes.c")
    # The program names it weakly, which takes nothing out of an archive.
    base = [cc or "cc", "-D_GNU_SOURCE", "-O1", "-pthread", "-Wl,-u,ebb_get_stats", source]
    ways = {
        "shared": [f"-L{libebb.BUILD}", "-lebb", f"-Wl,-rpath,{os.path.abspath(libebb.BUILD)}"],
        "archive": [f"{libebb.BUILD}/libebb.a"],
        "static": ["-static", f"{libebb.BUILD}/libebb.a"],
        "static and stripped": ["-static", "-s", f"{libebb.BUILD}/libebb.a"],
        "archive and stripped": ["-s", f"{libebb.BUILD}/libebb.a"],
    }
    for label, options in ways.items():
        path = os.path.join(folder, "linked")
        if not cc or subprocess.run([*base, "-o", path, *options], check=False,
                                    capture_output=True).returncode:
            skip(label, "no C compiler, or no static libc")
            continue
        with shapes({"EBB_CONF": "policy:keep"}, path=path, preload=None) as program:
            report, _, _ = check_account(label, program, preload=False)
            found = report and runtime(report, "libebb")
            check(found and found["version"] == "0.1.0", f"{label}: its version", found)


def forged():
    """Ledgers that no libebb writes: refused by name, and nothing of them is in the account."""
    refused = {
        "version": "it has version 4242, and this ebb reads version", "magic": "does not begin",
        "lengths": "its lengths", "outside": "its heap lies where none can lie",
        "areas": "its areas contradict", "loop": "its runs do not follow",
        "nowhere": "it is not in memory", "sound": None, "many": None,
    }
    for how, words in refused.items():
        with at.running([f"{libebb.BUILD}/tests/programs/prog_ebb_forged", how]) as (pid, _):
            began = time.monotonic()
            report = at.explain(pid)
            took = time.monotonic() - began
            found = report and runtime(report, "libebb")
            check(found and sum(rows(report).values()) == report["rss_bytes"] and took < 20,
                  f"forged {how}: explained, and rows sum to RSS", (report, took))
            said = " ".join(entry["what"] for entry in report["unread"]) if report else ""
            sums = rows(report) if report else {}
            if words:
                check(words in said and not found["ledger"], f"forged {how}: refused", said)
            # One that is too large for the time it has is held as well, on a slow machine.
            most = 140 if how == "many" else 68
            check(64 * MIB <= sums.get("in_use", 0) + sums.get("held", 0) <= most * MIB,
                  f"forged {how}: malloc's own memory is told all the same", sums)


def settings():
    with shapes({"EBB_CONF": "policy:dontneed,return_within:300ms,limit:512M"}) as program:
        report = at.explain(program.pid)
        found = runtime(report, "libebb")
        told = {name: setting(found, name)[0]
                for name in ("policy", "return_within", "limit", "helper", "pressure", "EBB_CONF")}
        check(None not in told.values(), "settings: all that is in force is told", told)
        if told["policy"] != "dontneed":
            skip("settings: as EBB_CONF has them", "this libebb does not read EBB_CONF")
            return
        check(told["return_within"] == "300ms" and told["limit"] == str(512 * MIB),
              "settings: as EBB_CONF has them", told)


if not os.path.exists(LIB):
    print(f"1..0 # SKIP {libebb.NO_LIB}")
    sys.exit(0)
kept_and_returned()
lazy()
moves()
settings()
forged()
with tempfile.TemporaryDirectory() as scratch:
    linked(scratch)
sys.exit(at.finish())
