#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A Go process whose memory may not be read, only described by the kernel: named, held, and said to
# be unknown, with what would help.
# timeout: 120
# beside: others
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "go"))
import held  # noqa: E402


def refuse_reading(folder):
    """A library that makes every reading of another process's memory fail."""
    if not shutil.which("gcc"):
        raise held.Skip("gcc is not installed")
    library = os.path.join(folder, "denied.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "go", "denied.c"),
                    "-ldl"], check=True)
    return library


def explain(pid, library):
    env = dict(os.environ, LD_PRELOAD=library, ASAN_OPTIONS="verify_asan_link_order=0")
    done = subprocess.run([held.EBB, "explain", "--json", str(pid)], env=env, capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise held.Failure(f"status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def faults(document):
    runtime = next((one for one in document["runtimes"] if one["name"] == "Go"), None)
    rows = {}
    for entry in document["account"]:
        rows[entry["row"]] = rows.get(entry["row"], 0) + entry["bytes"]
    rss = document["rss_bytes"]
    unread = [entry for entry in document["unread"] if entry["what"] == "Go's ledger"]
    rules = {
        "Go is named with its version": runtime and runtime["version"].startswith("1."),
        "there is no ledger": runtime and not runtime["ledger"],
        "most of it is held": rows.get("held", 0) > rss // 2,
        "nothing is in use": rows.get("in_use", 0) == 0,
        "next to nothing is unexplained": rows.get("unexplained", 0) < rss // 50,
        "the verdict is unknown": document["verdict"]["name"] == "unknown",
        "one entry says what would help": len(unread) == 1 and "attach" in unread[0]["needs"],
    }
    return [rule for rule, holds in rules.items() if not holds]


def main():
    variants = {"static": "exe", "position-independent": "pie"}
    print(f"1..{len(variants)}")
    # Position-independent programs before 1.18 have their version in memory only.
    version = held.versions()[-1]
    with tempfile.TemporaryDirectory() as folder:
        for number, (variant, mode) in enumerate(variants.items(), 1):
            title = f"{number} - go {version} {variant}: held where memory may not be read"
            try:
                library = refuse_reading(folder)
                program = held.build(held.go_command(version), f"{folder}/held-{mode}", mode)
                with held.Held([program]) as running:
                    wrong = faults(explain(running.pid, library))
            except held.Skip as skip:
                print(f"ok {title} # SKIP {skip}", flush=True)
                continue
            except held.Failure as failure:
                wrong = [str(failure)]
            print(f"{'not ok' if wrong else 'ok'} {title}")
            for rule in wrong:
                print(f"# not so: {rule}", flush=True)


main()
