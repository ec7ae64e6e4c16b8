"""Finds what has expired without looking at what has not: a coarse timer wheel.

What must not be here: freeing entries (`memory.store`), and the decision whether an entry may be
served, which is exact and made on every read. This only bounds how long the expired hold memory.
"""

from __future__ import annotations

from array import array
from math import frexp, inf

from cachewright.core.entry import Entry

_FINEST = -3
_COARSEST = 20
_PARTS = 8
_HORIZON = 2.0 ** (_COARSEST + _PARTS) - 1.0
_WIDTHS = {power: 2.0**power for power in range(_FINEST, _COARSEST + 1)}
_SLACK = 1024


class _ByHash(str):
    """Finds a key in a dict of strings by its hash alone, so that a timer need not hold the key."""

    __slots__ = ("digest",)
    digest: int

    def __hash__(self) -> int:
        return self.digest

    def __eq__(self, other: object) -> bool:
        return True


class TimerWheel:
    """Timers in buckets named by the time, in seconds, at which they are looked at.

    A bucket is as wide as 1/256 to 1/128 of the time left when the timer was set, at least 1/8 s
    and at most 2**20 s; a timer is late by no more than that and never early. Widths are powers of
    two, so buckets of all widths share one scale (the hierarchy of Varghese & Lauck, "Hashed and
    Hierarchical Timing Wheels", SOSP 1987, without its cascades) and number a few thousand at most.

    A timer is the 64-bit hash of its key: eight bytes that keep neither key nor value alive, so a
    dropped entry leaves nothing behind but them. Timers for keys that are gone fall out when their
    time comes, or when there are half as many again as there were entries at the last look, and the
    wheel is rebuilt from the table. A key whose deadline has moved away is timed again when met, so
    extending one in place is free; shortening one needs `add`. Two live keys with one hash: one of
    them is left to eviction.

    All methods need the owner's lock.
    """

    __slots__ = (
        "_bucket",
        "_buckets",
        "_high",
        "_low",
        "_most",
        "_probe",
        "_table",
        "_until",
        "due",
        "timers",
    )

    def __init__(self, table: dict[str, Entry]) -> None:
        self._table = table
        self._buckets: dict[float, array[int]] = {}
        self._probe = _ByHash()
        self.clear()

    def add(self, key: str, deadline: float, now: float) -> None:
        """Time `key` for `deadline`, in monotonic seconds; `inf` is never and is not kept."""
        if deadline == inf:
            return
        if self.timers > self._most:
            self._crowded(now)
        if not (self._low <= deadline < self._high and now < self._until):
            self._choose(deadline, now)
        self._bucket.append(hash(key))
        self.timers += 1

    def take(self, now: float, limit: int) -> list[Entry]:
        """Up to `limit` entries that have ended; an entry with two timers may come twice.

        Looks at no more than `4 * limit` timers, all of them due.
        """
        found: list[Entry] = []
        for _ in range(4 * limit):
            if self.due > now or len(found) == limit:
                break
            digest = self._pop()
            self._probe.digest = digest
            entry = self._table.get(self._probe)
            if entry is None:
                continue
            if entry.usable_until <= now:
                found.append(entry)
            elif entry.usable_until != inf:
                self._set(digest, entry.usable_until, now)
        return found

    def rebuild(self, now: float) -> None:
        """Set all timers anew, from the table."""
        self.clear()
        for key, entry in self._table.items():
            if entry.usable_until != inf:
                self._set(hash(key), entry.usable_until, now)

    def clear(self) -> None:
        """Forget every timer."""
        self._buckets.clear()
        self._bucket: array[int] = array("q")
        self._low = self._high = inf
        self._until = -inf
        self._most = _SLACK
        self.timers = 0
        self.due = inf

    def _set(self, digest: int, deadline: float, now: float) -> None:
        if not (self._low <= deadline < self._high and now < self._until):
            self._choose(deadline, now)
        self._bucket.append(digest)
        self.timers += 1

    def _choose(self, deadline: float, now: float) -> None:
        """Find the bucket for `deadline`, and until when one alike may take it without looking."""
        left = min(max(0.0, deadline - now), _HORIZON)
        width = _WIDTHS[max(frexp(left)[1] - _PARTS, _FINEST)]
        end = ((now + left) // width + 1.0) * width
        self._low, self._high, self._until = end - width, end, now + width
        if end not in self._buckets:
            self._buckets[end] = array("q")
            self.due = min(self.due, end)
        self._bucket = self._buckets[end]

    def _pop(self) -> int:
        bucket = self._buckets[self.due]
        digest = bucket.pop()
        self.timers -= 1
        if not bucket:
            del self._buckets[self.due]
            self.due = min(self._buckets, default=inf)
            self._until = -inf
        return digest

    def _crowded(self, now: float) -> None:
        """Set all timers anew if a third of them are of keys that are gone; settle when to look again."""
        most = len(self._table) * 3 // 2 + _SLACK
        if self.timers > most:
            self.rebuild(now)
        self._most = most
