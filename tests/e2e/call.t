#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Function calls inside running processes: thousands of them against threads that allocate and wait
# without pause, with ebb killed at any instant, and in hostile surroundings.
# timeout: 300
# EBB_LONG=1 in the environment: 1,000 calls and 500 kills of each sort, some minutes.
# beside: others
import os
import platform
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "call"))
import hostile  # noqa: E402
import storms  # noqa: E402
import tap  # noqa: E402


def may_trace():
    """Yama keeps users from tracing what is not their child."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as file:
            return os.geteuid() == 0 or file.read().strip() == "0"
    except OSError:
        return True


def main():
    if not may_trace():
        tap.skip("calls", "ptrace_scope forbids them, and this is not root")
    elif platform.machine() != "x86_64":
        tap.skip("calls", "they are made on x86-64 only")
    elif not os.path.exists(f"{os.environ['BUILD']}/tests/programs/test_caller"):
        tap.skip("calls", "the programs for them are not built")
    else:
        storms.check_all()
        hostile.check_all()
    tap.done()


main()
