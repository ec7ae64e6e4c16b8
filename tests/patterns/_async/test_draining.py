# From the queue to the source.
"""Draining, one partition turned by hand: effect once, order, refusals, a source that is away, workers that die or freeze."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from _async.mutants import weaken_script
from patterns._async.desk import (
    AsyncHand,
    AsyncPeople,
    Crash,
    crash,
    one,
    person,
    waiting,
)

from cachewright.patterns._async.applying import AsyncApplier
from cachewright.patterns._async.partitions import AsyncPartitions, Overtaken
from cachewright.patterns._async.shards import Away
from cachewright.testing import RecordingListener

# -------------------------------------------------------------------- batches


async def test_the_changes_of_a_key_reach_the_source_as_one(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        for age in range(5):
            await writes.put(person(1, "Ada", age))
        await writes.patch(1, {"name": "Ada King"})
        await writes.patch(2, {"age": 1})
        await writes.patch(2, {"name": "B"})
        await writes.put(person(3))
        await writes.delete(3)
        hand = await AsyncHand.take(writes)
        await hand.drain()
        assert [[(c.kind, c.key) for c in batch] for batch in people.batches] == [
            [("put", 1), ("patch", 2), ("delete", 3)]
        ]
        assert people.batches[0][1].value == {"age": 1, "name": "B"}
        assert people.row(1) == {**person(1, "Ada King", 4), "writes": 1}
        assert await waiting(writes) == (0, 0, 0)
        assert hand.shard.applied == 10


async def test_batches_are_as_large_as_the_option_says_and_none_is_forgotten(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people, batch=40) as writes:
        await writes.put_many([person(n) for n in range(100)])
        await (await AsyncHand.take(writes)).drain()
        assert [len(batch) for batch in people.batches] == [40, 40, 20]
        assert len(people.rows()) == 100


async def test_what_the_source_has_is_pending_no_more_and_what_came_later_is(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        await writes.put(person(1, "first"))
        name = writes.cache.reads.name(("people", 1))

        async def later() -> None:
            await writes.patch(1, {"age": 9})

        people.before_apply = later
        hand = await AsyncHand.take(writes)
        stops = iter([False, False])
        await hand.shard.drain(lambda: next(stops, True))
        assert people.row(1) == {**person(1, "first"), "writes": 1}
        log = (await writes.queue.pending([name]))[name]
        assert [record.kind for record in log] == ["patch"]
        assert await writes.get(1) == person(1, "first", 9)


# -------------------------------------------------------------------- effect once


async def crash_after_commit(
    server: Any, namespace: str, people: AsyncPeople, *, then: Callable[[], None] = lambda: None
) -> AsyncPeople:
    """A worker dies between the source's commit and the acknowledgement; another one takes over."""
    async with one(server, namespace, people) as writes:
        await writes.put_many([person(n) for n in range(10)])
        people.after = crash
        with pytest.raises(Crash):
            await (await AsyncHand.take(writes)).drain()
        people.after = lambda: None
        assert (await waiting(writes))[0] == 10
        then()
        await writes.put(person(3, "later"))
        await (await AsyncHand.take(writes)).drain()
        assert await waiting(writes) == (0, 0, 0)
    return people


async def test_defect_32_what_was_applied_before_a_crash_is_not_applied_again(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    await crash_after_commit(valkey, namespace, people)
    assert [row["writes"] for row in people.rows()] == [1, 1, 1, 2, 1, 1, 1, 1, 1, 1]
    assert people.row(3) == {**person(3, "later"), "writes": 2}


async def test_without_a_recorded_position_it_would_be_applied_twice(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a source that records nothing."""

    async def nothing(*_: Any) -> None:
        return None

    monkeypatch.setattr(AsyncApplier, "recorded", nothing)
    people.checks_positions = False
    await crash_after_commit(valkey, namespace, people)
    assert [row["writes"] for row in people.rows()] == [2, 2, 2, 3, 2, 2, 2, 2, 2, 2]


async def frozen_worker(server: Any, namespace: str, people: AsyncPeople) -> None:
    """A worker freezes with a batch in hand, past its lease; another one goes on; then it wakes."""
    async with (
        one(server, namespace, people) as writes,
        one(server, namespace, people) as other,
    ):
        await writes.put_many([person(n, "old") for n in range(100)])
        frozen = await AsyncHand.take(writes)

        async def meanwhile() -> None:
            await other.put_many([person(n, "new") for n in range(100)])
            await (await AsyncHand.take(other)).drain()

        people.before_apply = meanwhile
        with pytest.raises(Overtaken):
            await frozen.drain()
        with pytest.raises(Overtaken):
            await frozen.drain()
        assert await waiting(writes) == (0, 0, 0)


async def test_defect_32_a_worker_that_was_frozen_overwrites_nothing_newer(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    await frozen_worker(valkey, namespace, people)
    assert {(row["name"], row["writes"]) for row in people.rows()} == {("new", 2)}


async def test_without_the_expected_position_a_frozen_worker_would_overwrite(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    """The control: a source that compares no positions."""
    people.checks_positions = False
    with pytest.raises(pytest.fail.Exception):  # nobody is overtaken
        await frozen_worker(valkey, namespace, people)
    assert {row["name"] for row in people.rows()} == {"old"}


async def test_what_a_dead_worker_was_handed_is_claimed_before_anything_new(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people, batch=3) as writes:
        await writes.put_many([person(n, "old") for n in range(5)])
        dead = await AsyncHand.take(writes)
        await dead.at.prepare(dead.place)
        assert len(await dead.at.take(dead.place, 3, again=False)) == 3
        await writes.put(person(0, "new"))
        await (await AsyncHand.take(writes)).drain()
        assert people.row(0) == {**person(0, "new"), "writes": 2}
        assert len(people.rows()) == 5


async def thief(server: Any, namespace: str, people: AsyncPeople) -> None:
    """A worker whose lease is another's asks for entries, and never comes back with them."""
    async with one(server, namespace, people) as writes:
        late = await AsyncHand.take(writes)
        await late.at.prepare(late.place)
        hand = await AsyncHand.take(writes)
        await hand.drain()
        await writes.put(person(1))
        with contextlib.suppress(Overtaken):
            await late.at.take(late.place, 10, again=False)
        await writes.put(person(2))
        await hand.drain()
        await hand.drain()


async def test_who_does_not_hold_the_partition_is_handed_nothing(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    await thief(valkey, namespace, people)
    assert [row["id"] for row in people.rows()] == [1, 2]


async def test_without_the_look_at_the_lease_an_entry_would_be_passed_over(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the position moves past an entry that another worker was handed."""
    weaken_script(
        monkeypatch, "take", "if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then", "if false then"
    )
    await thief(valkey, namespace, people)
    assert [row["id"] for row in people.rows()] == [2]


async def test_a_commit_whose_answer_was_lost_is_not_repeated(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with one(valkey, namespace, people) as writes:
        await writes.put(person(1))

        def lost() -> None:
            people.after = lambda: None
            raise sqlite3.OperationalError("server closed the connection")

        people.after = lost
        hand = await AsyncHand.take(writes)
        with pytest.raises(Away):
            await hand.drain()
        await hand.drain()
        assert people.row(1) == {**person(1), "writes": 1}
        assert await waiting(writes) == (0, 0, 0)


async def lost_stream(server: Any, client: Any, namespace: str, people: AsyncPeople) -> Any:
    """The server loses a partition, and comes back with a clock that is behind."""
    events = RecordingListener()
    cached = {"listeners": [events]}
    async with one(server, namespace, people, cached=cached) as writes:
        place = writes.queue.places[0]
        await (await AsyncHand.take(writes)).drain()
        client.execute_command("XSETID", place.stream, f"{1000 * (int(client.time()[0]) + 3600)}-0")
        await writes.put(person(1, "before"))
        await (await AsyncHand.take(writes)).drain()
        client.delete(place.stream)
        hand = await AsyncHand.take(writes)
        await hand.drain()
        await writes.put(person(1, "after"))
        await hand.drain()
    return people.row(1), len(events.of("queue_behind"))


async def test_what_is_queued_after_the_server_lost_the_stream_is_not_taken_for_old(
    valkey: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    found = await lost_stream(valkey, raw(valkey), namespace, people)
    assert found == ({**person(1, "after"), "writes": 2}, 1)


async def test_without_catching_up_it_would_be_taken_for_old(
    valkey: Any, raw: Any, namespace: str, *, people: AsyncPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""

    async def never(*_: Any) -> bool:
        return False

    monkeypatch.setattr(AsyncPartitions, "catch_up", never)
    found = await lost_stream(valkey, raw(valkey), namespace, people)
    assert found == ({**person(1, "before"), "writes": 1}, 0)
