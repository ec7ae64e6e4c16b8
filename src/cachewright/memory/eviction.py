"""Which entry leaves when room is needed: S3-FIFO's two queues, without lock, table or counters.

What must not be here: the table, the bounds and the counting (`memory.store`), and expiry beyond
noticing that an entry met on the way is past its end.
"""

from __future__ import annotations

from collections import deque

from cachewright.core.entry import Entry
from cachewright.memory.ghost import Ghost

SMALL_SHARE = 10
"""The small queue is entitled to one part in ten of the weight held."""

PROMOTED_AT = 2
"""Hits in the small queue that earn a place in the main one."""

SLOW_HAND = 32
"""Every so many evictions main's hand moves by one entry, whether main is over its share or not."""

MAIN_FLOOR = 10
"""The slow hand rests while main holds less than one part in so many, so that a scan of any length
cannot empty it."""

MOST_MOVES = 128
"""Entries that one eviction spares before it takes the next one whatever its hits."""


class Queues:
    """S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023, 4.1).

    Newcomers enter the small queue; those hit twice there go on to main, the others leave and are
    remembered by the ghost; whoever returns while remembered enters main. Main is a clock whose
    hand takes one hit off each entry it spares. Two departures from the paper: the caller may admit
    to main at once (prefill), and main's hand also moves one entry every `SLOW_HAND` evictions,
    without which a prefilled main keeps what nobody asks for.

    An entry stays in its queue until the queue meets it. One that was dropped or replaced is
    *dead*: its `weight` is negated, because readers without a lock write `freq` and would undo a
    mark there. All methods need the owner's lock. Freed entries go into `gone`, for the owner to
    release without the lock: a finaliser may call back.
    """

    __slots__ = ("_turn", "dead", "dead_weight", "ghost", "main", "small", "small_weight")

    def __init__(self, ghost: Ghost) -> None:
        self.ghost = ghost
        self.main: deque[Entry] = deque()
        self.small: deque[Entry] = deque()
        self.small_weight = 0
        self.dead = 0
        self.dead_weight = 0
        self._turn = 0

    def admit(self, entry: Entry, to_main: bool) -> None:
        """Queue a live entry that is in no queue."""
        if to_main:
            self.main.append(entry)
        else:
            self.small.append(entry)
            self.small_weight += entry.weight

    def bury(self, entry: Entry) -> None:
        """Mark a live entry dead."""
        weight = entry.weight
        self.dead += 1
        self.dead_weight += weight
        entry.weight = -weight

    def victim(self, now: float, held: int, gone: list[Entry]) -> Entry:
        """Unqueue and return the live entry that should leave; there must be one.

        `held` is the weight of all live entries. Spares at most `MOST_MOVES` others; the dead met
        on the way are freed, which their own drop has paid for.
        """
        hand = self._turn == SLOW_HAND
        if hand:
            self._turn = 0
            hand = (held - self.small_weight) * MAIN_FLOOR > held
        if not self._turn:
            self.ghost.fit(len(self.small) + len(self.main) - self.dead)
        self._turn += 1
        spare = MOST_MOVES
        while True:
            over = self.small_weight * SMALL_SHARE > held and not hand
            from_small = over or not self.main
            hand = False
            if from_small:
                entry = self.small.popleft()
                self.small_weight -= abs(entry.weight)
            else:
                entry = self.main.popleft()
            if entry.weight < 0:
                self._free(entry, gone)
            elif entry.usable_until <= now:
                return entry
            elif spare and entry.freq >= (PROMOTED_AT if from_small else 1):
                entry.freq = 0 if from_small else entry.freq - 1
                self.main.append(entry)
                spare -= 1
            else:
                if from_small:
                    self.ghost.add(entry.key, entry.weight)
                return entry

    def overfull(self, entries: int, held: int) -> bool:
        """Whether the dead outnumber or outweigh the living enough to pay for `compact`."""
        return self.dead > entries or self.dead_weight > held

    def compact(self, gone: list[Entry]) -> None:
        """Free all the dead, in time proportional to both queues."""
        for queue in (self.main, self.small):
            live = [entry for entry in queue if entry.weight > 0]
            gone.extend(entry for entry in queue if entry.weight < 0)
            queue.clear()
            queue.extend(live)
        for entry in gone:
            entry.weight = abs(entry.weight)
        self.small_weight = sum(entry.weight for entry in self.small)
        self.dead = self.dead_weight = 0

    def clear(self, gone: list[Entry]) -> None:
        """Empty both queues. The ghost keeps its memory: what returns soon is still wanted."""
        gone.extend(self.main)
        gone.extend(self.small)
        for entry in gone:
            entry.weight = abs(entry.weight)
        self.main.clear()
        self.small.clear()
        self.small_weight = self.dead = self.dead_weight = 0

    def _free(self, entry: Entry, gone: list[Entry]) -> None:
        entry.weight = -entry.weight
        self.dead -= 1
        self.dead_weight -= entry.weight
        gone.append(entry)
