"""Tasks that a load starts: what they read is a part, whoever awaits them, as long as somebody may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from typing import Any

import pytest

from cachewright import AsyncCache, current_load
from rig.servers import Pool

PARTS = 20


@pytest.fixture(params=["memory", "valkey"])
async def cache(
    request: pytest.FixtureRequest, server_pool: Pool, namespace: str
) -> AsyncIterator[AsyncCache]:
    url = None if request.param == "memory" else server_pool.get("valkey").url
    async with AsyncCache(url, namespace=namespace) as made:
        yield made


class Shop:
    """Parts with a source, and a whole that is their sum."""

    def __init__(self, cache: AsyncCache) -> None:
        self.cache = cache
        self.rows = dict.fromkeys(range(PARTS), 1)
        self.wholes = 0

    async def part(self, n: int) -> int:
        async def load() -> int:
            await asyncio.sleep(0)
            return self.rows[n]

        value: int = await self.cache.get_or_load(("part", n), load, tags=[("row", n)])
        return value

    async def seen(self, add_up: Callable[[], Any]) -> list[int]:
        """The whole, the whole as a hit, and the whole after one of its parts was written."""

        async def load() -> int:
            self.wholes += 1
            total: int = await add_up()
            return total

        before = [await self.cache.get_or_load("whole", load) for _ in range(2)]
        assert self.wholes == 1, "what nothing has invalidated must be a hit"
        self.rows[PARTS - 1] = 2
        await self.cache.invalidate(tags=[("row", PARTS - 1)])
        return [*before, await self.cache.get_or_load("whole", load)]


RIGHT, STALE = [PARTS, PARTS, PARTS + 1], [PARTS, PARTS, PARTS]


async def test_tasks_of_a_load_hand_up_to_it(cache: AsyncCache) -> None:
    shop = Shop(cache)

    async def gathered() -> int:
        return sum(await asyncio.gather(*map(shop.part, range(PARTS))))

    assert await shop.seen(gathered) == RIGHT


async def test_tasks_of_a_group_do_so_as_well(cache: AsyncCache) -> None:
    shop = Shop(cache)

    async def grouped() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(shop.part(n)) for n in range(PARTS)]
        return sum(task.result() for task in tasks)

    assert await shop.seen(grouped) == RIGHT


async def test_tasks_with_a_context_of_their_own_leave_the_whole_stale(cache: AsyncCache) -> None:
    """The control: without the context, nothing is handed up."""
    shop = Shop(cache)

    async def gathered() -> int:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(shop.part(n), context=Context()) for n in range(PARTS)]
        return sum(await asyncio.gather(*tasks))

    assert await shop.seen(gathered) == STALE


async def test_a_task_that_outlives_its_load_is_no_part_of_it(cache: AsyncCache) -> None:
    shop = Shop(cache)
    go, tasks = asyncio.Event(), []

    async def later() -> None:
        await go.wait()
        await shop.part(1)
        current_load().tag("late")

    async def load() -> int:
        tasks.append(asyncio.ensure_future(later()))
        return await shop.part(0)

    await cache.get_or_load("whole", load)
    go.set()
    await tasks[0]
    await cache.invalidate(tags=[("row", 1), "late"])
    assert await cache.contains("whole")
    await cache.invalidate(tags=[("row", 0)])
    assert not await cache.contains("whole")


async def test_a_task_that_an_inner_load_left_behind_reads_for_the_outer_one(
    cache: AsyncCache,
) -> None:
    shop = Shop(cache)

    async def around() -> int:
        go, tasks = asyncio.Event(), []

        async def later() -> int:
            await go.wait()
            return await shop.part(PARTS - 1)

        async def inner() -> str:
            tasks.append(asyncio.ensure_future(later()))
            return "inner"

        await cache.get_or_load(("inner", shop.wholes), inner)
        go.set()
        return await tasks[0] + PARTS - 1

    assert await shop.seen(around) == RIGHT
