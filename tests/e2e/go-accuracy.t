#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Every figure that ebb reads from outside against the program's own runtime.ReadMemStats, at rest,
# for several Go versions (EBB_GO_VERSIONS=all: each that can be had): plain, stripped, PIE, cgo,
# -race. Bytes within 64 KiB, counts exact.
# timeout: 900
# beside: others
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "go"))
import held  # noqa: E402

# How the program stands still: its arguments, its environment, the first minor version that has it.
STATES = {
    "kept": (["threads=2", "native=4"], {}, 11),
    "returned": (["free=1", "stop=0", "mib=48"], {}, 11),
    "lazy": (["free=1", "stop=0"], {"GODEBUG": "madvdontneed=0", "GOGC": "50"}, 12),
    "limited": (["free=1", "stop=0"], {"GOMEMLIMIT": "100MiB"}, 19),
}
# The others are about settings, which no build mode changes.
EVERYWHERE = ("kept", "returned")
# How ebb says that it knew a stripped program from an earlier reading.
KEPT = "kept from before"
TRIES = 3
WORST = {}


def remember(version, differences):
    worst = WORST.setdefault(version, {})
    for name, off in differences.items():
        if abs(off) >= abs(worst.get(name, 0)):
            worst[name] = off


def wrong_settings(runtime, env):
    wanted = {"GOGC": env.get("GOGC"), "GODEBUG madvdontneed": None}
    if "GODEBUG" in env:
        wanted["GODEBUG madvdontneed"] = env["GODEBUG"].split("=")[1]
    if "GOMEMLIMIT" in env:
        wanted["GOMEMLIMIT"] = str(100 << 20)
    return [f"{name} is {held.setting(runtime, name)}, not {value}"
            for name, value in wanted.items()
            if value is not None and held.setting(runtime, name) != value]


def after_orders(running):
    """A collection, new objects and a release of memory each move the figures, and ebb's."""
    wrong = []
    for order, figure in (("g", "NumForcedGC"), ("c", "TotalAlloc"), ("f", "HeapReleased")):
        _, before = running.explain()
        running.tell(order)
        time.sleep(0.02)
        _, runtime = running.explain()
        if runtime["ledger"][figure] == before["ledger"][figure]:
            wrong.append(f"the order {order} does not show in {figure}")
    # After the others the scavenger may still be at work; the last one left it nothing to do.
    _, off = held.compare(runtime["ledger"], running.memstats())
    return wrong + [f"after orders: {text}" for text in off]


def check_once(version, program, state):
    """Reads before the program ever calls ReadMemStats, once more after it did, and after orders
    that move the figures. Each reading is compared with the call that follows it: starting the
    world again may start a thread."""
    arguments, env, _ = STATES[state]
    with held.Held([program, *arguments], env) as running:
        _, before = running.explain()
        own = running.memstats()
        time.sleep(0.02)
        _, after = running.explain()
        own_again = running.memstats()
        moved = after_orders(running)
    wrong = []
    if own["version"].replace("go", "").split()[0] != before["version"]:
        wrong.append(f"version {before['version']}, the program says {own['version']}")
    # Once searched for, once as it was kept.
    wrong += wrong_settings(before, env) + wrong_settings(after, env)
    wrong += [f"{state}, {text}" for text in moved]
    if after["method"] != before["method"] and KEPT not in after["method"]:
        wrong.append(f"found by {before['method']!r}, then by {after['method']!r}")
    for when, runtime, truth in (("before", before, own), ("after", after, own_again)):
        differences, off = held.compare(runtime["ledger"], truth)
        remember(version, differences)
        wrong += [f"{state}, {when} its first ReadMemStats: {text}" for text in off]
    return wrong


def check_state(version, program, state):
    """A runtime that starts a thread between the two readings takes a chunk of 256 KiB for its
    tables. Such a difference does not come three times running; a wrong offset does."""
    for _ in range(TRIES):
        try:
            wrong = check_once(version, program, state)
        except held.Failure as failure:
            wrong = [f"{state}: {failure}"]
        if not wrong:
            break
    return wrong


def check_variant(version, variant, program):
    minor = held.minor_of(version)
    states = [state for state, (_, _, since) in STATES.items()
              if minor >= since and (variant in ("plain", "stripped") or state in EVERYWHERE)]
    wrong = []
    for state in states:
        wrong += check_state(version, program, state)
    return wrong


def print_worst():
    for version, worst in WORST.items():
        shown = [f"{name} {off:+}" for name, off in worst.items() if off]
        print(f"# go {version}: worst differences: {', '.join(shown) or 'none'}")


def main():
    built = held.build_all(os.environ.get("TMPDIR", "/tmp"))
    print(f"1..{len(built)}")
    for number, ((version, variant), program) in enumerate(built.items(), 1):
        title = f"{number} - go {version} {variant}"
        if isinstance(program, held.Skip):
            print(f"ok {title} # SKIP {program}", flush=True)
            continue
        wrong = ([str(program)] if isinstance(program, held.Failure) else
                 check_variant(version, variant, program))
        print(f"{'not ok' if wrong else 'ok'} {title}")
        for text in wrong:
            print(f"# {text}", flush=True)
    print_worst()


main()
