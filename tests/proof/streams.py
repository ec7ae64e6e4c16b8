"""A steady stream of reads in asyncio, and the slow source beneath it, which counts who asks at once.

What must not be here: caches and faults.
"""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import accumulate

RATE = 2_000
"""Reads a second, begun whether or not the earlier ones have ended."""
KEYS = 500
LOAD = 0.005
"""Seconds that the source takes."""
MOST_LOADS = 16


class Source:
    """Counts who asks at once."""

    def __init__(self) -> None:
        self.loads = 0
        self.most = 0
        self.too_many = 0
        """Loads that began while as many ran as may."""
        self.doubled = 0
        """Loads that began while one for the same key ran."""
        self.repeated = 0
        """Those among them whose forerunner was older than the link: nobody can vouch for what it brings."""
        self.linked = 0.0
        """When the link to the server came up last, for those who say so."""
        self._running: Counter[str] = Counter()
        self._began: dict[str, float] = {}

    async def load(self, key: str) -> str:
        """The value of a key."""
        running = self._running
        self.loads += 1
        self.too_many += running.total() >= MOST_LOADS
        self.doubled += running[key] > 0
        self.repeated += running[key] > 0 and self._began[key] < self.linked
        self._began[key] = time.monotonic()
        running[key] += 1
        self.most = max(self.most, running.total())
        try:
            await asyncio.sleep(LOAD)
            return f"value of {key}"
        finally:
            running[key] -= 1


Read = Callable[[Source, str], Awaitable[str]]


@dataclass
class Stream:
    """Reads of keys by Zipf's law, at a steady rate, and what became of them."""

    read: Read
    source: Source
    draw: random.Random
    raised: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    slowest: float = 0.0
    begun: int = 0

    def __post_init__(self) -> None:
        self._weights = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> float:
        """For so long; the share of reads that needed no load of their own."""
        loads, begun, began = self.source.loads, self.begun, time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            while self.begun - begun < passed * RATE:
                self._begin()
            await asyncio.sleep(0.001)
        return 1 - (self.source.loads - loads) / max(self.begun - begun, 1)

    def _begin(self) -> None:
        self.begun += 1
        rank = bisect(self._weights, self.draw.random() * self._weights[-1])
        task = asyncio.ensure_future(self._one(f"k{min(rank, KEYS - 1)}"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, key: str) -> None:
        began = time.monotonic()
        try:
            self.wrong += await self.read(self.source, key) != f"value of {key}"
        except Exception as error:  # noqa: BLE001 - that nothing is raised is the promise
            self.raised[type(error).__name__] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)

    async def settle(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks)
