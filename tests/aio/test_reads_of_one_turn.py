"""What tasks read in the same turn of the loop leaves as one command, and each gets what it asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from cachewright import MISSING, AsyncCache, Policy, Timeouts
from cachewright._waits.aio_wire import _Gets
from cachewright.embedded import EmbeddedServer
from rig.proxy import FaultProxy

KEYS = [f"k{number}" for number in range(50)]
FAR = Policy(ttl=60, l1_ttl=0, timeouts=Timeouts(call=2.0, connect=2.0))
"""Nothing is kept in memory, so that every read asks the server."""


@asynccontextmanager
async def filled(url: str, namespace: str, policy: Policy = FAR) -> AsyncIterator[AsyncCache]:
    """A cache whose keys hold their own names, and which has the connection for reads."""
    async with AsyncCache(url, namespace=namespace, policy=policy) as cache:
        assert all((await cache.set_many({key: key for key in KEYS})).values())
        assert await cache.get_many(KEYS) == {key: key for key in KEYS}
        yield cache


async def read_all(cache: AsyncCache) -> list[Any]:
    """Each key, by a task of its own, all in one turn."""
    return await asyncio.gather(*(cache.get(key) for key in KEYS))


def calls_of(url: str) -> tuple[int, int]:
    """How many GETs and MGETs the server has run."""
    with redis.Redis.from_url(url) as client:
        stats: Any = client.info("commandstats")
    got, many = (stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("get", "mget"))
    return got, many


async def test_they_leave_as_one_command(valkey: EmbeddedServer, namespace: str) -> None:
    async with filled(valkey.url, namespace) as cache:
        glances = cache.engine.stats.l2_glances.value
        gets, mgets = calls_of(valkey.url)
        assert await read_all(cache) == KEYS
        assert calls_of(valkey.url) == (gets, mgets + 1)
        assert cache.engine.stats.l2_glances.value == glances + len(KEYS)


async def test_the_same_key_asked_for_by_many_tasks_is_given_to_each(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with filled(valkey.url, namespace) as cache:
        assert await asyncio.gather(*(cache.get("k7") for _ in range(9))) == ["k7"] * 9


async def test_what_one_of_them_holds_is_no_trouble_to_the_others(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with filled(valkey.url, namespace) as cache:
        with redis.Redis.from_url(valkey.url) as client:
            names = cache.engine.keys
            client.delete(names.entry("k3"), names.entry("k5"))
            client.rpush(names.entry("k3"), "a list is no entry")
            client.set(names.entry("k4"), b"nonsense")
        expected = [MISSING if key in {"k3", "k4", "k5"} else key for key in KEYS]
        assert await read_all(cache) == expected


async def cancel_every_third(cache: AsyncCache) -> tuple[list[Any], list[str]]:
    """What the tasks got that were not cancelled while they waited, and what they had asked for."""
    tasks = [asyncio.create_task(cache.get(key)) for key in KEYS]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    got = await asyncio.gather(*tasks, return_exceptions=True)
    left = [number for number in range(len(KEYS)) if number % 3]
    assert all(isinstance(answer, asyncio.CancelledError) for answer in got[::3])
    return [got[number] for number in left], [KEYS[number] for number in left]


async def test_a_task_that_is_cancelled_takes_nobody_elses_reply(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        async with filled(proxy.url, namespace) as cache:
            proxy.delay(0.05)
            got, asked = await cancel_every_third(cache)
            assert got == asked
            assert await read_all(cache) == KEYS


async def test_replies_given_to_whoever_is_left_reach_the_wrong_ones(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the test above."""

    def take(self: _Gets, reply: Any) -> bool:
        waiting = [future for future in self.futures if not future.done()]
        for future, data in zip(waiting, reply, strict=False):
            future.set_result((data, self._node))
        return True

    with FaultProxy(valkey.url) as proxy:
        async with filled(proxy.url, namespace) as cache:
            proxy.delay(0.05)
            monkeypatch.setattr(_Gets, "take", take)
            got, asked = await cancel_every_third(cache)
            assert got != asked


async def test_a_connection_that_breaks_is_a_miss_for_each_of_them(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        async with filled(proxy.url, namespace) as cache:
            proxy.delay(0.2)
            reading = asyncio.create_task(read_all(cache))
            await asyncio.sleep(0.05)
            proxy.cut()
            assert await asyncio.wait_for(reading, 5) == [MISSING] * len(KEYS)
            proxy.heal()


async def test_a_server_that_does_not_answer_is_a_miss_for_each_of_them(
    valkey: EmbeddedServer, namespace: str
) -> None:
    policy = Policy(ttl=60, l1_ttl=0, timeouts=Timeouts(call=0.2, connect=2.0))
    with FaultProxy(valkey.url) as proxy:
        async with filled(proxy.url, namespace, policy) as cache:
            proxy.stall()
            assert await asyncio.wait_for(read_all(cache), 5) == [MISSING] * len(KEYS)
            proxy.heal()
