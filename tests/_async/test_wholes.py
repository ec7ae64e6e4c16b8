# Values made of cached values that change meanwhile.
"""A whole whose parts do not belong together is not kept, and a change reaches every level above it.

Each test has a twin on a weakened engine that keeps what it should not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from _async import weaknesses
from _async.mutants import weaken_script
from _async.racing import during
from _async.stage import CHANGES, NOWHERE, AsyncStage, part
from _async.steps import AsyncSource

from cachewright import AsyncCache
from cachewright.embedded import EmbeddedServer
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")

changes = pytest.mark.parametrize("change", CHANGES)
places = pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])


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


# -------------------------------------------------------------------- parts that change meanwhile


async def changed_meanwhile(stage: AsyncStage, change: str, *, here: bool) -> list[Any]:
    """What a load and the next read bring whose part has changed after it was read and before the load ended."""
    rest = AsyncSource("rest")

    async def part_and_rest(stage: AsyncStage) -> Any:
        value = await stage.read_child()
        await rest.load()
        return value

    first = await during(
        rest,
        lambda: stage.whole(part_and_rest),
        lambda: stage.change(CHANGES[change], here=here),
    )
    return [first[1], (await stage.whole(part_and_rest))[1]]


@changes
@places
async def test_a_part_that_changes_after_it_was_read_is_not_missed(
    stage: AsyncStage, change: str, here: bool
) -> None:
    assert await changed_meanwhile(stage, change, here=here) == ["old", "new"]


@changes
async def test_a_whole_that_enters_memory_under_todays_epoch_stays_old(
    stage: AsyncStage, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.lands_at_todays_epoch(monkeypatch)
    assert await changed_meanwhile(stage, change, here=False) == ["old", "old"]


async def torn(stage: AsyncStage, tags: list[str]) -> list[Any]:
    """Two readings of a whole between whose parts a tag was invalidated: its left part, a row or a cached value."""
    turns = [True]

    async def left() -> Any:
        value = stage.child.value
        return value if tags else await stage.cache.get_or_load("left", left_row, tags=["shared"])

    async def left_row() -> Any:
        return stage.child.value

    async def load() -> list[Any]:
        seen = await left()
        if turns:
            turns.pop()
            await stage.change(lambda cache: cache.invalidate(tags=["shared"]), here=False)
        right = await stage.cache.get_or_load("right", left_row, tags=["shared"])
        return [seen, right]

    return [await stage.cache.get_or_load("whole", load, tags=tags) for _ in range(2)]


@pytest.mark.parametrize("tags", [[], ["shared"]], ids=["two parts", "a part and itself"])
async def test_a_whole_whose_parts_disagree_is_not_kept(stage: AsyncStage, tags: list[str]) -> None:
    assert await torn(stage, tags) == [["old", "new"], ["new", "new"]]


@pytest.mark.parametrize("tags", [[], ["shared"]], ids=["two parts", "a part and itself"])
async def test_a_whole_that_takes_its_newest_stamps_keeps_its_old_part(
    served: AsyncStage, tags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.the_last_part_wins(monkeypatch)
    assert await torn(served, tags) == [["old", "new"], ["old", "new"]]


async def with_a_bypassed_part(stage: AsyncStage) -> list[Any]:
    async def bypassed(stage: AsyncStage) -> Any:
        with stage.cache.bypassed():
            return await stage.read_child()

    first = await stage.whole(bypassed)
    await stage.change(CHANGES["its tag"], here=False)
    return [first[1], (await stage.whole(bypassed))[1]]


async def test_a_whole_with_a_part_that_bypassed_the_cache_is_not_kept(stage: AsyncStage) -> None:
    assert await with_a_bypassed_part(stage) == ["old", "new"]


async def test_a_whole_that_overlooks_a_bypass_stays_old(
    stage: AsyncStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.bypassed_parts_do_not_matter(monkeypatch)
    assert await with_a_bypassed_part(stage) == ["old", "old"]


# -------------------------------------------------------------------- further up, and elsewhere


async def pages(stage: AsyncStage, change: str, *, here: bool, warm: bool) -> list[Any]:
    """A page made of a whole made of the child: loaded, as a hit, and after the child has changed."""
    loads = []

    async def load() -> list[Any]:
        loads.append(1)
        return ["page", *await stage.whole(part)]

    async def page(cache: AsyncCache) -> Any:
        return (await cache.get_or_load("page", load))[-1]

    if warm:
        await stage.whole(part)
    seen = [await page(stage.cache), await page(stage.other)]
    assert len(loads) == stage.wholes == 1
    await stage.change(CHANGES[change], here=here)
    return [*seen, await page(stage.cache), await page(stage.other)]


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@changes
@places
async def test_a_change_reaches_the_third_level(
    stage: AsyncStage, change: str, here: bool, warm: bool
) -> None:
    seen = await pages(stage, change, here=here, warm=warm)
    assert seen[:3] == ["old", "old", "new"]
    if here is False or stage.other is stage.cache:
        assert seen[3] == "new"


@changes
async def test_a_change_does_not_reach_a_level_that_was_handed_nothing(
    stage: AsyncStage, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_nothing(monkeypatch)
    assert await pages(stage, change, here=False, warm=True) == ["old"] * 4


@pytest.mark.parametrize("inner", [False, True], ids=["in memory", "on a server"])
@pytest.mark.parametrize("outer", [False, True], ids=["of memory", "of a server"])
async def test_a_part_from_another_cache_does_not_leave_the_whole_old(
    valkey: EmbeddedServer, namespace: str, outer: bool, inner: bool
) -> None:
    """Where nothing can carry the news from one cache to the other, the whole is not kept."""
    source = AsyncSource("old")
    async with (
        AsyncCache(valkey.url if outer else None, namespace=f"{namespace}.outer") as cache,
        AsyncCache(valkey.url if inner else None, namespace=f"{namespace}.inner") as parts,
    ):

        async def load() -> Any:
            return await parts.get_or_load("part", source.load, tags=["part"])

        for tags in (["part"], []):
            source.value = "old"
            await parts.invalidate("part")
            await cache.invalidate("whole")
            assert await cache.get_or_load("whole", load) == "old"
            source.value = "new"
            await parts.invalidate(*([] if tags else ["part"]), tags=tags)
            assert await cache.get_or_load("whole", load) == "new"


# -------------------------------------------------------------------- parts that are being written


async def whole_around_a_commit(url: str, namespace: str) -> list[str]:
    """A whole that read a key which is being written, before and after the source committed."""
    row = ["old"]

    async with AsyncCache(url, namespace=namespace) as cache:

        async def whole() -> str:
            await cache.get("part")
            return row[0]

        async with cache.writing(keys=["part"]):
            before = await cache.get_or_load("whole", whole)
            row[0] = "new"
            return [before, await cache.get_or_load("whole", whole)]


async def test_a_whole_made_from_a_key_that_is_being_written_is_not_kept(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await whole_around_a_commit(server.url, namespace) == ["old", "new"]


async def test_a_mark_that_leaves_the_keys_stamp_alone_lets_the_whole_be_kept(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "mark", "mark(KEYS[3 * i + 3])", "0")
    assert await whole_around_a_commit(valkey.url, namespace) == ["old", "old"]
