#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# `ebb reclaim --runtime`: mallocs asked to give back what they keep, in real programs, whose data
# and answers stay what they were. Carries two stories: *game-server* (a server on jemalloc that
# keeps what it once needed) and *released-but-resident* (what is freed lazily, taken afterwards).
# timeout: 240
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "allocators")]
import running as at  # noqa: E402
from keeping import keeping, rss_bytes  # noqa: E402
from keeping_redis import Pinger, keeping_redis  # noqa: E402
from real_programs import Missing, postgresql  # noqa: E402
from running import check, installed, skip  # noqa: E402

MIB = 1 << 20


def reclaim(pid, *options):
    """The report of the verb, and its exit status."""
    done = subprocess.run([at.EBB, "reclaim", "--runtime", "--json", *options, str(pid)],
                          capture_output=True, text=True, timeout=60, check=False)
    if not done.stdout:
        print(f"# {done.stderr}")
        return None, done.returncode
    return json.loads(done.stdout), done.returncode


def steps(report, word):
    """The steps that ask the malloc of this name."""
    return [step for step in report["steps"] if step["what"].startswith(f"ask {word}")]


def notes(report):
    return " ".join(report["notes"] + report["warnings"])


def show(label, report):
    print(f"# {label}: RSS {report['before']['rss_bytes'] >> 20} -> "
          f"{report['after']['rss_bytes'] >> 20} MiB, longest wait "
          f"{1e3 * report['waited']['longest_seconds']:.1f} ms")
    for step in report["steps"]:
        print(f"#   {step['state']}: {step['what']}: {step['result']}")


def check_purge(label, program, malloc, left_share, keeps_waiting=()):
    """One keeping program: RSS falls to a share of what it was, and its blocks are what they were.

    `left_share` is what may be left of it at most."""
    before = program.ask("digest")
    report, status = reclaim(program.pid)
    check(report and status == 0 and report["outcome"] == "done", f"{label}: done",
          (status, report))
    if not report:
        return
    show(label, report)
    asked = steps(report, malloc)
    check(any(step["state"] == "done" for step in asked), f"{label}: {malloc} was asked",
          report["steps"])
    first, after = report["before"]["rss_bytes"], rss_bytes(program.pid)
    check(after < left_share * first, f"{label}: RSS falls to less than {left_share:.0%}",
          (first >> 20, after >> 20))
    check(report["waited"]["longest_seconds"] > 0, f"{label}: the wait is told", report)
    check(program.ask("digest") == before, f"{label}: its blocks are what they were")
    program.ask("work")
    check(program.ask("digest") == before, f"{label}: and are so after more work")
    for word in keeps_waiting:
        check(word in notes(report), f"{label}: says {word}", notes(report))


# library, malloc, environment, threads, what may be left at most: tcmalloc keeps thread caches,
# mimalloc free pages beside live ones.
PRELOADS = [
    ("libjemalloc.so.2", "jemalloc", {"MALLOC_CONF": "dirty_decay_ms:-1"}, 4, 0.3),
    ("libtcmalloc_minimal.so.4", "tcmalloc", {"TCMALLOC_RELEASE_RATE": "0"}, 2, 0.45),
    ("libtcmalloc.so.4", "tcmalloc", {"TCMALLOC_RELEASE_RATE": "0"}, 2, 0.45),
    ("libmimalloc.so.2", "mimalloc", {}, 2, 0.85),
]


def preloads():
    for file, malloc, env, threads, share in PRELOADS:
        path = installed(file)
        if not path:
            skip(file, f"{file} is not installed")
            continue
        with keeping({"LD_PRELOAD": path, **env}, threads=threads) as program:
            check_purge(file, program, malloc, share)


def plain_glibc():
    """Freed from the front, so that nothing goes back by itself: only a trim can."""
    with keeping({"MALLOC_TRIM_THRESHOLD_": "1000000000"}, threads=2) as program:
        check_purge("glibc", program, "glibc", 0.3, ("glibc trims",))


def linked(folder, label, options, archive):
    """A static jemalloc in the program itself, whatever its names are."""
    cc = at.compiler()
    if not cc or not archive:
        skip(label, "no C compiler" if archive else "libjemalloc.a is not installed")
        return
    path = os.path.join(folder, "linked")
    source = os.path.join(at.SRC, "tests/programs/alloc_keep.c")
    command = [cc, "-D_GNU_SOURCE", "-O1", "-o", path, *options, source, archive, "-lm", "-ldl",
               "-lpthread", "-lstdc++"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        skip(label, "libjemalloc.a does not link here")
        print(done.stderr)
        return
    with keeping({"MALLOC_CONF": "dirty_decay_ms:-1"}, path=path, threads=2) as program:
        check_purge(label, program, "jemalloc", 0.3)


def prefixed(folder):
    """The same code under a prefix, as programs that bundle it have it, beside glibc's malloc."""
    archive, objcopy = installed("libjemalloc.a"), shutil.which("objcopy")
    if not archive or not objcopy:
        skip("prefixed", "libjemalloc.a or objcopy is not installed")
        return
    names = ["malloc", "calloc", "free", "realloc", "mallctl", "malloc_usable_size", "memalign",
             "aligned_alloc", "posix_memalign", "valloc", "pvalloc", "malloc_stats_print",
             "mallctlnametomib", "mallctlbymib", "mallocx", "rallocx", "xallocx", "sallocx",
             "dallocx", "sdallocx", "nallocx", "malloc_conf", "malloc_message"]
    copy = os.path.join(folder, "libprefixed.a")
    redefine = [word for name in names for word in ("--redefine-sym", f"{name}=own_{name}")]
    subprocess.run([objcopy, *redefine, archive, copy], check=True)
    defines = [f"-D{name}=own_{name}" for name in
               ("malloc", "calloc", "free", "mallctl", "malloc_usable_size")]
    linked(folder, "prefixed", defines, copy)


def redis(folder):
    """*game-server*: what the server once needed goes back, with its clients served meanwhile."""
    try:
        with keeping_redis(folder) as (pid, port, client):
            digest = client.ask("DEBUG", "DIGEST")
            planned, status = reclaim(pid, "--dry-run")
            check(planned and status == 0 and planned["outcome"] == "planned" and
                  "it keeps" in steps(planned, "jemalloc")[0]["result"],
                  "redis: --dry-run says what it keeps", planned)
            before = rss_bytes(pid)
            check(before > 200 * MIB, "redis: it keeps what was deleted", before >> 20)
            pinger = Pinger(port)
            report, status = reclaim(pid)
            pinger.end()
            check(report and status == 0, "redis: done", (status, report))
            show("redis", report)
            after = rss_bytes(pid)
            check(after < 0.3 * before, "redis: RSS falls", (before >> 20, after >> 20))
            check(pinger.wrong == 0 and pinger.count > 0, "redis: every PING is answered",
                  (pinger.wrong, pinger.count))
            check(client.ask("DEBUG", "DIGEST") == digest, "redis: its keys are what they were")
            client.ask("DEBUG", "POPULATE", "20000", "more", "1000")
            check(client.ask("DBSIZE") == b"48000", "redis: and it takes new ones")
            again, status = reclaim(pid)
            check(again and status == 0, "redis: a second time does no harm", again)
    except Missing as missing:
        skip("redis", str(missing))


def redis_muzzy(folder):
    """*released-but-resident*: what jemalloc has freed lazily goes too."""
    try:
        with keeping_redis(folder, keys=60000,
                           conf="dirty_decay_ms:200,muzzy_decay_ms:-1") as (pid, _, client):
            digest = client.ask("DEBUG", "DIGEST")
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline and at.explain(pid)["lazy_bytes"] < 30 * MIB:
                client.ask("PING")
                time.sleep(0.2)
            report, status = reclaim(pid)
            check(report and status == 0, "muzzy: done", (status, report))
            show("muzzy", report)
            check(report["before"]["lazy_bytes"] > 20 * MIB, "muzzy: there were lazy pages",
                  report["before"])
            check(report["after"]["lazy_bytes"] < 2 * MIB, "muzzy: they are gone", report["after"])
            check(client.ask("DEBUG", "DIGEST") == digest, "muzzy: its keys are what they were")
    except Missing as missing:
        skip("muzzy", str(missing))


def backend(folder):
    """A PostgreSQL backend: another user's process, glibc's malloc."""
    try:
        with postgresql(folder) as pids:
            report, status = reclaim(pids["postgres backend"])
            check(report and status in (0, 1), "PostgreSQL: answered", (status, report))
            if report:
                show("PostgreSQL", report)
                asked = steps(report, "glibc")
                check(asked and asked[0]["state"] in ("done", "nothing"),
                      "PostgreSQL: glibc was asked, or keeps nothing", report["steps"])
    except (Missing, RuntimeError) as missing:
        skip("PostgreSQL", str(missing))


PYTHON = """
import time
keep = [str(i) * 20 for i in range(400000)]
last = ['x' * 600 for i in range(100)]
del keep
print('ready', flush=True)
time.sleep(600)
"""


def python():
    with at.running([sys.executable, "-c", PYTHON], {"MALLOC_TRIM_THRESHOLD_": "1000000000"}) \
            as (pid, _):
        report, status = reclaim(pid)
        check(report and status == 0, "python3: answered", (status, report))
        if report:
            show("python3", report)
            check("CPython" in notes(report), "python3: what its own arenas do", notes(report))


GO = """
package main
import ("fmt"; "time")
func main() { fmt.Println("ready"); time.Sleep(time.Hour) }
"""


def has_words(label, command, words, env=None):
    with at.running(command, env) as (pid, _):
        report, status = reclaim(pid)
        check(report is not None and status in (0, 1), f"{label}: answered", status)
        if report:
            said = notes(report)
            check(all(word in said for word in words), f"{label}: says what does work", said)
            check(not [step for step in report["steps"] if step["state"] == "failed"],
                  f"{label}: nothing failed", report["steps"])


def others(folder):
    """Runtimes without a function to call: the words."""
    if shutil.which("go"):
        source = os.path.join(folder, "words.go")
        with open(source, "w", encoding="ascii") as file:
            file.write(GO)
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GO111MODULE": "off",
                       "GOCACHE": os.environ.get("GOCACHE", os.path.join(folder, "cache"))}
        built = subprocess.run(["go", "build", "-o", f"{folder}/words", source], check=False,
                               env=environment, capture_output=True)
        if built.returncode == 0:
            has_words("Go", [f"{folder}/words"], ["FreeOSMemory", "ebb tune"])
        else:
            skip("Go", "this Go does not build")
    else:
        skip("Go", "go is not installed")
    if shutil.which("node"):
        has_words("node", ["node", "-e", "console.log('ready'); setInterval(() => 0, 1000)"],
                  ["--expose-gc"])
    else:
        skip("node", "node is not installed")
    static(folder, "musl", "musl-gcc", [], "musl's malloc has no function")
    static(folder, "static glibc", at.compiler(), [], None)
    static(folder, "static and stripped", at.compiler(), ["-s"], "glibc cannot be asked")


def static(folder, label, compiler, options, words):
    """A static program: without symbols there is nothing to call."""
    path = os.path.join(folder, "static")
    command = [compiler or "cc", "-D_GNU_SOURCE", "-O1", "-static", "-pthread", *options, "-o",
               path, os.path.join(at.SRC, "tests/programs/alloc_keep.c")]
    if not compiler or not shutil.which(compiler) or \
            subprocess.run(command, check=False, capture_output=True).returncode:
        skip(label, f"{compiler} is not installed, or has no static library")
        return
    with keeping({"MALLOC_TRIM_THRESHOLD_": "1000000000"}, path=path) as program:
        if words:
            report, status = reclaim(program.pid)
            check(report and words in notes(report), f"{label}: says why not, or what does work",
                  (status, report))
        else:
            check_purge(label, program, "glibc", 0.3)


def two_at_once():
    """Two ebbs: one of them may be refused, none may do harm."""
    with keeping({"MALLOC_TRIM_THRESHOLD_": "1000000000"}, threads=2) as program:
        before = program.ask("digest")
        command = [at.EBB, "reclaim", "--runtime", "--json", str(program.pid)]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 text=True) for _ in range(2)]
        reports = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
        outcomes = sorted(report["outcome"] for report in reports)
        check("done" in outcomes and all(outcome in ("done", "nothing", "refused")
                                         for outcome in outcomes),
              "two at once: one does it, the other says why not", reports)
        check(program.ask("digest") == before, "two at once: the blocks are what they were")


def traced(folder):
    """Where no call can be made the step fails with its reason, and nothing else is harmed."""
    if not shutil.which("strace"):
        skip("traced", "strace is not installed")
        return
    with keeping({"MALLOC_TRIM_THRESHOLD_": "1000000000"}) as program:
        tracer = subprocess.Popen(["strace", "-o", f"{folder}/log", "-p", str(program.pid)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            report, status = reclaim(program.pid)
            asked = steps(report, "glibc") if report else []
            check(status == 1 and asked and asked[0]["state"] == "failed" and
                  "traces it" in asked[0]["result"], "traced: the step fails and says why",
                  (status, report))
        finally:
            tracer.terminate()
            tracer.wait()
        check_purge("traced before", program, "glibc", 0.3)


def no_rights():
    """Another user's process: refused in words, and untouched."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        skip("no rights", "needs root and setpriv")
        return
    with keeping({}) as program:
        rss = rss_bytes(program.pid)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               at.EBB, "reclaim", "--runtime", str(program.pid)],
                              capture_output=True, text=True, timeout=60, check=False)
        check(done.returncode == 4 and "right" in done.stdout + done.stderr,
              "no rights: exit status 4, with words", (done.returncode, done.stdout, done.stderr))
        check(rss_bytes(program.pid) == rss, "no rights: nothing has changed")


def main():
    preloads()
    plain_glibc()
    for test in (redis, redis_muzzy, backend, prefixed, others, traced):
        with tempfile.TemporaryDirectory() as folder:
            test(folder)
    with tempfile.TemporaryDirectory() as folder:
        linked(folder, "static", [], installed("libjemalloc.a"))
    python()
    two_at_once()
    no_rights()
    return at.finish()


with contextlib.suppress(KeyboardInterrupt):
    sys.exit(main())
