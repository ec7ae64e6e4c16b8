# Generated from _async/test_dependencies.py by tools/unasync.py. Do not edit.
"""What a load reads becomes a part of what it brings: tags and keys travel upward by themselves.

In a cache without a server as well as in two processes on one server. Each test has a twin on an engine that hands up
less, where the whole stays old when its part has changed. Parts that change meanwhile are in test_wholes.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _sync import weaknesses
from _sync.stage import CHANGES, NOWHERE, Stage, part
from _sync.steps import PATIENCE, Step, until

from cachewright import ABSENT
from cachewright._sync import cache as hot_paths
from cachewright.embedded import EmbeddedServer
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")


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


# -------------------------------------------------------------------- ways to read a part


def get_or_load_many(stage: Stage) -> Any:
    def load_many(keys: list[Any]) -> dict[Any, Any]:
        value = stage.child.load()
        return dict.fromkeys(keys, value)

    found = stage.cache.get_or_load_many(["child", "sibling"], load_many, tags=["of child"])
    return found["child"]


def get(stage: Stage) -> Any:
    """Of a child that is cached, or else loaded first."""
    if stage.cache.get("child") == "old":
        return stage.cache.get("child")
    return stage.read_child()


def get_many(stage: Stage) -> Any:
    found = stage.cache.get_many(["child", "nobody"])
    return found["child"] if "child" in found else stage.read_child()


def decorated(stage: Stage) -> Any:
    @stage.cache.cached(key="child", tags=["of child"])
    def child() -> Any:
        return stage.child.load()

    return child()


WAYS = {
    "get_or_load": part,
    **{way.__name__: way for way in (get_or_load_many, get, get_many, decorated)},
}
ways = pytest.mark.parametrize("way", WAYS)

changes = pytest.mark.parametrize("change", CHANGES)
places = pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])


def nowhere(stage: Stage) -> None:
    """The child is nowhere."""


def in_memory(stage: Stage) -> None:
    """The child is in this process, read outside of any load."""
    stage.read_child()


def at_the_server(stage: Stage) -> None:
    """The child was loaded by another process, where there is one."""
    stage.read_child(stage.other)


def part_of_another(stage: Stage) -> None:
    """The child is in this process with the stamp of its key, so that a hit inside a load takes the short way."""
    stage.cache.get_or_load("another", stage.read_child)


STATES = {state.__name__: state for state in (nowhere, in_memory, part_of_another, at_the_server)}


def wholes(stage: Stage, *, way: str, state: str, change: str, here: bool) -> list[Any]:
    """The whole when it is loaded, when it is a hit, and after its child has changed."""
    STATES[state](stage)
    seen = [stage.whole(WAYS[way]) for _ in range(2)]
    assert stage.wholes == 1, "what nothing has invalidated must be a hit"
    stage.change(CHANGES[change], here=here)
    return [*(part for _, part in seen), (stage.whole(WAYS[way]))[1]]


@pytest.mark.parametrize("state", STATES)
@changes
@places
def test_a_whole_is_loaded_again_when_its_part_has_changed(
    stage: Stage, state: str, change: str, here: bool
) -> None:
    seen = wholes(stage, way="get_or_load", state=state, change=change, here=here)
    assert seen == ["old", "old", "new"]


@ways
@changes
def test_it_does_not_matter_how_the_part_was_read(
    stage: Stage, way: str, change: str
) -> None:
    seen = wholes(stage, way=way, state="in_memory", change=change, here=False)
    assert seen == ["old", "old", "new"]


@ways
@changes
def test_the_short_way_of_a_hit_hands_up_as_well(
    stage: Stage, way: str, change: str
) -> None:
    seen = wholes(stage, way=way, state="part_of_another", change=change, here=False)
    assert seen == ["old", "old", "new"]


def test_the_short_way_that_hands_nothing_up_leaves_the_whole_old(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_paths, "hands_up", lambda entry, domain: True)
    how: Any = {
        "way": "get_or_load",
        "state": "part_of_another",
        "change": "its tag",
        "here": False,
    }
    assert wholes(stage, **how) == ["old", "old", "old"]


@ways
def test_a_whole_that_is_handed_nothing_stays_old(
    stage: Stage, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_nothing(monkeypatch)
    seen = wholes(stage, way=way, state="in_memory", change="its tag", here=False)
    assert seen == ["old", "old", "old"]


@ways
@pytest.mark.parametrize("change", ["its key", "a set"])
def test_a_whole_that_is_handed_tags_alone_stays_old_when_the_key_has_changed(
    stage: Stage, way: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.hands_up_no_key_stamps(monkeypatch)
    seen = wholes(stage, way=way, state="in_memory", change=change, here=False)
    assert seen == ["old", "old", "old"]


def test_a_part_in_memory_without_its_keys_stamp_leaves_the_whole_old(
    served: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.parts_in_memory_need_no_key_stamp(monkeypatch)
    how: Any = {"way": "get_or_load", "state": "in_memory", "change": "its key", "here": False}
    assert wholes(served, **how) == ["old", "old", "old"]


# -------------------------------------------------------------------- parts that are not there


def test_a_whole_made_without_a_part_is_loaded_again_when_the_part_is_set(
    stage: Stage,
) -> None:
    def maybe(stage: Stage) -> Any:
        return stage.cache.get("child", "none")

    for way in (maybe, lambda stage: stage.cache.get_many(["child"])):
        stage.wholes = 0
        stage.cache.invalidate("child", "whole")
        for _ in range(2):
            assert (stage.whole(way))[1] in ("none", {})
        assert stage.wholes == 1
        stage.change(lambda cache: cache.set("child", "new"), here=False)
        assert (stage.whole(way))[1] in ("new", {"child": "new"})


def test_a_whole_made_of_an_absent_part_is_loaded_again_after_an_insert(
    stage: Stage,
) -> None:
    stage.child.value = ABSENT
    for _ in range(2):
        assert stage.whole(part) == ["whole", "none"]
    assert stage.wholes == 1
    stage.change(CHANGES["its tag"], here=False)
    assert stage.whole(part) == ["whole", "new"]


def test_a_whole_made_of_a_counter_is_loaded_again_when_it_counts(
    stage: Stage,
) -> None:
    stage.cache.incr("child")

    def count(stage: Stage) -> Any:
        return stage.cache.get("child")

    assert [stage.whole(count) for _ in range(2)] == [["whole", 1]] * 2
    stage.change(lambda cache: cache.incr("child"), here=True)
    assert stage.whole(count) == ["whole", 2]


# -------------------------------------------------------------------- parts that others are loading


def joined_part(stage: Stage) -> list[Any]:
    """The whole that joined the load of its child, and the whole after the child's key was invalidated."""
    stage.child.gate.clear()
    first = Step(stage.read_child)
    assert stage.child.began.wait(PATIENCE)
    whole = Step(stage.whole, part)
    until(lambda: stage.cache.stats().joined)
    stage.child.gate.set()
    assert first.result() == "old"
    seen = (whole.result())[1]
    stage.change(CHANGES["its key"], here=False)
    return [seen, (stage.whole(part))[1]]


def test_a_whole_that_joined_the_load_of_its_part_is_no_exception(
    stage: Stage,
) -> None:
    assert joined_part(stage) == ["old", "new"]


def test_a_follower_that_needs_no_key_stamp_leaves_the_whole_old(
    served: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.followers_need_no_key_stamp(monkeypatch)
    assert joined_part(served) == ["old", "old"]
