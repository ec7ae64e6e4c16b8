"""valkey-glide: a client with its core in Rust, one multiplexed connection; sync and asyncio."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import redis_py
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import address


def client(url: str) -> Any:
    """The sync client."""
    from glide_sync import GlideClient, GlideClientConfiguration, NodeAddress

    host, port = address(url)
    return GlideClient.create(GlideClientConfiguration([NodeAddress(host, port)]))


async def async_client(url: str) -> Any:
    """The asyncio client."""
    from glide import GlideClient, GlideClientConfiguration, NodeAddress

    host, port = address(url)
    return await GlideClient.create(GlideClientConfiguration([NodeAddress(host, port)]))


def get(stage: Stage) -> Measure:
    """GET and nothing else."""
    return stage.timed("get(key)", redis_py.NAMES, get=_filled(stage).get)


def threads(stage: Stage) -> Measure:
    """GET from 16 threads on one client, as its documentation shows."""
    return stage.threaded("get(key)", 16, redis_py.NAMES, get=_filled(stage).get)


def many(stage: Stage) -> Measure:
    """MGET of 100 keys."""
    return stage.timed("get(key)", [redis_py.NAMES], get=_filled(stage).mget)


def _filled(stage: Stage) -> Any:
    redis_py.fill(stage.url)
    it = client(stage.url)
    stage.closing(it.close)
    return it


def awaited_get(stage: Stage) -> Measure:
    """GET and nothing else, in asyncio."""
    return stage.timed("await get(key)", redis_py.NAMES, get=_async_filled(stage).get)


def tasks(stage: Stage) -> Measure:
    """GET, a task for each key."""
    return stage.tasks("await get(key)", redis_py.NAMES, get=_async_filled(stage).get)


def awaited_many(stage: Stage) -> Measure:
    """MGET of 100 keys, in asyncio."""
    return stage.timed("await get(key)", [redis_py.NAMES], get=_async_filled(stage).mget)


def _async_filled(stage: Stage) -> Any:
    redis_py.fill(stage.url)
    it = stage.wait(async_client(stage.url))
    stage.aclosing(it.close)
    return it
