# Generated from _async/pairs.py by tools/unasync.py. Do not edit.
"""Two caches on one server, for what one of them does when the other has a hand in it.

What must not be here: tests, and assertions about the cache.
"""

from __future__ import annotations

from typing import Any, Self

from _sync.steps import Source, until

from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock

SWR = Policy(ttl=10, stale=100)


class Pair:
    """Two caches on one server, as two processes would have, with one clock and one source."""

    def __init__(self, server: EmbeddedServer, namespace: str, policy: Policy = SWR) -> None:
        self.clock = FakeClock()
        self.source = Source("old")
        self.a, self.b = (
            Cache(server.url, namespace=namespace, policy=policy, clock=self.clock)
            for _ in range(2)
        )

    def __enter__(self) -> Self:
        self.a.__enter__()
        self.b.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.a.close()
        self.b.close()

    def read(self, cache: Cache, **options: Any) -> Any:
        return cache.get_or_load("k", self.source.load, **options)

    def refreshes(self) -> int:
        """How many began in both."""
        return self.a.stats().refreshes + self.b.stats().refreshes


def idle(cache: Cache) -> None:
    """Until no refresh runs."""
    until(lambda: cache._refresher._running == 0)
