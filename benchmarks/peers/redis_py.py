"""redis-py: the client itself, with hiredis. The floor: no cache can do less than a GET and a decode."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import HUNDRED, SMALL

DATA = msgspec.msgpack.encode(SMALL)
ENCODE = msgspec.msgpack.Encoder().encode
DECODE = msgspec.msgpack.Decoder().decode


def name(key: str) -> str:
    """Of a key on the server, apart from those of other cases."""
    return f"redis-py:{key}"


NAMES = [name(key) for key in HUNDRED]


def client(url: str, **options: Any) -> Any:
    """A client with the default pool."""
    import redis

    return redis.Redis.from_url(url, **options)


def async_client(url: str, **options: Any) -> Any:
    """The same for asyncio."""
    import redis.asyncio

    return redis.asyncio.Redis.from_url(url, **options)


def fill(url: str) -> None:
    """Store the value under all names."""
    with client(url) as it:
        it.mset(dict.fromkeys(NAMES, DATA))


def get(stage: Stage) -> Measure:
    """GET and nothing else."""
    return stage.timed("get(key)", NAMES, get=_filled(stage).get)


def get_decoded(stage: Stage) -> Measure:
    """GET and msgspec's decoding of msgpack."""
    return stage.timed("decode(get(key))", NAMES, get=_filled(stage).get, decode=DECODE)


def threads(stage: Stage) -> Measure:
    """GET from 16 threads."""
    return stage.threaded("get(key)", 16, NAMES, get=_filled(stage).get)


def many(stage: Stage) -> Measure:
    """MGET of 100 keys."""
    return stage.timed("get(key)", [NAMES], get=_filled(stage).mget)


def _filled(stage: Stage) -> Any:
    fill(stage.url)
    it = client(stage.url)
    stage.closing(it.close)
    return it


def awaited_get(stage: Stage) -> Measure:
    """GET and nothing else, in asyncio."""
    return stage.timed("await get(key)", NAMES, get=_async_filled(stage).get)


def tasks(stage: Stage) -> Measure:
    """GET, a task for each key."""
    return stage.tasks("await get(key)", NAMES, get=_async_filled(stage).get)


def awaited_many(stage: Stage) -> Measure:
    """MGET of 100 keys, in asyncio."""
    return stage.timed("await get(key)", [NAMES], get=_async_filled(stage).mget)


def _async_filled(stage: Stage) -> Any:
    fill(stage.url)
    it = async_client(stage.url)
    stage.aclosing(it.aclose)
    return it
