# Leases and marks of this process, kept alive.
"""Keeps leases and marks alive while the work they protect goes on, one round trip every so often for all of them.

Invariant (design rules 4, 5, 10): what hangs beyond its limit is no longer kept, and so runs out by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cachewright._async.engine import AsyncEngine
from cachewright._async.redis import AsyncRedisStore
from cachewright._waits import aio
from cachewright.core.policy import Policy, as_float
from cachewright.redis.replies import Ask

ROUND = 0.1
"""Seconds between two looks at what is due."""
IDLE_ROUNDS = 20


@dataclass(slots=True, eq=False)
class Kept:
    """One thing to renew every `every` seconds until `until`, both by the process's monotonic clock."""

    renew: Callable[[], aio.Doing]
    every: float
    due: float
    until: float


class AsyncLeases:
    """What this process holds at the server."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._held: set[Kept] = set()
        self._keeping = False

    @contextmanager
    def kept(self, store: AsyncRedisStore, asks: Sequence[Ask], policy: Policy) -> Iterator[None]:
        """Keep the leases of a load, at most until the load's hard timeout."""
        lease = as_float(policy.lease)

        async def renew() -> None:
            await store.renew([(ask.key, ask.token, lease) for ask in asks])

        with self.keeping(renew, every=lease / 3, limit=policy.timeouts.load):
            yield

    @contextmanager
    def keeping(
        self, renew: Callable[[], aio.Doing], *, every: float, limit: float
    ) -> Iterator[None]:
        """Call `renew` every so many seconds while the block runs, at most `limit` seconds long."""
        # The server's leases run in real time, whatever the cache's clock says.
        now = time.monotonic()
        kept = Kept(renew, every, now + every, now + limit)
        with self._engine.lock:
            self._held.add(kept)
            begin, self._keeping = not self._keeping, True
        try:
            if begin:
                self._engine.background.start(self._keep)
            yield
        finally:
            with self._engine.lock:
                self._held.discard(kept)

    async def _keep(self) -> None:
        """Renew what is due; end when nothing was held for a while."""
        idle = 0
        while idle < IDLE_ROUNDS:
            with self._engine.lock:
                held = list(self._held)
            idle = 0 if held else idle + 1
            now = time.monotonic()
            for kept in held:
                if kept.due <= now < kept.until:
                    kept.due = now + kept.every
                    await self._renew(kept)
            if held:
                await aio.wall_sleep(min(ROUND, *(kept.every for kept in held)))
            elif await self._engine.stopping.wait(ROUND):
                break
        with self._engine.lock:
            begin = self._keeping = bool(self._held)
        if begin:
            self._engine.background.start(self._keep)

    async def _renew(self, kept: Kept) -> None:
        try:
            await kept.renew()
        except Exception as error:  # renewing the others must go on
            self._engine.stats.count("remote_errors")
            self._engine.tell("remote_error", detail="renew", error=error)

    def after_fork(self) -> None:
        """What is held belongs to the parent."""
        self._held = set()
        self._keeping = False
