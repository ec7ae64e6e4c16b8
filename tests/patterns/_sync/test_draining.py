# Generated from _async/test_draining.py by tools/unasync.py. Do not edit.
"""Draining, one partition turned by hand: effect once, order, refusals, a source that is away, workers that die or freeze."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from _sync.mutants import weaken_script
from patterns._sync.desk import (
    Hand,
    People,
    Crash,
    crash,
    one,
    person,
    waiting,
)

from cachewright.patterns._sync.applying import Applier
from cachewright.patterns._sync.partitions import Partitions, Overtaken
from cachewright.patterns._sync.shards import Away
from cachewright.testing import RecordingListener

# -------------------------------------------------------------------- batches


def test_the_changes_of_a_key_reach_the_source_as_one(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        for age in range(5):
            writes.put(person(1, "Ada", age))
        writes.patch(1, {"name": "Ada King"})
        writes.patch(2, {"age": 1})
        writes.patch(2, {"name": "B"})
        writes.put(person(3))
        writes.delete(3)
        hand = Hand.take(writes)
        hand.drain()
        assert [[(c.kind, c.key) for c in batch] for batch in people.batches] == [
            [("put", 1), ("patch", 2), ("delete", 3)]
        ]
        assert people.batches[0][1].value == {"age": 1, "name": "B"}
        assert people.row(1) == {**person(1, "Ada King", 4), "writes": 1}
        assert waiting(writes) == (0, 0, 0)
        assert hand.shard.applied == 10


def test_batches_are_as_large_as_the_option_says_and_none_is_forgotten(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people, batch=40) as writes:
        writes.put_many([person(n) for n in range(100)])
        (Hand.take(writes)).drain()
        assert [len(batch) for batch in people.batches] == [40, 40, 20]
        assert len(people.rows()) == 100


def test_what_the_source_has_is_pending_no_more_and_what_came_later_is(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        writes.put(person(1, "first"))
        name = writes.cache.reads.name(("people", 1))

        def later() -> None:
            writes.patch(1, {"age": 9})

        people.before_apply = later
        hand = Hand.take(writes)
        stops = iter([False, False])
        hand.shard.drain(lambda: next(stops, True))
        assert people.row(1) == {**person(1, "first"), "writes": 1}
        log = (writes.queue.pending([name]))[name]
        assert [record.kind for record in log] == ["patch"]
        assert writes.get(1) == person(1, "first", 9)


# -------------------------------------------------------------------- effect once


def crash_after_commit(
    server: Any, namespace: str, people: People, *, then: Callable[[], None] = lambda: None
) -> People:
    """A worker dies between the source's commit and the acknowledgement; another one takes over."""
    with one(server, namespace, people) as writes:
        writes.put_many([person(n) for n in range(10)])
        people.after = crash
        with pytest.raises(Crash):
            (Hand.take(writes)).drain()
        people.after = lambda: None
        assert (waiting(writes))[0] == 10
        then()
        writes.put(person(3, "later"))
        (Hand.take(writes)).drain()
        assert waiting(writes) == (0, 0, 0)
    return people


def test_defect_32_what_was_applied_before_a_crash_is_not_applied_again(
    valkey: Any, namespace: str, people: People
) -> None:
    crash_after_commit(valkey, namespace, people)
    assert [row["writes"] for row in people.rows()] == [1, 1, 1, 2, 1, 1, 1, 1, 1, 1]
    assert people.row(3) == {**person(3, "later"), "writes": 2}


def test_without_a_recorded_position_it_would_be_applied_twice(
    valkey: Any, namespace: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a source that records nothing."""

    def nothing(*_: Any) -> None:
        return None

    monkeypatch.setattr(Applier, "recorded", nothing)
    people.checks_positions = False
    crash_after_commit(valkey, namespace, people)
    assert [row["writes"] for row in people.rows()] == [2, 2, 2, 3, 2, 2, 2, 2, 2, 2]


def frozen_worker(server: Any, namespace: str, people: People) -> None:
    """A worker freezes with a batch in hand, past its lease; another one goes on; then it wakes."""
    with (
        one(server, namespace, people) as writes,
        one(server, namespace, people) as other,
    ):
        writes.put_many([person(n, "old") for n in range(100)])
        frozen = Hand.take(writes)

        def meanwhile() -> None:
            other.put_many([person(n, "new") for n in range(100)])
            (Hand.take(other)).drain()

        people.before_apply = meanwhile
        with pytest.raises(Overtaken):
            frozen.drain()
        with pytest.raises(Overtaken):
            frozen.drain()
        assert waiting(writes) == (0, 0, 0)


def test_defect_32_a_worker_that_was_frozen_overwrites_nothing_newer(
    valkey: Any, namespace: str, people: People
) -> None:
    frozen_worker(valkey, namespace, people)
    assert {(row["name"], row["writes"]) for row in people.rows()} == {("new", 2)}


def test_without_the_expected_position_a_frozen_worker_would_overwrite(
    valkey: Any, namespace: str, people: People
) -> None:
    """The control: a source that compares no positions."""
    people.checks_positions = False
    with pytest.raises(pytest.fail.Exception):  # nobody is overtaken
        frozen_worker(valkey, namespace, people)
    assert {row["name"] for row in people.rows()} == {"old"}


def test_what_a_dead_worker_was_handed_is_claimed_before_anything_new(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people, batch=3) as writes:
        writes.put_many([person(n, "old") for n in range(5)])
        dead = Hand.take(writes)
        dead.at.prepare(dead.place)
        assert len(dead.at.take(dead.place, 3, again=False)) == 3
        writes.put(person(0, "new"))
        (Hand.take(writes)).drain()
        assert people.row(0) == {**person(0, "new"), "writes": 2}
        assert len(people.rows()) == 5


def thief(server: Any, namespace: str, people: People) -> None:
    """A worker whose lease is another's asks for entries, and never comes back with them."""
    with one(server, namespace, people) as writes:
        late = Hand.take(writes)
        late.at.prepare(late.place)
        hand = Hand.take(writes)
        hand.drain()
        writes.put(person(1))
        with contextlib.suppress(Overtaken):
            late.at.take(late.place, 10, again=False)
        writes.put(person(2))
        hand.drain()
        hand.drain()


def test_who_does_not_hold_the_partition_is_handed_nothing(
    valkey: Any, namespace: str, people: People
) -> None:
    thief(valkey, namespace, people)
    assert [row["id"] for row in people.rows()] == [1, 2]


def test_without_the_look_at_the_lease_an_entry_would_be_passed_over(
    valkey: Any, namespace: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the position moves past an entry that another worker was handed."""
    weaken_script(
        monkeypatch, "take", "if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then", "if false then"
    )
    thief(valkey, namespace, people)
    assert [row["id"] for row in people.rows()] == [2]


def test_a_commit_whose_answer_was_lost_is_not_repeated(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        writes.put(person(1))

        def lost() -> None:
            people.after = lambda: None
            raise sqlite3.OperationalError("server closed the connection")

        people.after = lost
        hand = Hand.take(writes)
        with pytest.raises(Away):
            hand.drain()
        hand.drain()
        assert people.row(1) == {**person(1), "writes": 1}
        assert waiting(writes) == (0, 0, 0)


def lost_stream(server: Any, client: Any, namespace: str, people: People) -> Any:
    """The server loses a partition, and comes back with a clock that is behind."""
    events = RecordingListener()
    cached = {"listeners": [events]}
    with one(server, namespace, people, cached=cached) as writes:
        place = writes.queue.places[0]
        (Hand.take(writes)).drain()
        client.execute_command("XSETID", place.stream, f"{1000 * (int(client.time()[0]) + 3600)}-0")
        writes.put(person(1, "before"))
        (Hand.take(writes)).drain()
        client.delete(place.stream)
        hand = Hand.take(writes)
        hand.drain()
        writes.put(person(1, "after"))
        hand.drain()
    return people.row(1), len(events.of("queue_behind"))


def test_what_is_queued_after_the_server_lost_the_stream_is_not_taken_for_old(
    valkey: Any, raw: Any, namespace: str, people: People
) -> None:
    found = lost_stream(valkey, raw(valkey), namespace, people)
    assert found == ({**person(1, "after"), "writes": 2}, 1)


def test_without_catching_up_it_would_be_taken_for_old(
    valkey: Any, raw: Any, namespace: str, *, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""

    def never(*_: Any) -> bool:
        return False

    monkeypatch.setattr(Partitions, "catch_up", never)
    found = lost_stream(valkey, raw(valkey), namespace, people)
    assert found == ({**person(1, "before"), "writes": 1}, 0)
