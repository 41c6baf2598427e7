# SPDX-License-Identifier: Apache-2.0
# What the Go tests and benches share: building held.go with each Go version, running it, and
# asking ebb.
#
# EBB_GO_VERSIONS ("1.19 1.24", or "all" that get-go can provide) chooses the versions. The default
# is one of each layout of the runtime's figures, so that it stays a matter of minutes.
import collections
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import threading
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
EBB = os.environ.get("EBB", os.path.join(HERE, "..", "..", "..", "build", "ebb"))
SKIP_STATUS = 77
INT64_MAX = (1 << 63) - 1

# Figures live in memstats (1.15), in memstats and gcController (1.19); 1.27 is the newest.
DEFAULT_VERSIONS = ["1.15", "1.19", "1.24", "1.27"]

# How programs are built: build mode, linker flags, cgo, further flags.
VARIANTS = {
    "plain": ("exe", "", False, ()),
    "stripped": ("exe", "-s -w", False, ()),
}
# Only for the newest, and in the long form for the oldest and one in between: addresses, and what
# lies beside Go's own figures.
END_VARIANTS = {
    "pie": ("pie", "", False, ()),
    "pie stripped": ("pie", "-s -w", False, ()),
    "cgo": ("exe", "", True, ()),
    "race": ("exe", "", True, ("-race",)),
}

# Figures in bytes may be this far off; all others must be exact.
TOLERANCE_BYTES = 64 << 10
BYTES = ("Sys HeapAlloc HeapSys HeapIdle HeapInuse HeapReleased StackInuse StackSys MSpanInuse "
         "MSpanSys MCacheInuse MCacheSys BuckHashSys GCSys OtherSys TotalAlloc NextGC").split()
EXACT = "HeapObjects Mallocs Frees LastGC NumGC NumForcedGC PauseTotalNs".split()
RATIOS = ["GCCPUFraction"]


FETCHING = collections.defaultdict(threading.Lock)


class Skip(Exception):
    pass


class Failure(Exception):
    pass


def versions():
    chosen = os.environ.get("EBB_GO_VERSIONS", "").replace(",", " ").split() or DEFAULT_VERSIONS
    if chosen != ["all"]:
        return chosen
    listed = subprocess.run([os.path.join(HERE, "get-go"), "--list"], capture_output=True,
                            text=True, check=True)
    return listed.stdout.split()


def minor_of(version):
    return int(version.split(".")[1])


def go_command(version):
    """The path of that version's go; Skip with the reason where it cannot be had. Two builds of one
    version must not fetch it at once."""
    with FETCHING[version]:
        return fetch_go(version)


def fetch_go(version):
    done = subprocess.run([os.path.join(HERE, "get-go"), version], capture_output=True, text=True)
    if done.returncode == SKIP_STATUS:
        raise Skip((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    if done.returncode != 0:
        raise Failure(f"get-go {version}: {done.stderr.strip()}")
    return done.stdout.strip()


def go_environment(cgo):
    """No module, no other toolchain, no flags of the user's: nothing else decides what is built."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GO")}
    env.update(GO111MODULE="off", GOTOOLCHAIN="local", GOFLAGS="", CGO_ENABLED="1" if cgo else "0",
               GOENV="off", GOPROXY="off", GOTELEMETRY="off")
    if "GOCACHE" in os.environ:
        env["GOCACHE"] = os.environ["GOCACHE"]
    return env


def build(go, output, mode="exe", ldflags="", cgo=False, flags=()):
    command = [go, "build", "-buildmode=" + mode, "-ldflags=" + ldflags, *flags, "-o", output,
               "held.go", "native_cgo.go" if cgo else "native_none.go"]
    done = subprocess.run(command, cwd=HERE, env=go_environment(cgo), capture_output=True,
                          text=True)
    if done.returncode == 0:
        return output
    if "-race" in flags and re.search(r"race\S*\.syso|__tsan|race detector", done.stderr):
        raise Skip("this go was packaged without the race detector")
    raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")


def variants_of(version):
    wanted = versions()
    # The older ones take a minute to build: in the long form, and where all versions are asked for.
    is_long = bool(os.environ.get("EBB_LONG")) or len(wanted) > len(DEFAULT_VERSIONS)
    ends = version == wanted[-1] or (is_long and version in (wanted[0], "1.19"))
    return {**VARIANTS, **(END_VARIANTS if ends else {})}


def build_variant(version, variant, folder):
    """The program, or the Skip or Failure that stood in the way."""
    try:
        mode, ldflags, cgo, flags = variants_of(version)[variant]
        if cgo and not shutil.which("gcc"):
            raise Skip("gcc is not installed")
        return build(go_command(version), f"{folder}/held-{version}-{variant.replace(' ', '-')}",
                     mode, ldflags, cgo, flags)
    except (Skip, Failure) as problem:
        return problem


def build_all(folder):
    """{(version, variant): program or problem}, in the order of the versions."""
    wanted = [(version, variant) for version in versions() for variant in variants_of(version)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(lambda pair: build_variant(*pair, folder), wanted)))


class Held:
    """A running held program, and a folder for what ebb keeps of it; both end with the `with`
    block."""

    def __init__(self, command, env=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=dict(os.environ, **(env or {})))
        if self.process.stdout.readline() != b"ready\n":
            self.end()
            raise Failure(f"{command[0]} ended with {self.process.returncode} instead of "
                          "standing still")
        self.pid = self.process.pid
        self.cache = tempfile.TemporaryDirectory()

    def explain(self):
        return explain(self.pid, self.cache.name)

    def order(self, letter):
        self.process.stdin.write(letter.encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode()

    def memstats(self):
        return json.loads(self.order("m"))

    def tell(self, letter):
        """An order that is answered when it is done."""
        if self.order(letter) != "done\n":
            raise Failure(f"the order {letter} was not carried out")

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cache.cleanup()
        self.end()


def explain(pid, cache=None):
    """What ebb says of the process, and of its Go runtime. Only what an earlier reading left in the
    folder `cache` is known beforehand."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run([EBB, "explain", "--json", str(pid)], capture_output=True, text=True,
                              env=dict(os.environ, XDG_CACHE_HOME=cache or empty))
    if done.returncode != 0:
        raise Failure(f"ebb explain: status {done.returncode}: {done.stderr.strip()}")
    document = json.loads(done.stdout)
    found = [runtime for runtime in document["runtimes"] if runtime["name"] == "Go"]
    if len(found) != 1:
        raise Failure(f"{len(found)} Go runtimes were found; unread: {document.get('unread')}")
    if not found[0]["ledger"]:
        raise Failure(f"no ledger; unread: {document.get('unread')}")
    return document, found[0]


def difference(name, read, own):
    """ebb's figure minus the program's. JSON's integers end at INT64_MAX: a NextGC of all ones (the
    collector off, up to Go 1.18) is shown as that."""
    return read - (own if name in RATIOS else min(own, INT64_MAX))


def compare(ledger, own):
    """{figure: difference} for every figure, and the list of what is wrong."""
    differences, wrong = {}, []
    for name in BYTES + EXACT + RATIOS:
        if name not in ledger:
            wrong.append(f"{name} is missing")
            continue
        off = differences[name] = difference(name, ledger[name], own[name])
        allowed = TOLERANCE_BYTES if name in BYTES else 1e-9 if name in RATIOS else 0
        if abs(off) > allowed:
            wrong.append(f"{name} is {ledger[name]}, the program says {own[name]} ({off:+})")
    return differences, wrong


def setting(runtime, name):
    return runtime["settings"].get(name, {}).get("value")
