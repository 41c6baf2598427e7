# SPDX-License-Identifier: Apache-2.0
# All that a few threads of a few loads and stores can do to each other on a machine that reorders
# them: ARMv8 by its published axioms (Arm ARM, B2.3: internal visibility, external visibility,
# atomicity; as in Pulte, Flur, Deacon and others, POPL 2018), and x86-TSO by those of Owens, Sarkar
# and Sewell (2009). Every execution is looked at: what is not found cannot happen.
#
# A thread is a generator that yields operations and is sent what they read. What an address or a
# stored value was made of is an order of its own on ARM, and so is what a branch has asked for
# before a store; Value keeps count of both. A compiler's freedom is not modelled: the operations
# stand in the order in which the code keeps them.
import collections
import itertools

ARM, TSO = "ARMv8", "x86-TSO"


class Value:
    """A number that knows which loads of its thread it comes from."""

    __slots__ = ("number", "loads")
    asked = set()  # the loads that the thread at hand has branched on

    def __init__(self, number, loads=frozenset()):
        self.number, self.loads = number, loads

    def __eq__(self, other):
        Value.asked |= self.loads | loads_of(other)
        return self.number == number_of(other)

    def __bool__(self):
        Value.asked |= self.loads
        return bool(self.number)

    def __add__(self, other):
        return Value(self.number + number_of(other), self.loads | loads_of(other))

    __hash__ = None


def number_of(value):
    return value.number if isinstance(value, Value) else value


def loads_of(value):
    return value.loads if isinstance(value, Value) else frozenset()


class Op:
    """One operation as a thread yields it: `value` is None for a load, and may be a function of
    what was there for an atomic exchange; that answers None where nothing is to be stored."""

    def __init__(self, kind, place=None, value=None, acquires=False, releases=False):
        self.kind, self.place, self.value = kind, place, value
        self.acquires, self.releases = acquires, releases


def load(place):
    """Acquire."""
    return Op("load", place, acquires=True)


def peek(place):
    """Relaxed, or plain."""
    return Op("load", place)


def store(place, value):
    """Release."""
    return Op("store", place, value, releases=True)


def poke(place, value):
    """Relaxed, or plain."""
    return Op("store", place, value)


def change(place, function, acquires=True, releases=True):
    """Exchange, compare-and-swap and the like: yields what was there."""
    return Op("change", place, function, acquires, releases)


def fence_threads():
    """membarrier(2): every other thread passes a barrier at some point of its own."""
    return Op("fence")


def assume(condition):
    """What a loop waits for: the ways on which it does not come are not followed."""
    return Op("assume", value=bool(condition))


class Event:
    """A load, a store or a fence of one execution. Sets are of indexes into the thread's events."""

    def __init__(self, is_store, place, number, op, needs):
        self.is_store, self.place, self.number = is_store, place, number
        self.acquires = op.acquires and not is_store
        self.releases = op.releases and is_store
        self.is_fence = op.kind == "fence"
        self.address, self.data, self.branch = needs
        self.pair = None  # the load of an atomic exchange, for its store
        self.is_locked = op.kind == "change"


def name_of(place):
    """A place as a key, and the loads that its address is made of."""
    if not isinstance(place, tuple):
        return place, frozenset()
    loads = frozenset().union(*map(loads_of, place))
    return tuple(map(number_of, place)), loads


class Way:
    """One way through one thread: its events, and what it answers."""

    def __init__(self, events, answer):
        self.events, self.answer = events, answer
        self.stores = collections.Counter((e.place, e.number) for e in events if e.is_store)
        self.loads = {(e.place, e.number) for e in events if not e.is_store and not e.is_fence}
        # Of what one store has left, one exchange takes.
        self.taken = collections.Counter((events[e.pair].place, events[e.pair].number)
                                         for e in events if e.pair is not None)


def walk(program, chosen, candidates):
    """Follows a thread while its loads read what was chosen. A Way; None where an assumption fails;
    or a list: what the next load may read."""
    thread, events, reads = program(), [], 0
    Value.asked = set()
    sent = None
    try:
        while True:
            op = thread.send(sent)
            sent = None
            if op.kind == "assume":
                if not op.value:
                    return None
                continue
            place, address = name_of(op.place)
            needs = (address, frozenset(), frozenset(Value.asked))
            if op.kind == "fence":
                events.append(Event(False, None, None, op, needs))
                continue
            if op.kind != "store":
                if reads == len(chosen):
                    return candidates(place, events)
                number = chosen[reads]
                reads += 1
                sent = Value(number, frozenset([len(events)]))
                events.append(Event(False, place, number, op, needs))
            stored = op.value(sent) if op.kind == "change" else op.value
            if op.kind != "load" and stored is not None:
                needs = (address, loads_of(stored), frozenset(Value.asked))
                event = Event(True, place, number_of(stored), op, needs)
                event.pair = len(events) - 1 if op.kind == "change" else None
                events.append(event)
    except StopIteration as end:
        return Way(events, end.value)


def ways_through(program, candidates):
    """All ways of one thread, whatever the others do."""
    open_ones, found = [()], []
    while open_ones:
        chosen = open_ones.pop()
        result = walk(program, chosen, candidates)
        if isinstance(result, list):
            open_ones += [chosen + (number,) for number in result]
        elif result:
            found.append(result)
    return found


CHAIN = 6  # a value may be made of one that was made of one, and so on


def all_ways(programs, start):
    """The ways of each thread, with all values that the others may have stored."""
    stored = [{} for _ in programs]  # by thread: place -> numbers
    ways = []
    for _ in range(CHAIN):
        ways, grown = [], False
        for thread, program in enumerate(programs):

            def candidates(place, events, thread=thread):
                own = [e.number for e in events if e.is_store and e.place == place]
                numbers = {own[-1] if own else start.get(place, 0)}
                for other, theirs in enumerate(stored):
                    if other != thread:
                        numbers |= theirs.get(place, set())
                return sorted(numbers)

            ways.append(ways_through(program, candidates))
        for thread, found in enumerate(ways):
            for event in (event for way in found for event in way.events if event.is_store):
                numbers = stored[thread].setdefault(event.place, set())
                grown |= event.number not in numbers
                numbers.add(event.number)
        if not grown:
            break
    return ways


def kept_order_arm(events):
    """What ARM keeps of a thread's order, but for what goes through a load of its own store."""
    pairs = set()
    for j, later in enumerate(events):
        needed = later.address | (later.data | later.branch if later.is_store else set())
        pairs |= {(i, j) for i in needed if i < j}
        if later.is_store:
            pairs |= {(i, j) for k in range(j) for i in events[k].address if i < j}
        if later.pair is not None:
            pairs.add((later.pair, j))
        for i, earlier in enumerate(events[:j]):
            # A release and a later acquire may change places: compilers have ldapr for that.
            if earlier.is_fence or later.is_fence or earlier.acquires or later.releases:
                pairs.add((i, j))
    return pairs


def kept_order_tso(events):
    """All but a store and a later load, where no locked operation comes between."""
    pairs = set()
    for j, later in enumerate(events):
        for i, earlier in enumerate(events[:j]):
            is_free = earlier.is_store and not later.is_store and not later.is_fence
            is_locked = any(event.is_locked for event in events[i:j + 1])
            if not is_free or is_locked or earlier.is_fence:
                pairs.add((i, j))
    return pairs


def has_cycle(count, edges):
    """Takes away what nothing comes before, until nothing is left."""
    after, before = [[] for _ in range(count)], [0] * count
    for i, j in edges:
        after[i].append(j)
        before[j] += 1
    ready = [i for i in range(count) if not before[i]]
    left = count
    while ready:
        left -= 1
        for j in after[ready.pop()]:
            before[j] -= 1
            if not before[j]:
                ready.append(j)
    return left > 0


class Candidate:
    """One way per thread, as events of one execution; is there an order of stores, a source for
    each load and a point for each fence that the machine allows?"""

    def __init__(self, ways, start, machine):
        self.machine, self.start = machine, start
        self.events, self.thread, self.first = [], [], []
        for thread, way in enumerate(ways):
            self.first.append(len(self.events))
            self.events += way.events
            self.thread += [thread] * len(way.events)
        self.lengths = [len(way.events) for way in ways]
        kept = kept_order_arm if machine == ARM else kept_order_tso
        self.kept = {(first + i, first + j) for first, way in zip(self.first, ways)
                     for i, j in kept(way.events)}
        self.stores = {}
        for at, event in enumerate(self.events):
            if event.is_store:
                self.stores.setdefault(event.place, []).append(at)

    def choices_at(self, place):
        """Of one place: what its loads may have read, and the orders of its stores; as pairs of
        sources and of edges from store to load, store to store and load to store. Only those in
        which exchanges are atomic and no thread sees the place go back."""
        stores = self.stores.get(place, [])
        loads = [at for at, event in enumerate(self.events)
                 if event.place == place and not event.is_store]
        sources = [[source for source in [None] + stores if self.may_read(at, source)]
                   for at in loads]
        own = {(a, b) for a, b in itertools.combinations(sorted(stores + loads), 2)
               if self.thread[a] == self.thread[b]}
        found = []
        for order in itertools.permutations(stores):
            if any((b, a) in own for a, b in itertools.combinations(order, 2)):
                continue
            for chosen in itertools.product(*sources):
                edges = self.edges_at(order, list(zip(loads, chosen)))
                if edges is not None and not has_cycle(len(self.events), edges | own):
                    found.append((list(zip(loads, chosen)), edges))
        return found

    def may_read(self, at, source):
        if source is None:
            return self.start.get(self.events[at].place, 0) == self.events[at].number
        is_later = self.thread[source] == self.thread[at] and source > at
        return self.events[source].number == self.events[at].number and not is_later

    def edges_at(self, order, sources):
        edges = set(itertools.combinations(order, 2))
        position = {at: n for n, at in enumerate(order)}
        position[None] = -1
        for at, source in sources:
            if source is not None:
                edges.add((source, at))
            edges |= {(at, later) for later in order[position[source] + 1:]}
            # The store of an exchange stands right behind the load.
            if at + 1 in position and self.events[at + 1].pair is not None and \
                    position[at + 1] != position[source] + 1:
                return None
        return edges

    def points(self):
        """For each fence the places in the other threads where it may fall."""
        choices = []
        for at, event in enumerate(self.events):
            if event.is_fence:
                others = [range(length + 1) if thread != self.thread[at] else [None]
                          for thread, length in enumerate(self.lengths)]
                choices.append([(at, points) for points in itertools.product(*others)])
        return choices

    def own_reads(self, sources):
        """What a thread reads of its own stores before others see them: the store's needs are the
        load's; and after an exchange an acquiring load waits for it."""
        edges = set()
        for at, source in sources:
            if source is None or self.thread[source] != self.thread[at]:
                continue
            event, first = self.events[source], self.first[self.thread[at]]
            edges |= {(first + i, at) for i in event.address | event.data}
            if event.pair is not None and self.events[at].acquires:
                edges.add((source, at))
        return edges

    def fence_edges(self, points):
        """The caller's barrier, then one in each other thread, then the caller's again: a node for
        the caller's end and one for each of the others; the caller's begin is its event."""
        edges, count = set(), len(self.events)
        for at, fallen in points:
            thread, end = self.thread[at], count
            count += 1
            edges.add((at, end))
            edges |= {(end, later) for later in
                      range(at + 1, self.first[thread] + self.lengths[thread])}
            for other, point in enumerate(fallen):
                if point is None:
                    continue
                first, node = self.first[other], count
                count += 1
                edges |= {(at, node), (node, end)}
                edges |= {(first + i, node) if i < point else (node, first + i)
                          for i in range(self.lengths[other])}
        return count, edges

    def is_allowed(self):
        places = {event.place for event in self.events if not event.is_fence}
        choices = sorted((self.choices_at(place) for place in places), key=len)
        return self.is_allowed_with(set(self.kept), choices)

    def is_allowed_with(self, edges, choices):
        """The places one after the other, as long as there is no cycle; then the fences."""
        if has_cycle(len(self.events), edges):
            return False
        if not choices:
            for fallen in itertools.product(*self.points()):
                count, fences = self.fence_edges(fallen)
                if not has_cycle(count, edges | fences):
                    return True
            return False
        for sources, added in choices[0]:
            outer = {(i, j) for i, j in added if self.thread[i] != self.thread[j]}
            if self.machine == ARM:
                outer |= self.own_reads(sources)
            if self.is_allowed_with(edges | outer, choices[1:]):
                return True
        return False


def has_sources(ways, start):
    """Whether what the loads read is there at all: the quick way to say no."""
    stores = sum((way.stores for way in ways), collections.Counter())
    taken = sum((way.taken for way in ways), collections.Counter())
    for place, number in frozenset().union(*(way.loads for way in ways), taken):
        at_start = start.get(place, 0) == number
        if stores[place, number] + at_start < max(taken[place, number], 1):
            return False
    return True


def can_happen(programs, start, wanted, machine):
    """The ways of an execution that answers so that `wanted(answers)` holds, or None."""
    ways = all_ways(programs, start)
    for chosen in itertools.product(*ways):
        if wanted(*[way.answer for way in chosen]) and has_sources(chosen, start) and \
                Candidate(chosen, start, machine).is_allowed():
            return chosen
    return None
