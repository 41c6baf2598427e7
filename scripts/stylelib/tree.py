# SPDX-License-Identifier: Apache-2.0
# The files under the checks: those that git tracks or would track, read once.
import os
import subprocess

# Recorded bytes: not ours to format.
DATA_FOLDERS = {"corpus", "fixtures", "golden", "goldens", "expected", "data"}


class Source:
    """One text file: its path from the root, its lines, and what it is written in."""

    def __init__(self, root, path):
        self.path = path
        self.absolute = os.path.join(root, path)
        with open(self.absolute, "rb") as file:
            self.raw = file.read()
        self.is_text = b"\0" not in self.raw
        self.text = self.raw.decode("utf-8", errors="replace") if self.is_text else ""
        self.lines = self.text.splitlines()
        self.is_data = path.startswith("tests/") and bool(DATA_FOLDERS & set(path.split("/")[:-1]))
        self.language = self._language()

    def _language(self):
        name = os.path.basename(self.path)
        extension = os.path.splitext(name)[1]
        first = self.lines[0] if self.lines else ""
        if first.startswith("#!"):
            interpreter = first.rsplit("/", 1)[-1].split()
            command = interpreter[1] if interpreter[:1] == ["env"] and interpreter[1:] \
                else interpreter[0]
            return {"dash": "sh", "node": "js"}.get(command, command)
        if name in ("Makefile", "CMakeLists.txt", ".clang-format", ".clang-tidy", ".editorconfig"):
            return "make" if name == "Makefile" else "settings"
        return {".c": "c", ".h": "c", ".py": "python3", ".sh": "sh", ".bash": "bash",
                ".cmake": "settings", ".go": "go", ".js": "js", ".mjs": "js",
                ".css": "css"}.get(extension, "")


class Tree:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        paths = self._from_git() or self._from_folders()
        regular = (path for path in paths if os.path.isfile(os.path.join(self.root, path)))
        self.sources = [Source(self.root, path) for path in sorted(regular)]

    def _from_git(self):
        command = ["git", "-C", self.root, "ls-files", "-z", "--cached", "--others",
                   "--exclude-standard"]
        try:
            listed = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            return []
        return set(filter(None, listed.stdout.decode().split("\0")))

    def _from_folders(self):
        """Without git (an unpacked archive): all but what a build leaves behind."""
        for folder, below, names in os.walk(self.root):
            below[:] = [name for name in below
                        if name != ".git" and not name.startswith("build")]
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def c_files(self, *folders):
        """The C files, of the named folders only if there are any."""
        prefixes = tuple(f"{folder}/" for folder in folders)
        return [source for source in self.sources if source.language == "c"
                and not source.is_data and (not prefixes or source.path.startswith(prefixes))]

    def written(self):
        """All text that people write, whatever the language."""
        return [source for source in self.sources if source.is_text and not source.is_data]
