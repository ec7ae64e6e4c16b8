"""The server dies under a steady stream of reads: what the source has to bear then, and how soon all is well again.

What must not be here: a server that freezes or comes back at once (`frozen_server`).
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

import redis
import redis.asyncio

from cachewright import AsyncCache
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run

RATE = 2_000
"""Reads a second, begun whether or not the earlier ones have ended."""
KEYS = 500
LOAD = 0.005
"""Seconds that the source takes."""
MOST_LOADS = 16
WANTED_RATIO, WANTED_WITHIN = 0.95, 10.0
WINDOW = 0.5
"""Seconds over which a hit ratio is taken."""


class Source:
    """Counts who asks at once."""

    def __init__(self) -> None:
        self.loads = 0
        self.most = 0
        self.too_many = 0
        """Loads that began while as many ran as may."""
        self.doubled = 0
        """Loads that began while one for the same key ran."""
        self._running: Counter[str] = Counter()

    async def load(self, key: str) -> str:
        """The value of a key."""
        running = self._running
        self.loads += 1
        self.too_many += running.total() >= MOST_LOADS
        self.doubled += running[key] > 0
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


async def through_a_death(how: Run, server: EmbeddedServer, read: Read) -> Measured:
    """Healthy, dead, and back, empty."""
    stream = Stream(read, Source(), random.Random(how.seed))
    await stream.run(how.pick(ci=1.0, full=10.0))
    healthy = await stream.run(how.pick(ci=1.0, full=10.0))
    server.kill()
    before = stream.source.loads
    await stream.run(how.pick(ci=3.0, full=60.0))
    amid = stream.source.loads - before
    restarting = asyncio.ensure_future(asyncio.to_thread(server.restart))
    while not restarting.done():
        await stream.run(0.05)
    recovered = await _recover(stream)
    await stream.settle()
    return _measured(stream, healthy=healthy, amid=amid, recovered=recovered)


async def _recover(stream: Stream) -> float:
    """Seconds until a window has the wanted ratio; infinite if none has."""
    began = time.monotonic()
    while time.monotonic() - began < 2 * WANTED_WITHIN:
        if await stream.run(WINDOW) >= WANTED_RATIO:
            return time.monotonic() - began
    return float("inf")


def _measured(stream: Stream, *, healthy: float, amid: int, recovered: float) -> Measured:
    source, raised = stream.source, stream.raised.total()
    numbers = {
        "reads": stream.begun,
        "raised": raised,
        "wrong values": stream.wrong,
        "most loads at once": source.most,
        "loads beyond 16": source.too_many,
        "loads of a key under way": source.doubled,
        "loads while dead": amid,
        "hit ratio before": healthy,
        "95 % again after s": recovered,
        "slowest read ms": 1000 * stream.slowest,
    }
    violations = raised + stream.wrong + source.too_many + source.doubled
    never = recovered == float("inf")
    late = recovered > WANTED_WITHIN
    return Measured(
        violations + never, numbers, ("95 % of hits ≤ 10 s after recovery",) if late else ()
    )


# -------------------------------------------------------------------- ours and the control


def ours(how: Run) -> Measured:
    """With `max_loads`, which is how a user bounds what the source has to bear."""
    return _ours(how, MOST_LOADS)


def unbounded(how: Run) -> Measured:
    """The engine as it comes, which loads each key once at a time and any number of keys."""
    return _ours(how, None)


def _ours(how: Run, max_loads: int | None) -> Measured:
    async def measure(server: EmbeddedServer) -> Measured:
        async with AsyncCache(server.tcp_url, max_loads=max_loads) as cache:

            async def read(source: Source, key: str) -> str:
                value: str = await cache.get_or_load(key, lambda: source.load(key), tags=[key])
                return value

            return await through_a_death(how, server, read)

    with EmbeddedServer() as server:
        return asyncio.run(measure(server))


def control(how: Run) -> Measured:
    """Cache-aside that asks the source whenever the server fails."""

    async def measure(server: EmbeddedServer) -> Measured:
        url = server.tcp_url
        async with redis.asyncio.Redis.from_url(
            url, socket_timeout=0.1, retry=None, decode_responses=True
        ) as client:

            async def read(source: Source, key: str) -> str:
                try:
                    found = await client.get(key)
                    if found is not None:
                        return str(found)
                except redis.RedisError:
                    return await source.load(key)
                value = await source.load(key)
                await client.set(key, value, ex=300)
                return value

            return await through_a_death(how, server, read)

    with EmbeddedServer() as server:
        return asyncio.run(measure(server))


EXPERIMENT = Experiment(
    name="dead_server",
    what="the server is killed under 2,000 reads a second of 500 keys, and comes back empty",
    target="≤ 16 concurrent loads, ≤ 1 per key at once; 95 % hit ratio ≤ 10 s after recovery",
    ours=ours,
    control=control,
    control_is="cache-aside over redis-py that loads when the server fails",
    peers={"the engine without max_loads": unbounded},
)
