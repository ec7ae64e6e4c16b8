# What the source will not take.
"""Draining where the source refuses or is away: parked, tried again, given up, and nothing else held up."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from patterns._async.desk import (
    AsyncHand,
    AsyncPeople,
    Crash,
    crash,
    one,
    person,
    waiting,
)

from cachewright.patterns._async.shards import AsyncShard, Away
from cachewright.patterns.sources import Change
from cachewright.testing import FakeClock, RecordingListener

# -------------------------------------------------------------------- refusals


async def test_defect_31_one_change_that_is_refused_holds_up_no_other(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    events = RecordingListener()
    options = {"listeners": [events], "clock": clock}  # no time passes: nothing is tried again
    async with one(valkey, namespace, people, cached=options) as writes:
        await writes.put_many(
            [person(n, "poison" if n in (17, 63) else "fine") for n in range(100)]
        )
        await (await AsyncHand.take(writes)).drain()
        assert len(people.rows()) == 98
        assert await waiting(writes) == (0, 2, 0)
        assert len(events.of("write_refused")) == 2
        assert await writes.get(17) == person(17, "poison")  # acknowledged, and still to come


async def test_a_refused_change_is_found_in_few_transactions(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    tries: list[int] = []
    people.fail = lambda changes: tries.append(len(changes))
    async with one(valkey, namespace, people, batch=256) as writes:
        await writes.put_many([person(n, "poison" if n == 200 else "fine") for n in range(256)])
        await (await AsyncHand.take(writes)).drain()
        assert len(people.rows()) == 255
        assert len(people.batches) == len(tries) <= 9  # those that were taken; one for each halving


async def test_defect_31_what_is_refused_again_and_again_is_kept_with_the_cause(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    async with one(valkey, namespace, people, deliveries=3, cached={"clock": clock}) as writes:
        await writes.put(person(1, "poison"))
        hand = await AsyncHand.take(writes)
        for turn in range(3):
            assert await waiting(writes) == ((1, 0, 0) if turn == 0 else (0, 1, 0))
            await hand.drain()
            await hand.drain()  # too early for another try
            clock.advance(60)
        assert await waiting(writes) == (0, 0, 1)
        letter = (await hand.at.lying(hand.place.dead))[0]
        assert letter.deliveries == 3
        assert letter.cause.startswith("IntegrityError: CHECK constraint failed")
        assert await writes.get(1) == person(1, "poison")


async def test_deliveries_are_counted_across_workers(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people, deliveries=3) as writes:
        await writes.put(person(1, "poison"))
        for _ in range(3):
            await (await AsyncHand.take(writes)).drain()
        assert await waiting(writes) == (0, 0, 1)


async def test_what_comes_after_a_refused_change_of_the_key_follows_it(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    await people.save(person(1, "before", 1))
    async with one(valkey, namespace, people, cached={"clock": clock}) as writes:
        hand = await AsyncHand.take(writes)
        await writes.patch(1, {"name": "poison"})
        await hand.drain()
        await writes.patch(1, {"age": 2})
        await writes.put(person(2))
        await hand.drain()
        assert people.row(1) == {**person(1, "before", 1), "writes": 1}
        assert people.row(2) == {**person(2), "writes": 1}
        assert await waiting(writes) == (0, 2, 0)
        assert await writes.get(1) == person(1, "poison", 2)
        await writes.patch(1, {"name": "after"})
        await hand.drain()
        clock.advance(60)
        await hand.drain()
        assert people.row(1) == {**person(1, "after", 2), "writes": 2}
        assert await waiting(writes) == (0, 0, 0)


async def test_a_whole_value_heals_a_key_that_was_given_up(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people, deliveries=1) as writes:
        hand = await AsyncHand.take(writes)
        await writes.put(person(1, "poison"))
        await hand.drain()
        assert await waiting(writes) == (0, 0, 1)
        await writes.put(person(1, "fine"))
        await hand.drain()
        assert people.row(1) == {**person(1, "fine"), "writes": 1}
        assert await waiting(writes) == (0, 0, 0)


async def test_a_crash_while_a_refused_change_is_parked_loses_nothing(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one(valkey, namespace, people) as writes:
        await writes.put_many([person(1, "poison"), person(2), person(3)])
        with monkeypatch.context() as patched:
            patched.setattr(AsyncShard, "_failed", crash)
            with pytest.raises(Crash):
                await (await AsyncHand.take(writes)).drain()
        assert sum(await waiting(writes)) == 3
        await (await AsyncHand.take(writes)).drain()
        assert [row["id"] for row in people.rows()] == [2, 3]
        assert await waiting(writes) == (0, 1, 0)


async def test_a_parked_change_that_was_applied_before_a_crash_is_not_applied_again(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        people.fail = refuse_all
        await writes.put(person(1))
        await (await AsyncHand.take(writes)).drain()
        assert await waiting(writes) == (0, 1, 0)
        people.fail, people.after = accept, crash
        with pytest.raises(Crash):
            await (await AsyncHand.take(writes)).drain()
        people.after = lambda: None
        await (await AsyncHand.take(writes)).drain()
        assert people.row(1) == {**person(1), "writes": 1}
        assert await waiting(writes) == (0, 0, 0)


async def test_bytes_that_cannot_be_read_are_given_up_and_hold_up_nothing(
    valkey: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people, deliveries=1) as writes:
        await writes.put(person(1))
        place = writes.queue.places[0]
        texts = (b"people:9", b"\xc1", b"nonsense")
        change = b"\1" + b"".join(struct.pack("<I", len(text)) + text for text in texts)
        raw(valkey).xadd(place.stream, {"v": change})
        await writes.put(person(2))
        await (await AsyncHand.take(writes)).drain()
        assert [row["id"] for row in people.rows()] == [1, 2]
        assert await waiting(writes) == (0, 0, 1)


def refuse_all(changes: Sequence[Change]) -> None:
    raise ValueError("refused")


def accept(changes: Sequence[Change]) -> None:
    return None


# -------------------------------------------------------------------- a source that is away


async def test_a_source_that_is_away_costs_no_deliveries(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    def away(changes: Sequence[Change]) -> None:
        raise ConnectionRefusedError("away")

    async with one(valkey, namespace, people, deliveries=2) as writes:
        await writes.put_many([person(n) for n in range(10)])
        people.fail = away
        hand = await AsyncHand.take(writes)
        for _ in range(2):
            with pytest.raises(Away):
                await hand.drain()
            hand.shard.postpone()
        assert await waiting(writes) == (10, 0, 0)
        people.fail = accept
        await hand.drain()
        assert [row["writes"] for row in people.rows()] == [1] * 10


async def test_the_pauses_of_a_source_that_is_away_grow_and_differ(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        shard = AsyncHand(writes).shard
        pauses = [shard.postpone() for _ in range(10)]
        assert all(pause <= 10 for pause in pauses)
        assert pauses[0] < 0.21
        assert max(pauses[5:]) > 1.5
        assert len({round(pause, 6) for pause in pauses}) == 10


async def test_a_key_that_makes_the_source_look_away_is_found_out(
    valkey: Any, namespace: str, people: AsyncPeople, clock: FakeClock
) -> None:
    """An index row too large is an OperationalError of psycopg, and no outage."""

    def too_large(changes: Sequence[Change]) -> None:
        if any(change.key == 5 for change in changes):
            raise sqlite3.OperationalError("index row size exceeds maximum")

    async with one(valkey, namespace, people, deliveries=2, cached={"clock": clock}) as writes:
        await writes.put_many([person(n) for n in range(10)])
        people.fail = too_large
        hand = await AsyncHand.take(writes)
        for _ in range(3):
            with pytest.raises(Away):
                await hand.drain()
            hand.shard.postpone()
        await hand.drain()
        assert len(people.rows()) == 9
        assert await waiting(writes) == (0, 1, 0)
        for n in (20, 21):
            await writes.put(person(n))
            clock.advance(60)
            await hand.drain()
        assert await waiting(writes) == (0, 0, 1)


async def test_a_source_that_refuses_every_write_is_away_and_no_key_is_blamed(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    """As a database that has become read-only."""

    def read_only(changes: Sequence[Change]) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    async with one(valkey, namespace, people, deliveries=1) as writes:
        await writes.put_many([person(n) for n in range(50)])
        people.fail = read_only
        hand = await AsyncHand.take(writes)
        for _ in range(8):
            with pytest.raises(Away):
                await hand.drain()
            hand.shard.postpone()
        queued, parked, dead = await waiting(writes)
        assert (queued + parked, dead) == (50, 0)
        assert parked <= 3
        people.fail = accept
        await (await AsyncHand.take(writes)).drain()
        assert [row["writes"] for row in people.rows()] == [1] * 50


# -------------------------------------------------------------------- sources without positions


async def test_a_source_that_records_no_position_gets_every_change_at_least_once(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    class Plain:
        name = people.name

        def __getattr__(self, name: str) -> Any:
            if name in ("apply", "position", "merge"):
                raise AttributeError(name)
            return getattr(people, name)

    await people.save_many([person(2, "patched", 1), person(3)])
    async with one(valkey, namespace, Plain()) as writes:
        await writes.put(person(1))
        await writes.patch(2, {"age": 2})
        await writes.delete(3)
        await (await AsyncHand.take(writes)).drain()
        assert people.row(1) is not None
        assert people.row(2) == {**person(2, "patched", 2), "writes": 2}
        assert people.row(3) is None
        assert await waiting(writes) == (0, 0, 0)
