# Two processes that share a server, a clock and a source.
"""Two caches on one server, for what one of them does when the other has a hand in it.

What must not be here: tests, and assertions about the cache.
"""

from __future__ import annotations

from typing import Any, Self

from _async.steps import AsyncSource, until

from cachewright import AsyncCache, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock

SWR = Policy(ttl=10, stale=100)


class AsyncPair:
    """Two caches on one server, as two processes would have, with one clock and one source."""

    def __init__(self, server: EmbeddedServer, namespace: str, policy: Policy = SWR) -> None:
        self.clock = FakeClock()
        self.source = AsyncSource("old")
        self.a, self.b = (
            AsyncCache(server.url, namespace=namespace, policy=policy, clock=self.clock)
            for _ in range(2)
        )

    async def __aenter__(self) -> Self:
        await self.a.__aenter__()
        await self.b.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.a.aclose()
        await self.b.aclose()

    async def read(self, cache: AsyncCache, **options: Any) -> Any:
        return await cache.get_or_load("k", self.source.load, **options)

    def refreshes(self) -> int:
        """How many began in both."""
        return self.a.stats().refreshes + self.b.stats().refreshes


async def idle(cache: AsyncCache) -> None:
    """Until no refresh runs."""
    await until(lambda: cache._refresher._running == 0)
