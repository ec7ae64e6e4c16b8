# Add and count.
"""What is stored only where there is nothing, and counters that lose nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import MISSING, AsyncCache, ConfigurationError, RemoteError
from cachewright._waits import aio
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


# -------------------------------------------------------------------- add


async def test_add_stores_where_there_is_nothing_and_only_there(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        assert await cache.add("k", "first", ttl=60)
        assert not await cache.add("k", "second")
        assert await cache.get("k") == "first"
        await cache.invalidate("k")
        assert await cache.add("k", "third")
        await cache.clear()
        assert await cache.add("k", "fourth", tags=["t"])
        await cache.invalidate(tags=["t"])
        assert await cache.add("k", "fifth")
        assert await cache.get("k") == "fifth"


async def test_add_after_the_end_of_a_life(place: Any, namespace: str, clock: FakeClock) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        await cache.set("k", "old", ttl=5)
        clock.advance(6)
        assert await cache.add("k", "new")
        assert await cache.get("k") == "new"


async def test_of_many_who_add_at_once_one_succeeds(place: Any, namespace: str) -> None:
    won: list[int] = []
    background = aio.Background("adders")
    async with AsyncCache(place, namespace=namespace) as cache:

        async def add(n: int) -> None:
            if await cache.add("k", n):
                won.append(n)

        for n in range(20):
            background.start(add, n)
        await background.close(10)
        assert len(won) == 1
        assert await cache.get("k") == won[0]


# -------------------------------------------------------------------- incr


async def test_a_counter_begins_at_its_initial_and_counts(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        assert await cache.incr("n") == 1
        assert await cache.incr("n", 5) == 6
        assert await cache.incr("n", -10) == -4
        assert await cache.incr("m", initial=100) == 101
        assert await cache.incr("m", 0) == 101
        assert await cache.get("n") == -4
        assert await cache.get_many(["n", "m"]) == {"n": -4, "m": 101}


async def test_a_counter_is_one_for_all_processes(server: Any, namespace: str) -> None:
    one, other = (AsyncCache(server.url, namespace=namespace) for _ in range(2))
    async with one, other:
        assert [await one.incr("n"), await other.incr("n"), await one.incr("n")] == [1, 2, 3]
        assert await other.get("n", verify=True) == 3


async def test_a_counter_keeps_the_life_it_began_with(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        await cache.incr("n", ttl=60)
        clock.advance(50)
        assert await cache.incr("n", ttl=60) == 2
        assert await cache.ttl("n") == pytest.approx(10)
        clock.advance(11)
        assert await cache.get("n") is MISSING
        assert await cache.incr("n") == 1


async def test_counters_are_forgotten_as_all_else_is(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.incr("n")
        await cache.invalidate("n")
        assert await cache.incr("n") == 1
        await cache.clear()
        assert await cache.get("n") is MISSING
        assert await cache.incr("n") == 1


async def test_a_counter_that_a_long_key_names(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        assert [await cache.incr("n" * 1000) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("workers", [100])
async def test_many_who_count_at_once_lose_nothing(
    place: Any, namespace: str, workers: int
) -> None:
    background = aio.Background("counters")
    async with AsyncCache(place, namespace=namespace) as cache:
        for _ in range(workers):
            background.start(cache.incr, "n")
        await background.close(20)
        assert await cache.get("n") == workers
        assert await cache.incr("n") == workers + 1


async def test_many_who_read_and_write_at_once_do_lose_some(place: Any, namespace: str) -> None:
    """The twin of the test above: the naive way, in an order that shows it."""
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("n", 0)
        seen = [await cache.get("n") for _ in range(2)]
        for one in seen:
            await cache.set("n", one + 1)
        assert await cache.get("n") == 1


@pytest.mark.parametrize("value", ["7", 7.5, [7], None, True])
async def test_what_is_no_counter_is_not_counted(place: Any, namespace: str, value: Any) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("k", value)
        with pytest.raises(ConfigurationError, match="no counter"):
            await cache.incr("k")
        assert await cache.get("k") == value


async def test_a_number_that_was_set_counts_alike_with_and_without_a_server(
    valkey: Any, namespace: str
) -> None:
    outcomes: list[Any] = []
    for server in (None, valkey.url):
        async with AsyncCache(server, namespace=namespace) as cache:
            await cache.set("k", 7)
            try:
                outcomes.append(await cache.incr("k"))
            except ConfigurationError:
                outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("delta", [1.5, "1", None, True])
async def test_a_step_that_is_no_whole_number_is_refused(
    place: Any, namespace: str, delta: Any
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.incr("n")
        with pytest.raises(ConfigurationError, match="delta"):
            await cache.incr("n", delta)
        assert await cache.get("n") == 1


@pytest.mark.parametrize(("initial", "delta"), [(2**53, 1), (0, 2**60), (-(2**53), -1)])
async def test_a_counter_refuses_to_leave_its_range(
    place: Any, namespace: str, initial: int, delta: int
) -> None:
    """A double counts no further exactly, and servers count in doubles."""
    async with AsyncCache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="2\\*\\*53"):
            await cache.incr("n", delta, initial=initial)


async def test_a_count_that_cannot_be_made_is_an_error_and_no_guess(
    own_server: Any, namespace: str
) -> None:
    server = own_server()
    async with AsyncCache(server.url, namespace=namespace) as cache:
        await cache.incr("n")
        server.kill()
        with pytest.raises(RemoteError):
            await cache.incr("n")
