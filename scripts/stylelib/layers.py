# SPDX-License-Identifier: Apache-2.0
# The dependency law, read from the #include lines, and the purity of tool/account.
import os
import re

from . import csource
from .outcome import Outcome

# Each folder may include itself and every folder on a lower line; not its neighbours on the line.
TOOL_LAYERS = [["base"], ["proc"], ["image"], ["call"], ["runtime"], ["account"], ["survey"],
               ["sample"], ["doctor", "lever", "history", "alarm", "metrics"], ["render"],
               ["serve"], ["cmd"]]
LIB_LAYERS = [["base"], ["os", "wire"], ["heap"], ["release", "profile"], ["shim"]]
# Folders whose families do not know each other.
FAMILIES = {"runtime": ("go", "glibc", "allocators", "libebb", "managed"),
            "lever": ("run", "reclaim", "tune", "balloon")}

# All that a pure model needs of the system.
ACCOUNT_HEADERS = {"assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h",
                   "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h",
                   "string.h"}
ACCOUNT_CALLS = re.compile(r"\b(f?open(?:at|dir)?|p?read(?:v|dir|link)?|p?writev?|fread|fwrite|"
                           r"[vfd]*printf|puts|fputs|perror|getenv|secure_getenv|system|popen|"
                           r"ioctl|mmap|clock_gettime|time|u?sleep|nanosleep|process_\w+)\s*\(")


def _rank(layers, name):
    return next((rank for rank, line in enumerate(layers) if name in line), None)


def _target(source, path):
    """Where an include leads, from the root: beside the file, else by its first folder."""
    parts = path.split("/")
    world = source.path.split("/")[0]
    if len(parts) == 1:
        return os.path.join(os.path.dirname(source.path), path)
    if parts[0] in ("wire", "lib", "tool", "include"):
        return path
    if parts[0] == "ebb":
        return os.path.join("include", path)
    return os.path.join(world, path)


def _tool_problem(source, target):
    here, there = source.path.split("/"), target.split("/")
    if there[0] == "wire":
        return None
    if there[0] != "tool":
        return "the tool and the library never include each other"
    mine, other = _rank(TOOL_LAYERS, here[1]), _rank(TOOL_LAYERS, there[1])
    if mine is None or other is None:
        return f"tool/{here[1] if mine is None else there[1]} has no place in the dependency law"
    if here[1] != there[1] and other >= mine:
        return f"tool/{here[1]} may not include tool/{there[1]}"
    families = FAMILIES.get(here[1], ())
    if here[1] == there[1] and here[2] in families and there[2] in families and here[2] != there[2]:
        return f"{here[1]}/{here[2]} may not include {there[1]}/{there[2]}"
    return None


def _lib_problem(source, target):
    here, there = source.path.split("/"), target.split("/")
    if there[0] == "include":
        return None
    if there[0] == "tool":
        return "the tool and the library never include each other"
    name = "wire" if there[0] == "wire" else there[1]
    mine, other = _rank(LIB_LAYERS, here[1]), _rank(LIB_LAYERS, name)
    if mine is None or other is None:
        return f"{here[1] if mine is None else name} has no place in the dependency law"
    if here[1] != name and other >= mine:
        return f"lib/{here[1]} may not include {name}"
    return None


def _problem(source, is_quoted, path):
    world = source.path.split("/")[0]
    if not is_quoted and not path.startswith("ebb/"):
        return None
    if ".." in path.split("/"):
        return "'..' hides what is included"
    target = _target(source, path)
    if world == "tool":
        return _tool_problem(source, target)
    if world == "lib":
        return _lib_problem(source, target)
    return None if target.split("/")[0] == world else f"{world} may include {world} only"


def check_layers(tree):
    outcome = Outcome()
    for source in tree.c_files("tool", "lib", "wire", "include"):
        code, _ = csource.split_comments(source.text)
        for line, is_quoted, path in csource.includes(code):
            problem = _problem(source, is_quoted, path)
            if problem:
                outcome.add(source, line, f"{problem} ({path})")
    return outcome


def check_pure_account(tree):
    """tool/account computes: no input, no output, no clock."""
    outcome = Outcome()
    for source in tree.c_files("tool/account"):
        code, _ = csource.split_comments(source.text)
        for line, is_quoted, path in csource.includes(code):
            if not is_quoted and path not in ACCOUNT_HEADERS:
                outcome.add(source, line, f"<{path}> in pure code")
        for match in ACCOUNT_CALLS.finditer(csource.without_strings(code)):
            outcome.add(source, code.count("\n", 0, match.start()) + 1,
                        f"{match.group(1)}() in pure code")
    return outcome
