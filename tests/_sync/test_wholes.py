# Generated from _async/test_wholes.py by tools/unasync.py. Do not edit.
"""A whole whose parts do not belong together is not kept, and a change reaches every level above it.

Each test has a twin on a weakened engine that keeps what it should not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _sync import weaknesses
from _sync.mutants import weaken_script
from _sync.racing import during
from _sync.stage import CHANGES, NOWHERE, Stage, part
from _sync.steps import Source

from cachewright import Cache
from cachewright.embedded import EmbeddedServer
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")

changes = pytest.mark.parametrize("change", CHANGES)
places = pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
def stage(
    request: pytest.FixtureRequest, server_pool: Pool, namespace: str
) -> Iterator[Stage]:
    """Each kind of server, and none."""
    url = None if request.param == NOWHERE else server_pool.get(request.param).url
    with Stage(url, namespace) as made:
        yield made


@pytest.fixture
def served(valkey: EmbeddedServer, namespace: str) -> Iterator[Stage]:
    """The stage for weaknesses that show with a server only."""
    with Stage(valkey.url, namespace) as made:
        yield made


# -------------------------------------------------------------------- parts that change meanwhile


def changed_meanwhile(stage: Stage, change: str, *, here: bool) -> list[Any]:
    """What a load and the next read bring whose part has changed after it was read and before the load ended."""
    rest = Source("rest")

    def part_and_rest(stage: Stage) -> Any:
        value = stage.read_child()
        rest.load()
        return value

    first = during(
        rest,
        lambda: stage.whole(part_and_rest),
        lambda: stage.change(CHANGES[change], here=here),
    )
    return [first[1], (stage.whole(part_and_rest))[1]]


@changes
@places
def test_a_part_that_changes_after_it_was_read_is_not_missed(
    stage: Stage, change: str, here: bool
) -> None:
    assert changed_meanwhile(stage, change, here=here) == ["old", "new"]


@changes
def test_a_whole_that_enters_memory_under_todays_epoch_stays_old(
    stage: Stage, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.lands_at_todays_epoch(monkeypatch)
    assert changed_meanwhile(stage, change, here=False) == ["old", "old"]


def torn(stage: Stage, tags: list[str]) -> list[Any]:
    """Two readings of a whole between whose parts a tag was invalidated: its left part, a row or a cached value."""
    turns = [True]

    def left() -> Any:
        value = stage.child.value
        return value if tags else stage.cache.get_or_load("left", left_row, tags=["shared"])

    def left_row() -> Any:
        return stage.child.value

    def load() -> list[Any]:
        seen = left()
        if turns:
            turns.pop()
            stage.change(lambda cache: cache.invalidate(tags=["shared"]), here=False)
        right = stage.cache.get_or_load("right", left_row, tags=["shared"])
        return [seen, right]

    return [stage.cache.get_or_load("whole", load, tags=tags) for _ in range(2)]


@pytest.mark.parametrize("tags", [[], ["shared"]], ids=["two parts", "a part and itself"])
def test_a_whole_whose_parts_disagree_is_not_kept(stage: Stage, tags: list[str]) -> None:
    assert torn(stage, tags) == [["old", "new"], ["new", "new"]]


@pytest.mark.parametrize("tags", [[], ["shared"]], ids=["two parts", "a part and itself"])
def test_a_whole_that_takes_its_newest_stamps_keeps_its_old_part(
    served: Stage, tags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.the_last_part_wins(monkeypatch)
    assert torn(served, tags) == [["old", "new"], ["old", "new"]]


def with_a_bypassed_part(stage: Stage) -> list[Any]:
    def bypassed(stage: Stage) -> Any:
        with stage.cache.bypassed():
            return stage.read_child()

    first = stage.whole(bypassed)
    stage.change(CHANGES["its tag"], here=False)
    return [first[1], (stage.whole(bypassed))[1]]


def test_a_whole_with_a_part_that_bypassed_the_cache_is_not_kept(stage: Stage) -> None:
    assert with_a_bypassed_part(stage) == ["old", "new"]


def test_a_whole_that_overlooks_a_bypass_stays_old(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.bypassed_parts_do_not_matter(monkeypatch)
    assert with_a_bypassed_part(stage) == ["old", "old"]


# -------------------------------------------------------------------- further up, and elsewhere


def pages(stage: Stage, change: str, *, here: bool, warm: bool) -> list[Any]:
    """A page made of a whole made of the child: loaded, as a hit, and after the child has changed."""
    loads = []

    def load() -> list[Any]:
        loads.append(1)
        return ["page", *stage.whole(part)]

    def page(cache: Cache) -> Any:
        return (cache.get_or_load("page", load))[-1]

    if warm:
        stage.whole(part)
    seen = [page(stage.cache), page(stage.other)]
    assert len(loads) == stage.wholes == 1
    stage.change(CHANGES[change], here=here)
    return [*seen, page(stage.cache), page(stage.other)]


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@changes
@places
def test_a_change_reaches_the_third_level(
    stage: Stage, change: str, here: bool, warm: bool
) -> None:
    seen = pages(stage, change, here=here, warm=warm)
    assert seen[:3] == ["old", "old", "new"]
    if here is False or stage.other is stage.cache:
        assert seen[3] == "new"


@changes
def test_a_change_does_not_reach_a_level_that_was_handed_nothing(
    stage: Stage, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_nothing(monkeypatch)
    assert pages(stage, change, here=False, warm=True) == ["old"] * 4


@pytest.mark.parametrize("inner", [False, True], ids=["in memory", "on a server"])
@pytest.mark.parametrize("outer", [False, True], ids=["of memory", "of a server"])
def test_a_part_from_another_cache_does_not_leave_the_whole_old(
    valkey: EmbeddedServer, namespace: str, outer: bool, inner: bool
) -> None:
    """Where nothing can carry the news from one cache to the other, the whole is not kept."""
    source = Source("old")
    with (
        Cache(valkey.url if outer else None, namespace=f"{namespace}.outer") as cache,
        Cache(valkey.url if inner else None, namespace=f"{namespace}.inner") as parts,
    ):

        def load() -> Any:
            return parts.get_or_load("part", source.load, tags=["part"])

        for tags in (["part"], []):
            source.value = "old"
            parts.invalidate("part")
            cache.invalidate("whole")
            assert cache.get_or_load("whole", load) == "old"
            source.value = "new"
            parts.invalidate(*([] if tags else ["part"]), tags=tags)
            assert cache.get_or_load("whole", load) == "new"


# -------------------------------------------------------------------- parts that are being written


def whole_around_a_commit(url: str, namespace: str) -> list[str]:
    """A whole that read a key which is being written, before and after the source committed."""
    row = ["old"]

    with Cache(url, namespace=namespace) as cache:

        def whole() -> str:
            cache.get("part")
            return row[0]

        with cache.writing(keys=["part"]):
            before = cache.get_or_load("whole", whole)
            row[0] = "new"
            return [before, cache.get_or_load("whole", whole)]


def test_a_whole_made_from_a_key_that_is_being_written_is_not_kept(
    server: EmbeddedServer, namespace: str
) -> None:
    assert whole_around_a_commit(server.url, namespace) == ["old", "new"]


def test_a_mark_that_leaves_the_keys_stamp_alone_lets_the_whole_be_kept(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "mark", "mark(KEYS[3 * i + 3])", "0")
    assert whole_around_a_commit(valkey.url, namespace) == ["old", "old"]
