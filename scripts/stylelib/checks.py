# SPDX-License-Identifier: Apache-2.0
# The checks on files and text; those on the structure of the code are in layers.py.
import os
import re
import shutil
import subprocess

from . import csource, layers
from .outcome import Outcome

FILE_LINES_MAX = {".c": 700, ".h": 300}
FUNCTION_LINES_MAX = 80
COLUMNS_MAX = 100
COMMENT_PERCENT = (18, 30)
# The share is a rule for what ships. Tests and benchmarks are reported beside it.
SHIPPED = ("include", "lib", "wire", "tool")

# What a function-like macro may do since no function can: take a member's name; be an array of its
# arguments, however many. By name there are none; an entry here would carry its reason.
MACRO_BODIES_ALLOWED = re.compile(r"offsetof\(|\{\s*__VA_ARGS__")
MACROS_ALLOWED = {}

# Written with brackets so that this file does not find itself.
WORDS_FORBIDDEN = [
    (r"\b(?:deb|security|snapshot|ftp)\.debia[n]\.org", "a package mirror's host"),
    (r"\b(?:archive|security|ports)\.ubunt[u]\.com", "a package mirror's host"),
    (r"\bnpmj[s]\b", "a registry's host"),
    (r"\b(?:pyp[i]\.org|pythonhoste[d]\.org|crate[s]\.io|rubygem[s]\.org)", "a registry's host"),
    (r"\b(?:proxy|sum)\.golan[g]\.org", "a registry's host"),
    (r"(?<![\w.])/wor[k]/|/ebbwor[k]\b", "a path of one machine"),
    (r"\.librar[y]\b", "a path of one machine"),
]
COMMENTED_OUT = re.compile(r"\s*//\s*(?:[\w>.\[\]-]+\s*(?:\(.*\)|=.*);"
                           r"|(?:if|for|while) \(.*\{|\})\s*$")
UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")


def check_start(tree):
    """Every source begins with its licence and, next, with what it is for."""
    outcome = Outcome()
    for source in tree.written():
        if not source.language:
            continue
        mark = {"c": "//", "go": "//", "js": "//", "css": "/*"}.get(source.language, "#")
        end = " */" if mark == "/*" else ""
        at = 1 if source.lines and source.lines[0].startswith("#!") else 0
        if source.lines[at:at + 1] != [f"{mark} SPDX-License-Identifier: Apache-2.0{end}"]:
            outcome.add(source, at + 1,
                        f"should be '{mark} SPDX-License-Identifier: Apache-2.0{end}'")
            continue
        # A module's docstring says it as well.
        lead = r'(?:#|""")' if source.language == "python3" else re.escape(mark)
        if not re.match(lead + r" ?\S.{15,}", "".join(source.lines[at + 1:at + 2])):
            outcome.add(source, at + 2, "should say what the file is for")
    return outcome


def check_sizes(tree):
    outcome = Outcome()
    for source in tree.c_files():
        limit = FILE_LINES_MAX[os.path.splitext(source.path)[1]]
        if len(source.lines) > limit:
            outcome.add(source, limit, f"{len(source.lines)} lines, {limit} is the limit")
        code, _ = csource.split_comments(source.text)
        for name, first, last in csource.functions(code):
            if last - first + 1 > FUNCTION_LINES_MAX:
                outcome.add(source, first, f"{name}() has {last - first + 1} lines,"
                                           f" {FUNCTION_LINES_MAX} is the limit")
    return outcome


def check_columns(tree):
    outcome = Outcome()
    for source in tree.written():
        for number, line in enumerate(source.lines if source.language else [], 1):
            width = len(line.expandtabs(8))
            if width > COLUMNS_MAX:
                outcome.add(source, number, f"{width} columns, {COLUMNS_MAX} is the limit")
    return outcome


def _comment_lines(source):
    """(lines with a comment, lines that are not blank)."""
    _, commented = csource.split_comments(source.text)
    return len(commented), sum(1 for line in source.lines if line.strip())


def check_comment_share(tree):
    """18 to 30 % of what ships: fewer leave the reader alone, more repeat the code."""
    outcome = Outcome()
    folders = {}
    for source in tree.c_files():
        folder = os.path.dirname(source.path)
        comments, lines = _comment_lines(source)
        before = folders.get(folder, (0, 0))
        folders[folder] = (before[0] + comments, before[1] + lines)
    shipped = [share for folder, share in folders.items() if folder.split("/")[0] in SHIPPED]
    for folder, (comments, lines) in sorted(folders.items()):
        percent = 100 * comments / max(lines, 1)
        outcome.notes.append(f"{percent:5.1f} % of {lines:6} lines in {folder}")
    comments, lines = (sum(column) for column in zip(*shipped)) if shipped else (0, 0)
    if not lines:
        outcome.skipped = "no C code yet"
        return outcome
    percent = 100 * comments / lines
    outcome.notes.append(f"{percent:5.1f} % of {lines:6} lines in what ships")
    low, high = COMMENT_PERCENT
    if not low <= percent <= high:
        outcome.problems.append(f"comments are {percent:.1f} %, should be {low} to {high} %")
    return outcome


def check_comment_form(tree):
    outcome = Outcome()
    for source in tree.c_files():
        for number, line in enumerate(source.lines, 1):
            if re.match(r"\s*(?://|/?\*)\s*[-=*#~_]{4,}", line):
                outcome.add(source, number, "a banner")
            elif COMMENTED_OUT.match(line):
                outcome.add(source, number, "commented-out code")
    return outcome


def check_macros(tree):
    outcome = Outcome()
    for source in tree.c_files():
        code, _ = csource.split_comments(source.text)
        for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\((?:\\\n|[^\n])*", code, re.M):
            if match.group(1) not in MACROS_ALLOWED \
                    and not MACRO_BODIES_ALLOWED.search(match.group()):
                outcome.add(source, code.count("\n", 0, match.start()) + 1,
                            f"{match.group(1)}() should be a function")
    return outcome


def check_words(tree):
    """The project speaks of itself alone; and what is unfinished is not committed."""
    outcome = Outcome()
    for source in tree.sources:
        text = source.text or source.raw.decode("latin-1")
        for pattern, what in WORDS_FORBIDDEN:
            for match in re.finditer(pattern, text):
                outcome.add(source, text.count("\n", 0, match.start()) + 1, what)
        for match in UNFINISHED.finditer("" if source.is_data else source.text):
            outcome.add(source, source.text.count("\n", 0, match.start()) + 1, "unfinished")
    return outcome


def check_spaces(tree):
    outcome = Outcome()
    for source in tree.written():
        for number, line in enumerate(source.text.split("\n"), 1):
            if line != line.rstrip():
                outcome.add(source, number, "space at the end of the line")
            if "\t" in line and source.language not in ("make", "go", ""):
                outcome.add(source, number, "a tab")
        if source.text and not source.text.endswith("\n"):
            outcome.add(source, len(source.lines), "no newline at the end")
        if source.text.endswith("\n\n"):
            outcome.add(source, len(source.lines), "empty lines at the end")
    return outcome


def check_scripts(tree):
    """Scripts parse, can be run, and shellcheck agrees where it is installed."""
    outcome = Outcome()
    shells = [source for source in tree.written() if source.language in ("sh", "bash")]
    for source in tree.written():
        if source.text.startswith("#!") and not os.access(source.absolute, os.X_OK):
            outcome.add(source, 1, "not executable")
        if source.language == "python3":
            try:
                compile(source.text, source.path, "exec")
            except SyntaxError as error:
                outcome.add(source, error.lineno or 1, error.msg)
    for source in shells:
        parsed = subprocess.run([source.language, "-n", source.absolute], capture_output=True,
                                text=True, check=False)
        if parsed.returncode != 0:
            outcome.add(source, 1, parsed.stderr.strip().replace("\n", "; "))
    if shells and shutil.which("shellcheck"):
        command = ["shellcheck", "-f", "gcc", "-S", "warning"]
        linted = subprocess.run(command + [source.path for source in shells], cwd=tree.root,
                                capture_output=True, text=True, check=False)
        outcome.problems += linted.stdout.splitlines()
    return outcome


def _clang_format():
    """A clang-format of a version that agrees with the configuration, 14 first; or None."""
    for version in ("-14", "", "-15", "-16", "-17", "-18"):
        command = shutil.which(f"clang-format{version}")
        if command:
            said = subprocess.run([command, "--version"], capture_output=True, text=True,
                                  check=False).stdout
            found = re.search(r"version (\d+)", said)
            if found and 14 <= int(found.group(1)) <= 18:
                return command
    return None


def check_format(tree):
    outcome = Outcome()
    command = _clang_format()
    files = [source.path for source in tree.c_files()]
    if not command:
        outcome.skipped = "no clang-format of version 14 to 18"
    elif files:
        checked = subprocess.run([command, "--dry-run", "-Werror", *files], cwd=tree.root,
                                 capture_output=True, text=True, check=False)
        found = re.findall(r"^(\S+?):(\d+):\d+: error:", checked.stderr, re.M)
        for path in sorted({path for path, _ in found}):
            lines = [line for where, line in found if where == path]
            outcome.problems.append(f"{path}:{lines[0]}: clang-format differs"
                                    f" in {len(lines)} places")
        if checked.returncode != 0 and not found:
            outcome.problems.append(checked.stderr.strip().replace("\n", "; "))
    return outcome


CHECKS = {
    "start": check_start,
    "sizes": check_sizes,
    "columns": check_columns,
    "comment-share": check_comment_share,
    "comment-form": check_comment_form,
    "macros": check_macros,
    "layers": layers.check_layers,
    "pure-account": layers.check_pure_account,
    "words": check_words,
    "spaces": check_spaces,
    "scripts": check_scripts,
    "format": check_format,
}
