# What was loaded goes to the server.
"""What one load brought, as bytes, to the server: packed and filled together, however many keys it was for.

Invariants kept here (design rules 4 and 9; tests/_async/test_batches.py would catch their loss):
- a stamp outlives the entries that embed it;
- what cannot be packed leaves nothing older in its place, and its lease is given back.

What must not be here: loads, and whether a value is vouched for (`loading`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import Flight
from cachewright._async.looking import Landing
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.entry import Stamps
from cachewright.core.policy import Lifetime
from cachewright.core.reads import Read
from cachewright.errors import CodecError, RemoteError
from cachewright.redis.replies import Acquired, Ask


@dataclass(slots=True)
class Leased:
    """A key whose value is being loaded under a lease."""

    read: Read
    flight: Flight
    ask: Ask
    got: Acquired


Ready: TypeAlias = tuple[Leased, Landing, bytes, Lifetime]
"""A key with what its load brought, as an entry and as the bytes to fill it with."""


class AsyncSender:
    """Fills for one cache."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def packed(
        self,
        store: AsyncRedisStore,
        landings: Sequence[tuple[Leased, Landing, Lifetime]],
        *,
        drop: bool = True,
    ) -> list[Ready]:
        """With the bytes to fill each key with, b"" to give its lease back. `drop`: for those, also what the keys hold."""
        covered = [(landing.stamps, life.usable) for _, landing, life in landings if landing.stamps]
        if covered and store.outlive(max(usable for _, usable in covered)):
            await self._renew_stamps(
                store, {t: s for stamps, _ in covered for t, s in stamps.items()}
            )
        now = self._engine.server_time()
        unstorable: list[str] = []
        ready = [
            (item, landing, self._pack(item, landing, life, now=now, unstorable=unstorable), life)
            for item, landing, life in landings
        ]
        if unstorable and drop:
            # What the keys held is older than what was just loaded and cannot be stored.
            await self._engine.invalidate(unstorable, [])
        return ready

    def _pack(
        self,
        item: Leased,
        landing: Landing,
        life: Lifetime,
        *,
        now: float,
        unstorable: list[str],
    ) -> bytes:
        if landing.stamps is None:
            return b""
        try:
            return self._engine.packer.pack(
                item.read.key,
                landing.entry.value,
                life,
                now=now,
                fill=landing.entry.fill,
                node=item.got.node,
                stamps=landing.stamps,
                cost=landing.entry.cost,
            )
        except CodecError as error:
            self._engine.tell("unstorable", item.read.key, error=error)
            unstorable.append(item.read.key)
            return b""

    async def _renew_stamps(self, store: AsyncRedisStore, stamps: Stamps) -> None:
        """Make them last longer than the entry; a stamp that runs out first costs a miss."""
        try:
            await store.make_stamps(list(stamps))
        except RemoteError as error:
            self._engine.remote_failed("stamps", error)

    async def fill(self, store: AsyncRedisStore, ready: Sequence[Ready]) -> list[bool]:
        """Whether each was stored: its lease stood, and there was something to store."""
        items = [
            (item.ask.key, item.ask.token, data, life.window or life.usable)
            for item, _, data, life in ready
        ]
        try:
            stood = await store.fill(items)
        except RemoteError as error:
            self._engine.remote_failed("fill", error)
            return [False] * len(ready)
        stored = [kept and bool(data) for kept, (_, _, data, _) in zip(stood, ready, strict=True)]
        if self._engine.indexer is not None:
            kept = zip(items, stored, strict=True)
            self._engine.indexer.note((key, ttl) for (key, _, _, ttl), it in kept if it)
        self._engine.stats.count("fills", sum(stored))
        self._engine.stats.count("fills_refused", len(stood) - sum(stood))
        return stored
