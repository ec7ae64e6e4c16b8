"""Counters, and the snapshot a user reads. Counting a hit takes no lock and loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count


class ExactCounter:
    """A counter whose `add` is one step in C, so that threads cannot lose an increment.

    `for _ in counter.ticks: break` is the same step for a third of what a call costs: for the paths of a hit.
    """

    __slots__ = ("_lock", "_reads", "add", "ticks")

    def __init__(self) -> None:
        self.ticks = count()
        self.add: Callable[[], int] = self.ticks.__next__
        self._reads = 0
        self._lock = threading.Lock()

    @property
    def value(self) -> int:
        """How often `add` was called."""
        with self._lock:
            # Looking is a step of the counter as well, so looks are subtracted.
            seen = next(self.ticks) - self._reads
            self._reads += 1
            return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A cache's numbers at one moment, since it was made.

    `hits` = `l1_hits` + `l2_hits`, both counting stale and negative ones too; `loads` that ran, `load_seconds` in
    all; `joined`: callers who shared another's load; `stale`: hits served past their TTL; `entries` in L1, and
    their `bytes` where `max_bytes` bounds them, else 0; `link`: whether this process hears of invalidations ("up", "lost", "none" without a server).
    """

    namespace: str
    l1_hits: int
    l2_hits: int
    negative_hits: int
    stale: int
    misses: int
    loads: int
    load_errors: int
    load_seconds: float
    joined: int
    refreshes: int
    fills: int
    fills_refused: int
    sets: int
    invalidations: int
    heard: int
    remote_errors: int
    unreadable: int
    evictions: int
    entries: int
    bytes: int
    pending_repairs: int
    link: str

    @property
    def hits(self) -> int:
        """Reads that needed no load."""
        return self.l1_hits + self.l2_hits

    @property
    def hit_ratio(self) -> float:
        """Hits in all reads, 0 to 1; 0 before the first."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0


class Stats:
    """The counters behind a snapshot. All but hits change off the hot path, where `+=` under a lock is cheap."""

    NAMES = (
        "l2_hits",
        "negative_hits",
        "stale",
        "misses",
        "loads",
        "load_errors",
        "joined",
        "refreshes",
        "fills",
        "fills_refused",
        "sets",
        "invalidations",
        "heard",
        "remote_errors",
        "unreadable",
    )

    def __init__(self) -> None:
        self.l1_hits = ExactCounter()
        self.l2_glances = ExactCounter()
        """Hits of L2 that were served the short way, one at a time; the others are among the counts."""
        self.load_seconds = 0.0
        self._counts = dict.fromkeys(self.NAMES, 0)
        self._lock = threading.Lock()

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name] += by

    def loaded(self, seconds: float) -> None:
        """A load ran for so long."""
        with self._lock:
            self._counts["loads"] += 1
            self.load_seconds += seconds

    def snapshot(
        self,
        *,
        namespace: str,
        evictions: int,
        entries: int,
        size: int,
        pending_repairs: int,
        link: str,
    ) -> Snapshot:
        """The numbers now."""
        with self._lock:
            counts = dict(self._counts)
            load_seconds = self.load_seconds
        counts["l2_hits"] += self.l2_glances.value
        return Snapshot(
            namespace=namespace,
            l1_hits=self.l1_hits.value,
            load_seconds=load_seconds,
            evictions=evictions,
            entries=entries,
            bytes=size,
            pending_repairs=pending_repairs,
            link=link,
            **counts,
        )

    def after_fork(self) -> None:
        """Locks that a parent's thread held would never be released here."""
        self._lock = threading.Lock()
        for counter in (self.l1_hits, self.l2_glances):
            counter._lock = threading.Lock()
