# Generated from _async/racing.py by tools/unasync.py. Do not edit.
"""Puts an invalidation exactly where a race would: into a load, behind a reply, or before the news of it arrives.

What must not be here: assertions about the cache, and sleeping to see time pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _sync.steps import PATIENCE, Source, Step, until

from cachewright import Cache

KEY, TAG = "a:k", "t"

WRITES: dict[str, Callable[[Cache], Any]] = {
    "key": lambda cache: cache.invalidate(KEY),
    "tag": lambda cache: cache.invalidate(tags=[TAG]),
    "clear": lambda cache: cache.clear(),
    "prefix": lambda cache: cache.invalidate(prefix="a"),
}
"""The ways to forget the entry of `KEY` in a cache with `hierarchy=True`."""


def cache_on(url: str | None, namespace: str, **options: Any) -> Cache:
    """A cache as a process of its own would have it. The caller opens and closes it."""
    return Cache(url, namespace=namespace, hierarchy=True, **options)


def read(cache: Cache, source: Source, **options: Any) -> Any:
    """The value of `KEY`, which depends on `TAG`."""
    return cache.get_or_load(KEY, source.load, tags=[TAG], **options)


def read_many(cache: Cache, source: Source) -> Any:
    """The same by way of a batch."""

    def load_many(keys: list[Any]) -> dict[Any, Any]:
        value = source.load()
        return dict.fromkeys(keys, value)

    return (cache.get_or_load_many([KEY, "a:l"], load_many, tags=[TAG]))[KEY]


def during(source: Source, reading: Callable[[], Any], write: Callable[[], Any]) -> Any:
    """What `reading()` returns whose load has seen the old row when `write()` runs."""
    source.began.clear()
    source.gate.clear()
    step = Step(reading)
    assert source.began.wait(PATIENCE), "nothing was loaded"
    source.value = "new"
    try:
        write()
    finally:
        source.gate.set()
    return step.result()


def heard_by(cache: Cache, write: Callable[[], Any]) -> None:
    """Run a write elsewhere, and wait until `cache` has heard of it."""
    epoch = cache.engine.tags.epoch
    write()
    until(lambda: cache.engine.tags.epoch > epoch)
    with cache.engine.lock:
        """Who moved the epoch is done with the rest."""


def behind_reply(cache: Cache, verb: str, write: Callable[[], Any]) -> None:
    """Run `write()` when the server's next reply to `verb` has come and nobody has seen it yet."""
    store = cache.engine.store
    call = getattr(store, verb)

    def overtaken(*args: Any, **options: Any) -> Any:
        setattr(store, verb, call)
        reply = call(*args, **options)
        write()
        return reply

    setattr(store, verb, overtaken)


class HeldBus:
    """What other processes tell `cache`, held back until it is delivered."""

    def __init__(self, cache: Cache) -> None:
        assert cache.engine.bus is not None, "without a server there is no bus"
        self._bus = cache.engine.bus
        self._hear = self._bus._on_invalidation
        self._held: list[Any] = []
        self._bus._on_invalidation = self._held.append

    def deliver(self) -> None:
        """Wait for the first message; from now on all of them pass."""
        until(lambda: self._held)
        self._bus._on_invalidation = self._hear
        for message in self._held:
            self._hear(message)
