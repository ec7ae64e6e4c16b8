# Many keys loaded anew at once.
"""Loads many keys anew by one call of a loader, although they are cached: each under its lease, like any miss.

Invariants kept here (design rules 1 and 4): a key that is invalidated meanwhile is not stored, and one that somebody
else loads, or has just loaded, is left to them. What must not be here: which keys, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cachewright._async.batches import AsyncBatches, AsyncBatchLoad, Led
from cachewright._async.cache import AsyncCache
from cachewright._async.loading import AsyncLoader
from cachewright._async.looking import AsyncLooker
from cachewright._async.reading import AsyncReader, LeaderGone
from cachewright._async.redis import AsyncRedisStore
from cachewright._waits import aio
from cachewright.core.envelope import FILL
from cachewright.core.policy import Policy, as_float
from cachewright.core.reads import Read, Reads, Tags
from cachewright.types import ABSENT


@dataclass(slots=True)
class Renewed:
    """What came of each key, by key as given."""

    loaded: list[Any] = field(default_factory=list)
    absent: list[Any] = field(default_factory=list)
    failed: list[Any] = field(default_factory=list)


class AsyncRenewals(AsyncBatches):
    """Renewals for one cache."""

    def __init__(self, cache: AsyncCache) -> None:
        engine = cache.engine
        self._reads: Reads = cache.reads
        looker, leases = AsyncLooker(engine), cache._leases
        loader = AsyncLoader(engine, looker, leases)
        reader = AsyncReader(engine, looker=looker, loader=loader, leases=leases)
        super().__init__(engine, looker=looker, loader=loader, reader=reader, leases=leases)

    async def renew(
        self,
        keys: Sequence[Any],
        load_many: Callable[[list[Any]], Any],
        *,
        tags: Callable[[Any], Tags],
        policy: Policy,
    ) -> Renewed:
        """Load those keys that nobody else is loading. Raises nothing of the loader: its keys have `failed`.

        A key that failed is left alone for `policy.retry_after`, doubling to ten times that.
        """
        now = self._engine.monotonic()
        reads = [self._reads.read(key, tags(key), policy=policy) for key in keys]
        spelled = {read.key: key for read, key in zip(reads, keys, strict=True)}
        ready = [read for read in reads if not self._engine.backoff.waits(read.key, now)]
        load = AsyncBatchLoad(load_many, spelled, self._reads.name)
        led = await self._fly_all(ready, load)
        found = Renewed()
        for one in led:
            self._count(one, spelled[one.read.key], found)
        return found

    async def _fly_all(self, reads: Sequence[Read], load: AsyncBatchLoad) -> list[Led]:
        engine = self._engine
        store = await engine.open()
        seen = {} if store is None or not reads else await self._fills(store, reads)
        led = []
        for read in reads:
            read.load, read.args = load.one, (read.key,)
            flight, leads = engine.flights.join(read.key, read.tags)
            if leads:
                flight.limit = read.policy.timeouts.load
                led.append(Led(read, flight))
        if led:
            await aio.carry(self._lead, led, load, seen)
        return led

    @staticmethod
    async def _fills(store: AsyncRedisStore, reads: Sequence[Read]) -> Mapping[str, bytes]:
        """The fill ids of the present entries: an entry of another fill is newer, and need not be loaded."""
        found = await store.read([read.key for read in reads])
        return {
            read.key: one.data[FILL]
            for read, one in zip(reads, found, strict=True)
            if one.data is not None
        }

    def _count(self, one: Led, key: Any, found: Renewed) -> None:
        outcome, engine = one.flight.outcome, self._engine
        if outcome.error is None:
            engine.backoff.succeeded(one.read.key)
            found.loaded.append(key)
            if outcome.value.entry.value is ABSENT:
                found.absent.append(key)
        elif not isinstance(outcome.error, LeaderGone):
            first = as_float(one.read.policy.retry_after)
            engine.backoff.failed(one.read.key, first, engine.monotonic())
            engine.tell("refresh_failed", one.read.key, error=outcome.error)
            found.failed.append(key)
