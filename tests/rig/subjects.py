"""What the experiments compare, behind one interface: cachewright, and cache-aside as it is usually written.

What must not be here: peers from PyPI (`rig.peers`), and measuring.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

import redis

from cachewright import AsyncCache, Cache, Policy
from cachewright.core.policy import Timeouts
from rig.looped import Looped

Load = Callable[[], int]
Commit = Callable[[Callable[[], None]], int]
"""Writes and returns the version. It calls its argument just before it commits."""

PATIENT = Policy(ttl=3600, timeouts=Timeouts(call=10.0, connect=5.0))
"""For machines that are busy: where staleness is counted, no call is to fail for slowness."""


class Subject(Protocol):
    """A cache of versions by key, in one process."""

    def read(self, key: str, load: Load, *, verify: bool = False) -> int: ...

    def write(self, key: str, commit: Commit, draw: random.Random) -> int:
        """Commit and invalidate; the version. `draw` chooses among the ways to say it."""
        ...

    def close(self) -> None: ...


class Ours:
    """cachewright with L1 and L2. A value hangs on its key and on a tag; a write names either, in one or two phases."""

    def __init__(self, url: str, **options: Any) -> None:
        self.cache = Cache(url, **{"policy": PATIENT, **options})

    def read(self, key: str, load: Load, *, verify: bool = False) -> int:
        value = self.cache.get_or_load(key, load, tags=[f"row:{key}"], verify=verify)
        assert isinstance(value, int)
        return value

    def write(self, key: str, commit: Commit, draw: random.Random) -> int:
        keys, tags = draw.choice([([key], []), ([], [f"row:{key}"])])
        if draw.random() < 0.5:
            with self.cache.writing(keys=keys, tags=tags) as write:
                return commit(write.before_commit)
        version = commit(lambda: None)
        self.cache.invalidate(*keys, tags=tags)
        return version

    def close(self) -> None:
        self.cache.close()


class OursInTasks(Looped):
    """The same in asyncio: one loop, on which every caller is a task. Loads and commits run in threads."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__()
        self.cache = AsyncCache(url, **{"policy": PATIENT, **options})

    def read(self, key: str, load: Load, *, verify: bool = False) -> int:
        async def loading() -> int:
            return await asyncio.to_thread(load)

        value = self.run(self.cache.get_or_load(key, loading, tags=[f"row:{key}"], verify=verify))
        assert isinstance(value, int)
        return value

    def write(self, key: str, commit: Commit, draw: random.Random) -> int:
        return self.run(self._write(key, commit, draw))

    async def _write(self, key: str, commit: Commit, draw: random.Random) -> int:
        keys, tags = draw.choice([([key], []), ([], [f"row:{key}"])])
        if draw.random() < 0.5:
            async with self.cache.writing(keys=keys, tags=tags) as write:
                return await asyncio.to_thread(commit, lambda: self.run(write.before_commit()))
        version = await asyncio.to_thread(commit, lambda: None)
        await self.cache.invalidate(*keys, tags=tags)
        return version

    async def _shut(self) -> None:
        await self.cache.aclose()


class CacheAside:
    """redis-py: GET, else load and SET; DELETE after a write. The way of most tutorials."""

    def __init__(self, url: str) -> None:
        self._client: redis.Redis = redis.Redis.from_url(url)

    def read(self, key: str, load: Load, *, verify: bool = False) -> int:
        found = self._client.get(key)
        if found is not None:
            return int(found)
        value = load()
        self._client.set(key, value, ex=3600)
        return value

    def write(self, key: str, commit: Commit, draw: random.Random) -> int:
        version = commit(lambda: None)
        self._client.delete(key)
        return version

    def close(self) -> None:
        self._client.close()
