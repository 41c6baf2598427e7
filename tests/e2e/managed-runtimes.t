#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# CPython's pymalloc against its own statistics, for every interpreter that is here; node and the
# JVM: found and named with version and settings, their memory held.
# timeout: 300
# beside: others
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "allocators"))
from running import check, examine, finish, is_near, ledger, running, setting, skip  # noqa: E402

# Python 3's statistics go to stderr, which is sent to stdout here.
LISTS = """
import os, sys, time
os.dup2(1, 2)
text = [str(i) * 3 for i in range(200000)]
maps = [{} for i in range(50000)]
del maps[::2]
sys._debugmallocstats()
print("version " + sys.version.split()[0])
print("ready")
sys.stdout.flush()
time.sleep(1000)
"""


def pythons():
    pyenv = os.environ.get("PYENV_ROOT", "/nowhere")
    folders = ["/usr/bin", "/opt/*/bin", os.path.join(pyenv, "versions/*/bin")]
    found = [path for folder in folders for path in sorted(glob.glob(folder + "/python3.[0-9]*"))]
    return [path for path in found if re.search(r"python3\.\d+$", path)]


def python(path):
    label = os.path.basename(path)
    with running([path, "-c", LISTS]) as (pid, lines):
        report, found = examine(label, pid, "CPython")
        if not report:
            return
        # 3.13 carries a mimalloc, which is initialised and holds nothing.
        names = [each["name"] for each in report["runtimes"]]
        check("mimalloc" not in names, f"{label}: no malloc that is idle is named", names)
        version = next((line.split()[1] for line in lines if line.startswith("version ")), "")
        check(found["version"] == version, f"{label}: the version is {version}", found["version"])
        inside = next((int(line.split("=")[1].replace(",", "")) for line in lines
                       if line.startswith("# bytes in allocated blocks")), None)
        outside = ledger(found, "pymalloc objects")
        print(f"# {label}: {inside} inside, {outside} outside")
        check(is_near(inside, outside), f"{label}: pymalloc's blocks are what CPython counts",
              (inside, outside))
    with running([path, "-c", LISTS], {"PYTHONMALLOC": "malloc"}) as (pid, _):
        report, found = examine(f"{label} without pymalloc", pid, "CPython")
        if report:
            check(setting(found, "PYTHONMALLOC")[0] == "malloc", f"{label}: pymalloc is off",
                  found["settings"])
            check(ledger(found, "arenas") in (None, 0),
                  f"{label}: no arenas where pymalloc is off", found["ledger"])


def node():
    program = shutil.which("node") or shutil.which("nodejs")
    if not program:
        skip("node", "node is not installed")
        return
    code = ("const kept = []; for (let i = 0; i < 200000; i++) kept.push({i, s: 'x' + i});"
            "console.log(process.versions.v8); console.log('ready'); setTimeout(() => kept, 1e6);")
    with running([program, "--max-old-space-size=321", "-e", code]) as (pid, lines):
        report, found = examine("node", pid, "V8")
        if report:
            check(found["version"] == lines[0], f"node: V8's version is {lines[0]}",
                  found["version"])
            check(setting(found, "--max-old-space-size") == ("321", "command line"),
                  "node: its heap limit is told",
                  found["settings"])


JAVA = """
public class Rest {
    static byte[][] kept = new byte[20000][];
    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < kept.length; i++) kept[i] = new byte[1000];
        System.gc();
        System.out.println(System.getProperty("java.vm.version"));
        System.out.println("ready");
        Thread.sleep(1000000);
    }
}
"""


def java(folder):
    program, compiler = shutil.which("java"), shutil.which("javac")
    if not program or not compiler:
        skip("java", "java is not installed" if not program else "javac is not installed")
        return
    source = os.path.join(folder, "Rest.java")
    with open(source, "w", encoding="utf-8") as file:
        file.write(JAVA)
    done = subprocess.run([compiler, "-d", folder, source], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        skip("java", "javac does not work here")
        return
    options = {"JAVA_TOOL_OPTIONS": "-XX:MaxMetaspaceSize=77m"}
    with running([program, "-Xmx123m", "-cp", folder, "Rest"], options) as (pid, lines):
        report, found = examine("java", pid, "JVM")
        if not report:
            return
        check(lines and found["version"] == lines[-1], "java: the version is the JVM's own",
              (found["version"], lines))
        check(setting(found, "-Xmx") == ("123m", "command line"), "java: -Xmx is told",
              found["settings"])
        check(setting(found, "MaxMetaspaceSize") == ("77m", "environment JAVA_TOOL_OPTIONS"),
              "java: options in the environment are told", found["settings"])
        used = ledger(found, "heap used")
        check(used is not None and 20000000 <= used <= 123 << 20, "java: the heap's use is told",
              used)


interpreters = pythons()
for interpreter in interpreters:
    python(interpreter)
if not interpreters:
    skip("python", "no python3 is installed")
node()
with tempfile.TemporaryDirectory() as scratch:
    java(scratch)
sys.exit(finish())
