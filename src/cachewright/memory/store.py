"""The in-process store: the table that readers use without a lock, and its bounds.

What must not be here: whether an entry may be served, clocks (`now` is an argument, in seconds of
one monotonic clock), waiting, loads, and the order of eviction (`memory.eviction`).

Kept here: entries and weight never exceed their bounds, at no moment that another thread can see;
every entry of the table is alive and queued exactly once; `bytes` is the sum of their weights.
"""

from __future__ import annotations

import os
import sys
from threading import RLock
from weakref import WeakSet

from cachewright.core.entry import NEVER, Entry
from cachewright.errors import ConfigurationError
from cachewright.memory.eviction import PROMOTED_AT, Queues
from cachewright.memory.expiry import TimerWheel
from cachewright.memory.ghost import Ghost

_EXPIRED_PER_PUT = 8


class MemoryStore:
    """Entries by key, bounded in number and optionally in weight, for threads and asyncio at once.

    `max_entries` is at least 1. `max_bytes` bounds the sum of the weights given to `put`, in
    whatever unit the caller weighs; None is no bound. Raises `ConfigurationError`.

    Readers use `table` directly: `entry = table.get(key)` and, on a hit, `if entry.freq < 3:
    entry.freq += 1`. A lost increment is harmless. `table` is one dict for life and is changed
    only here. Everything else takes one short lock, which a signal handler or a finaliser may
    re-enter. In a forked child the lock is fresh, and a store that another thread was changing at
    the moment of the fork starts empty.
    """

    def __init__(self, *, max_entries: int = 10_000, max_bytes: int | None = None) -> None:
        _check("max_entries", max_entries)
        if max_bytes is not None:
            _check("max_bytes", max_bytes)
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._ceiling = sys.maxsize if max_bytes is None else max_bytes
        self.table: dict[str, Entry] = {}
        self._queues = Queues(Ghost())
        self._wheel = TimerWheel(self.table)
        self._torn = False
        self._lock = RLock()
        _stores.add(self)

    def __len__(self) -> int:
        """The number of entries, including expired ones that were not freed yet."""
        return len(self.table)

    @property
    def bytes(self) -> int:
        """The sum of the weights of all entries."""
        return self._queues.held

    @property
    def evictions(self) -> int:
        """How many entries left for want of room."""
        return self._queues.evictions

    @property
    def expired(self) -> int:
        """How many entries were freed past their end."""
        return self._queues.expired

    def keys(self) -> list[str]:
        """All keys, in no useful order."""
        return list(self.table)

    def put(
        self,
        key: str,
        entry: Entry,
        now: float,
        weight: int = 1,
        *,
        gone: list[Entry] | None = None,
    ) -> bool:
        """Store `entry` in place of what `key` had; False when `weight` is above `max_bytes`.

        A refused entry still removes the one it was to replace. A weight below 1 counts as 1. An
        entry that replaces another keeps its hits. To bring the deadline of a stored entry
        forward, change it and put the same object again; to extend one, changing it is enough.
        `gone`: a list that takes what left, for callers who hold a lock of their own.
        """
        gone = [] if gone is None else gone  # freed after the lock: a finaliser may take others
        lock = self._lock
        try:
            lock.acquire()  # half of what `with` costs, and like it no place for a signal in between
            if now >= self._wheel.due or self._torn:
                self._expire(now, _EXPIRED_PER_PUT, gone)
            table = self.table
            if key in table or weight < 1 or weight > self._ceiling or entry.weight < 0:
                return self._put_rarely(key, entry, now=now, weight=weight, gone=gone)
            queues = self._queues
            while len(table) >= self.max_entries or queues.held + weight > self._ceiling:
                # It is gone already if a finaliser got in between.
                table.pop(queues.evict(now, gone).key, None)
            entry.key = key
            entry.freq = 0
            entry.weight = weight
            queues.held += weight  # what follows is `admit`, without the call
            if queues.filling:
                queues.main.append(entry)
            else:
                queues.small.append(entry)
                queues.small_weight += weight
            table[key] = entry
            if entry.usable_until != NEVER:
                self._wheel.add(key, entry.usable_until, now)
        except BaseException:  # a signal handler raised: the next `put` mends what is half done
            self._torn = True  # perhaps without the lock, and then for nothing
            raise
        finally:
            try:  # noqa: SIM105 - `suppress` costs as much as the lock
                lock.release()
            except RuntimeError:  # a signal handler raised while we waited for it
                pass
        return True

    def drop(self, key: str, *, gone: list[Entry] | None = None) -> Entry | None:
        """Remove and return the entry of `key`; None if there is none. `gone`: as for `put`."""
        gone = [] if gone is None else gone
        with self._lock:
            entry = self.table.get(key)
            if entry is not None:
                self._remove(entry, gone)
        return entry

    def drop_if(self, key: str, entry: Entry) -> bool:
        """Remove `entry` if it is the very object that `key` has now; whether it was."""
        gone: list[Entry] = []
        with self._lock:
            if self.table.get(key) is not entry:
                return False
            self._remove(entry, gone)
        return True

    def clear(self, *, gone: list[Entry] | None = None) -> None:
        """Remove everything. Counters stay. `gone`: as for `put`."""
        gone = [] if gone is None else gone
        with self._lock:
            self._queues.clear(gone)
            self.table.clear()
            self._wheel.clear()

    def expire(self, now: float, limit: int = 100) -> int:
        """Free up to `limit` entries whose `usable_until` has passed; the number freed.

        Looks at no more than `4 * limit` timers, and at nothing that has not expired. An entry is
        found within 1/8 s of its end, or 1/128 of its lifetime if that is longer.
        """
        gone: list[Entry] = []
        with self._lock:
            return self._expire(now, limit, gone)

    def _expire(self, now: float, limit: int, gone: list[Entry]) -> int:
        freed = 0
        if self._torn:
            self._mend(now, gone)
        for entry in self._wheel.take(now, limit):
            if self.table.get(entry.key) is entry:  # a key may have had two timers
                self._remove(entry, gone)
                freed += 1
        self._queues.expired += freed
        return freed

    def _mend(self, now: float, gone: list[Entry]) -> None:
        """Queue and time anew what the table has."""
        self._queues.clear(gone)
        self._queues.filling = False
        for entry in self.table.values():
            entry.weight = abs(entry.weight)
            self._queues.admit(entry, to_main=True)
        self._wheel.rebuild(now)
        self._torn = False

    def _put_rarely(
        self, key: str, entry: Entry, *, now: float, weight: int, gone: list[Entry]
    ) -> bool:
        """`put` of what replaces another, has no proper weight, or was dropped and is still queued."""
        old = self.table.get(key)
        if weight > self._ceiling:
            if old is not None:
                self._remove(old, gone)
            return False
        weight = max(weight, 1)
        if old is None:
            if entry.weight < 0:
                self._queues.compact(gone)
                entry.weight = weight  # also when it is in the queues of another store
            return self.put(key, entry, now, weight, gone=gone)
        if old is not entry or weight != entry.weight:
            self._replace(old, entry, now=now, weight=weight, gone=gone)
        # The timer of an entry replaced by one that ends later will find that one.
        if old is entry or not old.usable_until <= entry.usable_until:
            self._wheel.add(key, entry.usable_until, now)
        return True

    def _replace(
        self, old: Entry, entry: Entry, *, now: float, weight: int, gone: list[Entry]
    ) -> None:
        queues = self._queues
        queues.bury(old)
        if entry.weight < 0 or queues.overfull(len(self.table)):
            queues.compact(gone)
        while queues.held + weight > self._ceiling:
            self.table.pop(queues.evict(now, gone).key, None)
        entry.key = old.key
        entry.freq = old.freq
        entry.weight = weight
        queues.admit(entry, old.freq >= PROMOTED_AT)
        self.table[old.key] = entry

    def _remove(self, entry: Entry, gone: list[Entry]) -> None:
        del self.table[entry.key]
        self._queues.bury(entry)
        if self._queues.overfull(len(self.table)):
            self._compact(gone)

    def _compact(self, gone: list[Entry]) -> None:
        """Free the dead; a store found less than half full fills its main queue first again."""
        self._queues.compact(gone)
        if 2 * len(self.table) < self.max_entries and 2 * self.bytes < self._ceiling:
            self._queues.filling = True

    def _renew_after_fork(self) -> None:
        if not self._lock.acquire(blocking=False):  # its holder does not exist here
            self.table.clear()
            self._queues = self._queues.successor()
            self._wheel = TimerWheel(self.table)
        self._lock = RLock()


def _check(option: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{option}={value!r} holds nothing: give a whole number from 1 up")


_stores: WeakSet[MemoryStore] = WeakSet()


def _renew_all_after_fork() -> None:
    for store in list(_stores):
        store._renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all_after_fork)
