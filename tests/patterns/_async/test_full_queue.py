# Room, life and configuration.
"""A full queue, the life of a door, and options that make no sense."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._async.desk import AsyncOpened, AsyncPeople, door, new_cache, person

from cachewright import AsyncCache
from cachewright.errors import ConfigurationError, QueueFull
from cachewright.patterns._async.write_behind import AsyncWriteBehind

# -------------------------------------------------------------------- a full queue


async def test_defect_35_a_full_queue_refuses_and_nothing_of_the_refused_write_is_seen(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    options: dict[str, Any] = {"partitions": 1, "limit": 3, "when_full": "refuse"}
    async with AsyncOpened(valkey, namespace, people, **options) as writes:
        await writes.put_many([person(n) for n in range(3)])
        with pytest.raises(QueueFull):
            await writes.put(person(1, "refused"))
        assert await writes.get(1) == person(1)
        with pytest.raises(QueueFull):
            await writes.delete(2)
        assert await writes.get(2) == person(2)
        assert sum(each.entries for each in await writes.backlog()) == 3


async def test_defect_35_a_full_queue_blocks_until_there_is_room(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    options: dict[str, Any] = {"partitions": 1, "limit": 10, "worker": True, "batch": 10}
    async with AsyncOpened(valkey, namespace, people, **options) as writes:
        for start in range(0, 50, 5):
            await writes.put_many([person(n) for n in range(start, start + 5)])
            assert sum(each.entries for each in await writes.backlog()) <= 10
        assert await writes.flush(10)
        assert len(people.rows()) == 50


async def test_a_writer_that_waits_too_long_for_room_is_refused(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    options: dict[str, Any] = {"partitions": 1, "limit": 1, "patience": 0.0}
    async with AsyncOpened(valkey, namespace, people, **options) as writes:
        await writes.put(person(1))
        with pytest.raises(QueueFull):
            await writes.put(person(2))


async def test_defect_35_a_full_queue_is_written_past_where_nothing_older_of_the_key_waits(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    options: dict[str, Any] = {
        "partitions": 1,
        "limit": 1,
        "when_full": "write_through",
        "patience": 0.0,
    }
    async with AsyncOpened(valkey, namespace, people, **options) as writes:
        await writes.put(person(1, "waits"))
        await writes.put(person(2, "past it"))
        assert people.row(2) == {**person(2, "past it"), "writes": 1}
        assert await writes.get(2) == person(2, "past it")
        with pytest.raises(QueueFull):  # what waits would overwrite it
            await writes.put(person(1, "newer"))
        assert people.row(1) is None
        await writes.delete(2)
        assert await writes.get(2, None) is None


# -------------------------------------------------------------------- life and configuration


async def test_defect_27_closing_brings_to_the_source_what_is_queued(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with new_cache(valkey, namespace) as cache:
        writes = door(cache, people, interval=60.0)
        await writes.put_many([person(n) for n in range(100)])
        assert await writes.aclose(10)
    assert len(people.rows()) == 100


async def test_defect_26_a_write_survives_the_process_that_took_it(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people) as writes:
        await writes.put(person(1, "Ada"))
    assert people.rows() == []
    async with AsyncOpened(valkey, namespace, people, worker=True) as later:
        assert await later.flush(10)
    assert people.row(1) == {**person(1, "Ada"), "writes": 1}


async def test_a_closed_door_takes_no_writes(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with new_cache(valkey, namespace) as cache:
        writes = door(cache, people)
        await writes.put(person(1))
        await writes.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await writes.put(person(2))


async def test_a_flush_that_nobody_serves_says_so(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people) as writes:
        assert await writes.flush(0.05)
        await writes.put(person(1))
        assert not await writes.flush(0.05)


async def test_a_flush_waits_for_what_the_source_refused_and_closing_does_not(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people, worker=True, drain_timeout=600.0) as writes:
        await writes.put_many([person(1, "poison"), person(2)])
        assert not await writes.flush(0.5)
        assert people.row(2) is not None


async def test_a_cache_without_a_server_can_hold_no_queue(people: AsyncPeople) -> None:
    with pytest.raises(ConfigurationError, match="needs a server"):
        AsyncWriteBehind(AsyncCache(), people)


async def test_another_number_of_partitions_is_refused(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    """A key's changes would lie in two partitions, and in no order."""
    async with AsyncOpened(valkey, namespace, people, partitions=4) as writes:
        await writes.put(person(1))
    async with new_cache(valkey, namespace) as cache:
        with pytest.raises(ConfigurationError, match="partitions=4"):
            await door(cache, people, partitions=8).put(person(1))


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
async def test_an_option_that_makes_no_sense_is_refused(
    valkey: Any, namespace: str, people: AsyncPeople, option: dict[str, Any]
) -> None:
    async with new_cache(valkey, namespace) as cache:
        with pytest.raises(ConfigurationError):
            door(cache, people, **option)


async def test_of_one_key_the_last_of_a_call_wins(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people, worker=True) as writes:
        await writes.put_many([person(1, "first"), person(2), person(1, "last")])
        assert await writes.get(1) == person(1, "last")
        assert await writes.flush(10)
        assert people.row(1) == {**person(1, "last"), "writes": 1}
