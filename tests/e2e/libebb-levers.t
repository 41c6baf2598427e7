#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The levers on libebb: tune and reclaim --runtime by the control word of its ledger, which stops
# nothing; by a call where nobody looks at the word; run --malloc=ebb from where it is built and
# installed. The program's data stays whole.
# timeout: 90
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "allocators")]
import keeping  # noqa: E402
import libebb  # noqa: E402
import running as at  # noqa: E402
from libebb import LIB, shapes  # noqa: E402
from running import check, runtime, setting  # noqa: E402

MIB = 1 << 20
EBB = at.EBB


def ebb(*words):
    return subprocess.run([EBB, *map(str, words)], capture_output=True, text=True, check=False,
                          timeout=60)


def lever(*words):
    """A lever's report, and its status."""
    done = ebb(*words, "--json")
    try:
        return json.loads(done.stdout), done.returncode
    except ValueError:
        return {"broken": done.stdout + done.stderr}, done.returncode


def in_force(pid):
    found = runtime(at.explain(pid), "libebb")
    return setting(found, "policy")[0], setting(found, "return_within")[0]


def tune_with_helper():
    """A helper runs: what is asked for is in force when ebb ends, and can be undone."""
    with shapes({"EBB_CONF": "policy:keep,return_within:400ms"}) as program:
        listed = ebb("tune", program.pid).stdout
        check("--policy=auto|free|dontneed|keep" in listed and "keep" in listed and
              "--return-within" in listed and "400ms" in listed, "tune lists what can be changed",
              listed)
        report, status = lever("tune", "--policy=dontneed", "--return-within=100ms", program.pid)
        step = report["steps"][0] if report.get("steps") else {}
        check(status == 0 and "read back" in step.get("result", ""), "tune: in force, read back",
              report)
        check(in_force(program.pid) == ("dontneed", "100ms"), "tune: explain reads the same",
              in_force(program.pid))
        changes = {each["name"]: (each["before"], each["after"]) for each in report["changes"]}
        check(changes == {"policy": ("keep", "dontneed"), "return_within": ("400ms", "100ms")},
              "tune: tells what it was and is", changes)
        check("EBB_CONF=policy:dontneed,return_within:100ms" in json.dumps(report["notes"]),
              "tune: tells what makes it last", report["notes"])
        for each in report["changes"]:
            done = ebb(*each["undo"].split()[1:])
            check(done.returncode == 0, f"tune: {each['undo']}", done.stdout + done.stderr)
        check(in_force(program.pid) == ("keep", "400ms"), "tune: undone", in_force(program.pid))
        _, status = lever("tune", "--policy=keep", program.pid)
        check(status == 0, "tune: what holds already is nothing to do", status)
        report, status = lever("tune", "--madv-free=off", program.pid)
        check(status == 0 and in_force(program.pid)[0] == "dontneed",
              "tune --madv-free=off is policy dontneed", report)


def tune_without_helper():
    """Nobody looks: the word waits for the next allocation, and ebb says so."""
    with shapes({"EBB_CONF": "policy:keep,helper:off"}) as program:
        report, status = lever("tune", "--policy=free", program.pid)
        step = report["steps"][0] if report.get("steps") else {}
        check(status == 0 and "next allocates" in step.get("result", ""),
              "without a helper: said that it will be in force later", report)
        check(in_force(program.pid)[0] == "keep", "without a helper: not yet in force",
              in_force(program.pid))
        # What is under way is not lost by what comes after it.
        lever("tune", "--return-within=250ms", program.pid)
        for _ in range(20):
            program.ask("again")
            if in_force(program.pid) == ("free", "250ms"):
                break
        check(in_force(program.pid) == ("free", "250ms"), "without a helper: in force when it "
              "allocates", in_force(program.pid))


def gives_back(label, conf, how):
    """reclaim --runtime brings down what is kept, and says how it was asked."""
    with shapes({"EBB_CONF": conf}) as program:
        before, rss = program.present(), program.smaps()["Rss"]
        planned, _ = lever("reclaim", "--runtime", "--dry-run", program.pid)
        check(planned.get("outcome") == "planned" and program.present() == before,
              f"{label}: a dry run changes nothing", planned)
        # On a busy host the helper may come to it later than ebb waits.
        for _ in range(5):
            report, status = lever("reclaim", "--runtime", program.pid)
            step = report["steps"][0] if report.get("steps") else {}
            if "not done yet" not in step.get("result", ""):
                break
        check(status == 0 and step.get("state") == "done" and "control word" in step["what"],
              f"{label}: asked by its control word", report)
        check(("by a call of ebb_purge()" in step.get("result", "")) == (how == "call"),
              f"{label}: {how}", step)
        check(before >= 20 * MIB and program.present() == 0,
              f"{label}: no page of the freed regions is in memory", (before, program.present()))
        check(rss - program.smaps()["Rss"] >= 20 * MIB, f"{label}: RSS fell", program.smaps())
        waited = report.get("waited", {})
        if how == "word":
            check("thread" not in json.dumps(waited), f"{label}: no thread was stopped", waited)


def forked():
    """A child that has done nothing since: its ledger still names its parent's thread."""
    with shapes({"EBB_CONF": "policy:keep"}) as program:
        child = program.ask("fork")["child"]
        found = runtime(at.explain(child), "libebb")
        check(setting(found, "helper")[0] == "not running" and found["approximate"] is False,
              "a forked child: explained, without a helper", found)
        check(setting(runtime(at.explain(program.pid), "libebb"), "helper")[0] != "not running",
              "its parent: with its helper")
        rss = keeping.rss_bytes(child)
        report, _ = lever("reclaim", "--runtime", child)
        check("by a call of ebb_purge()" in report["steps"][0].get("result", "") and
              keeping.rss_bytes(child) < rss - 20 * MIB, "a forked child: asked by a call", report)
        check(program.present() >= 20 * MIB, "its parent keeps what it has", program.present())


def keeps_data():
    """A program's own digest, before and after; and it works on."""
    # Where nobody looks each asking takes two seconds.
    for conf, rounds in (("policy:keep", 3), ("policy:keep,helper:off", 1)):
        with keeping.keeping({"LD_PRELOAD": LIB, "EBB_CONF": conf}, mib=60, threads=3) as program:
            before, rss = program.ask("digest"), keeping.rss_bytes(program.pid)
            for _ in range(rounds):
                ebb("reclaim", "--runtime", program.pid)
                after = keeping.rss_bytes(program.pid)
                program.ask("work")
            check(program.ask("digest") == before, f"{conf}: the program's data is whole", before)
            check(after < rss / 3, f"{conf}: its RSS fell", (rss, after))


def refuses():
    with shapes(preload=None) as program:
        done = ebb("tune", "--policy=free", program.pid)
        check(done.returncode != 0 and "--policy is for libebb" in done.stdout,
              "a process without libebb is refused", done.stdout)
    for how, words in (("version", "it has version 4242"), ("loop", "")):
        with at.running([f"{libebb.BUILD}/tests/programs/prog_ebb_forged", how]) as (pid, _):
            done = ebb("tune", "--policy=free", pid)
            said = " ".join(done.stdout.split())
            if words:
                check(done.returncode != 0 and words in said, f"a ledger's {how} is refused", said)
            report, status = lever("reclaim", "--runtime", pid)
            check(status in (0, 1) and "outcome" in report, f"forged {how}: reclaim ends", report)


def serves_nothing():
    """Preloaded behind another malloc: there is nothing to give back, and that is no failure."""
    other = at.installed("libmimalloc.so.2")
    if not other:
        at.skip("behind another malloc", "libmimalloc is not installed")
        return
    program = f"{libebb.BUILD}/tests/programs/prog_alloc_mixed"
    with at.running([program], {"LD_PRELOAD": f"{other}:{LIB}"}) as (pid, _):
        report, status = lever("reclaim", "--runtime", pid)
        check(status == 0 and report.get("outcome") != "failed",
              "behind another malloc: it ends well", report)


def runs(folder):
    """run --malloc=ebb: the library beside ebb; of the prefix where ebb is installed."""
    script = ["sh", "-c", "grep -m1 -o '/.*libebb.so' /proc/self/maps; echo $EBB_CONF"]
    done = ebb("run", "--malloc=ebb", *script)
    check(done.stdout.strip() == os.path.realpath(LIB), "run: libebb of the build", done)
    for name in ("bin", "lib"):
        os.mkdir(os.path.join(folder, name))
    shutil.copy(EBB, os.path.join(folder, "bin/ebb"))
    shutil.copy(LIB, os.path.join(folder, "lib/libebb.so"))
    done = subprocess.run([os.path.join(folder, "bin/ebb"), "run", "--malloc=ebb", *script],
                          capture_output=True, text=True, check=False)
    check(done.stdout.strip() == os.path.join(folder, "lib/libebb.so"),
          "run: libebb of ebb's prefix", done)
    for switch, policy in (("off", "dontneed"), ("on", "free")):
        environment = {**os.environ, "EBB_CONF": "limit:1G,policy:keep"}
        done = subprocess.run([EBB, "run", "--malloc=ebb", f"--madv-free={switch}", *script],
                              capture_output=True, text=True, check=False, env=environment)
        check(done.stdout.splitlines()[-1:] == [f"policy:{policy},limit:1G"],
              f"run: --madv-free={switch} is a policy, beside what was set", done)


if not os.path.exists(LIB):
    print(f"1..0 # SKIP {libebb.NO_LIB}")
    sys.exit(0)
tune_with_helper()
tune_without_helper()
gives_back("by the word", "policy:keep", "word")
gives_back("by a call", "policy:keep,helper:off", "call")
forked()
keeps_data()
refuses()
serves_nothing()
with tempfile.TemporaryDirectory() as scratch:
    runs(os.path.realpath(scratch))
sys.exit(at.finish())
