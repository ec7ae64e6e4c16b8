"""Peers from PyPI behind the interface of `rig.subjects`, used as their own documentation shows.

Each is imported when it is made; `ImportError` says that it is not installed.
What must not be here: cachewright.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rig.looped import Looped
from rig.subjects import Commit, Load, Subject

TTL = 3600


class Dogpile:
    """dogpile.cache on Redis: `get_or_create`, `delete` after a write."""

    def __init__(self, url: str) -> None:
        from dogpile.cache import make_region

        arguments = {"url": url, "distributed_lock": True, "thread_local_lock": False}
        self._region = make_region().configure(
            "dogpile.cache.redis", expiration_time=TTL, arguments=arguments
        )

    def read(self, key: str, load: Load, *, verify: bool = False) -> int:
        return int(self._region.get_or_create(key, load))

    def write(self, key: str, commit: Commit, draw: random.Random) -> int:
        version = commit(lambda: None)
        self._region.delete(key)
        return version

    def close(self) -> None:
        """Its connections end with the process."""


class Django:
    """Django's RedisCache: `get_or_set`, `delete` after a write."""

    def __init__(self, url: str) -> None:
        settings = import_module("django.conf").settings
        if not settings.configured:
            settings.configure()
        redis = import_module("django.core.cache.backends.redis")
        self._cache = redis.RedisCache(url, {"TIMEOUT": TTL})

    def read(self, key: str, load: Load, *, verify: bool = False) -> int:
        return int(self._cache.get_or_set(key, load))

    def write(self, key: str, commit: Commit, draw: random.Random) -> int:
        version = commit(lambda: None)
        self._cache.delete(key)
        return version

    def close(self) -> None:
        self._cache.close()


class _ForAsyncio(Looped):
    """A peer for asyncio, used from threads: it runs on a loop, loads in threads."""

    async def _forget(self, key: str) -> None:
        raise NotImplementedError

    def write(self, key: str, commit: Commit, draw: random.Random) -> int:
        version = commit(lambda: None)
        self.run(self._forget(key))
        return version


class Aiocache(_ForAsyncio):
    """aiocache's RedisCache: `get`, else load and `set`; `delete` after a write."""

    def __init__(self, url: str) -> None:
        cache = import_module("aiocache").Cache
        super().__init__()
        host, _, port = url.removeprefix("redis://").removesuffix("/0").partition(":")
        self._cache = cache(cache.REDIS, endpoint=host, port=int(port))

    def read(self, key: str, load: Load, *, verify: bool = False) -> int:
        async def reading() -> Any:
            found = await self._cache.get(key)
            if found is None:
                found = await asyncio.to_thread(load)
                await self._cache.set(key, found, ttl=TTL)
            return found

        return int(self.run(reading()))

    async def _forget(self, key: str) -> None:
        await self._cache.delete(key)

    async def _shut(self) -> None:
        await self._cache.close()


class Cashews(_ForAsyncio):
    """cashews with its client-side cache: `get_or_set`, `delete` after a write."""

    def __init__(self, url: str) -> None:
        from cashews import Cache

        super().__init__()
        self._cache = Cache()
        # It hears nothing over RESP3, which redis-py 8 speaks by default.
        self._cache.setup(url, client_side=True, protocol=2)
        self.run(self._cache.init())

    def read(self, key: str, load: Load, *, verify: bool = False) -> int:
        async def loading() -> int:
            return await asyncio.to_thread(load)

        return int(self.run(self._cache.get_or_set(key, default=loading, expire=TTL)))

    async def _forget(self, key: str) -> None:
        await self._cache.delete(key)

    async def _shut(self) -> None:
        await self._cache.close()


PEERS: dict[str, Callable[[str], Subject]] = {
    "dogpile": Dogpile,
    "Django": Django,
    "aiocache": Aiocache,
    "cashews": Cashews,
}
