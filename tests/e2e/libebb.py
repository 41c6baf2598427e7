# SPDX-License-Identifier: Apache-2.0
# The program ebb_shapes on libebb: what it says it holds, what the kernel says of its heap. Used
# by tests/e2e/libebb-*.t.
import contextlib
import os
import re
import struct
import subprocess
import threading

BUILD = os.environ.get("BUILD", "build")
LIB, SHAPES = f"{BUILD}/libebb.so", f"{BUILD}/tests/programs/prog_ebb_shapes"
PAGE = os.sysconf("SC_PAGESIZE")
NO_LIB = "this build has no libebb.so (sanitizers bring a malloc of their own)"


class Shapes:
    """What the program has said: `used` bytes in `blocks`, and `freed` regions."""

    def __init__(self, child):
        self.child, self.pid, self.freed = child, child.pid, []
        for line in child.stdout:
            word, *numbers = line.split()
            if word == "ready":
                return
            if word == "freed":
                self.freed.append(tuple(int(number, 16) for number in numbers))
            elif numbers:
                setattr(self, word, int(numbers[0], 16 if word == "at" else 10))
        raise RuntimeError(f"the program ended: {child.wait()}")

    def ask(self, word):
        """What it answers, as {NAME: VALUE}."""
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()
        told = {}
        for line in self.child.stdout:
            if line.strip() == "done":
                return told
            name, value = line.split()
            told[name] = int(value)
        raise RuntimeError(f"the program ended: {self.child.wait()}")

    def present(self):
        """Bytes of the freed regions that are in memory, by pagemap."""
        bytes_present = 0
        with open(f"/proc/{self.pid}/pagemap", "rb") as file:
            for start, end in self.freed:
                file.seek(start // PAGE * 8)
                entries = struct.unpack(f"{(end - start) // PAGE}Q",
                                        file.read((end - start) // PAGE * 8))
                bytes_present += sum(entry >> 63 for entry in entries) * PAGE
        return bytes_present

    def smaps(self):
        """{"Rss": BYTES, "LazyFree": BYTES, ...} of the reservation that has the address `at`."""
        chain, end, has_it = [], None, False
        with open(f"/proc/{self.pid}/smaps", encoding="ascii", errors="replace") as file:
            for line in file:
                header = re.match(r"([0-9a-f]+)-([0-9a-f]+) .{4} \S+ \S+ (\d+)\s*(\S*)", line)
                if header:
                    start, stop = int(header[1], 16), int(header[2], 16)
                    if start != end or header[3] != "0" or header[4]:
                        if has_it:
                            break
                        chain = []
                    chain.append({})
                    has_it = has_it or start <= self.at < stop
                    end = stop
                elif chain and line.endswith(" kB\n"):
                    name, size = line[:-4].split(":")
                    chain[-1][name] = int(size) * 1024
        return {name: sum(each.get(name, 0) for each in chain) for name in ("Rss", "LazyFree")}


@contextlib.contextmanager
def shapes(env=None, path=None, preload=LIB):
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("LD_PRELOAD", "EBB_CONF")}
    environment.update(env or {}, **({"LD_PRELOAD": preload} if preload else {}))
    child = subprocess.Popen([path or SHAPES], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env=environment, text=True)
    # A program that hangs is ended, which ends the test's reading.
    alarm = threading.Timer(60, child.kill)
    alarm.start()
    try:
        yield Shapes(child)
    finally:
        alarm.cancel()
        child.kill()
        child.wait()


def owned(report, runtime="libebb"):
    """Bytes of each row that belong to this runtime, and their errors."""
    sums, errors = {}, {}
    for entry in report["account"]:
        if entry["runtime"] == runtime:
            sums[entry["row"]] = sums.get(entry["row"], 0) + entry["bytes"]
            errors[entry["row"]] = errors.get(entry["row"], 0) + entry["error_bytes"]
    return sums, errors
