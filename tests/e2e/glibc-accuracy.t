#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# glibc's figures as read from outside against the program's own mallinfo2 and pagemap, at rest:
# each within 1 %, kept within 1 % or 64 KiB.
# timeout: 300
# beside: others
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "glibc"))
import held  # noqa: E402


def check(command, env=None):
    with held.Held(held.program(command), env) as running:
        own = running.ask()
        answer, runtime, _ = held.explain(running.process.pid)
        if running.ask() != own:
            return ["the program did not stand still"]
    wrong = [f"{name}: ebb {value}, own {truth}"
             for name, value, truth, tolerance in held.compare(answer, runtime, own)
             if value is None or abs(value - truth) > tolerance]
    if sum(part["bytes"] for part in answer["account"]) != answer["rss_bytes"]:
        wrong.append("the rows do not sum to RSS")
    in_use = held.row(answer, "in_use")
    if in_use > own["uordblks"] + own["hblkhd"] + (1 << 20):
        wrong.append(f"{in_use} in use, of which the program knows {own['uordblks']}")
    return wrong


def check_settings():
    env = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "262144"}
    command = held.program(["glibc_frag", "4", "2000", "16", "300", "50"])
    with held.Held(command, env) as running:
        _, runtime, _ = held.explain(running.process.pid)
    wrong = []
    if runtime["ledger"]["arenas"] != 1:
        wrong.append(f"{runtime['ledger']['arenas']} arenas in spite of MALLOC_ARENA_MAX=1")
    text = str(runtime["settings"])
    for name, value in (("MALLOC_ARENA_MAX", "1"), ("trim_threshold", "262144")):
        if name not in text or value not in text:
            wrong.append(f"{name} is not said to be {value}: {text}")
    return wrong


# Too little time for the heap: what is said must still hold the truth within its bounds.
def check_hurried():
    with held.Held(held.program(held.SCENARIOS["arenas of several heaps"])) as running:
        own = running.ask()
        answer, runtime, _ = held.explain(running.process.pid, "5ms")
    wrong = []
    parts = {part["row"]: part for part in answer["account"] if part["runtime"] == "glibc"}
    for name, truth in (("kept", own["kept"]), ("slack", own["fordblks"] - own["kept"])):
        off = abs(parts[name]["bytes"] - truth)
        # The program's own free pages that were never touched are no slack.
        if off > parts[name]["error_bytes"] + (2 << 20):
            wrong.append(f"{name} is off by {off}, said was {parts[name]['error_bytes']}")
    if runtime["ledger"]["arena"] != own["arena"]:
        wrong.append("what the arenas hold does not take time to find")
    return wrong


def report(number, name, wrong):
    print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
    for text in wrong:
        print(f"# {text}")
    return bool(wrong)


def main():
    checks = {name: (lambda command=command: check(command))
              for name, command in held.SCENARIOS.items()}
    checks["one arena for all threads"] = lambda: check(
        held.SCENARIOS["five fragmented arenas"], {"MALLOC_ARENA_MAX": "1"})
    checks["settings"] = check_settings
    checks["too little time"] = check_hurried
    print(f"1..{len(checks)}")
    failed = False
    for number, (name, run) in enumerate(checks.items(), 1):
        try:
            wrong = run()
        except RuntimeError as error:
            wrong = [str(error)]
        failed |= report(number, name, wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
