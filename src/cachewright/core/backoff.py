"""Pauses after failures, by key: doubling, and bounded in number. `now` is an argument."""

from __future__ import annotations


class Backoff:
    """When a key whose load failed is worth another try.

    Bounded by `limit` keys: beyond it the oldest is forgotten, which costs one early try.
    Lost updates between threads cost the same.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._failures: dict[str, tuple[int, float]] = {}

    def failed(self, key: str, first: float, now: float) -> float:
        """Note a failure; the time until which to wait. `first` seconds, doubling to ten times that."""
        times = self._failures.pop(key, (0, 0.0))[0]
        until = now + min(first * float(2**times), 10 * first)
        if len(self._failures) >= self._limit:
            self._failures.pop(next(iter(self._failures)), None)
        self._failures[key] = (min(times + 1, 10), until)
        return until

    def waits(self, key: str, now: float) -> bool:
        """Whether it is too early for another try."""
        return now < self._failures.get(key, (0, 0.0))[1]

    def succeeded(self, key: str) -> None:
        """All is well again."""
        self._failures.pop(key, None)
