# Read-through, the door.
"""Read-through, one row and many: one statement, the caller's own keys, absence remembered, failure as it is written."""

from __future__ import annotations

from typing import Any

import pytest
from _async.steps import AsyncStep, until
from patterns._async.recording import AsyncRecording, people

from cachewright import MISSING, AsyncCache, ConfigurationError, InvalidKey, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._async.read_through import AsyncReadThrough
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


async def test_defect_39_the_loader_is_registered_once_and_named_at_no_call() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1))
        users = AsyncReadThrough(cache, source)
        assert await users.get(1) == await users.get(1) == source.rows[1]
        assert source.statements == [[1]]


async def test_one_row_and_a_batch_share_their_entries(
    server: EmbeddedServer, namespace: str
) -> None:
    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        source = AsyncRecording(people(1, 2, 3))
        here, there = AsyncReadThrough(a, source), AsyncReadThrough(b, source)
        await here.get(1)
        assert await there.get_many([1, 2, 3]) == source.rows
        assert await here.get(3) == source.rows[3]
        assert source.statements == [[1], [2, 3]]


async def test_the_row_and_its_table_are_tags_of_every_row(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncReadThrough(cache, source)
        await users.get_many([1, 2])
        await cache.invalidate(tags=["row:users:1"])
        await users.get_many([1, 2])
        await cache.invalidate(tags=["rows:users"])
        await users.get(2)
        assert source.statements == [[1, 2], [1], [2]]


async def test_an_invalidated_row_takes_along_what_names_it() -> None:
    async with AsyncCache() as cache:
        users = AsyncReadThrough(cache, AsyncRecording(people(1, 2)))
        await cache.set("greeting", "hello n1", tags=["row:users:1"])
        await users.invalidate("2")
        assert await cache.get("greeting") == "hello n1"
        await users.invalidate("1")
        assert await cache.get("greeting") is MISSING


async def test_a_composite_key_is_one_row() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(name="seats")
        source.key_types = (int, str)
        source.rows = {(7, "A"): "window"}
        seats = AsyncReadThrough(cache, source)
        assert await seats.get(("7", "A")) == await seats.get((7, "A")) == "window"
        assert await seats.get_many([("7", "A"), (7, "B")]) == {("7", "A"): "window"}
        await cache.invalidate(tags=["row:seats:7:A"])
        assert await seats.get((7, "A")) == "window"
        assert source.statements == [[(7, "A")], [(7, "B")], [(7, "A")]]


async def test_what_can_be_no_key_of_the_source_is_refused_and_asks_nobody() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1))
        users = AsyncReadThrough(cache, source)
        for ask, key in ((users.get, "x"), (users.get_many, [1, "x"]), (users.invalidate, "x")):
            with pytest.raises(InvalidKey):
                await ask(key)
        assert source.statements == []


async def test_a_source_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs a name"):
        AsyncReadThrough(AsyncCache(), AsyncRecording(name=""))


# -------------------------------------------------------------------- line 41: keys


async def test_defect_41_a_batch_comes_back_by_the_callers_keys_on_a_hit_as_on_a_miss() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncReadThrough(cache, source)
        row = source.rows[1]
        for _ in range(2):
            assert await users.get_many(["1", 2]) == {"1": row, 2: source.rows[2]}
            assert await users.get_many([1]) == {1: row}
        assert source.statements == [[1, 2]]


async def test_defect_41_a_row_that_is_asked_for_twice_is_loaded_once_and_found_under_both() -> (
    None
):
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncReadThrough(cache, source)
        found = await users.get_many([2, "1", 1, 2, "1"])
        assert found == {2: source.rows[2], "1": source.rows[1], 1: source.rows[1]}
        assert list(found) == [2, "1", 1]
        assert source.statements == [[2, 1]]


async def test_defect_41_a_source_that_spells_ids_as_text_loses_no_row() -> None:
    class AsyncTextual(AsyncRecording):
        async def load_many(self, keys: Any) -> Any:
            return {str(key): row for key, row in (await super().load_many(keys)).items()}

    async with AsyncCache() as cache:
        source = AsyncTextual(people(1))
        assert await AsyncReadThrough(cache, source).get_many([1]) == {1: source.rows[1]}


async def test_defect_41_naive_code_finds_a_row_under_another_key_than_it_was_asked_for() -> None:
    source, cache = AsyncRecording(people(1)), {}
    found: dict[Any, Any] = {}
    for key in ["1", 1]:
        row = cache.get(f"users:{key}")
        if row is None:
            loaded = await source.load_many([key])
            found |= loaded
            cache[f"users:{key}"] = loaded[1]
        else:
            found[key] = row
    assert "1" not in found
    assert 1 in found


# -------------------------------------------------------------------- line 41: absence


async def test_defect_41_absent_ids_are_asked_for_once_and_left_out() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1))
        users = AsyncReadThrough(cache, source)
        for _ in range(3):
            assert await users.get_many([1, 8, 9]) == people(1)
            assert await users.get_many([9], default=None) == {9: None}
            assert await users.get(8, default="none") == "none"
            assert await users.get(8) is MISSING
        assert source.statements == [[1, 8, 9]]


async def test_defect_41_an_insert_that_is_invalidated_ends_the_absence_at_once(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = AsyncRecording()
        users = AsyncReadThrough(cache, source)
        assert await users.get_many([1, 2]) == {}
        source.rows |= people(1)
        await users.invalidate("1")
        assert await users.get_many([1, 2]) == people(1)
        assert source.statements == [[1, 2], [1]]


async def test_an_absence_lives_for_its_own_time() -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock) as cache:
        source = AsyncRecording()
        users = AsyncReadThrough(cache, source, policy=Policy(ttl=300, negative_ttl=5))
        await users.get_many([1])
        source.rows |= people(1)
        clock.advance(4)
        assert await users.get_many([1]) == {}
        clock.advance(2)
        assert await users.get_many([1]) == people(1)


async def test_a_row_that_is_none_or_empty_is_a_row() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording({1: None, 2: {}, 3: 0})
        users = AsyncReadThrough(cache, source)
        for _ in range(2):
            assert await users.get_many([1, 2, 3]) == {1: None, 2: {}, 3: 0}
        assert source.statements == [[1, 2, 3]]


async def test_a_batch_of_nothing_asks_nobody() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording()
        assert await AsyncReadThrough(cache, source).get_many([]) == {}
        assert source.statements == []


# -------------------------------------------------------------------- line 41: flights


async def test_defect_41_overlapping_batches_load_each_row_once(
    server: EmbeddedServer, namespace: str
) -> None:
    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        assert await rows_loaded_by_overlapping_batches(a, a) == [1, 2, 3, 4, 5, 6]
        await a.clear()
        assert await rows_loaded_by_overlapping_batches(a, b) == [1, 2, 3, 4, 5, 6]


async def rows_loaded_by_overlapping_batches(first: AsyncCache, second: AsyncCache) -> list[int]:
    source = AsyncRecording(people(*range(1, 7)))
    source.gate.clear()
    one = AsyncStep(AsyncReadThrough(first, source).get_many, [1, 2, 3, 4])
    await until(lambda: len(source.statements) == 1)
    two = AsyncStep(AsyncReadThrough(second, source).get_many, [3, 4, 5, 6])
    three = AsyncStep(AsyncReadThrough(second, source).get, 4)
    await until(lambda: len(source.statements) == 2)
    source.gate.set()
    assert await one.result() == people(1, 2, 3, 4)
    assert await two.result() == people(3, 4, 5, 6)
    assert await three.result() == people(4)[4]
    return sorted(key for keys in source.statements for key in keys)


# -------------------------------------------------------------------- line 41: failure


async def test_defect_41_what_a_batch_raises_reaches_the_caller_and_costs_no_hit() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1, 2, 3))
        users = AsyncReadThrough(cache, source)
        await users.get(1)
        source.error = ConnectionError("the database is away")
        with pytest.raises(ConnectionError) as raised:
            await users.get_many([1, 2, 3])
        assert raised.value is source.error
        assert await users.get_many([1]) == people(1)
        source.error = None
        assert await users.get_many([1, 2, 3]) == source.rows
        assert source.statements == [[1], [2, 3], [2, 3]], "nothing of the failed one was kept"


async def test_defect_41_who_can_use_a_part_gets_it_together_with_the_error(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = AsyncRecording(people(1, 2, 3))
        users = AsyncReadThrough(cache, source)
        await users.get_many([1, 2])
        source.error = ConnectionError("the database is away")
        found = await users.get_available(["1", 2, 3, "3"])
        assert found.values == {"1": source.rows[1], 2: source.rows[2]}
        assert (found.missing, found.error) == ([3, "3"], source.error)
        source.error = None
        found = await users.get_available(["1", 3, 9])
        assert found.values == {"1": source.rows[1], 3: source.rows[3]}
        assert (found.missing, found.error) == ([9], None)


async def test_a_batch_that_a_write_overtook_stores_none_of_the_rows_it_wrote(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncReadThrough(cache, source)
        source.gate.clear()
        step = AsyncStep(users.get_many, [1, 2])
        await until(lambda: source.statements)
        source.rows[1] = "new"
        await users.invalidate(1)
        source.gate.set()
        await step.result()
        assert await users.get_many([1, 2]) == {1: "new", 2: people(2)[2]}
        assert source.statements == [[1, 2], [1]]
