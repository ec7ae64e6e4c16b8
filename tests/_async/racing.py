# Invalidations that meet what is under way, in an order that the test decides.
"""Puts an invalidation exactly where a race would: into a load, behind a reply, or before the news of it arrives.

What must not be here: assertions about the cache, and sleeping to see time pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _async.steps import PATIENCE, AsyncSource, AsyncStep, until

from cachewright import AsyncCache

KEY, TAG = "a:k", "t"

WRITES: dict[str, Callable[[AsyncCache], Any]] = {
    "key": lambda cache: cache.invalidate(KEY),
    "tag": lambda cache: cache.invalidate(tags=[TAG]),
    "clear": lambda cache: cache.clear(),
    "prefix": lambda cache: cache.invalidate(prefix="a"),
}
"""The ways to forget the entry of `KEY` in a cache with `hierarchy=True`."""


def cache_on(url: str | None, namespace: str, **options: Any) -> AsyncCache:
    """A cache as a process of its own would have it. The caller opens and closes it."""
    return AsyncCache(url, namespace=namespace, hierarchy=True, **options)


async def read(cache: AsyncCache, source: AsyncSource, **options: Any) -> Any:
    """The value of `KEY`, which depends on `TAG`."""
    return await cache.get_or_load(KEY, source.load, tags=[TAG], **options)


async def read_many(cache: AsyncCache, source: AsyncSource) -> Any:
    """The same by way of a batch."""

    async def load_many(keys: list[Any]) -> dict[Any, Any]:
        value = await source.load()
        return dict.fromkeys(keys, value)

    return (await cache.get_or_load_many([KEY, "a:l"], load_many, tags=[TAG]))[KEY]


async def during(source: AsyncSource, reading: Callable[[], Any], write: Callable[[], Any]) -> Any:
    """What `reading()` returns whose load has seen the old row when `write()` runs."""
    source.began.clear()
    source.gate.clear()
    step = AsyncStep(reading)
    assert await source.began.wait(PATIENCE), "nothing was loaded"
    source.value = "new"
    try:
        await write()
    finally:
        source.gate.set()
    return await step.result()


async def heard_by(cache: AsyncCache, write: Callable[[], Any]) -> None:
    """Run a write elsewhere, and wait until `cache` has heard of it."""
    epoch = cache.engine.tags.epoch
    await write()
    await until(lambda: cache.engine.tags.epoch > epoch)
    with cache.engine.lock:
        """Who moved the epoch is done with the rest."""


def behind_reply(cache: AsyncCache, verb: str, write: Callable[[], Any]) -> None:
    """Run `write()` when the server's next reply to `verb` has come and nobody has seen it yet."""
    store = cache.engine.store
    call = getattr(store, verb)

    async def overtaken(*args: Any, **options: Any) -> Any:
        setattr(store, verb, call)
        reply = await call(*args, **options)
        await write()
        return reply

    setattr(store, verb, overtaken)


class AsyncHeldBus:
    """What other processes tell `cache`, held back until it is delivered."""

    def __init__(self, cache: AsyncCache) -> None:
        assert cache.engine.bus is not None, "without a server there is no bus"
        self._bus = cache.engine.bus
        self._hear = self._bus._on_invalidation
        self._held: list[Any] = []
        self._bus._on_invalidation = self._held.append

    async def deliver(self) -> None:
        """Wait for the first message; from now on all of them pass."""
        await until(lambda: self._held)
        self._bus._on_invalidation = self._hear
        for message in self._held:
            self._hear(message)
