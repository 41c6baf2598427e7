#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# libebb beside x86-64 and glibc: built for aarch64 and run under qemu-user with pages of 4, 16 and
# 64 KiB; built with musl. The programs of tests/lib answer as they do here.
# timeout: 200
# beside: others
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report, skip  # noqa: E402

BUILD, SRC, SCRATCH = os.environ["BUILD"], os.environ["SRC"], os.environ["TMPDIR"]
SYSROOT = "/usr/aarch64-linux-gnu"
FLAGS = ["-D_GNU_SOURCE", "-O1", "-fno-builtin", "-pthread", f"-I{SRC}/lib", f"-I{SRC}/include"]
# qemu-user before 8 keeps a word per page of what the guest maps: 16 TiB would be its end.
QEMU = ["qemu-aarch64", "-R", "0x200000000", "-L", SYSROOT]


def run(command, **options):
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace",
                              check=False, timeout=60, **options)
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 124, "", f"no end: {late}")


def said(ran):
    return f"status {ran.returncode}\n{ran.stdout[-800:]}{ran.stderr[-800:]}"


def build_library(name, *options):
    folder = f"{SCRATCH}/{name}"
    ran = run(["cmake", "-G", "Ninja", "-S", f"{SRC}/lib", "-B", folder, "--log-level=WARNING",
               "-DEBB_WERROR=ON", *options])
    if ran.returncode == 0:
        ran = run(["ninja", "--quiet", "-C", folder, "libebb"])
    report(ran.returncode == 0, f"{name}: builds without a warning", said(ran))
    return folder if ran.returncode == 0 else None


def exports_agree(label, nm, folder, missing=()):
    ran = run([nm, "-D", "--defined-only", f"{folder}/libebb.so"])
    found = {line.split()[-1].split("@")[0] for line in ran.stdout.splitlines()}
    # musl's start files are in every library.
    found -= {"_init", "_fini"}
    with open(f"{SRC}/lib/exports", encoding="ascii") as file:
        wanted = set(file.read().split()) - set(missing)
    report(found == wanted, f"{label}: it exports what lib/exports lists", found ^ wanted)


def compile_program(compiler, name, output, *options):
    ran = run([*compiler, *FLAGS, f"{SRC}/tests/lib/{name}.c", "-o", output, *options, "-ldl"])
    if ran.returncode:
        report(False, f"{output} is compiled", said(ran))
    return output


def answers(text):
    """Blocks of 4 GiB and more do not fit into what qemu gives."""
    return [line for line in text.splitlines() if "0x100000000" not in line]


def conforms(label, command, here):
    ran = run(command)
    differing = [f"here: {one}\nthere: {other}" for one, other
                 in zip(answers(here), answers(ran.stdout)) if one != other]
    same = answers(here) == answers(ran.stdout) and here.count("\n") > 800
    report(ran.returncode == 0 and same, f"{label}: each entry with each edge answers as here",
           "\n".join(differing) or said(ran))


def misuse_ends(label, command, names):
    """Each misuse ends with the line it ends with here, but for the address."""
    wrong = []
    for name in names:
        here = run([f"{BUILD}/tests/lib/lib_misuse", name],
                   env={**os.environ, "LD_PRELOAD": f"{BUILD}/libebb.so"})
        there = run([*command, name])
        lines = [re.sub("0x[0-9a-f]+", "0x…", ran.stderr.split("\n")[0]) for ran in (here, there)]
        if there.returncode == 0 or "ebb: fatal" not in lines[0] + lines[1]:
            wrong.append(f"{name}: {said(there)}")
        elif lines[0] != lines[1]:
            wrong.append("\n".join([name, *lines]))
    report(not wrong and names, f"{label}: misuse ends with its line", "\n".join(wrong))


def named_misuse():
    listed = run([f"{BUILD}/tests/lib/lib_misuse", "--list"]).stdout.split()
    return [name for name in listed if re.match("double|interior|stack|wild|realloc", name)]


def try_aarch64(here):
    gcc = "aarch64-linux-gnu-gcc"
    if not shutil.which(gcc) or not os.path.exists(f"{SYSROOT}/lib/libc.so.6"):
        skip("aarch64", f"{gcc} or libc6-dev-arm64-cross is not installed")
        return
    folder = build_library("aarch64", "--toolchain", f"{SRC}/cmake/aarch64-linux-gnu.cmake")
    if not folder:
        return
    exports_agree("aarch64", "aarch64-linux-gnu-nm", folder)
    if not shutil.which("qemu-aarch64"):
        skip("aarch64 runs", "qemu-aarch64 (qemu-user) is not installed")
        return
    made = {name: compile_program([gcc], name, f"{folder}/{name}")
            for name in ("conformance", "misuse", "threads", "stress", "forks")}
    preload = ["-E", f"LD_PRELOAD={folder}/libebb.so"]
    ours = [*QEMU, *preload]
    conforms("aarch64", [*ours, made["conformance"]], here)
    fixed = compile_program([gcc], "conformance", f"{folder}/static", "-static",
                            f"{folder}/libebb.a")
    conforms("aarch64, static", [*QEMU, fixed], here)
    misuse_ends("aarch64", [*ours, made["misuse"]], named_misuse())
    ran = run([*ours, made["threads"], "200"])
    report(ran.returncode == 0, "aarch64: threads come and go", said(ran))
    # A thread that a forked child starts is beyond this qemu-user: no helper there.
    alone = ["-E", "EBB_CONF=helper:off"]
    for page in (4096, 16384, 65536):
        qemu = [*QEMU, "-p", str(page), *preload]
        ran = run([*qemu, made["stress"], "1", "8000", "3", "trim", "purge"])
        forked = run([*qemu, *alone, made["stress"], "2", "3000", "1", "trim", "fork"])
        report(ran.returncode == 0 and forked.returncode == 0,
               f"aarch64, pages of {page >> 10} KiB: nothing is spoiled", said(ran) + said(forked))
    try_forks(ours, made["forks"])


def try_forks(ours, program):
    name = "aarch64: children of a busy process go on"
    if run([*QEMU, program, "2"]).returncode != 0:
        skip(name, "this qemu-user does not survive it on the system's malloc either")
        return
    ran = run([*ours, program, "8"])
    report(ran.returncode == 0, name, said(ran))


def try_musl(here):
    """Forks in the midst of stdio hang on musl's own malloc as well: stress forks without."""
    if not shutil.which("musl-gcc"):
        skip("musl", "musl-gcc is not installed")
        return
    folder = build_library("musl", "-DCMAKE_C_COMPILER=musl-gcc")
    if not folder:
        return
    # musl's dlopen() knows no RTLD_DEEPBIND.
    exports_agree("musl", "nm", folder, missing=["dlopen"])
    gcc = ["musl-gcc", "-include", f"{SRC}/tests/e2e/ports/musl.h"]
    links = {"static": ["-static", f"{folder}/libebb.a"],
             "dynamic": [f"-L{folder}", "-lebb", f"-Wl,-rpath,{folder}"]}
    for kind, options in links.items():
        made = {name: compile_program(gcc, name, f"{folder}/{name}-{kind}", *options)
                for name in ("conformance", "misuse", "threads", "stress")}
        conforms(f"musl, {kind}", [made["conformance"]], here)
        misuse_ends(f"musl, {kind}", [made["misuse"]], named_misuse())
        ran = run([made["threads"], "2000"])
        report(ran.returncode == 0, f"musl, {kind}: threads come and go", said(ran))
        ran = run([made["stress"], "1", "8000", "3", "trim", "fork"])
        report(ran.returncode == 0, f"musl, {kind}: nothing is spoiled", said(ran))


def main():
    if not os.path.exists(f"{BUILD}/libebb.so"):
        print("1..0 # SKIP this build has no libebb.so")
        return
    here = run([f"{BUILD}/tests/lib/lib_conformance"]).stdout
    try_aarch64(here)
    try_musl(here)
    done()


main()
