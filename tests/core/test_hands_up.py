"""The short way of a hit inside a load: what it takes for itself, and what it leaves to the long way."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright.core.entry import Entry
from cachewright.core.loading import Load, Mode, collecting, hands_up, mode

HERE = ("server", "shop")


def part(key: str = "part", *, own: bool = True) -> Entry:
    entry = Entry("value", 1.0)
    entry.key = key
    entry.stamps = {"n:": b"1", "t:row": b"2"} | ({"k:" + key: b"3"} if own else {})
    return entry


def load(*keys: str, parent: Load | None = None, **options: Any) -> Load:
    return Load(frozenset(keys), HERE, parent, **options)


def test_outside_of_loads_and_modes_it_only_agrees() -> None:
    assert hands_up(part(own=False), HERE)
    with mode(object(), Mode.BYPASS):
        assert not hands_up(part(), HERE)


def test_inside_a_load_it_hands_the_stamps_up() -> None:
    whole = load("whole")
    with collecting(whole):
        assert hands_up(part(), HERE)
    assert whole.gathered == part().stamps


LEFT: dict[str, tuple[Load, Entry]] = {
    "a part without the stamp of its key": (load("whole"), part(own=False)),
    "a load that verifies": (load("whole", verify=True), part()),
    "another domain": (Load({"whole"}, ("server", "other"), None), part()),
    "its own key": (load("part"), part()),
    "the key of a load around it": (load("whole", parent=load("part")), part()),
}


@pytest.mark.parametrize("what", LEFT)
def test_it_leaves_to_the_long_way_what_needs_a_thought(what: str) -> None:
    whole, entry = LEFT[what]
    with collecting(whole):
        assert not hands_up(entry, HERE)
    assert whole.gathered == {}


def test_under_a_mode_inside_a_load_it_leaves_everything_to_the_long_way() -> None:
    whole = load("whole")
    with collecting(whole), mode(object(), Mode.REFRESH):
        assert not hands_up(part(), HERE)
    assert whole.gathered == {}


def test_a_straggler_is_left_to_the_long_way_which_knows_the_load_around() -> None:
    whole = load("whole")
    with collecting(whole):
        whole.end()
        assert not hands_up(part(), HERE)


def test_parts_that_disagree_poison_the_load() -> None:
    whole, later = load("whole"), part()
    later.stamps = later.stamps | {"t:row": b"9"}
    with collecting(whole):
        assert hands_up(part(), HERE)
        assert hands_up(later, HERE)
    assert whole.poisoned
