# Generated from _async/test_cache_aside.py by tools/unasync.py. Do not edit.
"""Cache-aside: one load for all, absence remembered, no old value back, writes in two phases; and naive code beside it."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.racing import heard_by
from _sync.steps import Source, Step, until
from patterns._sync.recording import Recording, people

from cachewright import ABSENT, MISSING, Cache, ConfigurationError, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._sync.cache_aside import CacheAside
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


def test_a_row_is_loaded_once_by_what_the_caller_says() -> None:
    with Cache() as cache:
        users, asked = CacheAside(cache, "users"), []

        def load(key: Any) -> str:
            asked.append(key)
            return "ada"

        assert [users.get(42, load) for _ in range(3)] == ["ada"] * 3
        assert asked == [42]
        assert cache.get(("users", 42)) == "ada", "a plain key that every other verb knows"


def test_a_source_says_what_is_one_row_and_how_it_is_loaded() -> None:
    with Cache() as cache:
        source = Recording(people(1))
        users = CacheAside(cache, source=source)
        assert users.get("1") == users.get(1) == source.rows[1]
        assert source.statements == [[1]]
        assert users.key("1") == users.key(1) == ("users", 1)


@pytest.mark.parametrize("given", [{}, {"name": "users", "source": Recording}, {"name": ""}])
def test_rows_without_one_name_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        CacheAside(Cache(), **given)


def test_without_a_loader_and_without_a_source_a_get_is_refused() -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="how to load"):
            CacheAside(cache, "users").get(1)


# -------------------------------------------------------------------- line 2


def test_defect_02_an_absent_row_is_remembered_until_it_is_inserted() -> None:
    with Cache() as cache:
        source = Recording()
        users = CacheAside(cache, source=source)
        assert [users.get(7, default=None) for _ in range(5)] == [None] * 5
        assert source.statements == [[7]]
        with users.writing(7):
            source.rows |= people(7)
        assert users.get(7) == source.rows[7]


def test_defect_02_naive_code_asks_for_an_absent_row_every_time() -> None:
    cache: dict[int, Any] = {}
    source = Recording()
    for _ in range(5):
        if not cache.get(7):
            row = source.load(7)
            if row is not ABSENT:
                cache[7] = row
    assert len(source.statements) == 5


# -------------------------------------------------------------------- line 3


def test_defect_03_fifty_callers_of_a_cold_row_share_one_load() -> None:
    assert loads_of_fifty_callers(naive=False) == 1


def test_defect_03_naive_code_loads_once_for_each_caller() -> None:
    assert loads_of_fifty_callers(naive=True) == 50


def loads_of_fifty_callers(*, naive: bool) -> int:
    with Cache() as cache:
        source = Recording(people(1))
        users = CacheAside(cache, source=source)
        source.gate.clear()

        def get() -> Any:
            if not naive:
                return users.get(1)
            found = cache.get("naive")
            if found is MISSING:
                found = source.load(1)
                cache.set("naive", found)
            return found

        steps = [Step(get) for _ in range(50)]
        until(lambda: naive or cache.stats().joined == 49)
        until(lambda: len(source.statements) >= (50 if naive else 1))
        source.gate.set()
        assert [step.result() for step in steps] == [source.rows[1]] * 50
        return len(source.statements)


# -------------------------------------------------------------------- line 14


def test_defect_14_a_load_that_a_write_overtook_does_not_bring_the_old_row_back(
    server: EmbeddedServer, namespace: str
) -> None:
    assert row_after_an_overtaken_load(server, namespace, naive=False) == "new"


def test_defect_14_naive_code_keeps_the_old_row(
    valkey: EmbeddedServer, namespace: str
) -> None:
    assert row_after_an_overtaken_load(valkey, namespace, naive=True) == "old"


def row_after_an_overtaken_load(
    server: EmbeddedServer, namespace: str, *, naive: bool
) -> Any:
    """A reader has read the old row when a writer in another process writes and deletes; then it goes on."""
    source = Source("old")
    with (
        Cache(server.url, namespace=namespace) as here,
        Cache(server.url, namespace=namespace) as there,
    ):
        reading, writing = CacheAside(here, "users"), CacheAside(there, "users")

        def load(key: Any) -> Any:
            return source.load()

        def read() -> Any:
            if not naive:
                return reading.get(1, load)
            row = load(1)
            reading.put(1, row)
            return row

        source.gate.clear()
        step = Step(read)
        until(source.began.is_set)
        source.value = "new"
        heard_by(here, lambda: writing.invalidate(1))
        source.gate.set()
        step.result()
        return reading.get(1, load)


# -------------------------------------------------------------------- line 15


def test_defect_15_nothing_is_filled_between_the_write_and_its_commit(
    server: EmbeddedServer, namespace: str
) -> None:
    assert row_after_a_commit(server, namespace, naive=False) == "new"


def test_defect_15_a_delete_inside_the_open_transaction_keeps_the_old_row(
    valkey: EmbeddedServer, namespace: str
) -> None:
    assert row_after_a_commit(valkey, namespace, naive=True) == "old"


def row_after_a_commit(server: EmbeddedServer, namespace: str, *, naive: bool) -> Any:
    """A read falls between the write's statement and its commit, then the writer dies without another word."""
    committed = {"row": "old"}
    with Cache(server.url, namespace=namespace) as cache:
        users = CacheAside(cache, "users")

        def load(key: Any) -> str:
            return committed["row"]

        users.get(1, load)
        write = users.writing(1)
        if naive:
            users.invalidate(1)
        else:
            write.__enter__()
        assert users.get(1, load) == "old", "not committed yet"
        committed["row"] = "new"
        found = users.get(1, load)
        if not naive:
            write._keeping.__exit__(None, None, None)  # what dies with its process
        return found


def test_defect_15_a_write_through_the_door_is_seen_by_all_that_was_made_from_the_row(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = Recording(people(1))
        users = CacheAside(cache, source=source)

        def greeting() -> str:
            return "hello " + (users.get(1))["name"]

        assert cache.get_or_load("greeting", greeting) == "hello n1"
        with users.writing("1") as write:
            source.rows[1] = {"id": 1, "name": "eve"}
            write.before_commit()
        assert cache.get_or_load("greeting", greeting) == "hello eve"


def test_a_row_carries_its_own_tag_its_tables_and_those_of_the_call() -> None:
    with Cache() as cache:
        source = Recording(people(1))
        users = CacheAside(cache, source=source)
        for tag in ("row:users:1", "rows:users", "team:7"):
            users.get(1, tags=["team:7"])
            cache.invalidate(tags=[tag])
            assert cache.get(users.key(1)) is MISSING
        users.put(1, "computed")
        cache.invalidate(tags=["row:users:1"])
        assert cache.get(users.key(1)) is MISSING


def test_a_write_removes_a_row_that_was_set_without_its_tag() -> None:
    with Cache() as cache:
        users = CacheAside(cache, "users")
        cache.set(users.key(1), "by hand")
        users.invalidate(1)
        assert cache.get(users.key(1)) is MISSING
        cache.set(users.key(1), "by hand")
        written(users)
        assert cache.get(users.key(1)) is MISSING


def written(users: CacheAside) -> None:
    """Row 1 is written."""
    with users.writing(1):
        pass


# -------------------------------------------------------------------- lines 16 and 17


def test_defect_16_a_cold_cache_asks_no_more_than_its_share_of_the_database_at_once() -> None:
    with Cache(max_loads=3) as cache:
        source = Recording(people(*range(20)))
        users = CacheAside(cache, source=source)
        source.gate.clear()
        steps = [Step(users.get, number) for number in range(20)]
        until(lambda: len(source.statements) == 3)
        source.gate.set()
        assert [(step.result())["id"] for step in steps] == list(range(20))


def test_defect_16_with_the_server_gone_rows_come_from_the_source_and_few_at_once() -> None:
    with Cache("redis://127.0.0.1:1/0", max_loads=3) as cache:
        source = Recording(people(*range(12)))
        users = CacheAside(cache, source=source)
        source.gate.clear()
        steps = [Step(users.get, number) for number in range(12)]
        until(lambda: len(source.statements) == 3)
        source.gate.set()
        assert [(step.result())["id"] for step in steps] == list(range(12))


def test_defect_17_with_copy_a_caller_may_change_the_row_that_it_got() -> None:
    assert name_after_a_caller_changed_it(Policy(copy=True)) == "n1"


def test_defect_17_without_copy_callers_share_one_row() -> None:
    assert name_after_a_caller_changed_it(Policy()) == "changed"


def name_after_a_caller_changed_it(policy: Policy) -> Any:
    with Cache() as cache:
        users = CacheAside(cache, source=Recording(people(1)), policy=policy)
        users.get(1)
        (users.get(1))["name"] = "changed"
        return (users.get(1))["name"]


def test_a_policy_of_the_door_holds_for_its_rows_alone() -> None:
    clock = FakeClock()
    with Cache(policy=Policy(ttl=100), clock=clock) as cache:
        users = CacheAside(cache, "users", policy=Policy(ttl=5))
        users.put(1, "ada")
        cache.set("other", 1)
        clock.advance(6)
        assert cache.get(("users", 1)) is MISSING
        assert cache.get("other") == 1
