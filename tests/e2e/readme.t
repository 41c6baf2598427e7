#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Every command in the README does what it says there, on a process of this test's own.
# timeout: 180
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB, SRC, BUILD = os.environ["EBB"], os.environ["SRC"], os.environ["BUILD"]
NAME = "ebb-readme-api"


def commands():
    """The lines of all sh blocks, without their comments."""
    text = open(f"{SRC}/README.md", encoding="utf-8").read()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            command = line.split("#")[0].strip()
            if command:
                yield command


def run_ebb(command, pid, folder):
    """The command as it stands, with names that mean something here."""
    names = {"ebb": EBB, "4121": str(pid), "api": NAME, "./server": "true"}
    words = [names.get(word, word) for word in command.split()]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)


def run_make(*words):
    return subprocess.run(["make", "-C", SRC, f"BUILD={BUILD}", *words], capture_output=True,
                          text=True, check=False, env={**os.environ, "EBB_NO_INSTALL": "1"})


def check_instructions():
    """The one figure of libebb that the README tells is the golden one."""
    golden = re.search(r'GOLDEN = {"tight": ([\d.]+)',
                       open(f"{SRC}/tests/e2e/lib-instructions.t", encoding="utf-8").read())
    for name in ("README.md", "docs/libebb.md"):
        text = open(f"{SRC}/{name}", encoding="utf-8").read()
        told = re.search(r"(?:a malloc\s+and\s+its\s+free are )(\d+) instructions|"
                         r"(\d+) instructions for a malloc\s+and\s+its\s+free", text)
        said = told and (told[1] or told[2])
        tap.report(bool(golden and said == f"{float(golden[1]):.0f}"),
                   f"{name}: {said} instructions", golden and golden[1])


def says_something(command, run, folder):
    """Text on stdout, or the file that was asked for; ebb run becomes the command, which has
    nothing to say."""
    if "exit" in command or command.startswith("ebb run"):
        return True
    named = re.search(r"(?:-o|--textfile) (\S+)", command)
    if named:
        return os.path.getsize(os.path.join(folder, named.group(1))) > 0
    return len(run.stdout) > 0


def check(command, pid, folder):
    if command == "make demo":
        run = run_make("demo")
        good = run.returncode == 0 and "lazy, not a leak" in run.stdout
    elif command == "make":
        run = run_make("all")
        good = run.returncode == 0 and f"built {BUILD}/ebb" in run.stdout
    elif command == "sudo make install":
        run = run_make("install", f"PREFIX={folder}/prefix")
        good = run.returncode == 0 and all(
            os.path.exists(f"{folder}/prefix/{path}")
            for path in ("bin/ebb", "share/man/man1/ebb.1", "share/doc/ebb/account.md"))
    elif command == "make test":
        # It is what runs this: continuous integration types the same words.
        run = subprocess.run(["grep", "-x", "step make test", f"{SRC}/.ci/run"],
                             capture_output=True, text=True, check=False)
        good = run.returncode == 0
    elif command.startswith("ebb "):
        run = run_ebb(command, pid, folder)
        expected = range(11, 18) if "--exit-code" in command else [0]
        good = run.returncode in expected and says_something(command, run, folder)
    else:
        tap.report(False, f"{command}: no test knows this command")
        return
    tap.report(good, command, f"exit status {run.returncode}\n{run.stdout}\n{run.stderr}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        # A process of this name that has an account of its own.
        program = f"{folder}/{NAME}"
        shutil.copy(shutil.which("sleep"), program)
        child = subprocess.Popen([program, "600"])
        try:
            found = list(commands())
            tap.report(len(found) >= 5, "the README has commands", found)
            check_instructions()
            for command in found:
                check(command, child.pid, folder)
        finally:
            child.kill()
            child.wait()
    tap.done()


sys.exit(main())
