#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Alarms of ebb record: they begin once, end, do not flap, tell the account to a command and to a
# web hook, and are silent about memory that is lazily freed.
import contextlib
import http.server
import json
import mmap
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time

SRC, EBB, TMP = os.environ["SRC"], os.environ["EBB"], os.environ["TMPDIR"]
sys.path.insert(0, f"{SRC}/tests/e2e")
import tap  # noqa: E402

MIB = 1 << 20
# Holds a mapping of 110 MiB; a line on its stdin says what to do with it, each is answered. Writing
# to lazily freed memory changes nothing that a cheap reading sees, so a fill takes 10 MiB more.
TARGET = """
import mmap, sys
block = mmap.mmap(-1, 110 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for line in sys.stdin:
    if line in ("fill\\n", "lazy\\n"):
        for at in range(0, (110 if line == "fill\\n" else 100) << 20, 1 << 20):
            block[at:at + (1 << 20)] = b"x" * (1 << 20)
            if line == "lazy\\n":
                block.madvise(mmap.MADV_FREE, at, 1 << 20)
    elif line == "drop\\n":
        block.madvise(mmap.MADV_DONTNEED)
    print("done", flush=True)
"""


class Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted to it."""
    posts = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Target:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", TARGET], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.does("nothing")

    def does(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


def record(target, *options):
    """ebb record that runs, and the file that its messages go to."""
    number = len(os.listdir(TMP))
    said = open(f"{TMP}/said{number}", "w+", encoding="utf-8")
    process = subprocess.Popen([EBB, "record", "-o", f"{TMP}/file{number}", "--interval", "100ms",
                                "--share", "50", *options, str(target.process.pid)], stderr=said)
    return process, said


def wait_until(condition, seconds=8):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def text_of(said):
    said.seek(0)
    return said.read()


def stop(process):
    process.send_signal(signal.SIGINT)
    return process.wait(20)


def notes(prefix):
    return sorted(name for name in os.listdir(TMP)
                  if name.startswith(prefix) and not name.endswith(".json"))


def test_once_and_over(hook_port):
    target = Target()
    command = (f"cat >{TMP}/note.$$.tmp; env | grep ^EBB_ALARM_ >>{TMP}/note.$$.tmp; "
               f"printf %s \"$EBB_ALARM_JSON\" >{TMP}/note-$EBB_ALARM_STATE-$$.json; "
               f"mv {TMP}/note.$$.tmp {TMP}/note-$EBB_ALARM_STATE-$$")
    process, said = record(target, "--alarm", "effective>60MiB for 300ms clear 40MiB; rss>900GiB",
                           "--exec", command, "--webhook", f"http://127.0.0.1:{hook_port}/hook?a=b")
    try:
        # The same figure in RSS, but nothing that anybody needs: no alarm.
        target.does("lazy")
        time.sleep(1.2)
        tap.report(not notes("note-"), "lazily freed memory is no alarm", text_of(said))
        target.does("fill")
        tap.report(wait_until(lambda: notes("note-began")), "it begins", text_of(said))
        # Up and down between the two levels.
        time.sleep(0.5)
        target.does("drop")
        tap.report(wait_until(lambda: notes("note-ended")), "it ends", text_of(said))
        for _ in range(3):
            target.does("fill")
            time.sleep(0.6)
            target.does("drop")
            time.sleep(0.3)
        status = stop(process)
    finally:
        process.kill()
        target.process.kill()
    tap.report(status == 0, "the recording ends well", text_of(said))
    tap.report(len(notes("note-began")) == 1 and len(notes("note-ended")) == 1,
               "one message for each, though it came again and again", notes("note-"))
    check_note(target, notes("note-began"))
    check_posts(target)
    lines = [line for line in text_of(said).splitlines() if "alarm" in line]
    tap.report(len(lines) == 2 and "effective RSS is" in lines[0] and "alarm over" in lines[1],
               "and a line for each on stderr", "\n".join(lines))


def check_note(target, names):
    with open(f"{TMP}/{names[0]}", encoding="utf-8") as file:
        note = file.read()
    pid = target.process.pid
    tap.report(re.search(r"^Alarm: python3\S* \(%d\)" % pid, note), "the command reads who", note)
    tap.report("effective RSS is" in note and "above 60.0 MiB" in note, "what", note)
    tap.report("Who owns it" in note and "Verdict: " in note, "and the account", note)
    wanted = ["STATE=began", f"PID={pid}", "METRIC=effective", "EXPRESSION=effective>60MiB for"]
    tap.report(all(f"EBB_ALARM_{line}" in note for line in wanted), "its environment tells too",
               note)
    rss = re.search(r"EBB_ALARM_RSS_BYTES=(\d+)", note)
    tap.report(rss and int(rss[1]) > 100 * MIB, "in bytes", note)
    with open(f"{TMP}/{names[0]}.json", encoding="utf-8") as file:
        tap.report(json.load(file)["process"]["pid"] == pid, "and as JSON")


def check_posts(target):
    tap.report([post[2]["state"] for post in Hook.posts] == ["began", "ended"],
               "the web hook gets the same", Hook.posts)
    path, kind, body = Hook.posts[0]
    tap.report(path == "/hook?a=b" and kind == "application/json", "where it said", path)
    tap.report(body["process"]["pid"] == target.process.pid and body["value"] > 60 * MIB and
               body["level"] == 60 * MIB and body["text"].startswith("Alarm: "), "as JSON", body)
    account = body["account"]
    tap.report(account and sum(account["rows"].values()) > 0, "with the account", body)


def test_the_process_ends():
    target = Target()
    process, said = record(target, "--alarm", "rss>20MiB", "--exec", "exit 7")
    target.does("fill")
    wait_until(lambda: "alarm: " in text_of(said))
    target.process.kill()
    target.process.wait()
    process.wait(20)
    text = text_of(said)
    tap.report("alarm over" in text and "the process ended" in text, "its end ends the alarm", text)
    tap.report("the command of the alarm ended with status 7" in text, "a failing command is told",
               text)


def test_three_at_once():
    """Each message of a round is an event of its own."""
    sleepers = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    file = f"{TMP}/three.ebb"
    try:
        done = subprocess.run([EBB, "record", "-o", file, "--for", "300ms", "--alarm", "rss>1KiB",
                               *(str(sleeper.pid) for sleeper in sleepers)], capture_output=True,
                              text=True, timeout=20, check=False)
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
    with contextlib.closing(sqlite3.connect(file)) as database:
        events = database.execute("SELECT subject, text FROM events WHERE kind = 10").fetchall()
    tap.report(sorted(event[0] for event in events) == [1, 2, 3] and
               all(event[1].startswith("RSS is ") for event in events) and
               not any(" for 0" in event[1] for event in events),
               "three at once are three events", f"{events} {done.stderr}")


def test_an_alarm_does_not_ring_for_itself():
    """What an alarm runs is below ebb, as the command is, and not recorded with it."""
    file = f"{TMP}/itself.ebb"
    done = subprocess.run([EBB, "record", "-o", file, "--interval", "50ms", "--alarm",
                           "rss>1KiB every 0s", "--exec", "exec sleep 0.5", "--", "sh", "-c",
                           "exec tail -f /dev/null & sleep 1.2; kill $!"], capture_output=True,
                          text=True, timeout=30, check=False)
    with contextlib.closing(sqlite3.connect(file)) as database:
        names = {name for (name,) in database.execute("SELECT DISTINCT cmdline FROM subject")}
    tap.report(not any("0.5" in name for name in names) and
               any("1.2" in name for name in names), "what an alarm runs is not recorded with the "
               "command", f"{names} {done.stderr}")


def test_refusals():
    for text, options in [("--alarm 'effective'", ["--alarm", "effective"]),
                          ("go with --alarm", ["--exec", "true"]),
                          ("URL", ["--alarm", "rss>1MiB", "--webhook", "ftp://x"])]:
        done = subprocess.run([EBB, "record", "-o", f"{TMP}/no", *options, str(os.getpid())],
                              capture_output=True, text=True, timeout=20, check=False)
        tap.report(done.returncode == 2 and text in done.stderr, f"refused: {options}", done.stderr)
    tap.report(not os.path.exists(f"{TMP}/no"), "a refusal leaves no file")


if not hasattr(mmap, "MADV_FREE"):
    print("1..0 # SKIP this Python knows no MADV_FREE")
    sys.exit(0)
server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
test_once_and_over(server.server_port)
test_the_process_ends()
test_three_at_once()
test_an_alarm_does_not_ring_for_itself()
test_refusals()
tap.done()
