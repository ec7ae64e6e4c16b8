# One object for one key.
"""Within a session a key gives one object, as long as what is cached is one value."""

from __future__ import annotations

from typing import Any

import pytest
from _async.racing import heard_by
from _async.steps import AsyncSource

from cachewright import ABSENT, MISSING, AsyncCache, Policy

pytestmark = pytest.mark.usefixtures("patient")

POLICIES = {"as it is": Policy(), "copies": Policy(copy=True), "no memory": Policy(l1_ttl=0)}


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    return POLICIES[request.param]


async def test_a_key_gives_the_same_object_by_every_verb(
    valkey: Any, namespace: str, policy: Policy
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace, policy=policy) as cache:
        source = AsyncSource(["value"])
        with cache.session() as session:
            one = await session.get_or_load("k", source.load)
            again = [
                await session.get("k"),
                await session.get_or_load("k", source.load),
                (await session.get_many(["k", "none"]))["k"],
                await session.get("k", verify=True),
            ]
            assert all(each is one for each in again)
            assert source.loads == 1


async def test_without_a_session_copies_are_each_callers_own(valkey: Any, namespace: str) -> None:
    """The control, and what a session is for."""
    async with AsyncCache(valkey.url, namespace=namespace, policy=POLICIES["copies"]) as cache:
        await cache.set("k", ["value"])
        assert await cache.get("k") is not await cache.get("k")


async def test_two_sessions_share_no_copy(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace, policy=POLICIES["copies"]) as cache:
        await cache.set("k", ["value"])
        one, other = cache.session(), cache.session()
        (await one.get("k")).append("mine")
        assert await one.get("k") == ["value", "mine"]
        assert await other.get("k") == ["value"]
        one.clear()
        assert await one.get("k") == ["value"]


async def test_what_is_invalidated_or_set_anew_is_another_object(
    place: Any, namespace: str, policy: Policy
) -> None:
    async with AsyncCache(place, namespace=namespace, policy=policy) as cache:
        with cache.session() as session:
            source = AsyncSource(["old"])
            assert await session.get_or_load("k", source.load, tags=["t"]) == ["old"]
            source.value = ["new"]
            await cache.invalidate(tags=["t"])
            assert await session.get("k", "gone") == "gone"
            assert await session.get_or_load("k", source.load, tags=["t"]) == ["new"]
            await cache.set("k", ["set"])
            if policy.l1_ttl is None or place:
                assert await session.get("k") == ["set"]
            await cache.set("k", ABSENT)
            assert await session.get("k", None) is None


async def test_what_another_process_invalidates_is_another_object(
    valkey: Any, namespace: str
) -> None:
    async with (
        AsyncCache(valkey.url, namespace=namespace) as cache,
        AsyncCache(valkey.url, namespace=namespace) as other,
    ):
        await other.engine.open()
        with cache.session() as session:
            await cache.set("k", ["old"], tags=["t"])
            assert await session.get("k") == ["old"]
            await heard_by(cache, lambda: other.invalidate(tags=["t"]))
            assert await session.get("k") is MISSING


async def test_what_a_load_reads_in_a_session_is_a_part_of_it(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        session = cache.session()
        source = AsyncSource("old")

        async def whole() -> Any:
            async def load() -> Any:
                return await session.get_or_load("part", source.load, tags=["t"])

            return await cache.get_or_load("whole", load)

        await session.get_or_load("part", source.load, tags=["t"])
        assert [await whole(), await whole()] == ["old", "old"]
        source.value = "new"
        await cache.invalidate(tags=["t"])
        assert await whole() == "new"
