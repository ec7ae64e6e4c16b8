# What every verb does without its server.
"""Calls every verb of a cache whose server is of no use, and a source that always works."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import AsyncCache
from cachewright.errors import RemoteError

QUICK = 1.0
"""Seconds. Ten times the budget of a remote call: for machines that are busy with other tests."""


async def load_value() -> str:
    """A source that always works."""
    return "value"


async def all_verbs_work_without_the_server(cache: AsyncCache) -> None:
    """None of them raises, every read gets its value, nothing claims to have been stored."""
    assert await cache.get("nothing", "default") == "default"
    assert await cache.get_or_load("loaded", load_value, tags=["row"]) == "value"
    assert await cache.get_many(["x", "y"]) == {}
    assert await cache.get_or_load_many(["x", "y"], load_both) == {"x": 1, "y": 2}
    assert not await cache.set("given", 1, tags=["row"])
    assert not await cache.add("added", 1)
    assert not await cache.touch("loaded", ttl=10)
    assert not await cache.contains("nothing")
    assert await cache.ttl("nothing") is None
    await cache.invalidate("loaded", tags=["row"])
    async with cache.writing(keys=["loaded"]) as write:
        await write.before_commit()
    assert await cache.get_or_load("loaded", load_value, verify=True) == "value"
    with pytest.raises(RemoteError):
        await cache.incr("counter")
    await cache.clear()


async def load_both(keys: list[Any]) -> dict[Any, int]:
    """For the keys x and y."""
    return {key: {"x": 1, "y": 2}[key] for key in keys}
