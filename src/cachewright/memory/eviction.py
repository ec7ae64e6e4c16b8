"""Which entry leaves when room is needed: S3-FIFO's two queues and all weights, without lock or table.

What must not be here: the table and the bounds (`memory.store`), and expiry beyond noticing that
an entry met on the way is past its end.
"""

from __future__ import annotations

from collections import deque

from cachewright.core.entry import Entry
from cachewright.memory.ghost import FINGERPRINT, FINGERPRINT_BITS, Ghost

SMALL_SHARE = 10
"""The small queue is entitled to one part in ten of the weight held."""

PROMOTED_AT = 1
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

    Newcomers enter the small queue. Those hit there go on to main when their turn to leave comes,
    and so do those that the ghost saw leave before; the others leave and are remembered by the
    ghost. Main is a clock whose hand halves the hits of each entry it spares. Departures from the
    paper: one hit promotes, and the hand halves, because what is wanted may change; the ghost is
    asked about leavers and not about newcomers, so that one look does for both; the first entries
    fill main at once; and main's hand also moves one entry every `SLOW_HAND` evictions, without
    which a main filled so keeps what nobody asks for.

    An entry stays in its queue until the queue meets it. One that was dropped or replaced is
    *dead*: its `weight` is negated, because readers without a lock write `freq` and would undo a
    mark there. All methods need the owner's lock. Freed entries go into `gone`, for the owner to
    release without the lock: a finaliser may call back.

    `held` is the weight of all live entries. `evictions` counts those that left for want of room,
    `expired` those that were past their end when it was their turn.
    """

    __slots__ = (
        "_turn",
        "dead",
        "dead_weight",
        "evictions",
        "expired",
        "filling",
        "ghost",
        "held",
        "main",
        "small",
        "small_weight",
    )

    def __init__(self, ghost: Ghost) -> None:
        self.ghost = ghost
        self.main: deque[Entry] = deque()
        self.small: deque[Entry] = deque()
        self.held = self.small_weight = 0
        self.dead = self.dead_weight = 0
        self.evictions = self.expired = 0
        self.filling = True
        self._turn = 1

    def admit(self, entry: Entry, to_main: bool = False) -> None:
        """Queue a live entry that is in no queue; into main as well while that is being filled."""
        self.held += entry.weight
        if to_main or self.filling:
            self.main.append(entry)
        else:
            self.small.append(entry)
            self.small_weight += entry.weight

    def bury(self, entry: Entry) -> None:
        """Mark a live entry dead."""
        weight = entry.weight
        self.held -= weight
        self.dead += 1
        self.dead_weight += weight
        entry.weight = -weight

    def evict(self, now: float, gone: list[Entry]) -> Entry:
        """Unqueue the live entry that should leave, into `gone`; there must be one. Ends filling.

        Spares at most `MOST_MOVES` others; the dead met on the way are freed, which their own drop
        has paid for. In one piece, as every miss of a full store comes by.
        """
        self.filling = False
        self._turn -= 1
        hand = not self._turn and self._turn_over()
        spare = MOST_MOVES
        while True:
            if (self.small_weight * SMALL_SHARE > self.held and not hand) or not self.main:
                entry = self.small.popleft()
                weight, hits = entry.weight, 0
                self.small_weight -= weight if weight > 0 else -weight
                if entry.freq < PROMOTED_AT and weight > 0:
                    ghost = self.ghost  # what follows is `Ghost.meet`, without the call
                    slots, digest = ghost.slots, hash(entry.key) % ghost.span
                    slot = digest >> FINGERPRINT_BITS
                    digest &= FINGERPRINT
                    if slots[slot] != digest:
                        slots[slot] = digest
                        break
            else:
                entry = self.main.popleft()
                weight, hits, hand = entry.weight, entry.freq >> 1, False
                if not entry.freq and weight > 0:
                    break
            if weight < 0:
                self._free(entry, gone)
            elif spare and entry.usable_until > now:
                entry.freq = hits
                self.main.append(entry)
                spare -= 1
            else:
                break
        self.held -= weight
        gone.append(entry)
        if entry.usable_until > now:
            self.evictions += 1
        else:
            self.expired += 1
        return entry

    def _turn_over(self) -> bool:
        """What is done at the first eviction and every `SLOW_HAND` later; whether main's hand is to move."""
        self._turn = SLOW_HAND
        first = not len(self.ghost)
        self.ghost.fit(len(self.small) + len(self.main) - self.dead)
        return not first and (self.held - self.small_weight) * MAIN_FLOOR > self.held

    def overfull(self, entries: int) -> bool:
        """Whether the dead outnumber or outweigh the living, which pays for `compact`."""
        return self.dead > entries or self.dead_weight > self.held

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
        """Empty both queues, to be filled anew. The ghost keeps its memory: what returns is still wanted."""
        gone.extend(self.main)
        gone.extend(self.small)
        for entry in gone:
            entry.weight = abs(entry.weight)
        self.main.clear()
        self.small.clear()
        self.held = self.small_weight = self.dead = self.dead_weight = 0
        self.filling = True

    def _free(self, entry: Entry, gone: list[Entry]) -> None:
        entry.weight = -entry.weight
        self.dead -= 1
        self.dead_weight -= entry.weight
        gone.append(entry)

    def successor(self) -> Queues:
        """Empty queues that go on counting, for a process in which these may be half changed."""
        new = Queues(self.ghost)
        new.evictions, new.expired = self.evictions, self.expired
        return new
