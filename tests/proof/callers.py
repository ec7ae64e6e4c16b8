"""Threads that keep a cache busy, and what its remote calls cost meanwhile.

What must not be here: faults.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from cachewright._sync.redis import RedisStore
from cachewright.errors import RemoteError
from cachewright.redis import wire

PATIENCE = 5.0
"""Seconds after which a thread that was told to stop counts as hung."""


@dataclass
class Costs:
    """Seconds that remote calls took, by how they ended."""

    by_end: dict[str, list[float]] = field(default_factory=dict)

    def note(self, end: str, seconds: float) -> None:
        """One more."""
        self.by_end.setdefault(end, []).append(seconds)

    def slowest(self, end: str) -> float:
        """In milliseconds; 0 if none ended so."""
        return 1000 * max(self.by_end.get(end, []), default=0.0)

    def share_over(self, end: str, limit: float) -> str:
        """How many of them cost more than so many seconds."""
        costs = self.by_end.get(end, [])
        return f"{sum(cost > limit for cost in costs)} of {len(costs)}"


@contextmanager
def timing_calls(costs: Costs) -> Iterator[None]:
    """Notes what every remote call of this process costs."""
    send = RedisStore._send

    def timed(self: RedisStore, commands: Any) -> Any:
        closed = self.breaker.is_open
        began, end = time.perf_counter(), "answered"
        try:
            return send(self, commands)
        except wire.Unreachable:
            end = "connecting"
            raise
        except RemoteError as error:
            refused = closed and "left alone" in str(error)
            end = "refused by the breaker" if refused else "failed"
            raise
        finally:
            costs.note(end, time.perf_counter() - began)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RedisStore, "_send", timed)
        yield


class Callers:
    """Threads that use a cache all the time; what they raise is counted."""

    def __init__(self, verbs: list[Callable[[int], object]], *, callers: int = 8) -> None:
        self.raised: list[str] = []
        self.calls = 0
        self.slowest = 0.0
        self._verbs = verbs
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(callers)]

    def _run(self) -> None:
        for n in itertools.count():
            if self._stop.wait(0.001):
                return
            began = time.perf_counter()
            try:
                self._verbs[n % len(self._verbs)](n)
            except Exception as error:  # noqa: BLE001 - that nothing is raised is the promise
                self.raised.append(repr(error))
            self.calls += 1
            self.slowest = max(self.slowest, time.perf_counter() - began)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    @property
    def hung(self) -> int:
        """Threads that have not come back."""
        return sum(thread.is_alive() for thread in self._threads)
