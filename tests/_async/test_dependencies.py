# Values made of cached values.
"""What a load reads becomes a part of what it brings: tags and keys travel upward by themselves.

In a cache without a server as well as in two processes on one server. Each test has a twin on an engine that hands up
less, where the whole stays old when its part has changed. Parts that change meanwhile are in test_wholes.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from _async import weaknesses
from _async.stage import CHANGES, NOWHERE, AsyncStage, part
from _async.steps import PATIENCE, AsyncStep, until

from cachewright import ABSENT
from cachewright._async import cache as hot_paths
from cachewright.embedded import EmbeddedServer
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
async def stage(
    request: pytest.FixtureRequest, server_pool: Pool, namespace: str
) -> AsyncIterator[AsyncStage]:
    """Each kind of server, and none."""
    url = None if request.param == NOWHERE else server_pool.get(request.param).url
    async with AsyncStage(url, namespace) as made:
        yield made


@pytest.fixture
async def served(valkey: EmbeddedServer, namespace: str) -> AsyncIterator[AsyncStage]:
    """The stage for weaknesses that show with a server only."""
    async with AsyncStage(valkey.url, namespace) as made:
        yield made


# -------------------------------------------------------------------- ways to read a part


async def get_or_load_many(stage: AsyncStage) -> Any:
    async def load_many(keys: list[Any]) -> dict[Any, Any]:
        value = await stage.child.load()
        return dict.fromkeys(keys, value)

    found = await stage.cache.get_or_load_many(["child", "sibling"], load_many, tags=["of child"])
    return found["child"]


async def get(stage: AsyncStage) -> Any:
    """Of a child that is cached, or else loaded first."""
    if await stage.cache.get("child") == "old":
        return await stage.cache.get("child")
    return await stage.read_child()


async def get_many(stage: AsyncStage) -> Any:
    found = await stage.cache.get_many(["child", "nobody"])
    return found["child"] if "child" in found else await stage.read_child()


async def decorated(stage: AsyncStage) -> Any:
    @stage.cache.cached(key="child", tags=["of child"])
    async def child() -> Any:
        return await stage.child.load()

    return await child()


WAYS = {
    "get_or_load": part,
    **{way.__name__: way for way in (get_or_load_many, get, get_many, decorated)},
}
ways = pytest.mark.parametrize("way", WAYS)

changes = pytest.mark.parametrize("change", CHANGES)
places = pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])


async def nowhere(stage: AsyncStage) -> None:
    """The child is nowhere."""


async def in_memory(stage: AsyncStage) -> None:
    """The child is in this process, read outside of any load."""
    await stage.read_child()


async def at_the_server(stage: AsyncStage) -> None:
    """The child was loaded by another process, where there is one."""
    await stage.read_child(stage.other)


async def part_of_another(stage: AsyncStage) -> None:
    """The child is in this process with the stamp of its key, so that a hit inside a load takes the short way."""
    await stage.cache.get_or_load("another", stage.read_child)


STATES = {state.__name__: state for state in (nowhere, in_memory, part_of_another, at_the_server)}


async def wholes(stage: AsyncStage, *, way: str, state: str, change: str, here: bool) -> list[Any]:
    """The whole when it is loaded, when it is a hit, and after its child has changed."""
    await STATES[state](stage)
    seen = [await stage.whole(WAYS[way]) for _ in range(2)]
    assert stage.wholes == 1, "what nothing has invalidated must be a hit"
    await stage.change(CHANGES[change], here=here)
    return [*(part for _, part in seen), (await stage.whole(WAYS[way]))[1]]


@pytest.mark.parametrize("state", STATES)
@changes
@places
async def test_a_whole_is_loaded_again_when_its_part_has_changed(
    stage: AsyncStage, state: str, change: str, here: bool
) -> None:
    seen = await wholes(stage, way="get_or_load", state=state, change=change, here=here)
    assert seen == ["old", "old", "new"]


@ways
@changes
async def test_it_does_not_matter_how_the_part_was_read(
    stage: AsyncStage, way: str, change: str
) -> None:
    seen = await wholes(stage, way=way, state="in_memory", change=change, here=False)
    assert seen == ["old", "old", "new"]


@ways
@changes
async def test_the_short_way_of_a_hit_hands_up_as_well(
    stage: AsyncStage, way: str, change: str
) -> None:
    seen = await wholes(stage, way=way, state="part_of_another", change=change, here=False)
    assert seen == ["old", "old", "new"]


async def test_the_short_way_that_hands_nothing_up_leaves_the_whole_old(
    stage: AsyncStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_paths, "hands_up", lambda entry, domain: True)
    how: Any = {
        "way": "get_or_load",
        "state": "part_of_another",
        "change": "its tag",
        "here": False,
    }
    assert await wholes(stage, **how) == ["old", "old", "old"]


@ways
async def test_a_whole_that_is_handed_nothing_stays_old(
    stage: AsyncStage, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_nothing(monkeypatch)
    seen = await wholes(stage, way=way, state="in_memory", change="its tag", here=False)
    assert seen == ["old", "old", "old"]


@ways
@pytest.mark.parametrize("change", ["its key", "a set"])
async def test_a_whole_that_is_handed_tags_alone_stays_old_when_the_key_has_changed(
    stage: AsyncStage, way: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_no_key_stamps(monkeypatch)
    seen = await wholes(stage, way=way, state="in_memory", change=change, here=False)
    assert seen == ["old", "old", "old"]


async def test_a_part_in_memory_without_its_keys_stamp_leaves_the_whole_old(
    served: AsyncStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.parts_in_memory_need_no_key_stamp(monkeypatch)
    how: Any = {"way": "get_or_load", "state": "in_memory", "change": "its key", "here": False}
    assert await wholes(served, **how) == ["old", "old", "old"]


# -------------------------------------------------------------------- parts that are not there


async def test_a_whole_made_without_a_part_is_loaded_again_when_the_part_is_set(
    stage: AsyncStage,
) -> None:
    async def maybe(stage: AsyncStage) -> Any:
        return await stage.cache.get("child", "none")

    for way in (maybe, lambda stage: stage.cache.get_many(["child"])):
        stage.wholes = 0
        await stage.cache.invalidate("child", "whole")
        for _ in range(2):
            assert (await stage.whole(way))[1] in ("none", {})
        assert stage.wholes == 1
        await stage.change(lambda cache: cache.set("child", "new"), here=False)
        assert (await stage.whole(way))[1] in ("new", {"child": "new"})


async def test_a_whole_made_of_an_absent_part_is_loaded_again_after_an_insert(
    stage: AsyncStage,
) -> None:
    stage.child.value = ABSENT
    for _ in range(2):
        assert await stage.whole(part) == ["whole", "none"]
    assert stage.wholes == 1
    await stage.change(CHANGES["its tag"], here=False)
    assert await stage.whole(part) == ["whole", "new"]


async def test_a_whole_made_of_a_counter_is_loaded_again_when_it_counts(
    stage: AsyncStage,
) -> None:
    await stage.cache.incr("child")

    async def count(stage: AsyncStage) -> Any:
        return await stage.cache.get("child")

    assert [await stage.whole(count) for _ in range(2)] == [["whole", 1]] * 2
    await stage.change(lambda cache: cache.incr("child"), here=True)
    assert await stage.whole(count) == ["whole", 2]


# -------------------------------------------------------------------- parts that others are loading


async def joined_part(stage: AsyncStage) -> list[Any]:
    """The whole that joined the load of its child, and the whole after the child's key was invalidated."""
    stage.child.gate.clear()
    first = AsyncStep(stage.read_child)
    assert await stage.child.began.wait(PATIENCE)
    whole = AsyncStep(stage.whole, part)
    await until(lambda: stage.cache.stats().joined)
    stage.child.gate.set()
    assert await first.result() == "old"
    seen = (await whole.result())[1]
    await stage.change(CHANGES["its key"], here=False)
    return [seen, (await stage.whole(part))[1]]


async def test_a_whole_that_joined_the_load_of_its_part_is_no_exception(
    stage: AsyncStage,
) -> None:
    assert await joined_part(stage) == ["old", "new"]


async def test_a_follower_that_needs_no_key_stamp_leaves_the_whole_old(
    served: AsyncStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.followers_need_no_key_stamp(monkeypatch)
    assert await joined_part(served) == ["old", "old"]
