# Generated from _async/flights.py by tools/unasync.py. Do not edit.
"""At most one load for each key and process, and the moment at which an invalidation meets what is under way.

Invariants kept here (design rules 1, 4, 6; tests/_sync/test_races.py and its mutants would catch their loss):
- a flight can be doomed from before its first read at the server until after its entry is in L1: `land` and
  `invalidate` hold one lock, so an entry is either dropped or never put;
- a doomed flight takes no new followers, and a verified read joins no flight at all;
- a landed entry is served after its stamps were compared, whatever moved while it was under way.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from contextlib import AbstractContextManager

from cachewright._waits import threads
from cachewright.core.entry import Entry
from cachewright.core.reads import Read
from cachewright.core.tags import TagClock, key_tag
from cachewright.memory.store import MemoryStore

UNCOMPARED = -1
"""An epoch at which nothing matched: the first hit compares the stamps, and takes the clock's own integer.

The epoch of the flight would serve as well, and in a process that sets often each entry would own one, of 32 bytes.
"""


class Flight:
    """One read or load under way. `outcome` is for those who joined it; what nobody can join has none."""

    __slots__ = (
        "abandoned",
        "awaited",
        "doomed",
        "epoch",
        "fallback",
        "key",
        "limit",
        "outcome",
        "queued",
        "tags",
        "woken",
    )

    outcome: threads.Outcome

    def __init__(self, key: str, tags: Collection[str], epoch: int) -> None:
        self.key = key
        self.tags = tags
        self.epoch = epoch
        self.doomed = False
        self.abandoned = False
        self.queued = False
        """Whether it waits for a slot to load in."""
        self.awaited = False
        """Whether a load that holds a slot waits for it."""
        self.woken: threads.Event | None = None
        self.limit = 0.0
        """Seconds after which its load no longer keeps its lease."""
        self.fallback: Entry | None = None
        """A stale value that the policy allows to serve if the load is slow or fails."""


class Flights:
    """What is under way, by key. The lock is the tag clock's: what is known, loaded and kept changes together."""

    def __init__(
        self, clock: TagClock, memory: MemoryStore, lock: AbstractContextManager[object]
    ) -> None:
        self._clock = clock
        self._memory = memory
        self._lock = lock
        self.leading: dict[str, Flight] = {}
        """What is being loaded; may be read without the lock."""
        self._flying: dict[str, set[Flight]] = {}

    def join(
        self, key: str, tags: Collection[str], *, alone: bool = False, nested: bool = False
    ) -> tuple[Flight, bool]:
        """The flight for `key`, and whether the caller leads it. `alone` joins none that began before.

        `nested`: the caller is inside a load and holds its slot, so it must not wait for one who waits for a slot.
        """
        with self._lock:
            flight = self.leading.get(key)
            waits = flight is not None and flight.queued and nested
            if flight is not None and not (flight.doomed or alone or waits):
                flight.awaited = flight.awaited or nested
                return flight, False
            flight = self._begin(key, tags)
            flight.outcome = threads.Outcome()
            self.leading[key] = flight
            return flight, True

    def open(self, key: str, tags: Collection[str]) -> Flight:
        """A flight that nobody joins: a read, or a store, that an invalidation must still meet."""
        with self._lock:
            return self._begin(key, tags)

    def open_many(self, reads: Iterable[Read]) -> list[Flight]:
        """The same for many reads."""
        with self._lock:
            return [self._begin(read.key, read.tags) for read in reads]

    def _begin(self, key: str, tags: Collection[str]) -> Flight:
        flight = Flight(key, tags, self._clock.epoch)
        flying = self._flying.get(key)
        if flying is None:
            self._flying[key] = {flight}
        else:
            flying.add(flight)
        return flight

    def queue(self, flights: Collection[Flight]) -> bool:
        """Whether these flights may wait for a slot; not if a load that holds one waits for them."""
        with self._lock:
            if any(flight.awaited for flight in flights):
                return False
            for flight in flights:
                flight.queued = True
            return True

    def is_queued(self, key: str) -> bool:
        """Whether a flight of `key` waits for a slot in this process."""
        with self._lock:
            return any(flight.queued for flight in self._flying.get(key, ()))

    def unqueue(self, flights: Collection[Flight]) -> None:
        """They have their slot."""
        with self._lock:
            for flight in flights:
                flight.queued = False

    def close(self, flight: Flight) -> None:
        """It has ended; nothing it does later counts."""
        with self._lock:
            self._close(flight)

    def close_many(self, flights: Iterable[Flight]) -> None:
        """The same for many."""
        with self._lock:
            for flight in flights:
                self._close(flight)

    def _close(self, flight: Flight) -> None:
        key = flight.key
        if self.leading.get(key) is flight:
            del self.leading[key]
        flying = self._flying.get(key)
        if flying is not None:
            flying.discard(flight)
            if not flying:
                del self._flying[key]

    def abandon(self, flight: Flight) -> None:
        """Its load hangs: let others lead, and do not keep what it may still bring."""
        flight.doomed = flight.abandoned = True
        self.close(flight)

    def land(self, flight: Flight, entry: Entry, now: float, weight: int) -> bool:
        """Put what the flight brought into L1, unless an invalidation came first."""
        entry.epoch = UNCOMPARED
        gone: list[Entry] = []  # freed after the lock: a finaliser may take locks of its own
        with self._lock:
            if flight.doomed or not self._clock.linked:
                return False
            return self._memory.put(flight.key, entry, now, weight, gone=gone)

    def land_unless_moved(self, key: str, entry: Entry, now: float, weight: int) -> bool:
        """The same for what was read without a flight: only if nothing at all was invalidated since `entry.epoch`."""
        gone: list[Entry] = []
        with self._lock:
            if entry.epoch != self._clock.epoch or not self._clock.linked:
                return False
            return self._memory.put(key, entry, now, weight, gone=gone)

    def invalidate(
        self, keys: Iterable[str], tags: Iterable[str], *, but: Container[Flight] = ()
    ) -> None:
        """The local half of an invalidation, own or heard of: forget, doom all flights `but` some, drop, wake."""
        keys = list(keys)
        dead = frozenset((*tags, *map(key_tag, keys)))
        gone: list[Entry] = []  # freed after the lock: a finaliser may take locks of its own
        with self._lock:
            self._clock.forget(dead)
            for key in keys:
                for flight in self._flying.get(key, ()):
                    if flight not in but:
                        self._doom(flight)
                entry = self._memory.drop(key, gone=gone)
                if entry is not None:
                    gone.append(entry)
            for flights in self._flying.values():
                for flight in flights:
                    if not dead.isdisjoint(flight.tags) and flight not in but:
                        self._doom(flight)

    def forget_all(self, *, linked: bool) -> None:
        """The link to the bus was lost or is back: nothing that is known or under way can be vouched for."""
        gone: list[Entry] = []
        with self._lock:
            self._clock.forget_all(linked=linked)
            self._memory.clear(gone=gone)
            for flights in self._flying.values():
                for flight in flights:
                    self._doom(flight)

    @staticmethod
    def _doom(flight: Flight) -> None:
        flight.doomed = True
        if flight.woken is not None:
            flight.woken.set()

    def wake(self, key: str) -> None:
        """The lease that a flight of `key` waits for has ended."""
        with self._lock:
            for flight in self._flying.get(key, ()):
                if flight.woken is not None:
                    flight.woken.set()

    def vouch(self, flight: Flight, entry: Entry | None) -> Entry | None:
        """`entry` if it is in L1 and current now that the flight can be doomed, else None."""
        with self._lock:
            if entry is None or self._memory.table.get(flight.key) is not entry:
                return None
            return entry if self._clock.current(entry.epoch, entry.stamps) else None

    def after_fork(self, lock: AbstractContextManager[object]) -> None:
        """What was under way belongs to the parent, or to another loop, and lands no more."""
        self._lock = lock
        for flights in self._flying.values():
            for flight in flights:
                flight.doomed = True
        self.leading = {}
        self._flying = {}
