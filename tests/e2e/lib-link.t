#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The ways of linking libebb: shared, static, all static, from C and from C++; libraries that come
# and go; and behind a prefix, beside the system's malloc.
# timeout: 120
# beside: others
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import done, report, skip  # noqa: E402

BUILD, SRC, SCRATCH = os.environ["BUILD"], os.environ["SRC"], os.environ["TMPDIR"]
LINK = f"{SRC}/tests/e2e/link"
FLAGS = ["-O1", "-D_GNU_SOURCE", "-pthread", "-Wall", "-Wextra", f"-I{SRC}/include"]


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          **options)


def said(ran):
    return f"status {ran.returncode}\n{ran.stdout[-800:]}{ran.stderr[-1500:]}"


def links_to(folder, name="ebb"):
    """The ways of linking, as options behind the source."""
    return {"shared": [f"-L{folder}", f"-l{name}", f"-Wl,-rpath,{folder}"],
            "static": [f"{folder}/lib{name}.a"],
            "all static": ["-static", f"{folder}/lib{name}.a"]}


def build(compiler, source, name, *options):
    output = f"{SCRATCH}/{name.replace(' ', '-')}"
    ran = run([*compiler, *FLAGS, source, "-o", output, *options])
    if ran.returncode:
        report(False, f"{name} is linked", said(ran))
    return output if ran.returncode == 0 else None


def is_good(name, command, **options):
    ran = run(command, **options)
    report(ran.returncode == 0 and ran.stdout == "good\n", name, said(ran))


def try_c(how, options):
    """Every entry answers as the system's, and it is libebb that does."""
    program = build(["gcc", "-fno-builtin"], f"{SRC}/tests/lib/conformance.c", f"c {how}", *options)
    if not program:
        return
    here, linked = run([f"{BUILD}/tests/lib/lib_conformance"]), run([program])
    report(linked.returncode == 0 and here.stdout == linked.stdout and here.stdout,
           f"C, {how}: each entry with each edge answers as the system's", said(linked))
    misuse = build(["gcc", "-fno-builtin", "-w"], f"{SRC}/tests/lib/misuse.c", f"misuse {how}",
                   *options)
    ran = run([misuse, "double_free"])
    report("ebb: fatal: double free" in ran.stderr, f"C, {how}: it is libebb's malloc", said(ran))


def try_cxx(how, options):
    if not shutil.which("g++"):
        skip(f"C++, {how}", "g++ is not installed")
        return
    program = build(["g++", "-std=c++17"], f"{LINK}/operators.cpp", f"c++ {how}", *options)
    if program:
        # It counts blocks: a thread of libebb's own has one as well.
        is_good(f"C++, {how}: all forms of new and delete", [program],
                env={**os.environ, "EBB_CONF": "helper:off"})


def try_libraries():
    plugin = build(["gcc", "-shared", "-fPIC"], f"{LINK}/plugin.c", "plugin.so")
    loader = build(["gcc"], f"{LINK}/loader.c", "loader", "-ldl")
    for how, options in links_to(BUILD).items():
        if how != "all static":
            program = build(["gcc"], f"{LINK}/loader.c", f"loader {how}", "-rdynamic", *options,
                            "-ldl")
            is_good(f"{how}: a library that allocates comes and goes", [program, "plugin", plugin])
    is_good("preloaded: a library that allocates comes and goes", [loader, "plugin", plugin],
            env={**os.environ, "LD_PRELOAD": f"{BUILD}/libebb.so"})
    try_deep(plugin)
    is_good("libebb itself is loaded by a program with a malloc, and closed",
            [loader, "malloc", f"{BUILD}/libebb.so"])


def try_deep(plugin):
    """By its bare name: it is found by the RUNPATH of who calls dlopen(), the program."""
    for how, options in (("preloaded", []), ("shared", links_to(BUILD)["shared"])):
        program = build(["gcc"], f"{LINK}/loader.c", f"deep {how}", *options, "-ldl",
                        "-Wl,--enable-new-dtags", f"-Wl,-rpath,{SCRATCH}")
        preload = {} if options else {"LD_PRELOAD": f"{BUILD}/libebb.so"}
        is_good(f"{how}: a library opened with RTLD_DEEPBIND has the program's malloc",
                [program, "deep", os.path.basename(plugin)], env={**os.environ, **preload})


def build_prefixed():
    folder = f"{SCRATCH}/prefixed"
    ran = run(["cmake", "-G", "Ninja", "-S", f"{SRC}/lib", "-B", folder, "--log-level=WARNING",
               "-DEBB_WERROR=ON", "-DEBB_LIB_PREFIX=foo_"])
    if ran.returncode == 0:
        ran = run(["ninja", "--quiet", "-C", folder, "libebb"])
    report(ran.returncode == 0, "behind a prefix it builds without a warning", said(ran))
    return folder if ran.returncode == 0 else None


def exports(library):
    symbols = run(["nm", "-D", "--defined-only", library]).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in symbols}


def try_prefix():
    folder = build_prefixed()
    if not folder:
        return
    with open(f"{SRC}/lib/exports", encoding="ascii") as file:
        names = [name for name in file.read().split() if not name.startswith("_Z")
                 and name not in ("dlopen", "prctl")]
    wanted = {name if name.startswith("ebb_") else f"foo_{name}" for name in names}
    found = exports(f"{folder}/libebb-foo.so")
    report(found == wanted, "behind a prefix it exports that and nothing else", found ^ wanted)
    for how, options in links_to(folder, "ebb-foo").items():
        program = build(["gcc", f"-I{folder}/include"], f"{LINK}/prefixed.c", f"prefixed {how}",
                        *options)
        if not program:
            continue
        is_good(f"prefixed, {how}: two heaps", [program])
        if how == "shared":
            is_good("prefixed, and another libebb preloaded: two heaps", [program, "heaps"],
                    env={**os.environ, "LD_PRELOAD": f"{BUILD}/libebb.so"})


def main():
    if not os.path.exists(f"{BUILD}/libebb.so"):
        print("1..0 # SKIP this build has no libebb.so")
        return
    for how, options in links_to(BUILD).items():
        try_c(how, options)
        try_cxx(how, options)
    try_libraries()
    try_prefix()
    done()


main()
