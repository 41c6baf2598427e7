#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Completion as a user has it: bash and zsh on a terminal of their own, Tab pressed; fish asked.
# needs: EBB_WITH_SQLITE EBB_WITH_HTTP EBB_WITH_JSON
import os
import pty
import select
import shutil
import subprocess
import sys
import time

SRC, EBB, TMP = os.environ["SRC"], os.environ["EBB"], os.environ["TMPDIR"]
sys.path.insert(0, f"{SRC}/tests/e2e")
import tap  # noqa: E402

MADE = f"{TMP}/made"
# What was typed, and what stands on the line behind Tab.
TYPED = [
    ("ebb expo\t", "ebb export"),
    ("ebb explain --exi\t", "--exit-code"),
    ("ebb top --sort eff\t", "effective"),
    ("ebb export --group-by cg\t", "cgroup"),
    ("ebb top -g na\t", "name"),
    ("ebb export --textfile nig\t", "night-one.ebb"),
    ("ebb export --token-file nig\t", "night-one.ebb"),
    ("ebb record -o nig\t", "night-one.ebb"),
    ("ebb watch nig\t", "night-one.ebb"),
    ("ebb report nig\t", "night-one.ebb"),
    ("ebb watch --proc-root fol\t", "folder/"),
    ("ebb watch one-of-a-ki\t", "one-of-a-kind"),
    ("ebb record other one-of-a-ki\t", "one-of-a-kind"),
    ("ebb balloon --watch one-of-a-ki\t", "one-of-a-kind"),
]


class Terminal:
    """A shell on a terminal; what it paints is gathered."""

    def __init__(self, command, setup):
        environment = {**os.environ, "TERM": "dumb", "PS1": "$ ", "HOME": TMP, "ZDOTDIR": TMP}
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(TMP)
            os.execvpe(command[0], command, environment)
        self.type(setup + "\n")
        self.wait_for("is-ready", 20)

    def type(self, text):
        self.seen = ""
        os.write(self.master, text.encode())

    def wait_for(self, text, seconds):
        end = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 4096).decode(errors="replace")
        return text in self.seen

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.master)


def on_terminal(shell, command, setup):
    if not shutil.which(shell):
        tap.skip(f"{shell} completes", f"{shell} is not installed")
        return
    terminal = Terminal(command, setup)
    for typed, wanted in TYPED:
        terminal.type(typed)
        found = terminal.wait_for(wanted, 5)
        tap.report(found, f"{shell}: {typed.strip()} becomes {wanted}", repr(terminal.seen))
        # The line is dropped, and the prompt there again.
        terminal.type("\x15:\n")
        terminal.wait_for("$ ", 5)
    terminal.close()


def fish(lines):
    """What one fish proposes for each of the lines."""
    script = "".join(f"complete -C {line!r}; echo +;" for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {MADE}/fish/ebb.fish; cd {TMP}; {script}"],
        capture_output=True, text=True, env={**os.environ, "HOME": TMP}, timeout=30, check=False)
    return dict(zip(lines, done.stdout.split("+\n"), strict=False))


def is_kernel_thread(pid):
    """By PF_KTHREAD in the flags of its stat."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rsplit(b")", 1)[1].split()[6]) & 0x200000 != 0
    except OSError:
        return False


def by_fish():
    if not shutil.which("fish"):
        tap.skip("fish completes", "fish is not installed")
        return
    choices, option, process = "ebb top --sort ", "ebb top --sor", "ebb explain top --"
    anybody = "ebb explain "
    said = fish([typed.strip() for typed, _ in TYPED] + [choices, option, process, anybody])
    for typed, wanted in TYPED:
        found = said.get(typed.strip(), "")
        tap.report(wanted.split()[-1] in found, f"fish: {typed.strip()} becomes {wanted}", found)
    tap.report("effective\n" in said[choices] and "\t" not in said[choices],
               "fish: choices stand without the help", said[choices])
    tap.report("--sort\tThe order" in said[option], "fish: the option stands with it",
               said[option])
    pids = [line.split("\t")[0] for line in said[anybody].splitlines()]
    tap.report(str(os.getpid()) in pids and not any(map(is_kernel_thread, pids)),
               "fish: processes, and no kernel threads", said[anybody])
    tap.report("--exit-code" in said[process] and "--once" not in said[process],
               "fish: a process called like a verb is none", said[process])


subprocess.run([f"{SRC}/docs/man/generate", EBB, MADE], check=True)
os.mkdir(f"{TMP}/folder")
open(f"{TMP}/night-one.ebb", "w", encoding="utf-8").close()
shutil.copy(shutil.which("sleep"), f"{TMP}/one-of-a-kind")
with subprocess.Popen([f"{TMP}/one-of-a-kind", "60"]) as sleeper:
    try:
        on_terminal("bash", ["bash", "--norc", "--noprofile", "-i"],
                    f". {MADE}/bash/ebb; bind 'set enable-bracketed-paste off'; echo is-rea''dy")
        on_terminal("zsh", ["zsh", "-f", "-i"],
                    f"PS1='$ '; unsetopt prompt_cr prompt_sp; fpath=({MADE}/zsh $fpath); "
                    "autoload -U compinit; compinit -u -D; echo is-rea''dy")
        by_fish()
    finally:
        sleeper.kill()
tap.done()
