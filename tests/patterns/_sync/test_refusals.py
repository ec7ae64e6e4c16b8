# Generated from _async/test_refusals.py by tools/unasync.py. Do not edit.
"""Draining where the source refuses or is away: parked, tried again, given up, and nothing else held up."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from patterns._sync.desk import (
    Hand,
    People,
    Crash,
    crash,
    one,
    person,
    waiting,
)

from cachewright.patterns._sync.shards import Shard, Away
from cachewright.patterns.sources import Change
from cachewright.testing import FakeClock, RecordingListener

# -------------------------------------------------------------------- refusals


def test_defect_31_one_change_that_is_refused_holds_up_no_other(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    events = RecordingListener()
    options = {"listeners": [events], "clock": clock}  # no time passes: nothing is tried again
    with one(valkey, namespace, people, cached=options) as writes:
        writes.put_many(
            [person(n, "poison" if n in (17, 63) else "fine") for n in range(100)]
        )
        (Hand.take(writes)).drain()
        assert len(people.rows()) == 98
        assert waiting(writes) == (0, 2, 0)
        assert len(events.of("write_refused")) == 2
        assert writes.get(17) == person(17, "poison")  # acknowledged, and still to come


def test_a_refused_change_is_found_in_few_transactions(
    valkey: Any, namespace: str, people: People
) -> None:
    tries: list[int] = []
    people.fail = lambda changes: tries.append(len(changes))
    with one(valkey, namespace, people, batch=256) as writes:
        writes.put_many([person(n, "poison" if n == 200 else "fine") for n in range(256)])
        (Hand.take(writes)).drain()
        assert len(people.rows()) == 255
        assert len(people.batches) == len(tries) <= 9  # those that were taken; one for each halving


def test_defect_31_what_is_refused_again_and_again_is_kept_with_the_cause(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    with one(valkey, namespace, people, deliveries=3, cached={"clock": clock}) as writes:
        writes.put(person(1, "poison"))
        hand = Hand.take(writes)
        for turn in range(3):
            assert waiting(writes) == ((1, 0, 0) if turn == 0 else (0, 1, 0))
            hand.drain()
            hand.drain()  # too early for another try
            clock.advance(60)
        assert waiting(writes) == (0, 0, 1)
        letter = (hand.at.lying(hand.place.dead))[0]
        assert letter.deliveries == 3
        assert letter.cause.startswith("IntegrityError: CHECK constraint failed")
        assert writes.get(1) == person(1, "poison")


def test_deliveries_are_counted_across_workers(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people, deliveries=3) as writes:
        writes.put(person(1, "poison"))
        for _ in range(3):
            (Hand.take(writes)).drain()
        assert waiting(writes) == (0, 0, 1)


def test_what_comes_after_a_refused_change_of_the_key_follows_it(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    people.save(person(1, "before", 1))
    with one(valkey, namespace, people, cached={"clock": clock}) as writes:
        hand = Hand.take(writes)
        writes.patch(1, {"name": "poison"})
        hand.drain()
        writes.patch(1, {"age": 2})
        writes.put(person(2))
        hand.drain()
        assert people.row(1) == {**person(1, "before", 1), "writes": 1}
        assert people.row(2) == {**person(2), "writes": 1}
        assert waiting(writes) == (0, 2, 0)
        assert writes.get(1) == person(1, "poison", 2)
        writes.patch(1, {"name": "after"})
        hand.drain()
        clock.advance(60)
        hand.drain()
        assert people.row(1) == {**person(1, "after", 2), "writes": 2}
        assert waiting(writes) == (0, 0, 0)


def test_a_whole_value_heals_a_key_that_was_given_up(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people, deliveries=1) as writes:
        hand = Hand.take(writes)
        writes.put(person(1, "poison"))
        hand.drain()
        assert waiting(writes) == (0, 0, 1)
        writes.put(person(1, "fine"))
        hand.drain()
        assert people.row(1) == {**person(1, "fine"), "writes": 1}
        assert waiting(writes) == (0, 0, 0)


def test_a_crash_while_a_refused_change_is_parked_loses_nothing(
    valkey: Any, namespace: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one(valkey, namespace, people) as writes:
        writes.put_many([person(1, "poison"), person(2), person(3)])
        with monkeypatch.context() as patched:
            patched.setattr(Shard, "_failed", crash)
            with pytest.raises(Crash):
                (Hand.take(writes)).drain()
        assert sum(waiting(writes)) == 3
        (Hand.take(writes)).drain()
        assert [row["id"] for row in people.rows()] == [2, 3]
        assert waiting(writes) == (0, 1, 0)


def test_a_parked_change_that_was_applied_before_a_crash_is_not_applied_again(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        people.fail = refuse_all
        writes.put(person(1))
        (Hand.take(writes)).drain()
        assert waiting(writes) == (0, 1, 0)
        people.fail, people.after = accept, crash
        with pytest.raises(Crash):
            (Hand.take(writes)).drain()
        people.after = lambda: None
        (Hand.take(writes)).drain()
        assert people.row(1) == {**person(1), "writes": 1}
        assert waiting(writes) == (0, 0, 0)


def test_bytes_that_cannot_be_read_are_given_up_and_hold_up_nothing(
    valkey: Any, raw: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people, deliveries=1) as writes:
        writes.put(person(1))
        place = writes.queue.places[0]
        texts = (b"people:9", b"\xc1", b"nonsense")
        change = b"\1" + b"".join(struct.pack("<I", len(text)) + text for text in texts)
        raw(valkey).xadd(place.stream, {"v": change})
        writes.put(person(2))
        (Hand.take(writes)).drain()
        assert [row["id"] for row in people.rows()] == [1, 2]
        assert waiting(writes) == (0, 0, 1)


def refuse_all(changes: Sequence[Change]) -> None:
    raise ValueError("refused")


def accept(changes: Sequence[Change]) -> None:
    return None


# -------------------------------------------------------------------- a source that is away


def test_a_source_that_is_away_costs_no_deliveries(
    valkey: Any, namespace: str, people: People
) -> None:
    def away(changes: Sequence[Change]) -> None:
        raise ConnectionRefusedError("away")

    with one(valkey, namespace, people, deliveries=2) as writes:
        writes.put_many([person(n) for n in range(10)])
        people.fail = away
        hand = Hand.take(writes)
        for _ in range(2):
            with pytest.raises(Away):
                hand.drain()
            hand.shard.postpone()
        assert waiting(writes) == (10, 0, 0)
        people.fail = accept
        hand.drain()
        assert [row["writes"] for row in people.rows()] == [1] * 10


def test_the_pauses_of_a_source_that_is_away_grow_and_differ(
    valkey: Any, namespace: str, people: People
) -> None:
    with one(valkey, namespace, people) as writes:
        shard = Hand(writes).shard
        pauses = [shard.postpone() for _ in range(10)]
        assert all(pause <= 10 for pause in pauses)
        assert pauses[0] < 0.21
        assert max(pauses[5:]) > 1.5
        assert len({round(pause, 6) for pause in pauses}) == 10


def test_a_key_that_makes_the_source_look_away_is_found_out(
    valkey: Any, namespace: str, people: People, clock: FakeClock
) -> None:
    """An index row too large is an OperationalError of psycopg, and no outage."""

    def too_large(changes: Sequence[Change]) -> None:
        if any(change.key == 5 for change in changes):
            raise sqlite3.OperationalError("index row size exceeds maximum")

    with one(valkey, namespace, people, deliveries=2, cached={"clock": clock}) as writes:
        writes.put_many([person(n) for n in range(10)])
        people.fail = too_large
        hand = Hand.take(writes)
        for _ in range(3):
            with pytest.raises(Away):
                hand.drain()
            hand.shard.postpone()
        hand.drain()
        assert len(people.rows()) == 9
        assert waiting(writes) == (0, 1, 0)
        for n in (20, 21):
            writes.put(person(n))
            clock.advance(60)
            hand.drain()
        assert waiting(writes) == (0, 0, 1)


def test_a_source_that_refuses_every_write_is_away_and_no_key_is_blamed(
    valkey: Any, namespace: str, people: People
) -> None:
    """As a database that has become read-only."""

    def read_only(changes: Sequence[Change]) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    with one(valkey, namespace, people, deliveries=1) as writes:
        writes.put_many([person(n) for n in range(50)])
        people.fail = read_only
        hand = Hand.take(writes)
        for _ in range(8):
            with pytest.raises(Away):
                hand.drain()
            hand.shard.postpone()
        queued, parked, dead = waiting(writes)
        assert (queued + parked, dead) == (50, 0)
        assert parked <= 3
        people.fail = accept
        (Hand.take(writes)).drain()
        assert [row["writes"] for row in people.rows()] == [1] * 50


# -------------------------------------------------------------------- sources without positions


def test_a_source_that_records_no_position_gets_every_change_at_least_once(
    valkey: Any, namespace: str, people: People
) -> None:
    class Plain:
        name = people.name

        def __getattr__(self, name: str) -> Any:
            if name in ("apply", "position", "merge"):
                raise AttributeError(name)
            return getattr(people, name)

    people.save_many([person(2, "patched", 1), person(3)])
    with one(valkey, namespace, Plain()) as writes:
        writes.put(person(1))
        writes.patch(2, {"age": 2})
        writes.delete(3)
        (Hand.take(writes)).drain()
        assert people.row(1) is not None
        assert people.row(2) == {**person(2, "patched", 2), "writes": 2}
        assert people.row(3) is None
        assert waiting(writes) == (0, 0, 0)
