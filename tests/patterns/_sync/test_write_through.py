# Generated from _async/test_write_through.py by tools/unasync.py. Do not edit.
"""Write-through: the source first, the stored row in the cache when the call returns, an error of the cache never late.

Writers that meet are in test_filling.py. A row of the caller's transaction is in tests/integrations.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import until, until_read
from patterns._sync.through import Table, TransactingTable, Broken

from cachewright import ABSENT, MISSING, Cache, ConfigurationError, InvalidKey, Policy
from cachewright._sync.filling import FillingWrite
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteError
from cachewright.patterns._sync.write_through import WriteThrough
from cachewright.patterns.sources import Conflict
from cachewright.testing import FakeClock, RecordingListener
from rig.proxy import FaultProxy

BOTH = pytest.mark.parametrize(
    "table", [Table, TransactingTable], ids=["each verb commits", "transactions"]
)
STORED = {"id": 1, "name": "Ada", "slug": "ada", "version": 2}


def cached(cache: Cache, users: WriteThrough, number: int = 1) -> Any:
    """What is cached for a row, without a load."""
    return cache.get(users.key(number))


# -------------------------------------------------------------------- what is cached


@BOTH
def test_a_row_that_was_put_is_read_everywhere_without_a_load(
    server: EmbeddedServer, namespace: str, table: type[Table]
) -> None:
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        source = table(1)
        here, there = WriteThrough(a, source), WriteThrough(b, source)
        assert there.get(1) == source.rows[1]
        assert here.put({"id": 1, "name": "Ada"}) == STORED
        assert here.get("1") == STORED
        until_read(lambda: there.get(1), STORED)
        assert source.log.count("load") == 1
        assert a.stats().fills == 1
        assert a.stats().l1_hits == 1, "it is in memory here"


@BOTH
def test_without_a_server_it_is_in_memory(table: type[Table]) -> None:
    with Cache() as cache:
        source = table(1)
        users = WriteThrough(cache, source)
        users.get(1)
        users.put({"id": 1, "name": "Ada"})
        assert users.get(1) == STORED
        assert users.delete(1)
        assert users.get(1) is MISSING
        assert source.log.count("load") == 1


@BOTH
def test_defect_21_the_stored_row_is_cached_and_not_the_input(
    place: str | None, namespace: str, table: type[Table]
) -> None:
    with Cache(place, namespace=namespace, policy=Policy(copy=True)) as cache:
        users = WriteThrough(cache, table())
        given = {"id": 1, "name": "Ada", "password": "plain"}
        stored = users.put(given)
        stored["name"] = given["name"] = "changed by its holder"
        assert users.get(1) == {**STORED, "version": 1}
        assert given == {"id": 1, "name": "changed by its holder", "password": "plain"}


@BOTH
def test_an_id_that_the_source_gives_is_known_from_then_on(
    place: str | None, namespace: str, table: type[Table]
) -> None:
    with Cache(place, namespace=namespace) as cache:
        users = WriteThrough(cache, table())
        assert users.get(1) is MISSING, "and that is remembered"
        row = users.put({"name": "Ada"})
        assert users.get(row["id"]) == row


@BOTH
def test_many_rows_are_one_call_of_the_source(
    place: str | None, namespace: str, table: type[Table]
) -> None:
    with Cache(place, namespace=namespace) as cache:
        source = table(1)
        users = WriteThrough(cache, source)
        rows = users.put_many([{"id": 1, "name": "A"}, {"name": "B"}, {"id": 9, "name": "C"}])
        assert [row["id"] for row in rows] == [1, 2, 9]
        assert users.get_many([1, 2, 9]) == source.rows
        assert source.log.count("begin") <= 1
        assert users.put_many([]) == []


@BOTH
def test_defect_20_a_row_that_is_gone_is_gone_from_the_cache(
    server: EmbeddedServer, namespace: str, table: type[Table]
) -> None:
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        source = table(1, 2)
        here, there = WriteThrough(a, source), WriteThrough(b, source)
        there.get_many([1, 2])
        assert here.delete("1") is True
        until_read(lambda: there.get(1, None), None)
        assert here.get(1, None) is None
        assert source.log.count("load") == 1, "that it is gone is known"
        assert here.delete(1) is False
        assert here.delete_many([2, 3]) == 1
        until_read(lambda: there.get(2, None), None)


@BOTH
def test_a_patch_returns_and_caches_the_whole_row(
    place: str | None, namespace: str, table: type[Table]
) -> None:
    with Cache(place, namespace=namespace) as cache:
        source = table(1)
        users = WriteThrough(cache, source)
        assert users.patch("1", {"name": "Ada"}) == STORED == cached(cache, users)
        assert users.patch(2, {"name": "nobody"}) is ABSENT
        assert cached(cache, users, 2) is MISSING


@BOTH
def test_defect_23_a_row_whose_life_has_ended_is_read_through(
    table: type[Table],
) -> None:
    clock = FakeClock()
    with Cache(clock=clock, policy=Policy(ttl=60)) as cache:
        source = table()
        users = WriteThrough(cache, source)
        users.put({"id": 1, "name": "Ada"})
        clock.advance(61)
        assert users.get(1) == source.rows[1]
        assert source.log.count("load") == 1


@BOTH
def test_defect_24_a_replica_that_lags_is_not_asked(
    server: EmbeddedServer, namespace: str, table: type[Table]
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = table(1)
        source.lag = {1: {"id": 1, "name": "as it was"}}
        users = WriteThrough(cache, source)
        users.put({"id": 1, "name": "Ada"})
        assert users.get(1) == STORED
        assert "load" not in source.log


def test_what_else_a_write_makes_wrong_can_be_named(
    place: str | None, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        users = WriteThrough(cache, Table(1))
        for write in (
            lambda: users.put({"id": 1, "name": "Ada"}, tags=["names"]),
            lambda: users.delete(1, tags=["names"]),
            lambda: users.put({"name": "Grace"}, tags=["names"]),
        ):
            cache.set("list", "old", tags=["names"])
            assert cache.get("list") == "old"
            write()
            assert cache.get("list") is MISSING


def test_other_rows_of_the_table_stay(place: str | None, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        source = Table(1, 2)
        users = WriteThrough(cache, source)
        users.get_many([1, 2])
        users.put({"id": 1, "name": "Ada"})
        assert cached(cache, users, 2) == source.rows[2]


def test_what_cannot_be_encoded_is_written_and_not_cached(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        source = TransactingTable(1)
        users = WriteThrough(cache, source)
        users.get(1)

        class Name(str):
            __slots__ = ()

        users.put({"id": 1, "name": Name("Ada")})
        assert source.rows[1]["name"] == "Ada"
        assert cached(cache, users) is MISSING


def test_a_bypassed_cache_is_not_filled_but_told(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        users = WriteThrough(cache, Table(1))
        users.get(1)
        with cache.bypassed():
            users.put({"id": 1, "name": "Ada"})
        assert cached(cache, users) is MISSING


# -------------------------------------------------------------------- the source refuses


@BOTH
def test_defect_18_of_a_write_that_the_source_refuses_nothing_is_ever_served(
    place: str | None, namespace: str, table: type[Table]
) -> None:
    with Cache(place, namespace=namespace) as cache:
        source = table(1)
        users = WriteThrough(cache, source)
        users.get(1)
        source.error = Broken()
        for write in (lambda: users.put({"id": 1, "name": "Ada"}), lambda: users.delete(1)):
            with pytest.raises(Broken):
                write()
            assert users.get(1) == source.rows[1]
            assert source.rows[1]["name"] == "n1"


def test_defect_18_before_the_commit_the_new_row_is_nowhere(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        source = TransactingTable(1)
        users = WriteThrough(cache, source)
        source.commit_error = Broken()
        for write in (lambda: users.put({"id": 1, "name": "Ada"}), lambda: users.delete(1)):
            assert (users.get(1))["name"] == "n1"
            with pytest.raises(Broken):
                write()
            assert cached(cache, users) is MISSING, (
                "whether it was committed, nobody here knows"
            )
            assert (users.get(1))["name"] == "n1"
            assert (cached(cache, users))["name"] == "n1", "and no mark was left"


@BOTH
def test_a_compare_and_set_that_comes_too_late_changes_nothing_and_the_next_read_loads(
    place: str | None, namespace: str, table: type[Table]
) -> None:
    with Cache(place, namespace=namespace) as cache:
        source = table(1)
        users = WriteThrough(cache, source)
        row = users.get(1)
        assert (users.put({**row, "name": "Ada"}, expected=row["version"]))["version"] == 2
        source.rows[1] = {**source.rows[1], "name": "by hand", "version": 3}  # nobody was told
        assert (users.get(1))["version"] == 2
        with pytest.raises(Conflict) as caught:
            users.put({**row, "name": "Eve"}, expected=2)
        assert (caught.value.expected, caught.value.found) == (2, 3)
        assert users.get(1) == source.rows[1]
        with pytest.raises(Conflict):
            users.put({"id": 1, "name": "new"}, expected=ABSENT)


# -------------------------------------------------------------------- the cache refuses


@BOTH
@pytest.mark.parametrize("on_error", ["serve", "raise"])
def test_defect_22_an_error_of_the_cache_after_the_commit_is_a_success_and_repaired(
    valkey: EmbeddedServer, namespace: str, table: type[Table], on_error: Any
) -> None:
    policy = Policy(on_error="raise") if on_error == "raise" else Policy()
    events = RecordingListener()
    with FaultProxy(valkey.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace, policy=policy, listeners=[events]) as a,
            Cache(valkey.url, namespace=namespace) as b,
        ):
            source = table(1)
            here, there = WriteThrough(a, source), WriteThrough(b, source)
            assert (there.get(1))["name"] == "n1"
            fail_at_the_end_of(here, proxy)
            assert (here.put({"id": 1, "name": "Ada"}))["name"] == "Ada"
            assert a.stats().pending_repairs > 0
            assert events.of("remote_error")
            proxy.heal()
            until_read(lambda: there.get(1), source.rows[1])
            until(lambda: events.of("repaired"))


def fail_at_the_end_of(users: WriteThrough, proxy: FaultProxy) -> None:
    """The server is lost when the source has committed."""
    commit_of = users.commit_of

    def losing(*what: Any) -> Any:
        commit = commit_of(*what)
        committed = commit.committed

        def lose(*values: Any, **more: Any) -> None:
            committed(*values, **more)
            proxy.refuse()
            proxy.cut()

        commit.committed = lose
        return commit

    users.commit_of = losing  # type: ignore[method-assign]


def test_if_errors_after_the_commit_were_raised_the_caller_would_think_it_had_failed(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above: an end as `writing()` has it."""

    def end(self: FillingWrite) -> None:
        self._engine.invalidate(self._keys, self._tags, token=self._token)

    monkeypatch.setattr(FillingWrite, "_end", end)
    with FaultProxy(valkey.url) as proxy:
        policy = Policy(on_error="raise")
        with Cache(proxy.url, namespace=namespace, policy=policy) as cache:
            users = WriteThrough(cache, Table(1))
            fail_at_the_end_of(users, proxy)
            with pytest.raises(RemoteError):
                users.put({"id": 1, "name": "Ada"})
            proxy.heal()


@BOTH
def test_defect_25_a_strict_write_that_cannot_be_told_is_refused_before_the_source_commits(
    valkey: EmbeddedServer, namespace: str, table: type[Table]
) -> None:
    with FaultProxy(valkey.url) as proxy:
        with Cache(proxy.url, namespace=namespace) as cache:
            source = table(1)
            users = WriteThrough(cache, source, consistency="strict")
            users.get(1)
            proxy.refuse()
            proxy.cut()
            for write in (lambda: users.put({"id": 1, "name": "Ada"}), lambda: users.delete(1)):
                with pytest.raises(RemoteError):
                    write()
            assert source.rows[1]["name"] == "n1"
            assert (users.get(1))["name"] == "n1"
            proxy.heal()


@BOTH
@pytest.mark.parametrize("on_error", ["serve", "raise"])
def test_defect_25_an_available_write_goes_through_whatever_the_cache_does_and_is_repaired(
    valkey: EmbeddedServer, namespace: str, table: type[Table], on_error: Any
) -> None:
    policy = Policy(on_error="raise") if on_error == "raise" else Policy()
    with FaultProxy(valkey.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace, policy=policy) as a,
            Cache(valkey.url, namespace=namespace) as b,
        ):
            source = table(1)
            here, there = WriteThrough(a, source), WriteThrough(b, source)
            there.get(1)
            a.get("open the connection")
            proxy.refuse()
            proxy.cut()
            assert (here.put({"id": 1, "name": "Ada"}))["name"] == "Ada"
            assert a.stats().pending_repairs > 0
            assert (there.get(1))["name"] == "n1", "the price of it, until the link is back"
            proxy.heal()
            until_read(lambda: there.get(1), source.rows[1])


def test_another_consistency_is_refused() -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="strict"):
            WriteThrough(cache, Table(), consistency="eventual")  # type: ignore[arg-type]


def test_a_session_of_an_unknown_kind_is_refused() -> None:
    with Cache() as cache:
        users = WriteThrough(cache, Table(1))
        with pytest.raises(ConfigurationError, match="cannot join a"):
            users.put({"id": 1, "name": "Ada"}, session=object())


def test_a_key_that_no_row_can_have_is_refused() -> None:
    with Cache() as cache:
        users = WriteThrough(cache, Table(1))
        with pytest.raises(InvalidKey):
            users.delete("one")
