# SPDX-License-Identifier: Apache-2.0
# Building and running tuned.go, and asking ebb to tune it. Used by tests/e2e/tune.t.
import json
import os
import shlex
import subprocess

import held

HERE = os.path.dirname(os.path.abspath(__file__))
EBB = held.EBB
VARIANTS = {"plain": ("exe", ""), "stripped": ("exe", "-s -w"), "pie stripped": ("pie", "-s -w")}


def build(version, variant, folder):
    """The program's path; held.Skip where that Go cannot be had."""
    mode, ldflags = VARIANTS[variant]
    path = f"{folder}/tuned-{version}-{variant.replace(' ', '-')}"
    command = [held.go_command(version), "build", "-buildmode=" + mode, "-ldflags=" + ldflags, "-o",
               path, "tuned.go"]
    done = subprocess.run(command, cwd=HERE, env=held.go_environment(False), capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise held.Failure(f"{' '.join(command)}: {done.stderr.strip()}")
    return path


def tune(pid, *options, **run_options):
    """The report as JSON, and the exit status."""
    done = subprocess.run([EBB, "tune", "--json", *options, str(pid)], capture_output=True,
                          text=True, check=False, **run_options)
    return (json.loads(done.stdout) if done.stdout else {"err": done.stderr}), done.returncode


def undo(report):
    """Types the commands that the report says would put things back. Their exit statuses."""
    return [subprocess.run([EBB, *shlex.split(change["undo"])[1:]], capture_output=True,
                           check=False).returncode for change in report["changes"]]


class Tuned:
    """A running tuned program, ended by its pid."""

    def __init__(self, path, environment=None):
        self.command, self.environment = [path], {**os.environ, **(environment or {})}

    def __enter__(self):
        self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE, text=True,
                                      stdout=subprocess.PIPE, env=self.environment)
        assert self.child.stdout.readline() == "ready\n"
        self.pid = self.child.pid
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def order(self, text):
        """The numbers that it answers."""
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()
        return [int(word) for word in self.child.stdout.readline().split()]

    def next_gc(self):
        self.order("gc")
        return self.order("stats")[0]
