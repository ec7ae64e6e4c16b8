"""Coroutine functions decorated with a blocking cache: the read waits in a thread, the load runs on the caller's loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from cachewright import Cache, Policy, Timeouts
from rig.servers import Pool

PATIENT = Policy(timeouts=Timeouts(call=5.0, connect=5.0))


@pytest.fixture(params=["memory", "valkey"])
def place(request: pytest.FixtureRequest, server_pool: Pool) -> str | None:
    """No server, and one."""
    return None if request.param == "memory" else server_pool.get(request.param).url


async def test_a_coroutine_function_stays_one_and_is_cached(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace, policy=PATIENT) as cache:
        loops: list[Any] = []

        @cache.cached(key="f:{a}")
        async def f(a: int) -> int:
            """Doubles."""
            loops.append(asyncio.get_running_loop())
            await asyncio.sleep(0)
            return a * 2

        assert inspect.iscoroutinefunction(f)
        assert f.__doc__ == "Doubles."
        assert await asyncio.gather(*[f(4) for _ in range(20)]) == [8] * 20
        assert loops == [asyncio.get_running_loop()]
        assert cache.get("f:4") == 8
        assert f.key(4) == "f:4"


async def test_its_invalidate_and_refresh_can_be_used_where_it_is(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace, policy=PATIENT) as cache:
        calls: list[int] = []

        @cache.cached
        async def f(a: int) -> int:
            calls.append(a)
            return len(calls)

        assert await f(1) == 1
        f.invalidate(1)
        assert await f(1) == 2
        assert await f.refresh(1) == 3
        assert await f(1) == 3


async def test_a_refresh_loads_anew_also_when_nothing_was_invalidated(namespace: str) -> None:
    with Cache(namespace=namespace) as cache:
        calls: list[int] = []

        @cache.cached
        async def f() -> int:
            calls.append(1)
            return len(calls)

        await f()
        assert [await f.refresh(), await f.refresh(), await f()] == [2, 3, 3]


async def test_what_it_raises_reaches_the_caller(namespace: str) -> None:
    with Cache(namespace=namespace) as cache:

        @cache.cached
        async def f() -> int:
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            await f()


async def test_the_loop_is_not_blocked_while_it_reads(namespace: str) -> None:
    with Cache(namespace=namespace) as cache:
        go = asyncio.Event()

        @cache.cached
        async def f() -> str:
            await go.wait()
            return "done"

        waiting = asyncio.ensure_future(f())
        await asyncio.sleep(0)
        go.set()
        assert await asyncio.wait_for(waiting, 10) == "done"


async def test_one_that_reads_through_another_does_not_wait_for_itself(namespace: str) -> None:
    with Cache(namespace=namespace) as cache:

        @cache.cached
        async def inner(n: int) -> int:
            return n

        @cache.cached(tags=["outer"])
        async def outer(n: int) -> list[int]:
            return [await inner(n), await inner(n + 1)]

        wanted = [[n, n + 1] for n in range(20)]
        assert await asyncio.wait_for(asyncio.gather(*[outer(n) for n in range(20)]), 20) == wanted
        before = threading.active_count()
        assert await outer(1) == [1, 2]
        assert threading.active_count() <= before + 1


async def test_what_it_reads_inside_is_handed_up(namespace: str) -> None:
    with Cache(namespace=namespace) as cache:
        values = ["old"]

        @cache.cached(tags=["row"])
        async def inner() -> str:
            return values[0]

        @cache.cached
        async def outer() -> list[str]:
            return [await inner()]

        assert await outer() == ["old"]
        values[0] = "new"
        cache.invalidate(tags=["row"])
        assert await outer() == ["new"]
