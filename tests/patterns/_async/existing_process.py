# A process with a filter.
"""A cache with a filter of existing rows and a door, as one process has them.

What must not be here: tests.
"""

from __future__ import annotations

from typing import Any, Self

from patterns._async.recording import AsyncRecording

from cachewright import AsyncCache
from cachewright.patterns._async.existing import AsyncExisting
from cachewright.patterns._async.read_through import AsyncReadThrough
from cachewright.testing import FakeClock, RecordingListener


class AsyncProcess:
    """A cache with a filter and a door, as one process has them."""

    def __init__(
        self,
        url: str | None,
        namespace: str,
        source: AsyncRecording,
        *,
        clock: FakeClock | None = None,
        **options: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.events = RecordingListener()
        self.cache = AsyncCache(url, namespace=namespace, clock=self.clock, listeners=[self.events])
        self.existing = AsyncExisting(self.cache, source, **options)
        self.users = AsyncReadThrough(self.cache, source, existing=self.existing)

    async def __aenter__(self) -> Self:
        await self.cache.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cache.aclose()
