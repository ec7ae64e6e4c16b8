"""Caches that let one caller load for all, behind one interface: ours, and the guards of peers.

Each peer's lock lasts as long as our lease, and is asked for every 10 ms: its own defaults are longer or endless.
What must not be here: leaders that get lost (`leader_lost`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from cachewright import Cache, Policy
from cachewright.core.policy import Timeouts
from rig.looped import Looped

LEASE = 0.5
TTL = 3600
ASK_EVERY = 0.01
Load = Callable[[], str]


class Guarded(Protocol):
    """A cache of texts, in one process."""

    @property
    def asked(self) -> int:
        """How many reads have found nothing, as far as can be known."""
        ...

    def get_or_load(self, key: str, load: Load) -> str: ...

    def get(self, key: str) -> Any:
        """What is kept at the server, None for nothing."""
        ...

    def close(self) -> None: ...


class OursGuarded:
    """cachewright, whose leader renews its lease."""

    def __init__(self, url: str) -> None:
        policy = Policy(ttl=TTL, lease=LEASE, timeouts=Timeouts(call=5.0))
        self._cache = Cache(url, policy=policy)

    @property
    def asked(self) -> int:
        return self._cache.stats().misses

    def get_or_load(self, key: str, load: Load) -> str:
        return str(self._cache.get_or_load(key, load, tags=["row"]))

    def get(self, key: str) -> Any:
        return self._cache.get(key, verify=True)

    def close(self) -> None:
        self._cache.close()


class DogpileGuarded:
    """dogpile.cache: `get_or_create` with a lock in Redis that times out."""

    def __init__(self, url: str) -> None:
        from dogpile.cache import make_region

        self.asked = 0
        arguments = {
            "url": url,
            "distributed_lock": True,
            "thread_local_lock": False,
            "lock_timeout": LEASE,
            "lock_sleep": ASK_EVERY,
        }
        self._region = make_region().configure(
            "dogpile.cache.redis", expiration_time=TTL, arguments=arguments
        )

    def get_or_load(self, key: str, load: Load) -> str:
        self.asked += 1
        return str(self._region.get_or_create(key, load))

    def get(self, key: str) -> Any:
        return self._region.get(key) or None

    def close(self) -> None:
        """Its connections end with the process."""


class CashewsGuarded(Looped):
    """cashews: `@cache` under `@locked`, whose lock has a time of its own."""

    def __init__(self, url: str) -> None:
        from cashews import Cache as Cashews

        super().__init__()
        self.asked = 0
        self._cache = Cashews()
        self._cache.setup(url)
        self._value = self._guard(self._load)

    def _guard(self, load: Callable[..., Any]) -> Any:
        locked = self._cache.locked(key="{key}", ttl=LEASE, check_interval=ASK_EVERY)
        return locked(self._cache(ttl=TTL, key="{key}")(load))

    @staticmethod
    async def _load(key: str, load: Load) -> str:
        return await asyncio.to_thread(load)

    def get_or_load(self, key: str, load: Load) -> str:
        self.asked += 1
        return str(self.run(self._value(key, load=load)))

    def get(self, key: str) -> Any:
        return self.run(self._cache.get(key))

    async def _shut(self) -> None:
        await self._cache.close()


class CashewsLocked(CashewsGuarded):
    """cashews: `@cache(lock=True)`, whose lock lasts as long as an entry."""

    def _guard(self, load: Callable[..., Any]) -> Any:
        return self._cache(ttl=TTL, key="{key}", lock=True)(load)


class AiocacheGuarded(Looped):
    """aiocache: `cached_stampede`."""

    def __init__(self, url: str) -> None:
        aiocache = import_module("aiocache")
        super().__init__()
        self.asked = 0
        address = urlsplit(url)
        where = {"endpoint": address.hostname, "port": address.port}
        self._cache = aiocache.Cache(aiocache.Cache.REDIS, **where)
        stampede = aiocache.cached_stampede(
            lease=LEASE, ttl=TTL, key_builder=_first, cache=aiocache.Cache.REDIS, **where
        )
        self._value = stampede(self._load)

    @staticmethod
    async def _load(key: str, load: Load) -> str:
        return await asyncio.to_thread(load)

    def get_or_load(self, key: str, load: Load) -> str:
        self.asked += 1
        return str(self.run(self._value(key, load)))

    def get(self, key: str) -> Any:
        return self.run(self._cache.get(key))

    async def _shut(self) -> None:
        await self._cache.close()


def _first(_: Callable[..., Any], key: str, load: Load) -> str:
    return key


GUARDED: dict[str, Callable[[str], Guarded]] = {
    "ours": OursGuarded,
    "dogpile": DogpileGuarded,
    "cashews": CashewsGuarded,
    "cashews, lock=True": CashewsLocked,
    "aiocache": AiocacheGuarded,
}
