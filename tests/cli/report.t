#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb report over recordings whose figures are known: the summary, ranges, comparisons, every
# format as its own tools read it, and files that are no recordings.
# needs: EBB_WITH_SQLITE EBB_WITH_HTTP EBB_WITH_JSON
import csv
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SRC"], "tests/e2e"))
import tap  # noqa: E402

EBB, TMPDIR = os.environ["EBB"], os.environ["TMPDIR"]
START, MIB = 1795260000, 1 << 20


def ebb(*arguments, **options):
    environment = dict(os.environ, TZ="UTC", LC_ALL="C.UTF-8")
    return subprocess.run([EBB, "report", *arguments], capture_output=True, text=True,
                          env=environment, check=False, **options)


def dump(name, rss_of, seconds=600, extra=""):
    """A recording of pprofplus: one sample a second, with the RSS in MiB that `rss_of` gives."""
    path = f"{TMPDIR}/{name}"
    with open(path, "w", encoding="utf-8") as out:
        for second in range(seconds):
            rss = rss_of(second) * MIB
            out.write(json.dumps({"timestamp": START + second, "rss": rss, "vms": 1 << 30,
                                  "sys": rss + 64 * MIB, "heapalloc": rss // 2}) + "\n")
        out.write(extra)
    return path


FLAT = dump("flat.jsonl", lambda second: 100)
STEP = dump("step.jsonl", lambda second: 100 if second < 300 else 400)
RISING = dump("rising.jsonl", lambda second: 100 + second // 2)
# Up for 400 s, and on its way down: a line through it rises.
WAVE = dump("wave.jsonl", lambda second: 100 + min(second, 800 - second), 480)
# Falls by 60 MiB every two minutes, and each low is 40 MiB above the one before.
SAW = dump("saw.jsonl", lambda second: 100 + second // 3 + second % 120 // 2)


def report_json(*arguments):
    run = ebb("--json", *arguments)
    return json.loads(run.stdout) if run.returncode == 0 else {"status": run.returncode,
                                                               "error": run.stderr}


def test_summary():
    it = report_json("--above", "200MiB", STEP)
    row = it["processes"][0]
    tap.report(row["peak_rss_bytes"] == 400 * MIB, "the peak", row)
    tap.report(row["peak_rss_time"] == "2026-11-21T11:25:00.000Z", "its time", row)
    tap.report(abs(row["mean_rss_bytes"] - 250 * MIB) < 2 * MIB, "the mean, over time", row)
    tap.report(abs(row["rss_above_seconds"] - 300) <= 1, "the time above a size", row)
    tap.report(row["first_rss_bytes"] == 100 * MIB and row["last_rss_bytes"] == 400 * MIB,
               "first and last", row)
    row = report_json(RISING)["processes"][0]
    slope = row["growth"]["bytes_per_s"]
    tap.report(row["growing"] and abs(slope - MIB / 2) < MIB / 20, "growth, and its slope", row)
    row = report_json(FLAT)["processes"][0]
    tap.report(not row["growing"], "what stands still does not grow", row)
    row = report_json(WAVE)["processes"][0]
    growth = row["growth"]
    tap.report(not row["growing"] and growth["bytes_per_s"] > 2 * growth["error_bytes_per_s"],
               "nor does a wave", row)
    text = ebb(RISING).stdout
    tap.report("Suspect a leak" in text and "399 MiB" in text, "the text says so", text)
    tap.report("a wave" not in text, "and has no doubt of a steady rise", text)
    text = ebb(SAW).stdout
    tap.report("or a wave that is longer than this: its lows rise, over 4 swings" in text,
               "what falls now and then is told with its doubt", text)


def test_ranges():
    row = report_json("--to", "+4m", STEP)["processes"][0]
    tap.report(row["peak_rss_bytes"] == 100 * MIB, "--to +4m", row)
    row = report_json("--from", "1m ago", STEP)["processes"][0]
    tap.report(row["first_rss_bytes"] == 400 * MIB, "--from 1m ago", row)
    row = report_json("--from", "11:20:10", "--to", "11:20:20", RISING)["processes"][0]
    tap.report(row["peak_rss_bytes"] == 110 * MIB, "--from and --to as times of day", row)
    it = report_json("--at", "11:24:00", STEP)
    tap.report(it["processes"][0]["time"] == "2026-11-21T11:24:00.000Z", "--at", it)
    figures = {figure["name"]: figure["value"] for figure in it["processes"][0]["figures"]}
    tap.report(figures["Sys"] == 164 * MIB and figures["HeapAlloc"] == 50 * MIB,
               "--at: the ledger", figures)
    for arguments, status, text in (
            (["--from", "noon", STEP], 2, "is no time"),
            (["--from", "+5m", "--to", "+4m", STEP], 2, "before --from"),
            (["--to", "@0", STEP], 2, "before the recording"),
            (["--from", "-1h", "--to", "-50m", STEP], 1, "no sample in that time"),
            (["--at", "11:24", "--from", "+1m", STEP], 2, "--at is one moment"),
            (["--process", "nobody", STEP], 3, "no process 'nobody'"),
            ([], 2, "which recording"), ([STEP, STEP, STEP], 2, "one recording, or two"),
            (["--format", "csv", STEP, STEP], 2, "compared as text or json")):
        run = ebb(*arguments)
        tap.report(run.returncode == status and text in run.stderr and not run.stdout,
                   f"refused: {' '.join(os.path.basename(word) for word in arguments)}",
                   (run.returncode, run.stderr))


def record_two():
    """Two processes over a second and a half: a larger one ends after half of it."""
    path = f"{TMPDIR}/two.ebb"
    fill = "b = bytes(range(256)) * (1 << 16); import time; time.sleep(0.5)"
    larger = subprocess.Popen([sys.executable, "-c", fill])
    smaller = subprocess.Popen(["sleep", "60"])
    subprocess.run([EBB, "record", "-q", "-i", "100ms", "--for", "1500ms", "-o", path,
                    str(larger.pid), str(smaller.pid)], check=True)
    larger.wait()
    smaller.kill()
    smaller.wait()
    return path


def test_ended():
    path = record_two()
    text = ebb(path).stdout
    ground = next(line for line in text.splitlines() if line.startswith("         0  "))
    tap.report("█" in ground and len(ground) < 79, "the chart of a process ends with it", text)
    tap.report("\n1 process ended\n" in text and "appeared" not in text,
               "one is one, and who was there at the start did not appear", text)
    pid = report_json(path)["processes"][0]["pid"]
    advice = re.search(r"^Next.*?\n\n", text, re.S | re.M).group()
    tap.report(("the PID of one that runs" in advice) == (f" {pid}" in advice),
               "a PID that is nobody's is told as that, where there is one", advice)
    text = ebb("--at", "+0.2s", "--bytes", path).stdout
    lines = [line.split() for line in text.splitlines() if line.startswith("RSS ")]
    tap.report(lines and all(line[2] == "effective" and line[1].isdigit() for line in lines),
               "--at begins with RSS and effective RSS", text)
    tap.report(re.search(r"code and files +\d+  [█▏▎▍▌▋▊▉]", text), "bars stand apart", text)
    python = report_json(path)["processes"][0]["name"]
    text = ebb("--process", python, "--at", "+5m", path).stdout
    tap.report(text == "no process was there then\n", "--at after its end", text)
    tap.report(report_json(FLAT)["processes"][0]["peak_lazy_bytes"] is None,
               "lazily freed memory that nobody measured is not 0")


def alter(path, name, *statements):
    """A copy of a recording in which something else happened."""
    shutil.copy(path, f"{TMPDIR}/{name}")
    with sqlite3.connect(f"{TMPDIR}/{name}") as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return f"{TMPDIR}/{name}"


def test_gap_of_one():
    """The host slept: that is told of one process as well, and nothing is drawn there."""
    with sqlite3.connect(f"{TMPDIR}/two.ebb") as database:
        first, last = (key & ((1 << 40) - 1) for key in database.execute(
            "SELECT min(id), max(id) FROM sample WHERE id >> 40 = 1").fetchone())
    database.close()
    # The half in its middle.
    slept = alter(f"{TMPDIR}/two.ebb", "slept.ebb",
                  f"INSERT INTO event VALUES ({last - (last - first) // 4}, 7, "
                  f"{(last - first) // 2}, NULL)")
    for arguments in ((), ("--process", report_json(slept)["processes"][0]["name"])):
        text = ebb(*arguments, slept).stdout
        ground = next(line for line in text.splitlines() if line.startswith("         0  "))
        tap.report(re.search("█ +█", ground) and "no readings for 0." in text,
                   f"a gap: {arguments}", text)


def test_ranges_without_samples():
    """A process that stands still has a sample a minute, and is there all the time."""
    two = f"{TMPDIR}/two.ebb"
    with sqlite3.connect(two) as database:
        origin = database.execute("SELECT offset_ms FROM clock").fetchone()[0]
        keys = [key & ((1 << 40) - 1) for key, in database.execute(
            "SELECT id FROM sample WHERE id >> 40 = 2 ORDER BY id")]
    database.close()
    begin, end = max(zip(keys, keys[1:]), key=lambda pair: pair[1] - pair[0])
    still = [f"@{(origin + begin + 5) / 1000:.3f}", f"@{(origin + end - 5) / 1000:.3f}"]
    text = ebb("--process", "sleep", "--from", still[0], "--to", still[1], two).stdout
    ground = next((line for line in text.splitlines() if line.startswith("         0  ")), "")
    tap.report(end - begin > 20 and len(ground) == 80 and " " not in ground[12:],
               "between two samples what was read before stands", text)
    name = next(row["name"] for row in report_json(two)["processes"] if row["name"] != "sleep")
    run = ebb("--process", name, "--from", "-0.2s", two)
    tap.report(run.returncode == 1 and "no sample in that time" in run.stderr,
               "a time in which it was not there", run.stderr)
    nobody = alter(two, "nobody.ebb", *(f"DELETE FROM {table}" for table in
                                        ("subject", "sample", "minute", "hour", "account")),
                   "UPDATE about SET value = 0 WHERE key = 'ended'")
    run = ebb(nobody)
    tap.report(run.returncode == 1 and "has no sample\n" in run.stderr and "-wal" in run.stderr,
               "a recording of nothing", run.stderr)


def test_missed_peak():
    """What only the kernel saw is in each export under one name."""
    with sqlite3.connect(f"{TMPDIR}/two.ebb") as database:
        sample = database.execute("SELECT id FROM sample WHERE id >> 40 = 2 ORDER BY id LIMIT 1 "
                                  "OFFSET 1").fetchone()[0]
    database.close()
    missed = f"INSERT INTO peak VALUES ({sample}, 987654321)"
    path = alter(f"{TMPDIR}/two.ebb", "missed.ebb", missed)
    name = "kernel_peak_rss_bytes"
    rows = list(csv.DictReader(io.StringIO(ebb("--format", "csv", path).stdout, newline="")))
    tap.report([row[name] for row in rows if row[name]] == ["987654321"], "csv: a missed peak",
               rows)
    lines = [json.loads(line) for line in ebb("--format", "jsonl", path).stdout.splitlines()]
    tap.report([line[name] for line in lines if name in line] == [987654321],
               "jsonl: a missed peak", lines)
    text = ebb("--format", "openmetrics", path).stdout
    tap.report(re.search(f"ebb_process_{name}{{[^}}]*}} 987654321 ", text),
               "openmetrics: a missed peak", text[:2000])
    trace = json.loads(ebb("--format", "chrome", path).stdout)["traceEvents"]
    tap.report([event["args"] for event in trace if event["name"] == name] == [{name: 987654321}],
               "chrome: a missed peak", trace[:5])
    tap.report("987654321" in ebb("--format", "html", path).stdout, "html: a missed peak")
    tap.report("Peak RSS by the kernel: 942 MiB" in ebb(path).stdout, "text: a missed peak")
    two = f"{TMPDIR}/two.ebb"
    text = ebb(two, path).stdout
    tap.report(re.search(r"  peak by kernel +[\d.]+ [KM]iB +942 MiB", text),
               "comparison: a missed peak", text)
    pairs = {pair["name"]: pair for pair in report_json(two, path)["names"]}
    tap.report((pairs["sleep"]["before"][name], pairs["sleep"]["after"][name]) == (None, 987654321),
               "comparison as JSON: a missed peak", pairs["sleep"])


def test_comparison():
    it = report_json(FLAT, STEP)
    pair = it["names"][0]
    tap.report(pair["before"]["peak_rss_bytes"] == 100 * MIB and
               pair["after"]["peak_rss_bytes"] == 400 * MIB, "two recordings as JSON", pair)
    text = ebb(FLAT, STEP).stdout
    tap.report("+300 MiB  +300.0 %" in text, "two recordings as text", text)
    text = ebb(FLAT, f"{TMPDIR}/two.ebb").stdout
    tap.report("No name is in both.\n" in text, "two recordings of nothing in common", text)


def test_samples():
    rows = list(csv.DictReader(io.StringIO(ebb("--format", "csv", STEP).stdout, newline="")))
    tap.report(len(rows) >= 2 and int(rows[-1]["rss_bytes"]) == 400 * MIB, "csv", rows[-1:])
    tap.report(rows[0]["lazy_bytes"] == "", "csv: unknown is empty, not 0", rows[0])
    lines = [json.loads(line) for line in ebb("--format", "jsonl", STEP).stdout.splitlines()]
    tap.report(lines[0]["Go.HeapAlloc"] == 50 * MIB and "lazy_bytes" not in lines[0],
               "jsonl: the ledger is there, the unknown is not", lines[0])
    trace = json.loads(ebb("--format", "chrome", STEP).stdout)["traceEvents"]
    counters = [event for event in trace if event["ph"] == "C"]
    tap.report(counters[0]["args"]["effective"] == 100 * MIB and
               counters[0]["ts"] == START * 1000000, "chrome: counters in microseconds",
               counters[:1])
    page = ebb("--format", "html", STEP)
    if page.returncode != 0 and "built without" in page.stderr:
        tap.skip("html", "this build has no page")
        return
    tap.report('id="recording"' in page.stdout and "pprofplus" in page.stdout, "html",
               page.stderr)
    tap.report("<link " not in page.stdout and "src=" not in page.stdout.split("<script")[0] and
               '<script src' not in page.stdout, "html: no file beside it is needed")
    bodies = page.stdout.count("<script"), page.stdout.count("</script>")
    tap.report(bodies[0] == bodies[1], "html: no part ends its element early", bodies)


def test_openmetrics():
    text = ebb("--format", "openmetrics", STEP).stdout
    tap.report(text.endswith("# EOF\n") and 'ebb_process_resident_bytes{name="pprofplus"' in text,
               "openmetrics", text[-300:])
    if not shutil.which("promtool"):
        tap.skip("promtool makes blocks of it", "no promtool")
        return
    path = f"{TMPDIR}/step.om"
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    run = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", path,
                          f"{TMPDIR}/blocks"], capture_output=True, text=True, check=False)
    tap.report(run.returncode == 0 and os.listdir(f"{TMPDIR}/blocks"),
               "promtool makes blocks of it", run.stdout + run.stderr)


def test_unknown_rows():
    """A dump tells RSS and figures, not what RSS consists of: that is left out, and not 0."""
    text = ebb("--format", "jsonl", STEP).stdout
    lines = [json.loads(line) for line in text.splitlines()]
    tap.report(lines and all("rss_bytes" in line and "in_use_bytes" not in line
                             for line in lines), "rows that are unknown are left out", text[:500])
    tap.report(lines and lines[0].get("Go.HeapAlloc") == 50 * MIB, "figures are there", text[:500])


def test_slow_dumps():
    """How often a dump was written its lines tell: what lies between two of them is no gap."""
    path = f"{TMPDIR}/slow.jsonl"
    with open(path, "w", encoding="utf-8") as out:
        for second in range(0, 7200, 120):
            out.write(json.dumps({"timestamp": START + second, "rss": 300 * MIB}) + "\n")
    it = report_json("--above", "200MiB", path)
    row = it["processes"][0]
    tap.report(it["recording"]["interval_seconds"] == 120 and row["rss_above_seconds"] == 7080,
               "a dump with a line every two minutes", (it["recording"], row))
    tap.report(it["recording"]["host"] == "" and "\n1 process\n" in ebb(path).stdout,
               "it is not of this host", it["recording"])


def test_blanks():
    """A file of blanks is none of ours, however long it is; a dump may begin with some."""
    path = f"{TMPDIR}/blanks"
    with open(path, "wb") as out:
        out.write(b" " * (1 << 20))
    run = ebb(path)
    tap.report(run.returncode == 1 and "no recording" in run.stderr, "a file of blanks",
               run.stderr)
    # Of the recordings only dumps begin with blanks, and few.
    with open(STEP, encoding="utf-8") as file:
        content = file.read()
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n \n" + content)
    run = ebb(path)
    tap.report(run.returncode == 0, "a dump behind some blanks", run.stderr)


def test_output():
    path = f"{TMPDIR}/out.csv"
    run = ebb("--format", "csv", "-o", path, STEP)
    tap.report(run.returncode == 0 and os.path.getsize(path) > 100, "-o writes a file", run.stderr)
    run = ebb("--format", "csv", "-o", path, FLAT)
    tap.report(run.returncode == 1 and "nothing is overwritten" in run.stderr,
               "-o overwrites nothing", run.stderr)
    with open("/dev/full", "w", encoding="utf-8") as full:
        run = subprocess.run([EBB, "report", STEP], stdout=full, stderr=subprocess.PIPE, text=True,
                             check=False)
    tap.report(run.returncode == 1 and "No space" in run.stderr, "a full disk is told", run.stderr)


def test_no_recordings():
    """Bad input: each is refused with a sentence, none crashes."""
    other = f"{TMPDIR}/other.db"
    with sqlite3.connect(other) as database:
        database.execute("create table t (x)")
    for name, content in (("empty", b""), ("text", b"hello\n"), ("noise", os.urandom(9000)),
                          ("half", b"SQLite format 3\0" + os.urandom(5000)),
                          ("braces", b"{}\n{\n"), ("deep", b"[" * 100000),
                          ("no-time", b'{"rss": 1}\n'),
                          ("bad-numbers", b'{"timestamp": 1e999, "rss": -5}\n')):
        with open(f"{TMPDIR}/{name}", "wb") as out:
            out.write(content)
    for name in ("empty", "text", "noise", "half", "braces", "deep", "no-time", "bad-numbers",
                 "other.db", "missing", "."):
        run = ebb(f"{TMPDIR}/{name}")
        tap.report(run.returncode == 1 and run.stderr.startswith("ebb: report:") and
                   not run.stdout, f"refused: {name}", (run.returncode, run.stderr, run.stdout))
    mixed = dump("mixed.jsonl", lambda second: 50, 10, "garbage\n{\"timestamp\": \"soon\"}\n")
    run = ebb(mixed)
    tap.report(run.returncode == 0 and "2 lines" in run.stderr and "line 11" in run.stderr,
               "lines that are none are counted", run.stderr)


test_summary()
test_ranges()
test_ended()
test_gap_of_one()
test_ranges_without_samples()
test_missed_peak()
test_comparison()
test_samples()
test_openmetrics()
test_unknown_rows()
test_slow_dumps()
test_blanks()
test_output()
test_no_recordings()
tap.done()
