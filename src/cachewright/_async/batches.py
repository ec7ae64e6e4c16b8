# Many keys at once.
"""Reads of many keys: one round trip for what the server has, one call of the loader for what it has not.

The rules are those of one read (`reading`). A key that another flight or process is loading is waited for, after our
own load: nobody waits while holding what another waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import Flight
from cachewright._async.leases import AsyncLeases
from cachewright._async.loading import AsyncLoader, Leased
from cachewright._async.looking import AsyncLooker, Landing, Look, Read
from cachewright._async.reading import AsyncReader, LeaderGone
from cachewright._async.redis import AsyncRedisStore
from cachewright._waits import aio
from cachewright.core.entry import Entry
from cachewright.core.loading import Load, collecting_load, mode_of
from cachewright.core.policy import as_float
from cachewright.errors import RemoteError
from cachewright.redis.replies import Ask
from cachewright.types import ABSENT

LoadMany = Callable[[list[str]], Any]


@dataclass(slots=True)
class Led:
    """A missing key whose flight this batch leads."""

    read: Read
    flight: Flight


class AsyncBatches:
    """Batches for one cache."""

    def __init__(
        self,
        engine: AsyncEngine,
        looker: AsyncLooker,
        loader: AsyncLoader,
        reader: AsyncReader,
        leases: AsyncLeases,
    ) -> None:
        self._engine = engine
        self._looker = looker
        self._loader = loader
        self._reader = reader
        self._leases = leases

    # ---------------------------------------------------------------- without a loader

    async def find_many(
        self, reads: Sequence[Read], seen: dict[str, bytes] | None = None
    ) -> dict[str, Entry]:
        """The entries to serve, by key; nothing is loaded. `seen` gets the fill ids of those that are of no use."""
        if mode_of(self._engine) is not None or collecting_load() is not None:
            # Rare, and each key then needs a stamp of its own: one by one.
            return {
                read.key: e for read in reads if (e := await self._reader.find(read)) is not None
            }
        found = {}
        rest = []
        for read in reads:
            entry, _ = self._reader.hit_in_memory(read)
            if entry is None:
                rest.append(read)
            else:
                found[read.key] = entry
        store = await self._engine.open()
        if rest and store is not None:
            found |= await self._at_server(store, rest, {} if seen is None else seen)
        self._engine.stats.count("misses", len(reads) - len(found))
        return found

    async def _at_server(
        self, store: AsyncRedisStore, reads: Sequence[Read], seen: dict[str, bytes]
    ) -> dict[str, Entry]:
        engine = self._engine
        flights = [engine.flights.open(read.key, read.tags) for read in reads]
        found = {}
        try:
            looks = await self._look_many(store, reads, flights)
            for read, flight, look in zip(reads, flights, looks, strict=True):
                landing = self._looker.serve(read, flight, look)
                seen[read.key] = look.seen
                if landing is not None:
                    found[read.key] = self._reader.hit(read, landing)
        finally:
            for flight in flights:
                engine.flights.close(flight)
        return found

    async def _look_many(
        self, store: AsyncRedisStore, reads: Sequence[Read], flights: Sequence[Flight]
    ) -> list[Look]:
        tags = list(dict.fromkeys(tag for read in reads for tag in read.tags))
        if not reads[0].verify:
            tags = self._engine.tags.unknown(tags)
        try:
            found = await store.read([read.key for read in reads], tags)
            return [
                await self._looker.judge(store, read, flight, one)
                for read, flight, one in zip(reads, flights, found, strict=True)
            ]
        except RemoteError as error:
            self._engine.remote_failed("read", error)
            return [Look(failed=True) for _ in reads]

    # ---------------------------------------------------------------- with a loader

    async def get_or_load_many(
        self, reads: Sequence[Read], load_many: LoadMany
    ) -> dict[str, Entry]:
        """The entry of every key. `load_many` is called once with the keys that nobody has or is loading.

        It returns a mapping from key to value; a key that is not in it is absent. What it raises reaches the caller,
        and nothing is stored.
        """
        if collecting_load() is not None or mode_of(self._engine) is not None:
            return {read.key: await self._alone(read, load_many) for read in reads}
        seen: dict[str, bytes] = {}
        found = await self.find_many(reads, seen)
        led: list[Led] = []
        joined: list[Led] = []
        for read in reads:
            if read.key not in found:
                flight, leads = self._engine.flights.join(read.key, read.tags)
                (led if leads else joined).append(Led(read, flight))
        if led:
            await aio.carry(self._lead, led, load_many, seen)
        for one in (*led, *joined):
            found[one.read.key] = await self._arrived(one, load_many)
        return found

    async def _alone(self, read: Read, load_many: LoadMany) -> Entry:
        """One key by the rules of a single read."""

        async def load() -> Any:
            return _value(await self._call(load_many, [read.key]), read.key)

        return await self._reader.get_or_load(replace(read, load=load))

    async def _arrived(self, one: Led, load_many: LoadMany) -> Entry:
        try:
            landing: Landing = await aio.wait_for(
                one.flight.outcome, 2 * one.read.policy.timeouts.load + 1
            )
        except LeaderGone:
            return await self._alone(one.read, load_many)
        return self._reader.hit(one.read, landing)

    async def _lead(
        self, led: Sequence[Led], load_many: LoadMany, seen: Mapping[str, bytes]
    ) -> None:
        try:
            await self._fly(led, load_many, seen)
        except Exception as error:  # the loader's own: it reaches every caller as it is
            for one in led:
                one.flight.outcome.fail(error)
        finally:
            for one in led:
                if not one.flight.outcome.done:
                    one.flight.outcome.fail(LeaderGone())
                self._engine.flights.close(one.flight)

    async def _fly(
        self, led: Sequence[Led], load_many: LoadMany, seen: Mapping[str, bytes]
    ) -> None:
        store = self._engine.store
        if store is None:
            await self._load_locally(led, load_many)
            return
        try:
            leased, loose = await self._acquire(store, led, seen)
        except RemoteError as error:
            self._engine.remote_failed("acquire", error)
            leased, loose = [], list(led)
        wanted = [item.read.key for item in leased] + [one.read.key for one in loose]
        if not wanted:
            return
        load = Load("", None)
        try:
            with self._leases.kept([item.ask for item in leased], led[0].read.policy):
                values, cost = await self._load(led[0].read, load, load_many, wanted)
        except BaseException:
            if leased:
                await self._loader.give_back(store, [item.ask for item in leased])
            raise
        if leased:
            mine = [_value(values, item.read.key) for item in leased]
            landings = await self._loader.keep(store, leased, load, mine, cost)
            for item, landing in zip(leased, landings, strict=True):
                item.flight.outcome.succeed(landing)
        for one in loose:
            entry = self._loader.unkept(one.read, _value(values, one.read.key), cost)
            one.flight.outcome.succeed(Landing(entry, None))

    async def _acquire(
        self, store: AsyncRedisStore, led: Sequence[Led], seen: Mapping[str, bytes]
    ) -> tuple[list[Leased], list[Led]]:
        """(keys to load under a lease, keys to load without). A key held elsewhere is in neither: it is waited for."""
        policy = led[0].read.policy
        asks = [
            Ask(key=one.read.key, tags=one.read.tags, seen=seen.get(one.read.key, b""))
            for one in led
        ]
        leased, loose = [], []
        acquired = await store.acquire(asks, as_float(policy.lease), wait=False)
        for one, ask, got in zip(led, asks, acquired, strict=True):
            if got.outcome == "lease":
                self._engine.tags.learn(one.flight.epoch, got.concrete)
                leased.append(Leased(one.read, one.flight, ask, got))
            elif got.outcome == "marked":
                loose.append(one)
        return leased, loose

    async def _load(
        self, read: Read, load: Load, load_many: LoadMany, keys: list[str]
    ) -> tuple[Mapping[str, Any], float]:
        return await self._loader.call(replace(read, key="", load=load_many, args=(keys,)), load)

    @staticmethod
    async def _call(load_many: LoadMany, keys: list[str]) -> Mapping[str, Any]:
        values: Mapping[str, Any] = await aio.call_load(load_many, (keys,), 3600.0)
        return values

    async def _load_locally(self, led: Sequence[Led], load_many: LoadMany) -> None:
        before = [self._loader.local_stamps(one.read) for one in led]
        load = Load("", None)
        values, cost = await self._load(led[0].read, load, load_many, [one.read.key for one in led])
        for one, stamps in zip(led, before, strict=True):
            value = _value(values, one.read.key)
            landing = self._loader.keep_locally(one.read, one.flight, load, stamps, value, cost)
            one.flight.outcome.succeed(landing)


def _value(values: Mapping[str, Any], key: str) -> Any:
    return values.get(key, ABSENT)
