# Generated from _async/test_read_through.py by tools/unasync.py. Do not edit.
"""Read-through, one row and many: one statement, the caller's own keys, absence remembered, failure as it is written."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import Step, until
from patterns._sync.recording import Recording, people

from cachewright import MISSING, Cache, ConfigurationError, InvalidKey, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._sync.read_through import ReadThrough
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


def test_defect_39_the_loader_is_registered_once_and_named_at_no_call() -> None:
    with Cache() as cache:
        source = Recording(people(1))
        users = ReadThrough(cache, source)
        assert users.get(1) == users.get(1) == source.rows[1]
        assert source.statements == [[1]]


def test_one_row_and_a_batch_share_their_entries(
    server: EmbeddedServer, namespace: str
) -> None:
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        source = Recording(people(1, 2, 3))
        here, there = ReadThrough(a, source), ReadThrough(b, source)
        here.get(1)
        assert there.get_many([1, 2, 3]) == source.rows
        assert here.get(3) == source.rows[3]
        assert source.statements == [[1], [2, 3]]


def test_the_row_and_its_table_are_tags_of_every_row(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = Recording(people(1, 2))
        users = ReadThrough(cache, source)
        users.get_many([1, 2])
        cache.invalidate(tags=["row:users:1"])
        users.get_many([1, 2])
        cache.invalidate(tags=["rows:users"])
        users.get(2)
        assert source.statements == [[1, 2], [1], [2]]


def test_an_invalidated_row_takes_along_what_names_it() -> None:
    with Cache() as cache:
        users = ReadThrough(cache, Recording(people(1, 2)))
        cache.set("greeting", "hello n1", tags=["row:users:1"])
        users.invalidate("2")
        assert cache.get("greeting") == "hello n1"
        users.invalidate("1")
        assert cache.get("greeting") is MISSING


def test_a_composite_key_is_one_row() -> None:
    with Cache() as cache:
        source = Recording(name="seats")
        source.key_types = (int, str)
        source.rows = {(7, "A"): "window"}
        seats = ReadThrough(cache, source)
        assert seats.get(("7", "A")) == seats.get((7, "A")) == "window"
        assert seats.get_many([("7", "A"), (7, "B")]) == {("7", "A"): "window"}
        cache.invalidate(tags=["row:seats:7:A"])
        assert seats.get((7, "A")) == "window"
        assert source.statements == [[(7, "A")], [(7, "B")], [(7, "A")]]


def test_what_can_be_no_key_of_the_source_is_refused_and_asks_nobody() -> None:
    with Cache() as cache:
        source = Recording(people(1))
        users = ReadThrough(cache, source)
        for ask, key in ((users.get, "x"), (users.get_many, [1, "x"]), (users.invalidate, "x")):
            with pytest.raises(InvalidKey):
                ask(key)
        assert source.statements == []


def test_a_source_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs a name"):
        ReadThrough(Cache(), Recording(name=""))


# -------------------------------------------------------------------- line 41: keys


def test_defect_41_a_batch_comes_back_by_the_callers_keys_on_a_hit_as_on_a_miss() -> None:
    with Cache() as cache:
        source = Recording(people(1, 2))
        users = ReadThrough(cache, source)
        row = source.rows[1]
        for _ in range(2):
            assert users.get_many(["1", 2]) == {"1": row, 2: source.rows[2]}
            assert users.get_many([1]) == {1: row}
        assert source.statements == [[1, 2]]


def test_defect_41_a_row_that_is_asked_for_twice_is_loaded_once_and_found_under_both() -> (
    None
):
    with Cache() as cache:
        source = Recording(people(1, 2))
        users = ReadThrough(cache, source)
        found = users.get_many([2, "1", 1, 2, "1"])
        assert found == {2: source.rows[2], "1": source.rows[1], 1: source.rows[1]}
        assert list(found) == [2, "1", 1]
        assert source.statements == [[2, 1]]


def test_defect_41_a_source_that_spells_ids_as_text_loses_no_row() -> None:
    class Textual(Recording):
        def load_many(self, keys: Any) -> Any:
            return {str(key): row for key, row in (super().load_many(keys)).items()}

    with Cache() as cache:
        source = Textual(people(1))
        assert ReadThrough(cache, source).get_many([1]) == {1: source.rows[1]}


def test_defect_41_naive_code_finds_a_row_under_another_key_than_it_was_asked_for() -> None:
    source, cache = Recording(people(1)), {}
    found: dict[Any, Any] = {}
    for key in ["1", 1]:
        row = cache.get(f"users:{key}")
        if row is None:
            loaded = source.load_many([key])
            found |= loaded
            cache[f"users:{key}"] = loaded[1]
        else:
            found[key] = row
    assert "1" not in found
    assert 1 in found


# -------------------------------------------------------------------- line 41: absence


def test_defect_41_absent_ids_are_asked_for_once_and_left_out() -> None:
    with Cache() as cache:
        source = Recording(people(1))
        users = ReadThrough(cache, source)
        for _ in range(3):
            assert users.get_many([1, 8, 9]) == people(1)
            assert users.get_many([9], default=None) == {9: None}
            assert users.get(8, default="none") == "none"
            assert users.get(8) is MISSING
        assert source.statements == [[1, 8, 9]]


def test_defect_41_an_insert_that_is_invalidated_ends_the_absence_at_once(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = Recording()
        users = ReadThrough(cache, source)
        assert users.get_many([1, 2]) == {}
        source.rows |= people(1)
        users.invalidate("1")
        assert users.get_many([1, 2]) == people(1)
        assert source.statements == [[1, 2], [1]]


def test_an_absence_lives_for_its_own_time() -> None:
    clock = FakeClock()
    with Cache(clock=clock) as cache:
        source = Recording()
        users = ReadThrough(cache, source, policy=Policy(ttl=300, negative_ttl=5))
        users.get_many([1])
        source.rows |= people(1)
        clock.advance(4)
        assert users.get_many([1]) == {}
        clock.advance(2)
        assert users.get_many([1]) == people(1)


def test_a_row_that_is_none_or_empty_is_a_row() -> None:
    with Cache() as cache:
        source = Recording({1: None, 2: {}, 3: 0})
        users = ReadThrough(cache, source)
        for _ in range(2):
            assert users.get_many([1, 2, 3]) == {1: None, 2: {}, 3: 0}
        assert source.statements == [[1, 2, 3]]


def test_a_batch_of_nothing_asks_nobody() -> None:
    with Cache() as cache:
        source = Recording()
        assert ReadThrough(cache, source).get_many([]) == {}
        assert source.statements == []


# -------------------------------------------------------------------- line 41: flights


def test_defect_41_overlapping_batches_load_each_row_once(
    server: EmbeddedServer, namespace: str
) -> None:
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        assert rows_loaded_by_overlapping_batches(a, a) == [1, 2, 3, 4, 5, 6]
        a.clear()
        assert rows_loaded_by_overlapping_batches(a, b) == [1, 2, 3, 4, 5, 6]


def rows_loaded_by_overlapping_batches(first: Cache, second: Cache) -> list[int]:
    source = Recording(people(*range(1, 7)))
    source.gate.clear()
    one = Step(ReadThrough(first, source).get_many, [1, 2, 3, 4])
    until(lambda: len(source.statements) == 1)
    two = Step(ReadThrough(second, source).get_many, [3, 4, 5, 6])
    three = Step(ReadThrough(second, source).get, 4)
    until(lambda: len(source.statements) == 2)
    source.gate.set()
    assert one.result() == people(1, 2, 3, 4)
    assert two.result() == people(3, 4, 5, 6)
    assert three.result() == people(4)[4]
    return sorted(key for keys in source.statements for key in keys)


# -------------------------------------------------------------------- line 41: failure


def test_defect_41_what_a_batch_raises_reaches_the_caller_and_costs_no_hit() -> None:
    with Cache() as cache:
        source = Recording(people(1, 2, 3))
        users = ReadThrough(cache, source)
        users.get(1)
        source.error = ConnectionError("the database is away")
        with pytest.raises(ConnectionError) as raised:
            users.get_many([1, 2, 3])
        assert raised.value is source.error
        assert users.get_many([1]) == people(1)
        source.error = None
        assert users.get_many([1, 2, 3]) == source.rows
        assert source.statements == [[1], [2, 3], [2, 3]], "nothing of the failed one was kept"


def test_defect_41_who_can_use_a_part_gets_it_together_with_the_error(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = Recording(people(1, 2, 3))
        users = ReadThrough(cache, source)
        users.get_many([1, 2])
        source.error = ConnectionError("the database is away")
        found = users.get_available(["1", 2, 3, "3"])
        assert found.values == {"1": source.rows[1], 2: source.rows[2]}
        assert (found.missing, found.error) == ([3, "3"], source.error)
        source.error = None
        found = users.get_available(["1", 3, 9])
        assert found.values == {"1": source.rows[1], 3: source.rows[3]}
        assert (found.missing, found.error) == ([9], None)


def test_a_batch_that_a_write_overtook_stores_none_of_the_rows_it_wrote(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = Recording(people(1, 2))
        users = ReadThrough(cache, source)
        source.gate.clear()
        step = Step(users.get_many, [1, 2])
        until(lambda: source.statements)
        source.rows[1] = "new"
        users.invalidate(1)
        source.gate.set()
        step.result()
        assert users.get_many([1, 2]) == {1: "new", 2: people(2)[2]}
        assert source.statements == [[1, 2], [1]]
