# SPDX-License-Identifier: Apache-2.0
# Just enough C for the checks: where comments are, where functions begin and end.
import re

TOKEN = re.compile(r"""
    (?P<comment>//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z))
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
""", re.X | re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def split_comments(text):
    """(code with comments blanked, strings kept; set of the numbers of lines with a comment)."""
    commented = set()

    def replace(match):
        if match.group("comment") is None:
            return match.group()
        first = text.count("\n", 0, match.start()) + 1
        commented.update(range(first, first + match.group().count("\n") + 1))
        return _blank(match.group())

    return TOKEN.sub(replace, text), commented


def without_strings(code):
    """Code (comments blanked) with the insides of its strings blanked as well."""
    return TOKEN.sub(lambda match: match.group()[0] + _blank(match.group()[1:-1])
                     + match.group()[-1], code)


def functions(code):
    """(name, first line, last line) of each function body in code without comments."""
    text = DIRECTIVE.sub(lambda match: _blank(match.group()), without_strings(code))
    depth, start, found = 0, 0, None
    for match in re.finditer(r"[{};]", text):
        token = match.group()
        if token == "{":
            if depth == 0:
                found = _function_head(text, start, match.start())
            depth += 1
        elif token == "}":
            depth = max(depth - 1, 0)
            if depth == 0:
                if found:
                    yield found[0], found[1], text.count("\n", 0, match.start()) + 1
                found, start = None, match.end()
        elif depth == 0:
            start = match.end()


def _function_head(text, start, brace):
    """(name, line) if what stands before a brace at file level is a function's head."""
    head = text[start:brace]
    name = re.search(r"([A-Za-z_]\w*)\s*\(", head)
    if not name or "=" in head or not head.rstrip().endswith(")"):
        return None
    lead = len(head) - len(head.lstrip())
    return name.group(1), text.count("\n", 0, start + lead) + 1


def includes(code):
    """(line, is_quoted, path) of every #include in code without comments."""
    for match in INCLUDE.finditer(code):
        yield code.count("\n", 0, match.start()) + 1, match.group(1) == '"', match.group(2)
