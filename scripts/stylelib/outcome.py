# SPDX-License-Identifier: Apache-2.0
# What one check found: problems fail it, notes are printed, a reason for skipping counts as a skip.


class Outcome:
    def __init__(self):
        self.problems, self.notes, self.skipped = [], [], ""

    def add(self, source, line, what):
        self.problems.append(f"{source.path}:{line}: {what}")
