# SPDX-License-Identifier: Apache-2.0
# What the tests of `ebb reclaim` share: a target that does as it is told, the command, a swap file
# that is gone again whatever happens.
import contextlib
import ctypes
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile

EBB, BUILD = os.environ["EBB"], os.environ["BUILD"]
MIB = 1 << 20
PROGRAMS = f"{BUILD}/tests/programs"


def drain():
    """What waits in the processors' batches becomes known as free: MADV_COLLAPSE asks for that
    first (Linux 6.1; mm/khugepaged.c: madvise_collapse() calls lru_add_drain_all())."""
    with mmap.mmap(-1, 4 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        pages[0] = 1
        try:
            pages.madvise(25)
        except OSError:
            pass


class Target:
    """tests/programs/reclaim_target.c: a line in, a line out."""

    def __init__(self):
        self.child = subprocess.Popen([f"{PROGRAMS}/prog_reclaim_target"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def tell(self, *lines):
        for line in lines:
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline().split()
            assert answer and answer[0] == "ok", f"{line}: {answer}"
            if line.startswith("free"):
                drain()
        return answer[1:]

    def wrong(self, area):
        """Words of an area that are neither as written nor zero, and those that are zero."""
        _, wrong, _, zero = self.tell(f"check {area}")
        return int(wrong), int(zero)


def run(*arguments, **options):
    return subprocess.run([EBB, "reclaim", *map(str, arguments)], capture_output=True, text=True,
                          check=False, **options)


def reclaim(pid, *options, prefix=()):
    """The report as JSON, with its exit status and stderr."""
    ran = subprocess.run([*prefix, EBB, "reclaim", "--json", *options, str(pid)],
                         capture_output=True, text=True, check=False)
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        report = {"outcome": None, "untouched": [], "refusal": None, "needs": None}
    report["status"], report["stderr"] = ran.returncode, ran.stderr
    return report


def untouched(report, what):
    return sum(row["bytes"] or 0 for row in report["untouched"] if row["what"] == what)


def rollup(pid, key):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) << 10 for line in file if line.startswith(key + ":"))


def may_see_frames():
    """Frame numbers are hidden without CAP_SYS_ADMIN in the first user namespace."""
    try:
        with open("/proc/kpageflags", "rb") as flags, open("/proc/self/pagemap", "rb") as pages:
            flags.read(8)
            pages.seek(id(flags) // 4096 * 8)
            return struct.unpack("Q", pages.read(8))[0] & ((1 << 55) - 1) != 0
    except OSError:
        return False


def refuse_process_madvise():
    """A kernel before 5.10, for this process and its children: the call answers ENOSYS."""
    libc = ctypes.CDLL(None, use_errno=True)
    number, enosys = 440, 38
    # Load the number; jump over the next if it is another; ENOSYS; allow.
    code = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 0x06, 0, 0,
                       0x50000 | enosys, 0x06, 0, 0, 0x7FFF0000)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
    pr_set_no_new_privs, pr_set_seccomp, filter_mode = 38, 22, 2
    libc.prctl(pr_set_no_new_privs, 1, 0, 0, 0)
    if libc.prctl(pr_set_seccomp, filter_mode, program, 0, 0):
        os._exit(97)


SWAP_PREFIX = "ebb-reclaim-swap-"


def drop_swap(path):
    subprocess.run(["swapoff", path], check=False, stderr=subprocess.DEVNULL)
    with contextlib.suppress(OSError):
        os.unlink(path)


def drop_stale_swap():
    """What a test left behind that was killed with no time to clean up."""
    with open("/proc/swaps", encoding="utf-8") as swaps:
        for line in swaps.read().splitlines()[1:]:
            path = line.split()[0]
            if os.path.basename(path).startswith(SWAP_PREFIX):
                drop_swap(path)


@contextlib.contextmanager
def swap_file(mib=256):
    """Yields None with swap on, or the reason why there is none."""
    # An end by signal must clean up as well.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    drop_stale_swap()
    handle, path = tempfile.mkstemp(prefix=SWAP_PREFIX)
    try:
        os.fchmod(handle, 0o600)
        with os.fdopen(handle, "wb") as file:
            for _ in range(mib):
                file.write(bytes(MIB))
        for command in (["mkswap", path], ["swapon", path]):
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                yield f"{command[0]}: {made.stderr.strip()}"
                return
        yield None
    except FileNotFoundError as missing:
        yield f"{missing.filename} is not installed"
    finally:
        drop_swap(path)
