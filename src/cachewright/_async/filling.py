# A write that leaves what it has written in the cache.
"""The fill after a write: phase 2 stores what was written, in the step that ends the writer's mark.

Invariant (design rules 3 to 5; tests/patterns/_async/test_filling.py, tests/redis and tests/protocol would catch
its loss): *at the instant of its phase 2 the source holds what the writer wrote*, so that the fill is that of a load
which began and ended at that instant, and every rule for loads holds for it from there on. Four things make it so:
- the writer's token has stood in every mark since before the commit, unbroken: one that ran out, was evicted, or had to
  be made again fills nothing;
- it stands alone. Who commits later has marked before, and its token stands there, or has been there: then
- the token is flagged. Whoever ends, invalidates, or wants to store while it stands flags it, and so does a token that
  runs out without an end, since its writer may have died after its commit;
- marks and phase 2 are of one node: a replica that took over may have lost the flag. What is stored carries the node of
  the marks, and at another it is nobody's.
The stamps that phase 2 makes are put into the bytes by the server, in the same step: who marks later destroys them, and
the entry with them. Stamps of tags that the write does not move, such as the namespace's, are read with the mark, before
the commit: what was invalidated since by them is not filled. Rows need no lock in the source for this; where several
writers of a row overlap, nobody fills.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

from cachewright._async.engine import AsyncEngine
from cachewright._async.leases import AsyncLeases
from cachewright._async.loading import AsyncLoader
from cachewright._async.redis import AsyncRedisStore
from cachewright._async.sending import Leased, Ready
from cachewright._async.writing import AsyncWriting
from cachewright.core.entry import Stamps
from cachewright.core.loading import Load, Mode, mode_of
from cachewright.core.policy import Lifetime, Seconds
from cachewright.core.reads import Read
from cachewright.core.tags import stamp_to_come
from cachewright.errors import RemoteError
from cachewright.redis import wire
from cachewright.redis.replies import Acquired, Ask, Ended


class AsyncFillingWrite(AsyncWriting):
    """One write of the values of `reads`, which are filled once they are `committed`.

    `tags`: what else the write makes wrong. Not `strict`, it goes on whatever the server does. After the commit no error
    of the server is raised: it is told, and repaired.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        leases: AsyncLeases,
        loader: AsyncLoader,
        *,
        reads: Sequence[Read],
        tags: Sequence[str],
        strict: bool,
        limit: Seconds,
    ) -> None:
        super().__init__(
            engine, leases, [read.key for read in reads], tags, strict=strict, limit=limit
        )
        self._refuses = strict
        self._loader = loader
        self._reads = reads
        self._values: dict[str, Any] = {}
        self._cost = 0.0
        self._moved = frozenset(tags)
        self._before: Stamps = {}
        self._node = b""
        """Where the marks are; b"" if they are not, or not without a gap."""

    async def __aenter__(self) -> Self:
        engine = self._engine
        self._flights = engine.flights.open_many(self._reads)
        try:
            return await super().__aenter__()
        except BaseException:
            self._close_flights()
            raise

    def committed(self, values: Mapping[str, Any], cost: float) -> None:
        """The source holds these now, by key; `ABSENT` for what it has deleted. `cost`: seconds that it took."""
        if mode_of(self._engine) in (Mode.BYPASS, Mode.DISABLE):
            return
        self._cost = cost
        self._values = {
            read.key: deepcopy(values[read.key]) if read.policy.copy else values[read.key]
            for read in self._reads
            if read.key in values
        }

    # ---------------------------------------------------------------- phase 1

    async def _mark_at(self, store: AsyncRedisStore, *, renewing: bool) -> int:
        if renewing:
            return await super()._mark_at(store, renewing=True)
        first = not self._before
        node, self._node = self._node, b""
        made, at = await self._mark_and_read(store, first=first)
        # A mark made again had a gap, in which others may have committed without flagging it.
        self._node = at if first or (at == node and not made) else b""
        return made

    async def _mark_and_read(self, store: AsyncRedisStore, *, first: bool) -> tuple[int, bytes]:
        """How many marks had to be made, and by which node; the first time the other stamps are read with them."""
        clock = self._engine.tags
        rest = dict.fromkeys(tag for read in self._reads for tag in read.tags)
        others = [tag for tag in rest if tag not in self._tags] if first else []
        known = {tag: stamp for tag in others if (stamp := clock.known.get(tag)) is not None}
        asked = [tag for tag in others if tag not in known]
        marks = store.commands.marks(
            self._keys, self._tags, token=self._token, lasting=self._limit, renewing=False
        )
        stamps = [store.commands.stamps(asked)] if asked else []
        issued = clock.epoch
        replies = await store.ask([*marks, *stamps])
        with wire.making_sense():
            good = [_good(value) for value in replies.values]
            if asked:
                read = _stamped(asked, good.pop()[1:], replies.node)
                clock.learn(issued, read)
                known |= read
            self._before |= known
            return sum(map(int, good)), replies.node

    # ---------------------------------------------------------------- phase 2

    async def _end(self) -> None:
        engine = self._engine
        try:
            store = await engine.open()
            if store is None:
                self._fill_here()
            elif self._values and self._node:
                await self._fill_there(store)
            else:
                await engine.invalidate(self._keys, self._tags, token=self._token)
        except RemoteError as error:
            engine.tell("remote_error", detail="fill after a write", error=error)
        finally:
            self._close_flights()

    def _close_flights(self) -> None:
        self._engine.flights.close_many(self._flights)

    def _fill_here(self) -> None:
        """Without a server: who overlaps has doomed the flight, by its beginning or by its end."""
        engine = self._engine
        engine.stats.count("invalidations")
        with engine.lock:
            engine.flights.invalidate(self._keys, self._tags, but=self._flights)
            for read, flight in zip(self._reads, self._flights, strict=True):
                if read.key in self._values and not flight.doomed:
                    flight.epoch = engine.tags.epoch
                    before = engine.tags.epoch, engine.local_stamps.read(read.tags)
                    self._loader.keep_locally(
                        read,
                        flight,
                        self._load(),
                        before=before,
                        value=self._values[read.key],
                        cost=self._cost,
                    )

    async def _fill_there(self, store: AsyncRedisStore) -> None:
        engine = self._engine
        engine.stats.count("invalidations")
        random = secrets.token_hex(12)
        ready = await self._ready(store, random)
        issued, unmoved, ours = engine.tags.epoch, False, 0
        try:
            stored, stamps, node = await self._end_at(store, ready, random)
        except BaseException:  # a caller that is cancelled has not told the server either
            store.repairs.add(self._keys, self._tags, self._token)
            raise
        finally:
            with engine.lock:
                unmoved = engine.tags.epoch == issued
                engine.flights.invalidate(self._keys, self._tags, but=self._flights)
                ours = engine.tags.epoch
        if unmoved:  # as the reply to a read would teach: nothing was heard since this was asked
            engine.tags.learn(ours, stamps)
        self._land(ready, stored if node == self._node else set(), stamps)

    async def _ready(self, store: AsyncRedisStore, random: str) -> list[Ready]:
        """What was committed, as entries whose stamps are known but for those that the end will make."""
        moved = dict.fromkeys(self._tags, stamp_to_come(random, self._node))
        stamps = {**self._before, **moved}
        items = [
            Leased(
                read,
                flight,
                Ask(key=read.key, tags=read.tags, token=self._token),
                Acquired("lease", self._node, {tag: stamps.get(tag) for tag in read.tags}, b""),
            )
            for read, flight in zip(self._reads, self._flights, strict=True)
            if read.key in self._values
        ]
        values = [self._values[item.read.key] for item in items]
        try:
            wholes = self._loader.wholes(items, self._load(), {})
            landings = self._loader.landings(items, wholes, values=values, cost=self._cost)
            return await self._loader.packed(store, landings) if landings else []
        except BaseException:  # a policy's own function, say: the write has to end all the same
            await self._engine.invalidate(self._keys, self._tags, token=self._token)
            raise

    async def _end_at(
        self, store: AsyncRedisStore, ready: Sequence[Ready], random: str
    ) -> tuple[set[str], Stamps, bytes]:
        """invalidate.lua: the keys that were stored, the stamps that were made, and the node."""
        there = {item.read.key: (item.read, data, life) for item, _, data, life in ready}
        marker = stamp_to_come(random, self._node)
        ended = [
            self._ended(*there[key], marker) if key in there else Ended(key) for key in self._keys
        ]
        calls = store.commands.endings(ended, self._tags, token=self._token, random=random)
        replies = await store.ask([command for _, _, command in calls])
        stored: set[str] = set()
        stamps: Stamps = {}
        with wire.making_sense():
            for (keys, tags, _), value in zip(calls, replies.values, strict=True):
                said = _good(value)
                stored.update(key for key, done in zip(keys, said, strict=False) if done == 1)
                stamps |= _stamped(tags, said[len(keys) :], replies.node)
        return stored, stamps, replies.node

    def _ended(self, read: Read, data: bytes, life: Lifetime, marker: bytes) -> Ended:
        places: dict[str, int] = {}
        at = 0
        for tag in read.tags if data else ():
            if tag in self._moved:
                at = data.find(marker, at) + 1
                places[tag] = at
        return Ended(read.key, data, life.window or life.usable, places)

    def _land(self, ready: Sequence[Ready], stored: set[str], stamps: Stamps) -> None:
        """Into L1 what the server has stored, with the stamps that it has made."""
        engine = self._engine
        engine.stats.count("fills", len(stored))
        for _, landing, _, _ in ready:
            landing.entry.stamps = {
                tag: stamps.get(tag, stamp) for tag, stamp in landing.entry.stamps.items()
            }
        self._loader.landed(ready, [item.read.key in stored for item, _, _, _ in ready])

    def _load(self) -> Load:
        return Load((), self._engine.domain, None)


def _stamped(tags: Sequence[str], raw: Sequence[Any], node: bytes) -> Stamps:
    """Those of the stamps that are neither missing nor a mark."""
    return {
        tag: stamp + b"@" + node
        for tag, stamp in zip(tags, raw, strict=True)
        if stamp and not stamp.startswith(b"!")
    }


def _good(value: Any) -> Any:
    if isinstance(value, RemoteError):
        raise value
    return value
