#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb top on a terminal: a program with lazily freed memory is seen, found, looked into and seen to
# end; keys, sizes and signals leave the terminal as it was.
# timeout: 60
# beside: others
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB, BUILD, TMPDIR = os.environ["EBB"], os.environ["BUILD"], os.environ["TMPDIR"]
LAZY_MIB, LIVE_MIB = 48, 16


class Screen:
    """ebb top in a real terminal emulator; behind it the shell says how it ended."""

    count = 0

    def __init__(self, *arguments, lines=40, columns=140, term=""):
        # A server that was just killed may still hold its socket.
        Screen.count += 1
        self.socket = f"{TMPDIR}/tmux{Screen.count}"
        command = " ".join([f"exec 2>&1; env -u NO_COLOR LC_ALL=C.UTF-8 {term}", EBB, "top",
                            "--interval 200ms", *arguments])
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines),
                  f"{command}; echo status $?; sleep 60")
        self.shell, server = map(int, self.tmux("display-message", "-p",
                                                "#{pane_pid} #{pid}").split())
        self.server = os.pidfd_open(server)

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], check=True,
                              capture_output=True, text=True).stdout

    def ebb_pid(self):
        children = f"/proc/{self.shell}/task/{self.shell}/children"
        return int(open(children, encoding="ascii").read().split()[0])

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def shown(self):
        return self.tmux("capture-pane", "-p")

    def until(self, text, seconds=8):
        """True once the screen shows `text`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text in self.shown():
                return True
            time.sleep(0.05)
        return False

    def close(self):
        """The server goes behind its answer: nothing of it runs when the test ends."""
        self.tmux("kill-server")
        select.select([self.server], [], [], 5)
        os.close(self.server)


def start_target():
    path = f"{TMPDIR}/topper"
    if not os.path.exists(path):
        os.symlink(f"{BUILD}/tests/programs/prog_lazy_live", path)
    process = subprocess.Popen([path, str(LAZY_MIB), str(LIVE_MIB)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def test_once(target):
    out = subprocess.run([EBB, "top", "--json", str(target.pid)], capture_output=True, text=True,
                         check=True).stdout
    row = json.loads(out)["processes"][0]
    tap.report(abs(row["lazy_bytes"] - (LAZY_MIB << 20)) < 2 << 20, "--json: lazily freed", row)
    tap.report(row["effective_rss_bytes"] == row["rss_bytes"] - row["lazy_bytes"],
               "--json: effective RSS", row)
    tap.report(row["verdict"] == "lazy", "--json: the verdict", row)


def test_keys(target):
    screen = Screen()
    tap.report(screen.until("topper"), "the program is on the screen", screen.shown())
    # All at once: keys that are read ahead must not wait for the next one.
    screen.press("/", "t", "o", "p", "p", "e", "r", "Enter")
    tap.report(screen.until("filter: topper") and screen.until("1 of "),
               "a filter narrows the list", screen.shown())
    screen.press("Down", "Enter")
    tap.report(screen.until("lazy, not a leak"), "the detail has the verdict", screen.shown())
    tap.report(screen.until("lazily freed      48.0 MiB"), "the detail has the account",
               screen.shown())
    for lines, columns in ((12, 40), (2, 10), (24, 80), (50, 200)):
        screen.tmux("resize-window", "-x", str(columns), "-y", str(lines))
        time.sleep(0.3)
    tap.report(screen.until("lazy, not a leak"), "it lives through any size", screen.shown())
    target.stdin.close()
    target.wait()
    tap.report(screen.until("nothing matches"), "an ended process leaves", screen.shown())
    screen.press("?")
    tap.report(screen.until("the one number for alarms"), "? explains the columns",
               screen.shown())
    screen.press("q")
    tap.report(screen.until("status 0") and "EFFECTIVE" not in screen.shown(),
               "q ends it and gives the terminal back", screen.shown())
    screen.close()


def test_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        screen = Screen()
        screen.until("EFFECTIVE")
        os.kill(screen.ebb_pid(), number)
        tap.report(screen.until("status 0") and "EFFECTIVE" not in screen.shown(),
                   f"{number.name} gives the terminal back", screen.shown())
        screen.close()


def test_dumb():
    screen = Screen(term="TERM=dumb")
    tap.report(screen.until("status 1") and "top --once" in screen.shown() and
               "EFFECTIVE" not in screen.shown(), "a dumb terminal is refused", screen.shown())
    screen.close()


def test_hostile_name():
    """Bytes that would steer a terminal come as text."""
    code = ("import ctypes, time; libc = ctypes.CDLL(None); "
            "libc.prctl(15, b'\\x1b]0;owned\\x07', 0, 0, 0); print(flush=True); time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    screen = Screen(str(process.pid))
    tap.report(screen.until("\\x1b]0;owned"), "a hostile name is escaped", screen.shown())
    screen.close()
    process.kill()
    process.wait()


def test_small():
    """Of 20 columns and 5 lines a name and a figure are left, whatever the name's characters."""
    code = ("import ctypes, time; libc = ctypes.CDLL(None); "
            "libc.prctl(15, '中文进程'.encode(), 0, 0, 0); print(flush=True); time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    screen = Screen("--sort", "rss", str(process.pid), lines=5, columns=20)
    tap.report(screen.until("中文进程"), "a row on the smallest screen", screen.shown())
    lines = screen.shown().splitlines()
    # Four wide characters take eight columns: the figure ends at the twentieth.
    tap.report(len(lines[1]) == 16 and lines[1].endswith("iB"), "its figure is in its place", lines)
    screen.close()
    process.kill()
    process.wait()


if not shutil.which("tmux"):
    tap.skip("ebb top on a terminal", "no tmux")
    tap.done()
    sys.exit(0)
target = start_target()
test_once(target)
test_keys(target)
test_signals()
test_dumb()
test_hostile_name()
test_small()
tap.done()
