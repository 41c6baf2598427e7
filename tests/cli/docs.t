#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What the documents name is there: verbs with their options, links with their headings, files of
# the tree, make targets.
# needs: EBB_WITH_SQLITE EBB_WITH_HTTP EBB_WITH_JSON EBB_WITH_NCURSES
import functools
import os
import re
import subprocess
import sys

EBB, SRC = os.environ["EBB"], os.environ["SRC"]
sys.path.insert(0, f"{SRC}/tests/e2e")
import tap  # noqa: E402

# A path as the tree has it; names in capitals and "…" stand for something else.
PATH = re.compile(r"(?:bench|cmake|demo|deploy|docs|include|lib|scripts|tests|tool|web|wire)/"
                  r"[\w./-]*\w|\.ci/\w+")
MAKE = re.compile(r"(?m)(?:^|`)(?:sudo )?make ([a-z][a-z-]*)")
# "ebb VERB ..." until the line, the code or the command ends.
COMMAND = re.compile(r"(?:^|(?<=[`\s(]))ebb ([a-z]+)((?: [^`|;&#\n]*)?)", re.MULTILINE)


@functools.cache
def help_of(verb):
    done = subprocess.run([EBB, verb, "--help"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


@functools.cache
def text_of(name):
    with open(f"{SRC}/{name}", encoding="utf-8") as file:
        return file.read()


def documents():
    listed = subprocess.run(["git", "-C", SRC, "ls-files", "*.md"], capture_output=True, text=True,
                            check=False)
    if listed.returncode == 0 and listed.stdout:
        return listed.stdout.split()
    return [name for folder in ("", "docs/", "deploy/", "lib/") for name in
            (folder + entry for entry in os.listdir(f"{SRC}/{folder}")) if name.endswith(".md")]


def code(text):
    """Blocks of code, and code in the text. The continued lines of a command are one."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    rest = re.sub(r"```\w*\n.*?```", "", text, flags=re.DOTALL)
    return [block.replace("\\\n", " ") for block in blocks] + \
        [f"`{span}`" for span in re.findall(r"`([^`]+)`", rest)]


def wrong_commands(pieces):
    for piece in pieces:
        for verb, rest in COMMAND.findall(piece):
            said = help_of(verb)
            # What follows "--" is somebody else's command line.
            options = re.findall(r"(?<=\s)(--[a-z][a-z-]*)", rest.split(" -- ")[0])
            if said is None:
                yield f"ebb {verb}: no such verb"
            elif verb != "run":
                yield from (f"ebb {verb}: no {option}" for option in options
                            if not re.search(rf"{option}\b(?!-)", said))


def anchors(name):
    """Headings as the links to them are written."""
    titles = re.findall(r"(?m)^#+ (.*)$", text_of(name))
    return {re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def wrong_links(name):
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text_of(name)):
        link = target[0] or target[1]
        if re.match(r"\w+:", link):
            continue
        path, _, heading = link.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        if not os.path.exists(f"{SRC}/{full}"):
            yield link
        elif heading and heading not in anchors(full):
            yield link


def is_there(path, folder):
    """From the top, or from the document's own folder; tests are named without their ending."""
    return any(os.path.exists(f"{SRC}/{base}{path}{ending}")
               for base in ("", folder) for ending in ("", ".c", ".h", ".t"))


def wrong_paths(name, pieces):
    folder = f"{os.path.dirname(name)}/" if "/" in name else ""
    for piece in pieces:
        if re.fullmatch(r"`[^\s`]+`", piece):
            match = PATH.fullmatch(piece.strip("`"))
            if match and "NAME" not in piece and not is_there(match[0], folder):
                yield match[0]


def wrong_targets(pieces):
    known = set(re.findall(r"(?m)^([a-z]+):", text_of("Makefile")))
    for piece in pieces:
        yield from (target for target in MAKE.findall(piece) if target not in known)


def main():
    names = documents()
    tap.report(len(names) > 15, "there are documents", names)
    for name in names:
        pieces = code(text_of(name))
        wrong = {*wrong_commands(pieces), *wrong_links(name), *wrong_paths(name, pieces),
                 *wrong_targets(pieces)}
        tap.report(not wrong, name, "\n".join(sorted(wrong)))
    tap.done()


main()
