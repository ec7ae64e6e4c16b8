# Values that a caller gives.
"""Stores what a caller gives, not a loader: set, add, counters, touch. Each is one round trip where stamps are known.

Invariants kept here (design rules 1, 2, 5): a store revokes the key's lease and tells every other L1; nothing is
stored while a write is under way; an entry embeds only stamps that are there.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import Flight
from cachewright._async.looking import AsyncLooker, Look, Read
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.decision import Decision
from cachewright.core.entry import Entry, Stamps
from cachewright.core.envelope import FILL, FILL_BYTES
from cachewright.core.loading import Mode, mode_of
from cachewright.core.packing import to_entry, to_sliding, touched
from cachewright.core.policy import Lifetime
from cachewright.core.storable import refuse_unstorable
from cachewright.core.tags import NAMESPACE
from cachewright.errors import CodecError, ConfigurationError, RemoteError
from cachewright.types import ABSENT


class AsyncStorer:
    """Stores for one cache."""

    def __init__(self, engine: AsyncEngine, looker: AsyncLooker) -> None:
        self._engine = engine
        self._looker = looker

    async def set_many(
        self,
        values: Mapping[str, Any],
        lives: Mapping[str, Lifetime],
        read: Read,
        condition: bytes = b"*",
    ) -> list[bool]:
        """Store each value for its lifetime with the tags and policy of `read`; whether each was stored.

        A lifetime of 0 removes the key instead. Keys whose value cannot be encoded are removed as well.
        """
        engine = self._engine
        for value in values.values():
            refuse_unstorable(value)
        if mode_of(engine) is Mode.DISABLE:
            return [False] * len(values)
        gone = [key for key in values if lives[key].usable <= 0]
        if gone:
            await engine.invalidate(gone, [])
        engine.stats.count("sets", len(values) - len(gone))
        living = {key: value for key, value in values.items() if lives[key].usable > 0}
        flights = [engine.flights.open(key, self._tags(key, read)) for key in living]
        try:
            stored = await self._set_living(living, lives, read, flights, condition)
        finally:
            for flight in flights:
                engine.flights.close(flight)
        return [stored.get(key, key in gone) for key in values]

    def _tags(self, key: str, read: Read) -> list[str]:
        return list(dict.fromkeys([*self._engine.tags_of(key, ()), *read.tags]))

    async def _set_living(
        self,
        values: Mapping[str, Any],
        lives: Mapping[str, Lifetime],
        read: Read,
        flights: Sequence[Flight],
        condition: bytes,
    ) -> dict[str, bool]:
        store = await self._engine.open()
        if not values:
            return {}
        if store is None:
            return self._set_locally(values, lives, read, flights)
        return await self._set_remotely(store, values, lives, read, flights, condition)

    def _set_locally(
        self,
        values: Mapping[str, Any],
        lives: Mapping[str, Lifetime],
        read: Read,
        flights: Sequence[Flight],
    ) -> dict[str, bool]:
        engine = self._engine
        for flight in flights:
            key, life = flight.key, lives[flight.key]
            with engine.lock:
                engine.flights.invalidate([key], [], but=[flight])
                flight.epoch = engine.tags.epoch
                stamps = engine.local_stamps.read([*flight.tags, "k:" + key])
            self._land(flight, values[key], life, read, stamps, b"", 1)
        return dict.fromkeys(values, True)

    def _land(
        self,
        flight: Flight,
        value: Any,
        life: Lifetime,
        read: Read,
        stamps: Stamps,
        fill: bytes,
        size: int,
    ) -> None:
        engine = self._engine
        now = engine.monotonic()
        if life.window and engine.store is None:
            entry = to_sliding(value, life, now=now, stamps=stamps)
        elif life.window and read.policy.l1_ttl is None:
            return
        else:
            entry = to_entry(
                value,
                life,
                read.policy,
                now=now,
                stamps=stamps,
                ttl=life.fresh,
                fill=fill,
                draw=engine.draw(),
                careful=engine.debug,
            )
        self._looker.land(flight, entry, size)

    async def _set_remotely(
        self,
        store: AsyncRedisStore,
        values: Mapping[str, Any],
        lives: Mapping[str, Lifetime],
        read: Read,
        flights: Sequence[Flight],
        condition: bytes,
    ) -> dict[str, bool]:
        engine = self._engine
        store.stamp_ms = max(store.stamp_ms, round(2000 * max(lives[key].usable for key in values)))
        packed: dict[str, bytes] = {}
        stored: dict[str, bool] = {}
        stamps: Stamps = {}
        try:
            stamps, node = await self._stamps(store, flights)
            for flight in flights:
                data = self._pack(flight, values[flight.key], lives[flight.key], stamps, node)
                if data is not None:
                    packed[flight.key] = data
            await self._remove([key for key in values if key not in packed])
            items = [
                (key, data, lives[key].window or lives[key].usable) for key, data in packed.items()
            ]
            outcomes = await store.store(items, condition) if items else []
            stored = {key: outcome == 1 for key, outcome in zip(packed, outcomes, strict=True)}
        except RemoteError as error:
            # What the server still holds is older than what the caller has just said.
            store.repairs.add(list(values), [])
            engine.remote_failed("set", error)
        finally:
            # So is what is being loaded or kept here, whether or not the server answered.
            engine.flights.invalidate(list(values), [], but=flights)
        for flight in flights:
            if stored.get(flight.key):
                key, data = flight.key, packed[flight.key]
                self._land(
                    flight,
                    values[key],
                    lives[key],
                    read,
                    self._own(flight, stamps),
                    data[FILL],
                    len(data),
                )
        return stored

    async def _remove(self, keys: Sequence[str]) -> None:
        if keys:
            await self._engine.invalidate(keys, [])

    async def _stamps(
        self, store: AsyncRedisStore, flights: Sequence[Flight]
    ) -> tuple[Stamps, bytes]:
        """The stamps of all tags, from the clock where it knows them; and the node that holds the entries."""
        engine = self._engine
        tags = list(dict.fromkeys(tag for flight in flights for tag in flight.tags))
        known = {tag: engine.tags.known[tag] for tag in tags if tag in engine.tags.known}
        if len(known) < len(tags):
            made, _ = await store.make_stamps([tag for tag in tags if tag not in known])
            concrete = {tag: stamp for tag, stamp in made.items() if stamp is not None}
            engine.tags.learn(min(flight.epoch for flight in flights), concrete)
            known |= concrete
        # A stamp ends in the id of the node that gave it, and one server holds both stamps and entries.
        node = next((stamp.rpartition(b"@")[2] for stamp in known.values()), b"")
        return known, node

    @staticmethod
    def _own(flight: Flight, stamps: Stamps) -> Stamps:
        return {tag: stamps[tag] for tag in flight.tags}

    def _pack(
        self, flight: Flight, value: Any, life: Lifetime, stamps: Stamps, node: bytes
    ) -> bytes | None:
        """The bytes to store, or None for what cannot be: unencodable, or a tag is being written."""
        engine = self._engine
        if any(tag not in stamps for tag in flight.tags):
            return None
        try:
            return engine.packer.pack(
                flight.key,
                value,
                life,
                now=engine.time(),
                fill=secrets.token_bytes(FILL_BYTES),
                node=node,
                stamps=self._own(flight, stamps),
            )
        except CodecError as error:
            engine.tell("unstorable", flight.key, error=error)
            return None

    # ---------------------------------------------------------------- if absent

    async def add(self, value: Any, life: Lifetime, read: Read) -> bool:
        """Store `value` if the key has none; whether it was stored. A negative entry counts as none."""
        engine = self._engine
        store = await engine.open()
        if store is None:
            with engine.lock:
                if self._living(read) is not None:
                    return False
                return (await self.set_many({read.key: value}, {read.key: life}, read))[0]
        look = await self._look(store, read)
        if look.entry is not None and look.entry.value is not ABSENT:
            return False
        return (await self.set_many({read.key: value}, {read.key: life}, read, look.seen))[0]

    def _living(self, read: Read) -> Entry | None:
        decision, entry = self._looker.in_memory(read)
        return (
            None if entry is None or decision is Decision.LOAD or entry.value is ABSENT else entry
        )

    # ---------------------------------------------------------------- counters

    async def count(self, delta: int, initial: int, life: Lifetime, read: Read) -> int:
        """Add `delta` to a counter and return it. Raises `RemoteError`: a count that is guessed is worse than none."""
        engine = self._engine
        store = await engine.open()
        if store is None:
            return await self._count_locally(delta, initial, life, read)
        flight = engine.flights.open(read.key, [NAMESPACE])
        try:
            stamps, node = await self._stamps(store, [flight])
            own = self._own(flight, stamps)
            begin, meta = engine.packer.pack_counter(
                read.key,
                initial + delta,
                life,
                engine.time(),
                secrets.token_bytes(FILL_BYTES),
                node,
                own,
            )
            done, said = await store.count(read.key, delta, begin, life.usable, meta, engine.time())
        except KeyError:
            done, said = False, b"marked"
        finally:
            engine.flights.close(flight)
            engine.flights.invalidate([read.key], [])
        if done:
            return int(said)
        raise _COUNT_ERRORS[said]

    async def _count_locally(self, delta: int, initial: int, life: Lifetime, read: Read) -> int:
        engine = self._engine
        with engine.lock:
            entry = self._living(read)
            if entry is None:
                await self.set_many({read.key: initial + delta}, {read.key: life}, read)
                return initial + delta
            if type(entry.value) is not int:
                raise _COUNT_ERRORS[b"type"]
            # The entry stays as it is but for its value: a counter keeps the life it began with.
            entry.value += delta
            return int(entry.value)

    # ---------------------------------------------------------------- life

    async def touch(self, life: Lifetime, read: Read) -> bool:
        """Give the key another life from now on; whether there was something to touch. 0 removes it."""
        engine = self._engine
        if life.usable <= 0:
            found = await self.ttl(read) is not None
            await engine.invalidate([read.key], [])
            return found
        store = await engine.open()
        if store is None:
            return self._touch_locally(life, read)
        try:
            if (await self._look(store, read)).entry is None:
                return False
            times, lifetime = touched(life, engine.time())
            return await store.touch(read.key, engine.time(), times, lifetime, life.usable)
        except RemoteError as error:
            engine.remote_failed("touch", error)
            return False
        finally:
            engine.flights.invalidate([read.key], [])

    async def _look(self, store: AsyncRedisStore, read: Read) -> Look:
        flight = self._engine.flights.open(read.key, read.tags)
        try:
            return await self._looker.look(store, read, flight)
        finally:
            self._engine.flights.close(flight)

    def _touch_locally(self, life: Lifetime, read: Read) -> bool:
        engine = self._engine
        with engine.lock:
            _, entry = self._looker.in_memory(read)
            if entry is None:
                return False
            again = to_entry(
                entry.value,
                life,
                read.policy,
                now=engine.monotonic(),
                stamps=entry.stamps,
                ttl=life.fresh,
                careful=engine.debug,
            )
            again.epoch = entry.epoch
            engine.memory.put(read.key, again, engine.monotonic(), entry.weight)
        return True

    async def ttl(self, read: Read) -> float | None:
        """Seconds that the key stays fresh (0 when it is stale but usable), None where there is nothing."""
        engine = self._engine
        store = await engine.open()
        if store is None:
            _, entry = self._looker.in_memory(read)
            return None if entry is None else max(0.0, entry.fresh_until - engine.monotonic())
        # L1 may keep an entry for less than its life, so the server is asked.
        look = await self._look(store, read)
        if look.entry is None:
            return None
        if look.sliding:
            return await store.left(read.key)
        return max(0.0, look.fresh)


_COUNT_ERRORS: dict[bytes, Exception] = {
    b"type": ConfigurationError(
        "the key holds a value that is no counter: count under another key"
    ),
    b"range": ConfigurationError("a counter stays between -2**53 and 2**53"),
    b"marked": RemoteError("a write to this key is under way: count again when it has ended"),
}
