"""Caches that keep copies in memory and hear of each other's writes, behind one interface: ours, and cashews'.

What must not be here: faults, and what is measured.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import redis

from cachewright import Cache, Policy
from proof.peering import others_have_none
from rig.looped import Looped

COPYING = ("cashews",)
NO_COPIES = others_have_none(
    COPYING, "it keeps no copies in memory that other processes could invalidate"
)
"""What is said of the other peers."""
Load = Callable[[], int]


class Copies(Protocol):
    """A cache of numbers, in one process."""

    def read(self, key: str, load: Load) -> int: ...

    def forget(self, key: str, *, by_tag: bool = False) -> None:
        """Everywhere; by a tag that only this key has, where there are tags."""
        ...

    def holds(self, key: str) -> bool:
        """Whether it is in memory."""
        ...

    def deaf(self) -> Any:
        """A context manager in which the cache has no time to listen."""
        ...

    def flood(self, admin: redis.Redis, *, messages: int, size: int) -> None:
        """Have the server tell every listener that much, in bytes, which concerns nobody."""
        ...

    def close(self) -> None: ...


class OurCopies:
    """cachewright."""

    def __init__(self, url: str, policy: Policy, **options: Any) -> None:
        self.cache = Cache(url, policy=policy, **options)
        self.cache.engine.open()

    def is_linked(self) -> bool:
        """Whether the link to the bus is up."""
        return self.cache.stats().link == "up"

    def read(self, key: str, load: Load) -> int:
        return int(self.cache.get_or_load(key, load, tags=[f"row:{key}"]))

    def forget(self, key: str, *, by_tag: bool = False) -> None:
        if by_tag:
            self.cache.invalidate(tags=[f"row:{key}"])
        else:
            self.cache.invalidate(key)

    def holds(self, key: str) -> bool:
        return key in self.cache.engine.memory.table

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """The listener waits for the engine's lock as soon as it has heard anything."""
        with self.cache.engine.lock:
            yield

    def flood(self, admin: redis.Redis, *, messages: int, size: int) -> None:
        with admin.pipeline(transaction=False) as queue:
            for _ in range(messages):
                queue.publish(self.cache.engine.keys.bus, b"x" * size)
            queue.execute()

    def close(self) -> None:
        self.cache.close()


class CashewsCopies(Looped):
    """cashews with its client-side cache: `get_or_set`, and `delete` after a write."""

    def __init__(self, url: str, forgotten: Callable[[str], object] = str) -> None:
        """`forgotten` is told of each key whose copy goes because another process said so."""
        from cashews import Cache as Cashews

        super().__init__()
        self._copies = _memory(forgotten)
        self._cache = Cashews()
        # In RESP3, which redis-py 8 speaks unless told otherwise, its listener hears nothing at all.
        self._cache.setup(url, client_side=True, local_cache=self._copies, protocol=2)
        self.run(self._cache.init())

    def read(self, key: str, load: Load) -> int:
        async def loading() -> int:
            return load()

        return int(self.run(self._cache.get_or_set(key, default=loading, expire=3600)))

    def forget(self, key: str, *, by_tag: bool = False) -> None:
        self.run(self._cache.delete(key))

    def holds(self, key: str) -> bool:
        return bool(self.run(self._copies.exists(key)))

    @contextmanager
    def deaf(self) -> Iterator[None]:
        stopped, go = threading.Event(), threading.Event()

        def stand_still() -> None:
            stopped.set()
            go.wait()

        self._loop.call_soon_threadsafe(stand_still)
        stopped.wait()
        try:
            yield
        finally:
            go.set()

    def flood(self, admin: redis.Redis, *, messages: int, size: int) -> None:
        """Of each key with its prefix the server tells the name."""
        with admin.pipeline(transaction=False) as queue:
            for n in range(messages):
                queue.set(f"cashews:{n:0{size}}", b"", px=10_000)
            queue.execute()

    async def _shut(self) -> None:
        await self._cache.close()


def _memory(forgotten: Callable[[str], object]) -> Any:
    from cashews.backends.memory import Memory

    memory: Any = Memory(size=100_000)
    really = memory.delete

    async def delete(key: str) -> bool:
        done = await really(key)
        forgotten(key)
        return bool(done)

    memory.delete = delete
    return memory
