# Generated from _async/server_trouble.py by tools/unasync.py. Do not edit.
"""Calls every verb of a cache whose server is of no use, and a source that always works."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import Cache
from cachewright.errors import RemoteError

QUICK = 1.0
"""Seconds. Ten times the budget of a remote call: for machines that are busy with other tests."""


def load_value() -> str:
    """A source that always works."""
    return "value"


def all_verbs_work_without_the_server(cache: Cache) -> None:
    """None of them raises, every read gets its value, nothing claims to have been stored."""
    assert cache.get("nothing", "default") == "default"
    assert cache.get_or_load("loaded", load_value, tags=["row"]) == "value"
    assert cache.get_many(["x", "y"]) == {}
    assert cache.get_or_load_many(["x", "y"], load_both) == {"x": 1, "y": 2}
    assert not cache.set("given", 1, tags=["row"])
    assert not cache.add("added", 1)
    assert not cache.touch("loaded", ttl=10)
    assert not cache.contains("nothing")
    assert cache.ttl("nothing") is None
    cache.invalidate("loaded", tags=["row"])
    with cache.writing(keys=["loaded"]) as write:
        write.before_commit()
    assert cache.get_or_load("loaded", load_value, verify=True) == "value"
    with pytest.raises(RemoteError):
        cache.incr("counter")
    cache.clear()


def load_both(keys: list[Any]) -> dict[Any, int]:
    """For the keys x and y."""
    return {key: {"x": 1, "y": 2}[key] for key in keys}
