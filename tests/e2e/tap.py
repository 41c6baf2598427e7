# SPDX-License-Identifier: Apache-2.0
# TAP for the tests in Python: one line per check, the plan at the end.
SHOWN_LINES = 20
count = 0


def report(good, name, detail=""):
    """Counts a check; `detail` is shown where it failed."""
    global count
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)
    if not good:
        for line in str(detail).splitlines()[-SHOWN_LINES:]:
            print(f"# {line}")


def skip(name, why):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {why}", flush=True)


def done():
    print(f"1..{count}")
