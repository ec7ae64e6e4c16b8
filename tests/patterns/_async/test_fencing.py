# A worker that wakes up too late.
"""One fence for a partition: what an earlier worker has begun, of the stream or of a parked key, comes to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pytest
from patterns._async import weakened_drains
from patterns._async.desk import (
    AsyncHand,
    AsyncPeople,
    Crash,
    crash,
    one,
    person,
    waiting,
)

from cachewright.patterns._async.dead_letters import AsyncDeadLetters
from cachewright.patterns._async.partitions import Overtaken
from cachewright.patterns._async.write_behind import AsyncWriteBehind
from cachewright.patterns.sources import Change
from cachewright.testing import FakeClock


def refuse(changes: Sequence[Change]) -> None:
    raise ValueError("refused")


def accept(changes: Sequence[Change]) -> None:
    return None


class AsyncScene:
    """Two processes with one partition between them. `late`: the worker that freezes once it has a batch in its hands."""

    def __init__(self, server: Any, namespace: str, people: AsyncPeople, clock: FakeClock) -> None:
        how: dict[str, Any] = {"deliveries": 2, "cached": {"clock": clock}}
        self._doors = [one(server, namespace, people, **how) for _ in range(2)]
        self.people = people
        self.clock = clock

    async def __aenter__(self) -> Self:
        self.here, self.there = [await door.__aenter__() for door in self._doors]
        return self

    async def __aexit__(self, *_: object) -> None:
        for door in self._doors:
            await door.__aexit__()

    async def take_over(self, *, refusing: bool) -> AsyncHand:
        """The other process holds the partition, and drains it while the source refuses what it is given, or not."""
        self.people.fail = refuse if refusing else accept
        hand = await AsyncHand.take(self.there)
        await hand.drain()
        self.people.fail = accept
        return hand

    async def wake(self, late: AsyncHand, meanwhile: Any) -> bool:
        """`late` freezes with what it is about to apply, and wakes after `meanwhile`; whether it was fenced off."""
        self.people.before_apply = meanwhile
        self.clock.advance(60)
        try:
            await late.drain()
        except Overtaken:
            return True
        return False


async def drop_all(writes: AsyncWriteBehind) -> None:
    dead = AsyncDeadLetters(writes)
    assert await dead.drop(*[letter.id for letter in await dead.letters()]) > 0


async def frozen_in_a_retry(scene: AsyncScene, *, later: bool) -> tuple[bool, Any]:
    """Others give the key up, somebody drops what it was, and then writes it anew or not; whether fenced, and the row."""
    people = scene.people
    await people.save(person(1, "before"))
    people.fail = refuse
    await scene.here.put(person(1, "dropped"))
    late = await AsyncHand.take(scene.here)
    await late.drain()
    assert await waiting(scene.here) == (0, 1, 0)
    people.fail = accept

    async def meanwhile() -> None:
        hand = await scene.take_over(refusing=True)
        assert await waiting(scene.there) == (0, 0, 1)
        await drop_all(scene.there)
        if later:
            await scene.there.put(person(1, "later"))
            await hand.drain()

    fenced = await scene.wake(late, meanwhile)
    return fenced, people.rows([1])[0]["name"]


async def test_a_change_that_was_dropped_is_not_applied_by_a_worker_that_was_frozen_in_its_retry(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    async with AsyncScene(valkey, namespace, people, clock) as scene:
        assert await frozen_in_a_retry(scene, later=False) == (True, "before")


async def test_unless_who_takes_over_moves_the_position_a_dropped_change_would_be_applied(
    valkey: Any, namespace: str, people: AsyncPeople, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control."""
    weakened_drains.begins_no_term(monkeypatch)
    async with AsyncScene(valkey, namespace, people, clock) as scene:
        assert await frozen_in_a_retry(scene, later=False) == (False, "dropped")


async def test_nor_does_it_overwrite_what_was_written_after_the_drop(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    async with AsyncScene(valkey, namespace, people, clock) as scene:
        assert await frozen_in_a_retry(scene, later=True) == (True, "later")


async def test_with_retries_beside_the_position_a_dropped_change_would_overwrite_a_later_one(
    valkey: Any, namespace: str, people: AsyncPeople, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control."""
    weakened_drains.begins_no_term(monkeypatch)
    weakened_drains.retries_beside_the_position(monkeypatch)
    async with AsyncScene(valkey, namespace, people, clock) as scene:
        assert await frozen_in_a_retry(scene, later=True) == (False, "dropped")


async def frozen_with_what_others_parked(scene: AsyncScene) -> tuple[bool, Any]:
    """Others are refused what the frozen worker has in its hands; it is applied later, with what followed it."""
    await scene.here.put(person(1, "old"))

    async def meanwhile() -> None:
        hand = await scene.take_over(refusing=True)
        await scene.there.put(person(1, "new"))
        await hand.drain()

    fenced = await scene.wake(await AsyncHand.take(scene.here), meanwhile)
    return fenced, scene.people.rows([1])[0]["name"]


async def test_what_others_parked_and_applied_is_not_overwritten_by_who_had_it_first(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    async with AsyncScene(valkey, namespace, people, clock) as scene:
        assert await frozen_with_what_others_parked(scene) == (True, "new")


async def test_with_retries_beside_the_position_it_would_be_overwritten(
    valkey: Any, namespace: str, people: AsyncPeople, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control: a stream of which everything was parked has moved no position."""
    weakened_drains.begins_no_term(monkeypatch)
    weakened_drains.retries_beside_the_position(monkeypatch)
    async with AsyncScene(valkey, namespace, people, clock) as scene:
        assert await frozen_with_what_others_parked(scene) == (False, "old")


async def test_a_retry_that_was_applied_is_remembered_until_it_is_settled_whatever_comes_between(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    """Its worker dies with the commit; what follows of the key is applied, and the retry not once more."""
    async with one(valkey, namespace, people, cached={"clock": clock}) as writes:
        people.fail = refuse
        await writes.put(person(1, "first"))
        await (await AsyncHand.take(writes)).drain()
        people.fail, people.after = accept, crash
        clock.advance(60)
        with pytest.raises(Crash):
            await (await AsyncHand.take(writes)).drain()
        people.after = lambda: None
        await writes.patch(1, {"age": 7})
        await writes.put(person(2))
        await (await AsyncHand.take(writes)).drain()
        assert people.row(1) == {**person(1, "first", 7), "writes": 2}
        assert people.applied_twice() == 0
        assert await waiting(writes) == (0, 0, 0)


async def test_parked_keys_leave_no_rows_among_the_positions(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    async with one(valkey, namespace, people, cached={"clock": clock}) as writes:
        people.fail = refuse
        await writes.put_many([person(n) for n in range(5)])
        hand = await AsyncHand.take(writes)
        await hand.drain()
        people.fail = accept
        clock.advance(60)
        await hand.drain()
        assert len(people.rows()) == 5
        assert people.positions() == 1
