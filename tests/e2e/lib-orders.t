#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The orders that libebb's protocols ask of the machine are enough, on ARMv8 as on x86-64, and none
# is too many: each protocol as a few loads and stores, of which all executions are looked at
# (orders/machine.py); then again with one order left out, which has to show. No machine here could
# tell: an emulator on x86-64 reorders nothing.
# beside: others
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "orders"))
import protocols  # noqa: E402
from machine import (ARM, TSO, can_happen, fence_threads, load, number_of, peek,  # noqa: E402
                     poke, store)
from tap import done, report  # noqa: E402

LIB = os.path.join(os.environ.get("SRC", os.path.join(HERE, "../..")), "lib")


def body_of(text, name):
    """A function's definition, which begins and ends at the line's begin; None where none does."""
    begin = rf"^[^\n#/ }}][^;{{}}]*?\b{name}\([^;{{}}]*?\)\n\{{"
    found = re.search(begin + r".*?^\}", text, re.M | re.S)
    return found.group(0) if found else None


def missing_in(path, name, words):
    """The first of the words that the function does not have behind the others, in a line."""
    with open(os.path.join(LIB, path), encoding="utf-8") as file:
        body = body_of(file.read(), name)
    if body is None:
        return f"{path} has no function {name}"
    at = 0
    for word in words:
        at = body.find(word, at)
        if at < 0:
            return f"{path}: {name} has no '{word}' where the model has it"
        at += len(word)
    return None


def check_ties(protocol):
    missing = [missing_in(*tie) for tie in protocols.TIES[protocol]]
    missing = [line for line in missing if line]
    report(not missing, f"{protocol.__name__}: the code is as the model has it",
           "\n".join(missing))


def check_orders(protocol):
    orders = protocols.Orders()
    for machine in (ARM, TSO):
        wrong = can_happen(*protocol(orders), machine)
        report(not wrong, f"{protocol.__name__}: nothing goes wrong on {machine}",
               [way.answer for way in wrong or []])
    for name in orders.names:
        shows = can_happen(*protocol(protocols.Orders(name)), ARM)
        report(shows, f"{protocol.__name__}: without '{name}' it would on {ARM}")


def check_meanings():
    for name, orders in protocols.MEANINGS.items():
        for bits in (32, 64):
            missing = missing_in("base/atomic.h", f"atomic_{name}{bits}",
                                 [f"__ATOMIC_{order}" for order in orders])
            if missing and "no function" not in missing:
                report(False, f"atomic_{name}{bits}() is {orders[0]}", missing)
                return
    report(True, "the names of atomic.h mean what the models take them for")


def check_machine():
    """What everybody knows of the two machines (Alglave, Maranget, Tautschnig 2014)."""

    def message(stores, loads):
        def writer():
            yield poke("x", 1)
            yield stores("y", 1)

        def reader():
            second = yield loads("y")
            first = yield peek("x")
            return number_of(second), number_of(first)
        return [writer, reader], {}, lambda _, seen: seen == (1, 0)

    def dekker(stores, loads, has_fence):
        def thread(own, other):
            def run():
                yield stores(own, 1)
                if has_fence and own == "x":
                    yield fence_threads()
                return number_of((yield loads(other)))
            return run
        return [thread("x", "y"), thread("y", "x")], {}, lambda one, two: not one and not two

    known = [("message, plain", message(poke, peek), True, False),
             ("message, released only", message(store, peek), True, False),
             ("message, acquired only", message(poke, load), True, False),
             ("message, both", message(store, load), False, False),
             ("Dekker, plain", dekker(poke, peek, False), True, True),
             ("Dekker, release and acquire", dekker(store, load, False), True, True),
             ("Dekker, one barrier for all", dekker(poke, peek, True), False, False)]
    for name, test, on_arm, on_tso in known:
        found = [bool(can_happen(*test, machine)) for machine in (ARM, TSO)]
        report(found == [on_arm, on_tso], f"the machines are those of the books: {name}", found)


def main():
    check_machine()
    check_meanings()
    for protocol in protocols.TIES:
        check_ties(protocol)
        check_orders(protocol)
    done()


main()
