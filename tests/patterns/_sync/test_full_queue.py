# Generated from _async/test_full_queue.py by tools/unasync.py. Do not edit.
"""A full queue, the life of a door, and options that make no sense."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._sync.desk import Opened, People, door, new_cache, person

from cachewright import Cache
from cachewright.errors import ConfigurationError, QueueFull
from cachewright.patterns._sync.write_behind import WriteBehind

# -------------------------------------------------------------------- a full queue


def test_defect_35_a_full_queue_refuses_and_nothing_of_the_refused_write_is_seen(
    valkey: Any, namespace: str, people: People
) -> None:
    options: dict[str, Any] = {"partitions": 1, "limit": 3, "when_full": "refuse"}
    with Opened(valkey, namespace, people, **options) as writes:
        writes.put_many([person(n) for n in range(3)])
        with pytest.raises(QueueFull):
            writes.put(person(1, "refused"))
        assert writes.get(1) == person(1)
        with pytest.raises(QueueFull):
            writes.delete(2)
        assert writes.get(2) == person(2)
        assert sum(each.entries for each in writes.backlog()) == 3


def test_defect_35_a_full_queue_blocks_until_there_is_room(
    valkey: Any, namespace: str, people: People
) -> None:
    options: dict[str, Any] = {"partitions": 1, "limit": 10, "worker": True, "batch": 10}
    with Opened(valkey, namespace, people, **options) as writes:
        for start in range(0, 50, 5):
            writes.put_many([person(n) for n in range(start, start + 5)])
            assert sum(each.entries for each in writes.backlog()) <= 10
        assert writes.flush(10)
        assert len(people.rows()) == 50


def test_a_writer_that_waits_too_long_for_room_is_refused(
    valkey: Any, namespace: str, people: People
) -> None:
    options: dict[str, Any] = {"partitions": 1, "limit": 1, "patience": 0.0}
    with Opened(valkey, namespace, people, **options) as writes:
        writes.put(person(1))
        with pytest.raises(QueueFull):
            writes.put(person(2))


def test_defect_35_a_full_queue_is_written_past_where_nothing_older_of_the_key_waits(
    valkey: Any, namespace: str, people: People
) -> None:
    options: dict[str, Any] = {
        "partitions": 1,
        "limit": 1,
        "when_full": "write_through",
        "patience": 0.0,
    }
    with Opened(valkey, namespace, people, **options) as writes:
        writes.put(person(1, "waits"))
        writes.put(person(2, "past it"))
        assert people.row(2) == {**person(2, "past it"), "writes": 1}
        assert writes.get(2) == person(2, "past it")
        with pytest.raises(QueueFull):  # what waits would overwrite it
            writes.put(person(1, "newer"))
        assert people.row(1) is None
        writes.delete(2)
        assert writes.get(2, None) is None


# -------------------------------------------------------------------- life and configuration


def test_defect_27_closing_brings_to_the_source_what_is_queued(
    valkey: Any, namespace: str, people: People
) -> None:
    with new_cache(valkey, namespace) as cache:
        writes = door(cache, people, interval=60.0)
        writes.put_many([person(n) for n in range(100)])
        assert writes.close(10)
    assert len(people.rows()) == 100


def test_defect_26_a_write_survives_the_process_that_took_it(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people) as writes:
        writes.put(person(1, "Ada"))
    assert people.rows() == []
    with Opened(valkey, namespace, people, worker=True) as later:
        assert later.flush(10)
    assert people.row(1) == {**person(1, "Ada"), "writes": 1}


def test_a_closed_door_takes_no_writes(
    valkey: Any, namespace: str, people: People
) -> None:
    with new_cache(valkey, namespace) as cache:
        writes = door(cache, people)
        writes.put(person(1))
        writes.close()
        with pytest.raises(ConfigurationError, match="closed"):
            writes.put(person(2))


def test_a_flush_that_nobody_serves_says_so(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people) as writes:
        assert writes.flush(0.05)
        writes.put(person(1))
        assert not writes.flush(0.05)


def test_a_flush_waits_for_what_the_source_refused_and_closing_does_not(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people, worker=True, drain_timeout=600.0) as writes:
        writes.put_many([person(1, "poison"), person(2)])
        assert not writes.flush(0.5)
        assert people.row(2) is not None


def test_a_cache_without_a_server_can_hold_no_queue(people: People) -> None:
    with pytest.raises(ConfigurationError, match="needs a server"):
        WriteBehind(Cache(), people)


def test_another_number_of_partitions_is_refused(
    valkey: Any, namespace: str, people: People
) -> None:
    """A key's changes would lie in two partitions, and in no order."""
    with Opened(valkey, namespace, people, partitions=4) as writes:
        writes.put(person(1))
    with new_cache(valkey, namespace) as cache:
        with pytest.raises(ConfigurationError, match="partitions=4"):
            door(cache, people, partitions=8).put(person(1))


@pytest.mark.parametrize(
    "option",
    [
        {"partitions": 0},
        {"batch": -1},
        {"limit": 1.5},
        {"deliveries": True},
        {"durability": "disk"},
        {"when_full": "drop"},
        {"interval": 0},
        {"worker": "yes"},
        {"dirties": "table:people"},
        {"name": "a:b"},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused(
    valkey: Any, namespace: str, people: People, option: dict[str, Any]
) -> None:
    with new_cache(valkey, namespace) as cache:
        with pytest.raises(ConfigurationError):
            door(cache, people, **option)


def test_of_one_key_the_last_of_a_call_wins(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people, worker=True) as writes:
        writes.put_many([person(1, "first"), person(2), person(1, "last")])
        assert writes.get(1) == person(1, "last")
        assert writes.flush(10)
        assert people.row(1) == {**person(1, "last"), "writes": 1}
