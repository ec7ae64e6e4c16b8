# Values that a caller gives.
"""Stores what a caller gives, not a loader: set, add, counters, touch. Each is one round trip where stamps are known.

Invariants kept here (design rules 1, 2, 5): a store revokes the key's lease and tells every other L1; nothing is
stored while a write is under way; an entry embeds only stamps that are there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import Flight
from cachewright._async.looking import AsyncLooker, Look
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.decision import Decision
from cachewright.core.entry import Entry, Stamps
from cachewright.core.envelope import FILL, FILL_BYTES
from cachewright.core.loading import Mode, mode_of
from cachewright.core.packing import to_entry, to_sliding, touched
from cachewright.core.policy import Lifetime, Policy
from cachewright.core.reads import Read
from cachewright.core.storable import refuse_unstorable
from cachewright.core.tags import key_tag
from cachewright.errors import CodecError, ConfigurationError, RemoteError
from cachewright.types import ABSENT

MOST = 2**53 - 1
"""Counters stay within ± this, the integers that the server's scripts count exactly."""


@dataclass(slots=True)
class Item:
    """One value on its way in."""

    key: str
    value: Any
    life: Lifetime
    policy: Policy
    flight: Flight
    stamps: Stamps = field(default_factory=dict)
    data: bytes = b""


class AsyncStorer:
    """Stores for one cache."""

    def __init__(self, engine: AsyncEngine, looker: AsyncLooker) -> None:
        self._engine = engine
        self._looker = looker

    async def set_many(
        self, puts: Sequence[tuple[Read, Any, Lifetime]], *, condition: bytes = b"*"
    ) -> dict[str, bool]:
        """Store each value for its lifetime, with the key, tags and policy of its read; whether it was stored.

        A lifetime of 0 removes the key instead. Keys whose value cannot be encoded are removed as well.
        `condition`: the fill id that must be there, b"" for none, "*" for whatever.
        """
        engine = self._engine
        for _, value, _ in puts:
            refuse_unstorable(value)
        if mode_of(engine) is Mode.DISABLE:
            return {read.key: False for read, _, _ in puts}
        store = await engine.open()
        gone = [read.key for read, _, life in puts if life.usable <= 0]
        if gone:
            await engine.invalidate(gone, [])
        items = [self._item(read, value, life) for read, value, life in puts if life.usable > 0]
        engine.stats.count("sets", len(items))
        try:
            if store is None:
                self._set_locally(items)
                stored = {item.key for item in items}
            else:
                stored = await self._set_remotely(store, items, condition) if items else set()
        finally:
            for item in items:
                engine.flights.close(item.flight)
        return {read.key: read.key in stored or read.key in gone for read, _, _ in puts}

    def _item(self, read: Read, value: Any, life: Lifetime) -> Item:
        return Item(
            read.key, value, life, read.policy, self._engine.flights.open(read.key, read.tags)
        )

    def _set_locally(self, items: Sequence[Item]) -> None:
        engine = self._engine
        for item in items:
            with engine.lock:
                engine.flights.invalidate([item.key], [], but=[item.flight])
                item.flight.epoch = engine.tags.epoch
                item.stamps = engine.local_stamps.read(item.flight.tags)
            self._land(item)

    def _land(self, item: Item) -> None:
        engine, life = self._engine, item.life
        now = engine.monotonic()
        if life.window and engine.store is not None and item.policy.l1_ttl is None:
            return  # a copy in memory would not see the accesses that keep it alive at the server
        if life.window and engine.store is None:
            entry: Entry = to_sliding(item.value, life, now=now, stamps=item.stamps)
        else:
            entry = to_entry(
                item.value,
                life,
                item.policy,
                now=now,
                stamps=item.stamps,
                ttl=life.fresh,
                fill=item.data[FILL],
                draw=engine.draw(),
                careful=engine.debug,
            )
        self._looker.land(item.flight, entry, len(item.data), policy=item.policy)

    async def _set_remotely(
        self, store: AsyncRedisStore, items: Sequence[Item], condition: bytes
    ) -> set[str]:
        """The keys that were stored."""
        engine = self._engine
        keys = [item.key for item in items]
        stored: set[str] = set()
        try:
            ready = await self._packed(store, items)
            if ready:
                lives = [
                    (item.key, item.data, item.life.window or item.life.usable) for item in ready
                ]
                outcomes = await store.store(lives, condition)
                stored = {key for (key, _, _), got in zip(lives, outcomes, strict=True) if got == 1}
            lost = [item.key for item in items if not item.data]
            if lost:
                # What the key held is older than the value that cannot be stored.
                await engine.invalidate(lost, [])
        except RemoteError as error:
            # What the server still holds is older than what the caller has just said.
            store.repairs.add(keys, [])
            engine.remote_failed("set", error)
        finally:
            # So is what is being loaded or kept here, whether or not the server answered.
            engine.flights.invalidate(keys, [], but=[item.flight for item in items])
        if engine.indexer is not None:
            engine.indexer.note((it.key, it.life.usable) for it in items if it.key in stored)
        for item in items:
            if item.key in stored:
                self._land(item)
        return stored

    async def _packed(self, store: AsyncRedisStore, items: Sequence[Item]) -> list[Item]:
        """The items that can be stored, with their bytes."""
        renew = store.outlive(max(item.life.usable for item in items))
        stamps, node = await self._stamps(store, [item.flight for item in items], renew=renew)
        for item in items:
            if all(tag in stamps for tag in item.flight.tags):  # else a write to a tag is under way
                item.stamps = {tag: stamps[tag] for tag in item.flight.tags}
                item.data = self._pack(item, node)
        return [item for item in items if item.data]

    def _pack(self, item: Item, node: bytes) -> bytes:
        engine = self._engine
        try:
            return engine.packer.pack(
                item.key,
                item.value,
                item.life,
                now=engine.server_time(),
                fill=secrets.token_bytes(FILL_BYTES),
                node=node,
                stamps=item.stamps,
            )
        except CodecError as error:
            engine.tell("unstorable", item.key, error=error)
            return b""

    async def _stamps(
        self, store: AsyncRedisStore, flights: Sequence[Flight], *, renew: bool = False
    ) -> tuple[Stamps, bytes]:
        """The stamps of all tags, from the clock where it knows them; and the node that holds the entries.

        `renew` asks the server for all of them, which makes them last longer.
        """
        engine = self._engine
        tags = list(dict.fromkeys(tag for flight in flights for tag in flight.tags))
        clock = {} if renew else engine.tags.known
        known = {tag: stamp for tag in tags if (stamp := clock.get(tag)) is not None}
        if len(known) < len(tags):
            made, _ = await store.make_stamps([tag for tag in tags if tag not in known])
            concrete = {tag: stamp for tag, stamp in made.items() if stamp is not None}
            engine.tags.learn(min(flight.epoch for flight in flights), concrete)
            known |= concrete
        # A stamp ends in the id of the node that gave it, and one server holds both stamps and entries.
        node = next((stamp.rpartition(b"@")[2] for stamp in known.values()), b"")
        return known, node

    # ---------------------------------------------------------------- if absent

    async def add(self, value: Any, life: Lifetime, read: Read) -> bool:
        """Store `value` if the key has none; whether it was stored. A negative entry counts as none."""
        engine = self._engine
        store = await engine.open()
        if store is None:
            with engine.lock:
                if self._living(read) is not None:
                    return False
                return (await self.set_many([(read, value, life)]))[read.key]
        look = await self._look(store, read)
        if look.entry is not None and look.entry.value is not ABSENT:
            return False
        return (await self.set_many([(read, value, life)], condition=look.seen))[read.key]

    def _living(self, read: Read) -> Entry | None:
        decision, entry = self._looker.in_memory(read)
        return (
            None if entry is None or decision is Decision.LOAD or entry.value is ABSENT else entry
        )

    # ---------------------------------------------------------------- counters

    async def count(self, delta: int, initial: int, life: Lifetime, read: Read) -> int:
        """Add `delta` to a counter and return it. Raises `RemoteError`: a count that is guessed is worse than none."""
        engine = self._engine
        if abs(initial + delta) > MOST or abs(delta) > MOST:
            raise _count_error(b"range")
        store = await engine.open()
        if store is None:
            return await self._count_locally(delta, initial, life, read)
        flight = engine.flights.open(read.key, read.tags)
        try:
            store.outlive(life.usable)
            # As they are at the server: a counter must not begin anew for a stamp that only we still know.
            stamps, node = await self._stamps(store, [flight], renew=True)
            if any(tag not in stamps for tag in read.tags):
                raise _count_error(b"marked")
            begin, meta = engine.packer.pack_counter(
                read.key,
                initial + delta,
                life,
                now=engine.server_time(),
                fill=secrets.token_bytes(FILL_BYTES),
                node=node,
                stamps=stamps,
            )
            done, said = await store.count(
                read.key, delta, begin=begin, meta=meta, ttl=life.usable, now=engine.server_time()
            )
        finally:
            engine.flights.close(flight)
            engine.flights.invalidate([read.key], [])
        if done:
            return int(said)
        if said == b"type":
            return await self._count_from_value(store, delta, read)
        raise _count_error(said)

    async def _count_from_value(self, store: AsyncRedisStore, delta: int, read: Read) -> int:
        """The key holds an int that was set: set it again unless somebody else changes it meanwhile."""
        for _ in range(100):
            look = await self._look(store, read)
            if look.entry is None or type(look.entry.value) is not int:
                break
            number = look.entry.value + delta
            if abs(number) > MOST:
                raise _count_error(b"range")
            left = Lifetime(look.fresh, look.fresh)
            if (await self.set_many([(read, number, left)], condition=look.seen))[read.key]:
                return number
        raise _count_error(b"type")

    async def _count_locally(self, delta: int, initial: int, life: Lifetime, read: Read) -> int:
        engine = self._engine
        with engine.lock:
            entry = self._living(read)
            if entry is None:
                await self.set_many([(read, initial + delta, life)])
                return initial + delta
            if type(entry.value) is not int:
                raise _count_error(b"type")
            number = entry.value + delta
            if abs(number) > MOST:
                raise _count_error(b"range")
            # What was made from the count so far is wrong now; the entry itself keeps its life.
            engine.flights.invalidate([read.key], [])
            counted = copy(entry)
            counted.value, counted.epoch = number, engine.tags.epoch
            counted.stamps = engine.local_stamps.read([*read.tags, key_tag(read.key)])
            engine.memory.put(read.key, counted, engine.monotonic())
            return int(number)

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
            entry = (await self._look(store, read)).entry
            if entry is None:
                return False
            if store.outlive(life.usable):
                await store.make_stamps(list(entry.stamps))
            times, lifetime = touched(life, engine.server_time())
            return await store.touch(
                read.key, now=engine.server_time(), times=times, lifetime=lifetime, ttl=life.usable
            )
        except RemoteError as error:
            engine.remote_failed("touch", error)
            return False
        finally:
            engine.flights.invalidate([read.key], [])

    async def _look(self, store: AsyncRedisStore, read: Read) -> Look:
        flight = self._engine.flights.open(read.key, read.tags)
        try:
            return await self._looker.look(store, read, flight, extend=False)
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
            _, entry = self._looker.in_memory(read, extend=False)
            return None if entry is None else max(0.0, entry.fresh_until - engine.monotonic())
        # L1 may keep an entry for less than its life, so the server is asked.
        look = await self._look(store, read)
        if look.entry is None:
            return None
        if look.sliding:
            try:
                return await store.left(read.key)
            except RemoteError as error:
                engine.remote_failed("ttl", error)
                return None
        return max(0.0, look.fresh)


def _count_error(why: bytes) -> Exception:
    if why == b"type":
        return ConfigurationError(
            "the key holds a value that is no counter: count under another key"
        )
    if why == b"range":
        return ConfigurationError("a counter stays within ±(2**53 - 1)")
    return RemoteError("a write to this key is under way: count again when it has ended")
