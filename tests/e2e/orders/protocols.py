# SPDX-License-Identifier: Apache-2.0
# The protocols of lib/ by which threads share words without a lock, as programs for machine.py:
# what each thread does in the order of the code, what must never be, and which orders the code
# asks for. Of those that are named here each can be left out, to see what it is for.
#
# TIES says where the code is: file, function, and what stands in it in this order. Who changes that
# has to look at the model again.
from machine import assume, change, fence_threads, load, number_of, peek, poke, store

HANDED_OUT = 99  # what the program writes into a block that it has got


class Orders:
    """Operations with the order that the code gives them, but for the one that is left out."""

    def __init__(self, without=None):
        self.without, self.names = without, []

    def keeps(self, name):
        if name not in self.names:
            self.names.append(name)
        return name != self.without

    def load(self, name, place):
        return (load if self.keeps(name) else peek)(place)

    def store(self, name, place, value):
        return (store if self.keeps(name) else poke)(place, value)

    def change(self, place, function, acquires=None, releases=None):
        """Both orders; one without a name stays, since an address or a branch gives it as well."""
        return change(place, function, not acquires or self.keeps(acquires),
                      not releases or self.keeps(releases))

    def fence(self, name):
        if self.keeps(name):
            yield fence_threads()


def work_on_lists():
    """Reads a number and stores the next: who read the same as another has overwritten its work."""
    seen = yield peek("lists")
    yield poke("lists", seen + 1)
    return number_of(seen)


def hold(orders):
    """hold.h: the owner's plain store against a helper. An owner that finds itself wanted waits for
    the lock, and so is out of it."""

    def owner():
        seen = []
        for _ in range(2):
            yield poke("is_held", 1)
            is_wanted = yield orders.load("owner's look at is_wanted acquires", "is_wanted")
            if is_wanted:
                yield orders.store("waiting owner's is_held = 0 releases", "is_held", 0)
                break
            seen.append((yield from work_on_lists()))
            yield orders.store("owner's is_held = 0 releases", "is_held", 0)
        return seen

    def helper():
        yield poke("is_wanted", 1)
        yield from orders.fence("fence before the look at is_held")
        is_held = yield orders.load("helper's look at is_held acquires", "is_held")
        yield assume(is_held == 0)
        seen = yield from work_on_lists()
        yield orders.store("helper's is_wanted = 0 releases", "is_wanted", 0)
        return seen

    def both_in(owners, helpers):
        return helpers in owners or len(set(owners)) < len(owners)

    return [owner, helper], {}, both_in


def wake(orders):
    """hold.h: who lets go wakes who waits. The helper's last look is the kernel's, in the wait."""

    def owner():
        yield store("is_held", 0)
        is_wanted = yield peek("is_wanted")
        return number_of(is_wanted)

    def helper():
        yield poke("is_wanted", 1)
        yield from orders.fence("fence before the wait")
        is_held = yield load("is_held")
        return number_of(is_held)

    return [owner, helper], {"is_held": 1}, lambda wanted, held: held and not wanted


def medium(orders):
    """heap.c: is_busy, by which the owner of medium spans tells that it holds their first block.
    The list is 1, 2."""

    def owner():
        yield poke("is_busy", 1)
        span = yield peek("current")
        block = 0
        if span:
            block = yield peek("free")
            link = yield peek(("next", block))
            yield poke("free", link)
            yield poke(("next", block), HANDED_OUT)
        yield orders.store("owner's is_busy = 0 releases", "is_busy", 0)
        return number_of(block)

    def helper():
        yield poke("current", 0)
        yield from orders.fence("fence after the close")
        is_busy = yield orders.load("helper's look at is_busy acquires", "is_busy")
        if is_busy:
            return None
        head = yield peek("free")
        link = yield peek(("next", head))
        return number_of(head), number_of(link)

    def is_wrong(got, seen):
        return seen not in (None, (2, 0) if got else (1, 2))

    return [owner, helper], {"current": 1, "free": 1, ("next", 1): 2}, is_wrong


def malloc_in_flight(orders):
    """takeover.h, view_list(): what the helper takes for the second block. The list is 1, 2, 3."""

    def owner():
        for _ in range(2):
            span = yield peek("current")
            if not span:
                return
            block = yield peek("free")
            link = yield peek(("next", block))
            yield poke("free", link)
            yield poke(("next", block), HANDED_OUT)

    def helper():
        yield store("current", 0)
        yield fence_threads()
        head = yield load("free")
        second = yield peek(("next", head))
        yield from orders.fence("fence before the second look at the head")
        again = yield load("free")
        yield assume(again == head)
        return number_of(head), number_of(second)

    def is_wrong(_, seen):
        return seen not in ((1, 2), (2, 3), (3, 0))

    return [owner, helper], {"current": 1, "free": 1, ("next", 1): 2, ("next", 2): 3}, is_wrong


def free_in_flight(orders):
    """takeover.h, replace_list(): one free in flight, of 8 and of 9 onto the list 1; the helper's
    own list is 5."""

    def owner():
        pushed = 0
        for block in (8, 9):
            is_mine = yield peek("fast_owner")
            if not is_mine:
                break
            head = yield peek("free")
            yield poke(("next", block), head)
            yield orders.store("owner's free = block releases", "free", block)
            pushed += 1
        return pushed

    def helper():
        yield store("fast_owner", 0)
        yield from orders.fence("fence after the close")
        head = yield load("free")
        link = yield peek(("next", head))
        now = yield change("free", lambda old: 5 if old == head else None)
        kept = 5
        if now != head:
            yield poke(("next", now), 5)
            yield fence_threads()
            kept = yield peek(("next", now))
        seen = {1: 0, 8: 1, 9: 2}[number_of(head)]
        return seen, number_of(link), number_of(kept)

    def is_wrong(pushed, answer):
        seen, link, kept = answer
        return pushed > seen + 1 or link != (0, 1, 8)[seen] or kept != 5

    return [owner, helper], {"fast_owner": 1, "free": 1, ("next", 8): HANDED_OUT,
                             ("next", 9): HANDED_OUT}, is_wrong


def opening(orders):
    """takeover.h, step 5: who finds a span open finds the helper's list, 5, in place of 1."""

    def owner():
        is_mine = yield peek("fast_owner")
        head = yield peek("free")
        return number_of(is_mine), number_of(head)

    def helper():
        yield poke(("next", 1), 5)
        yield poke("free", 5)
        yield from orders.fence("fence before the opening")
        yield poke("fast_owner", 1)

    return [owner, helper], {"free": 1}, lambda seen, _: seen == (1, 1)


def remote_list(orders):
    """span.h: two threads free 1 and 2, and the owner takes them in: with what the program has
    last written there."""

    def freer(block):
        def free():
            yield poke(("object", block), 1)
            first = yield peek("remote")
            yield poke(("next", block), first)
            now = yield orders.change(
                "remote", lambda there: block if there == first else None,
                releases="the push releases")
            yield assume(now == first)
        return free

    def owner():
        block = yield change("remote", lambda there: 0)
        objects = []
        while block and len(objects) < 3:
            objects.append(number_of((yield peek(("object", block)))))
            block = yield peek(("next", block))
        return objects

    start = {("next", 1): HANDED_OUT, ("next", 2): HANDED_OUT}
    return [freer(1), freer(2), owner], start, lambda *seen: seen[2] not in ([], [1], [1, 1])


def inbox(orders):
    """lists.c: who finds a span not queued writes its link, once the owner has read the last one.
    The span is 3; in the inbox is 7."""

    def freer():
        old = yield change("queued", lambda there: 1)
        if old:
            return
        head = yield peek("inbox")
        yield poke("queue_next", head)
        now = yield orders.change("inbox", lambda there: 3 if there == head else None,
                                  releases="the queueing releases")
        yield assume(now == head)

    def owner():
        slot = yield orders.change("inbox", lambda there: 0, acquires="taking the inbox acquires")
        yield assume(slot == 3)
        following = yield peek("queue_next")
        yield orders.change("queued", lambda there: 0, releases="taking the list releases")
        return number_of(following)

    start = {"inbox": 7, "queue_next": HANDED_OUT}
    return [freer, freer, owner], start, lambda *seen: seen[2] != 7


def lock(orders):
    """lock.c, but for its sleep."""

    def thread():
        state = yield orders.change("state", lambda old: 1 if number_of(old) == 0 else None,
                                    acquires="the taking acquires")
        yield assume(state == 0)
        seen = yield from work_on_lists()
        yield orders.change("state", lambda old: 0, releases="the release releases")
        return seen

    return [thread, thread], {}, lambda one, other: one == other


def abandoned(orders):
    """thread.c: from a thread that ends to the next that has its heap, or to a helper."""

    def last():
        yield poke("lists", 1)
        yield orders.store("state = ABANDONED releases", "state", 0)

    def following():
        state = yield orders.change("state", lambda old: 1 if number_of(old) == 0 else None,
                                    acquires="the claim acquires")
        yield assume(state == 0)
        lists = yield peek("lists")
        return number_of(lists)

    return [last, following], {"state": 1}, lambda _, lists: lists != 1


def quiet(orders):
    """helper.c: before it sleeps the helper looks once more, for what called nobody."""

    def owner():
        yield store("freed", 1)
        is_quiet = yield peek("is_quiet")
        return number_of(is_quiet)

    def helper():
        yield store("is_quiet", 1)
        yield from orders.fence("fence before the last look")
        freed = yield peek("freed")
        return number_of(freed)

    return [owner, helper], {}, lambda called, seen: not called and not seen


def published(orders):
    """space_start.c: a reader outside finds the ledger by a pointer, and all in place."""

    def first_thread():
        yield poke(("areas", 1), 1)
        yield orders.store("ebb_ledger releases", "ebb_ledger", 1)

    def reader():
        ledger = yield peek("ebb_ledger")
        areas = yield peek(("areas", ledger))
        return number_of(ledger), number_of(areas)

    return [first_thread, reader], {}, lambda _, seen: seen == (1, 0)


HOLD, FAST, TAKEOVER = "heap/hold", "heap/fast.h", "heap/takeover.c"
CLOSES_AND_OPENS = (TAKEOVER, "takeover_purge", [
    "close_batch(", "fence(&batch)", "purge_batch(", "fence(&batch)", "open_batch("])

TIES = {
    hold: [
        (HOLD + ".h", "hold_own", ["is_held, 1, __ATOMIC_RELAXED", "atomic_keep_order()",
                                   "atomic_load32(&heap->is_wanted)"]),
        (HOLD + ".h", "hold_own_end", ["atomic_store32(&heap->is_held, 0)"]),
        (HOLD + ".c", "hold_own_lock", ["atomic_store32(&heap->is_held, 0)", "lock_take("]),
        (HOLD + ".c", "hold_other", ["lock_take(", "atomic_store32(&heap->is_wanted, 1)",
                                     "fence_threads(", "atomic_load32(&heap->is_held)"]),
        (HOLD + ".c", "hold_other_end", ["atomic_store32(&heap->is_wanted, 0)", "lock_release("])],
    wake: [
        (HOLD + ".h", "hold_own_end", ["atomic_store32(&heap->is_held, 0)", "atomic_keep_order()",
                                       "atomic_peek32(&heap->is_wanted)", "lock_wake("]),
        (HOLD + ".c", "hold_other", ["fence_threads(", "lock_sleep_while(&heap->is_held, 1)"])],
    medium: [
        ("heap/heap.c", "set_busy", ["atomic_store32(&heap->is_busy", "atomic_keep_order()"]),
        ("heap/heap.c", "pop_class", ["set_busy(heap, 1)", "heap->current[", "span_pop_listed(",
                                      "set_busy(heap, 0)"]),
        ("heap/heap.c", "push_medium", ["set_busy(heap, 1)", "is_fast(", "span_push(",
                                        "set_busy(heap, 0)"]),
        (TAKEOVER, "hold_of", ["atomic_load32(&batch->heap->is_busy)"]), CLOSES_AND_OPENS],
    malloc_in_flight: [
        (FAST, "heap_pop_fast", ["heap->current[", "span->free", "block->next", "span->free ="]),
        ("heap/span.c", "view_list", ["atomic_load64(&span->free)", "view.head->next",
                                      "fence_threads(", "atomic_load64(&span->free)"]),
        CLOSES_AND_OPENS],
    free_in_flight: [
        (FAST, "heap_push_fast", ["block->next = ", "atomic_store64(&span->free"]),
        ("heap/span.h", "span_push", ["block->next = ", "atomic_store64(&span->free"]),
        ("heap/span.c", "replace_list", ["atomic_replace64(&span->free"]), CLOSES_AND_OPENS],
    opening: [CLOSES_AND_OPENS],
    remote_list: [
        ("heap/span.h", "span_push_remote", ["block->next = ", "atomic_replace64(&span->remote"]),
        ("heap/span.c", "span_take_remote", ["atomic_and64(&span->remote", "span->free = "])],
    inbox: [
        ("heap/lists.c", "lists_enqueue", ["span->queue_next = head",
                                           "atomic_replace32(&heap->inbox"]),
        ("heap/lists.c", "lists_drain_inbox", ["atomic_swap32(&heap->inbox", "span->queue_next",
                                               "drain_span("]),
        ("heap/lists.c", "lists_drain_full", ["atomic_swap32(&heap->inbox", "span->queue_next",
                                              "drain_span("]),
        ("heap/span.c", "span_count_remote", ["atomic_and64(&span->remote"])],
    lock: [
        ("base/lock.c", "lock_try", ["atomic_replace32(&lock->state"]),
        ("base/lock.c", "lock_take", ["atomic_swap32(&lock->state, 2)"]),
        ("base/lock.c", "lock_release", ["atomic_swap32(&lock->state, 0)"])],
    abandoned: [
        ("heap/thread.c", "heap_disown", ["lock_release(", "atomic_store32(&heap->state"]),
        ("heap/thread.c", "heap_claim", ["atomic_replace32(&heap->state", "lock_take("])],
    quiet: [
        ("release/helper.c", "wait_for_call", ["atomic_store32(&space.is_quiet, 1)", "sweep_arm()",
                                               "fence_threads(", "look_now("])],
    published: [
        ("heap/space_start.c", "space_start", ["&ebb_ledger, space.ledger, __ATOMIC_RELEASE"])],
}

# What the names of base/atomic.h mean, by which the models take them.
MEANINGS = {"load": ["ACQUIRE"], "store": ["RELEASE"], "peek": ["RELAXED"], "poke": ["RELAXED"],
            "swap": ["ACQ_REL"], "and": ["ACQ_REL"], "replace": ["ACQ_REL"]}
