#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb run --malloc: the command really uses the allocator, or hears before it starts why it cannot.
# timeout: 120
# beside: others
import glob
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

EBB, SRC = os.environ["EBB"], os.environ["SRC"]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 300; i++) memset(malloc(30000), 1, 30000);
    puts("ready"); fflush(stdout); pause(); return 0;
}
"""
MADE_FOR = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc*.so.4",
            "mimalloc": "libmimalloc.so*"}


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          **options)


def compile_program(folder, name, *command):
    output = f"{folder}/{name}"
    done = run(*(command or ("gcc",)), "-O1", "-x", "c", "-", "-o", output, input=SOURCE)
    return output if done.returncode == 0 else None


def refused(name, words, *command, status=1):
    done = run(*command)
    tap.report(done.returncode == status and words in done.stderr and done.stdout == "", name,
               f"{done.returncode} {done.stderr}")


def uses(program, allocator):
    """The library is mapped, and ebb explain finds the runtime."""
    if not glob.glob(f"/usr/lib/*/{MADE_FOR[allocator]}"):
        tap.skip(f"{allocator} is used", f"{allocator} is not installed")
        return
    command = [EBB, "run", f"--malloc={allocator}", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        with open(f"/proc/{child.pid}/maps", encoding="ascii") as maps:
            tap.report(f"lib{allocator}" in maps.read(), f"{allocator} is mapped")
        done = run(EBB, "explain", "--json", str(child.pid))
        child.kill()
    if "without JSON" in done.stderr:
        tap.skip(f"{allocator} is named by ebb explain", "built without JSON")
        return
    names = [runtime["name"] for runtime in json.loads(done.stdout)["runtimes"]]
    tap.report(allocator in " ".join(names).lower(), f"{allocator} is named by ebb explain", names)


def preloads(program, folder):
    """LD_PRELOAD of the user stays, but for other allocators."""
    library = glob.glob("/usr/lib/*/libjemalloc.so.2")
    if not library:
        tap.skip("LD_PRELOAD is merged", "libjemalloc2 is not installed")
        return
    own = f"{folder}/libown.so"
    run("gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", own, input="int own;")
    show = ["sh", "-c", 'echo "$LD_PRELOAD"']
    given = {**os.environ, "LD_PRELOAD": f"{own}:{library[0]}"}
    done = run(EBB, "run", f"--malloc={library[0]}", *show, env=given)
    tap.report(done.stdout == f"{library[0]}:{own}\n", "LD_PRELOAD is merged, a path works", done)
    done = run(EBB, "run", "--malloc=glibc", *show, env=given)
    tap.report(done.stdout == f"{own}\n", "glibc takes allocators out and keeps the rest", done)
    done = run(EBB, "run", "--malloc=glibc", "sh", "-c", 'echo "${LD_PRELOAD-unset}"',
               env={**os.environ, "LD_PRELOAD": library[0]})
    tap.report(done.stdout == "unset\n", "an empty LD_PRELOAD is none", done)
    odd = f"{folder}/an odd.so"
    shutil.copy(library[0], odd)
    refused("a path that LD_PRELOAD cannot hold", "no blank and no colon", EBB, "run",
            f"--malloc={odd}", program)
    script = f"{folder}/script"
    with open(script, "w", encoding="ascii") as file:
        file.write("#!/usr/bin/env python3\nprint(open('/proc/self/maps').read())\n")
    os.chmod(script, 0o755)
    done = run(EBB, "run", "--malloc=jemalloc", script)
    tap.report("libjemalloc" in done.stdout, "a script's interpreter gets it", done.stderr)


def static_programs(folder):
    static = compile_program(folder, "static", "gcc", "-static")
    if static:
        refused("a static program is refused", "is static: nothing can be preloaded", EBB, "run",
                "--malloc=jemalloc", static)
    musl = compile_program(folder, "musl", "musl-gcc") if shutil.which("musl-gcc") else None
    if musl:
        refused("a library for glibc is refused to a musl program", "the command for x86-64 with "
                "musl" if os.uname().machine == "x86_64" else "with musl", EBB, "run",
                "--malloc=jemalloc", musl)
    else:
        tap.skip("a library for glibc is refused to a musl program", "musl-gcc is not installed")
    if not shutil.which("go"):
        tap.skip("Go does not use malloc", "go is not installed")
        return
    go = f"{folder}/go"
    subprocess.run(["go", "build", "-o", go, f"{SRC}/tests/e2e/go/burst.go"], check=True,
                   env={"GOCACHE": f"{folder}/cache", **os.environ, "GO111MODULE": "off"})
    done = run(EBB, "run", "--malloc=jemalloc", go)
    tap.report(done.returncode == 1 and "Go does not use malloc" in done.stderr,
               "a static Go program is told that Go does not use malloc", done.stderr)


def other_rights(program, folder):
    """The loader ignores LD_PRELOAD where the program gains rights."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        tap.skip("a set-user-ID program is refused", "that needs root and setpriv")
        return
    marked = f"{folder}/marked"
    shutil.copy(program, marked)
    os.chmod(marked, 0o755 | stat.S_ISUID)
    refused("a set-user-ID program is refused", "the loader ignores LD_PRELOAD", *NOBODY, EBB,
            "run", "--malloc=jemalloc", marked)
    done = run(*NOBODY, EBB, "run", "--madv-free=off", "-n", marked)
    tap.report("starts without these rights" in " ".join(done.stdout.split()),
               "the filter costs a set-user-ID program its rights: warned", done.stdout)
    done = run(EBB, "run", "--malloc=jemalloc", "-n", marked)
    tap.report(done.returncode == 0, "for the user that it changes to it is as any other", done)
    os.chmod(marked, 0o711)
    refused("a program that may not be read is refused", "may not be read", *NOBODY, EBB, "run",
            "--malloc=jemalloc", marked, status=4)


def losers(folder):
    """Runtimes without a fallback: the user hears of it, and the command runs."""
    os.mkdir(f"{folder}/net")
    host = f"{folder}/net/service"
    shutil.copy(shutil.which("true"), host)
    with open(f"{host}.runtimeconfig.json", "w", encoding="ascii"):
        pass
    done = run(EBB, "run", "--madv-free=off", host)
    tap.report(done.returncode == 0 and "warning: this is a .NET program" in done.stderr,
               ".NET is warned of", done.stderr)
    beam = f"{folder}/net/beam.smp"
    shutil.copy(shutil.which("true"), beam)
    os.remove(f"{host}.runtimeconfig.json")
    done = run(EBB, "run", "--madv-free=off", beam)
    tap.report("warning: this is an Erlang program" in done.stderr, "Erlang is warned of",
               done.stderr)


def prefixes(folder):
    """A jemalloc that is linked in under a prefix reads a variable of its own."""
    program = f"{folder}/prefixed"
    source = ('#include <stdio.h>\n#include <stdlib.h>\n'
              'static const char *volatile a = "JE_MALLOC_CONF", *volatile b = "MALLOC_CONFIG";\n'
              'int main(void) { printf("%s\\n", getenv(a)); return !b; }\n')
    run("gcc", "-O1", "-x", "c", "-", "-o", program, input=source)
    done = run(EBB, "run", "--madv-free=off", program,
               env={**os.environ, "JE_MALLOC_CONF": "narenas:3,muzzy_decay_ms:9"})
    tap.report(done.stdout == "muzzy_decay_ms:0,narenas:3\n",
               "the variable of a prefixed jemalloc is set", done)


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = compile_program(folder, "program")
        for allocator in MADE_FOR:
            uses(program, allocator)
        preloads(program, folder)
        static_programs(folder)
        other_rights(program, folder)
        losers(folder)
        prefixes(folder)
        # Away from the folder where it is built.
        shutil.copy(EBB, f"{folder}/ebb")
        refused("libebb is not installed", "libebb is not installed here", f"{folder}/ebb", "run",
                "--malloc=ebb", program) \
            if not glob.glob("/usr/l*/**/libebb.so*") else tap.skip("libebb", "it is installed")
        refused("there is no such allocator", "there is no allocator 'nomalloc'", EBB, "run",
                "--malloc=nomalloc", program)
        refused("a file that is no library", "is no shared library", EBB, "run",
                "--malloc=/etc/passwd", program)
        refused("a file that is not there", "No such file", EBB, "run", "--malloc=/nonexistent.so",
                program)
    tap.done()


main()
