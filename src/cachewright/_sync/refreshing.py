# Generated from _async/refreshing.py by tools/unasync.py. Do not edit.
"""Reloads in the background what is still being served: at most one for each key in the fleet, bounded in number.

A refresh is a flight like any other, so an invalidation dooms it, and its fill needs a lease, so it brings back
nothing that was deleted meanwhile (design rules 1 and 4).
"""

from __future__ import annotations

from cachewright._sync.engine import Engine
from cachewright._sync.flights import Flight
from cachewright._sync.reading import Reader, LeaderGone
from cachewright.core.entry import Entry
from cachewright.core.loading import collecting
from cachewright.core.policy import as_float
from cachewright.core.reads import Read


class Refresher:
    """Refreshes for one cache."""

    def __init__(self, engine: Engine, reader: Reader) -> None:
        self._engine = engine
        self._reader = reader
        self._running = 0
        reader.refresh_with(self.offer)
        engine.on_leave.append(self._begin_anew)

    def offer(self, read: Read, entry: Entry) -> None:
        """Refresh `entry` soon, unless that is under way, failed a moment ago, or too much is."""
        engine = self._engine
        if self._running >= engine.max_refreshes:
            return
        if engine.backoff.waits(read.key, engine.monotonic()):
            return
        flight, leads = engine.flights.join(read.key, read.tags)
        if not leads:
            return
        flight.fallback = engine.flights.vouch(flight, entry)
        flight.limit = read.policy.timeouts.load
        with engine.lock:
            self._running += 1
        try:
            engine.background.start(self._run, read, flight, entry)
        except (
            RuntimeError
        ) as error:  # no more threads: the stale value is served, and a later hit tries again
            self._running -= 1
            engine.flights.abandon(flight)
            engine.tell("refresh_failed", read.key, error=error)
        else:
            engine.stats.count("refreshes")

    def _begin_anew(self) -> None:
        self._running = 0

    def _run(self, read: Read, flight: Flight, entry: Entry) -> None:
        engine = self._engine
        try:
            with collecting(None):
                self._reader.lead(read, flight, entry)
            error = flight.outcome.error
            if error is not None and not isinstance(error, LeaderGone):
                engine.backoff.failed(
                    read.key, as_float(read.policy.retry_after), engine.monotonic()
                )
                engine.tell("refresh_failed", read.key, error=error)
        finally:
            with engine.lock:
                self._running -= 1
