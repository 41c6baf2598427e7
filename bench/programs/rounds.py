# SPDX-License-Identifier: Apache-2.0
# One run of a program on a malloc, and rounds of runs in turns: what it took, what was left, and
# whether it answered the same each time.
import os
import re
import shutil
import subprocess
import time

import programs
import servers
import trees
from measure import median, median_ratio
from programs import Failed

SETTLE_S = 1
SAID = 300
# What may go wrong with a server or its clients, by whoever notices first.
WRONG = (Failed, OSError, RuntimeError, IndexError, ValueError, subprocess.SubprocessError)


class Server:
    """A row of servers.SERVERS as a function of an allocator."""
    figures = trees.FIGURES

    def __init__(self, row, scratch, percent):
        self.row, self.work, self.scratch, self.percent = row, row.work, scratch, percent

    def missing(self):
        return [name for name in self.row.needs if not servers.find(name)]

    def __call__(self, allocator):
        folder = f"{self.scratch}/server"
        os.mkdir(folder, 0o700)
        trees.give_away(folder)
        server = self.row(folder, allocator.environment(), self.percent)
        try:
            with server.beside():
                return self.drive(server, allocator)
        except WRONG as error:
            raise Failed(f"{error}; it said: {server.log()[-SAID:]!r}") from error
        finally:
            trees.end_strays()
            shutil.rmtree(folder)

    def drive(self, server, allocator):
        preload = {"LD_PRELOAD": allocator.lib} if allocator.lib else {}
        with server.started({**server.environment, **preload}) as child:
            before = trees.measure(child.pid)
            answer = server.load(child)
            time.sleep(SETTLE_S)
            run = trees.measure(child.pid)
            run["cpu_s"] -= before["cpu_s"]
            maps = trees.mapped(child.pid)
            status = trees.end(child)
        if not all(allocator.lib in text for text in maps) or not maps:
            raise Failed(f"{allocator.lib} is not in all of its processes")
        said = complaints(server.log())
        return {**run, "answer": f"{answer}\nstatus {status}{said}",
                "malloc": "jemalloc" if any("libjemalloc" in text for text in maps) else "glibc"}


class Command:
    """A row of commands.COMMANDS as a function of an allocator."""
    figures = ("cpu_s", "peak_kib")

    def __init__(self, words, scratch):
        self.words, self.scratch = words, scratch
        self.work = " ".join(words)

    def missing(self):
        return [] if shutil.which(self.words[0]) else [self.words[0]]

    def __call__(self, allocator):
        folder, result = f"{self.scratch}/command", f"{self.scratch}/measured"
        os.mkdir(folder)
        try:
            ran = subprocess.run(programs.measured(allocator, result, self.words),
                                 stdin=subprocess.DEVNULL, capture_output=True, cwd=folder,
                                 check=False, timeout=programs.TIMEOUT_S,
                                 env=allocator.environment(HOME=folder))
        except subprocess.TimeoutExpired as late:
            raise Failed(str(late)) from late
        finally:
            shutil.rmtree(folder)
        said = (ran.stdout + ran.stderr).decode(errors="replace")
        if ran.returncode != 0:
            raise Failed(f"status {ran.returncode} {said[-SAID:]!r}")
        run = programs.read_result(result)
        return {**{figure: run[figure] for figure in self.figures}, "answer": said}


def complaints(log):
    """The lines that libebb wrote among a server's."""
    return "".join(f"\n{line}" for line in re.findall(r"(?m)^ebb: .*", log))


def ratio(runs, peers, figure):
    """None where the system's clock has not counted a tick."""
    return median_ratio(runs, peers, figure) if all(run[figure] > 0 for run in peers) else None


def compare(program, allocators, rounds):
    """Rounds of two allocators in turns. Returns {"same": …, "malloc": …, allocator: {figure:
    median}, …} and ratios of the first over the second, or {"failed": …}."""
    runs = {one.name: [] for one in allocators}
    for number in range(rounds):
        # Turned by one each round, so that nobody always comes first.
        turn = number % len(allocators)
        for one in allocators[turn:] + allocators[:turn]:
            try:
                runs[one.name].append(program(one))
            except Failed as error:
                return {"failed": f"{one.name}: {error}".replace(program.scratch, "")}
    answers = {run["answer"] for of in runs.values() for run in of}
    ours, system = (runs[one.name] for one in allocators)
    return {"same": len(answers) == 1, "malloc": system[0].get("malloc", ""),
            "cpu_ratio": ratio(ours, system, "cpu_s"),
            "peak_ratio": ratio(ours, system, "peak_kib"),
            **({} if len(answers) == 1 else {"answers": sorted(answers)}),
            **{name: {figure: median(of, figure) for figure in program.figures}
               | {"runs": [[run[figure] for figure in program.figures] for run in of]}
               for name, of in runs.items()}}
