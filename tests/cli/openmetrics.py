#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A strict reader of metrics: OpenMetrics 1.0.0, and the older format with --classic. As a command
# it checks its standard input, says what is wrong and ends with 1.
import re
import sys

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
POINT = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|\Z)')
SUFFIXES = {"gauge": [""], "counter": ["_total"], "info": ["_info"]}


class Wrong(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Wrong(text)


def labels_of(text):
    """A dictionary of the labels; every byte must belong to one."""
    found, at = {}, 0
    while text and at < len(text):
        match = LABEL.match(text, at)
        need(match, f"broken labels: {text!r}")
        need(match[1] not in found, f"a label twice: {text!r}")
        need(match[3] != "," or match.end() < len(text), f"a comma at the end: {text!r}")
        found[match[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match[2])
        at = match.end()
    return found


class Reader:
    def __init__(self, classic=False):
        self.classic = classic
        self.family, self.words, self.seen = None, {}, set()
        self.families = {}  # name: type
        self.points = {}    # (name, labels): value
        self.has_points = False

    def descriptor(self, line):
        match = re.match(r"# (TYPE|HELP|UNIT) (\S+) (.*)\Z", line)
        need(match, f"not a descriptor: {line!r}")
        word, name, rest = match.groups()
        need(NAME.match(name), f"no name: {line!r}")
        if name != self.family:
            need(name not in self.seen, f"the family {name} comes twice")
            self.family, self.words, self.has_points = name, {}, False
            self.seen.add(name)
        need(not self.has_points, f"{word} of {name} behind its points")
        need(word not in self.words, f"{word} of {name} twice")
        self.words[word] = rest
        if word == "TYPE":
            need(rest in ("gauge", "counter", "info") and (rest != "info" or not self.classic),
                 f"unknown type: {line!r}")
            self.families[name] = rest
        if word == "UNIT":
            need(not self.classic, "UNIT in the older format")
            need(name.endswith("_" + rest), f"{name} does not end with its unit {rest}")
        if word == "HELP":
            allowed = r"(?:[^\\]|\\\\|\\n)*\Z" if self.classic else r'(?:[^\\"]|\\[\\n"])*\Z'
            need(re.match(allowed, rest) and rest, f"broken help: {line!r}")

    def point(self, line):
        match = POINT.match(line)
        need(match, f"not a point: {line!r}")
        name, text, value = match.groups()
        kind = self.words.get("TYPE")
        need(kind, f"a point without a type: {line!r}")
        need("HELP" in self.words, f"a family without help: {name}")
        suffixes = [""] if self.classic else SUFFIXES[kind]
        need(name in [self.family + suffix for suffix in suffixes],
             f"{name} in the family {self.family}")
        if kind == "counter":
            need(name.endswith("_total"), f"a counter without _total: {name}")
        labels = labels_of(text or "")
        need(text is None or labels, f"empty braces: {line!r}")
        key = (name, tuple(sorted(labels.items())))
        need(key not in self.points, f"twice: {line!r}")
        self.points[key] = number = float(value.replace("Inf", "inf"))
        need(kind == "gauge" or number >= 0, f"below 0: {line!r}")
        self.has_points = True

    def read(self, data):
        text = data.decode("utf-8")
        need(text.endswith("\n"), "the last line has no end")
        lines = text[:-1].split("\n")
        if not self.classic:
            need(lines[-1] == "# EOF", "no # EOF at the end")
            lines.pop()
        for line in lines:
            need(line != "# EOF", "# EOF in the middle")
            need(line, "an empty line")
            (self.descriptor if line.startswith("#") else self.point)(line)
        return self

    def value(self, name, **labels):
        return self.points.get((name, tuple(sorted(labels.items()))))

    def names(self):
        return {name for name, _ in self.points}


def main():
    try:
        reader = Reader("--classic" in sys.argv).read(sys.stdin.buffer.read())
    except (Wrong, ValueError) as error:
        print(error)
        sys.exit(1)
    print(f"{len(reader.families)} families, {len(reader.points)} points")


if __name__ == "__main__":
    main()
