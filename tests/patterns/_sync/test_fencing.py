# Generated from _async/test_fencing.py by tools/unasync.py. Do not edit.
"""One fence for a partition: what an earlier worker has begun, of the stream or of a parked key, comes to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pytest
from patterns._sync import weakened_drains
from patterns._sync.desk import (
    Hand,
    People,
    Crash,
    crash,
    one,
    person,
    waiting,
)

from cachewright.patterns._sync.dead_letters import DeadLetters
from cachewright.patterns._sync.partitions import Overtaken
from cachewright.patterns._sync.write_behind import WriteBehind
from cachewright.patterns.sources import Change
from cachewright.testing import FakeClock


def refuse(changes: Sequence[Change]) -> None:
    raise ValueError("refused")


def accept(changes: Sequence[Change]) -> None:
    return None


class Scene:
    """Two processes with one partition between them. `late`: the worker that freezes once it has a batch in its hands."""

    def __init__(self, server: Any, namespace: str, people: People, clock: FakeClock) -> None:
        how: dict[str, Any] = {"deliveries": 2, "cached": {"clock": clock}}
        self._doors = [one(server, namespace, people, **how) for _ in range(2)]
        self.people = people
        self.clock = clock

    def __enter__(self) -> Self:
        self.here, self.there = [door.__enter__() for door in self._doors]
        return self

    def __exit__(self, *_: object) -> None:
        for door in self._doors:
            door.__exit__()

    def take_over(self, *, refusing: bool) -> Hand:
        """The other process holds the partition, and drains it while the source refuses what it is given, or not."""
        self.people.fail = refuse if refusing else accept
        hand = Hand.take(self.there)
        hand.drain()
        self.people.fail = accept
        return hand

    def wake(self, late: Hand, meanwhile: Any) -> bool:
        """`late` freezes with what it is about to apply, and wakes after `meanwhile`; whether it was fenced off."""
        self.people.before_apply = meanwhile
        self.clock.advance(60)
        try:
            late.drain()
        except Overtaken:
            return True
        return False


def drop_all(writes: WriteBehind) -> None:
    dead = DeadLetters(writes)
    assert dead.drop(*[letter.id for letter in dead.letters()]) > 0


def frozen_in_a_retry(scene: Scene, *, later: bool) -> tuple[bool, Any]:
    """Others give the key up, somebody drops what it was, and then writes it anew or not; whether fenced, and the row."""
    people = scene.people
    people.save(person(1, "before"))
    people.fail = refuse
    scene.here.put(person(1, "dropped"))
    late = Hand.take(scene.here)
    late.drain()
    assert waiting(scene.here) == (0, 1, 0)
    people.fail = accept

    def meanwhile() -> None:
        hand = scene.take_over(refusing=True)
        assert waiting(scene.there) == (0, 0, 1)
        drop_all(scene.there)
        if later:
            scene.there.put(person(1, "later"))
            hand.drain()

    fenced = scene.wake(late, meanwhile)
    return fenced, people.rows([1])[0]["name"]


def test_a_change_that_was_dropped_is_not_applied_by_a_worker_that_was_frozen_in_its_retry(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    with Scene(valkey, namespace, people, clock) as scene:
        assert frozen_in_a_retry(scene, later=False) == (True, "before")


def test_unless_who_takes_over_moves_the_position_a_dropped_change_would_be_applied(
    valkey: Any, namespace: str, people: People, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control."""
    weakened_drains.begins_no_term(monkeypatch)
    with Scene(valkey, namespace, people, clock) as scene:
        assert frozen_in_a_retry(scene, later=False) == (False, "dropped")


def test_nor_does_it_overwrite_what_was_written_after_the_drop(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    with Scene(valkey, namespace, people, clock) as scene:
        assert frozen_in_a_retry(scene, later=True) == (True, "later")


def test_with_retries_beside_the_position_a_dropped_change_would_overwrite_a_later_one(
    valkey: Any, namespace: str, people: People, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control."""
    weakened_drains.begins_no_term(monkeypatch)
    weakened_drains.retries_beside_the_position(monkeypatch)
    with Scene(valkey, namespace, people, clock) as scene:
        assert frozen_in_a_retry(scene, later=True) == (False, "dropped")


def frozen_with_what_others_parked(scene: Scene) -> tuple[bool, Any]:
    """Others are refused what the frozen worker has in its hands; it is applied later, with what followed it."""
    scene.here.put(person(1, "old"))

    def meanwhile() -> None:
        hand = scene.take_over(refusing=True)
        scene.there.put(person(1, "new"))
        hand.drain()

    fenced = scene.wake(Hand.take(scene.here), meanwhile)
    return fenced, scene.people.rows([1])[0]["name"]


def test_what_others_parked_and_applied_is_not_overwritten_by_who_had_it_first(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    with Scene(valkey, namespace, people, clock) as scene:
        assert frozen_with_what_others_parked(scene) == (True, "new")


def test_with_retries_beside_the_position_it_would_be_overwritten(
    valkey: Any, namespace: str, people: People, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control: a stream of which everything was parked has moved no position."""
    weakened_drains.begins_no_term(monkeypatch)
    weakened_drains.retries_beside_the_position(monkeypatch)
    with Scene(valkey, namespace, people, clock) as scene:
        assert frozen_with_what_others_parked(scene) == (False, "old")


def test_a_retry_that_was_applied_is_remembered_until_it_is_settled_whatever_comes_between(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    """Its worker dies with the commit; what follows of the key is applied, and the retry not once more."""
    with one(valkey, namespace, people, cached={"clock": clock}) as writes:
        people.fail = refuse
        writes.put(person(1, "first"))
        (Hand.take(writes)).drain()
        people.fail, people.after = accept, crash
        clock.advance(60)
        with pytest.raises(Crash):
            (Hand.take(writes)).drain()
        people.after = lambda: None
        writes.patch(1, {"age": 7})
        writes.put(person(2))
        (Hand.take(writes)).drain()
        assert people.row(1) == {**person(1, "first", 7), "writes": 2}
        assert people.applied_twice() == 0
        assert waiting(writes) == (0, 0, 0)


def test_parked_keys_leave_no_rows_among_the_positions(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    with one(valkey, namespace, people, cached={"clock": clock}) as writes:
        people.fail = refuse
        writes.put_many([person(n) for n in range(5)])
        hand = Hand.take(writes)
        hand.drain()
        people.fail = accept
        clock.advance(60)
        hand.drain()
        assert len(people.rows()) == 5
        assert people.positions() == 1
