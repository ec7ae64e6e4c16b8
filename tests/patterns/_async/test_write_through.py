# Write-through, the door.
"""Write-through: the source first, the stored row in the cache when the call returns, an error of the cache never late.

Writers that meet are in test_filling.py. A row of the caller's transaction is in tests/integrations.
"""

from __future__ import annotations

from typing import Any

import pytest
from _async.steps import until, until_read
from patterns._async.through import AsyncTable, AsyncTransactingTable, Broken

from cachewright import ABSENT, MISSING, AsyncCache, ConfigurationError, InvalidKey, Policy
from cachewright._async.filling import AsyncFillingWrite
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteError
from cachewright.patterns._async.write_through import AsyncWriteThrough
from cachewright.patterns.sources import Conflict
from cachewright.testing import FakeClock, RecordingListener
from rig.proxy import FaultProxy

BOTH = pytest.mark.parametrize(
    "table", [AsyncTable, AsyncTransactingTable], ids=["each verb commits", "transactions"]
)
STORED = {"id": 1, "name": "Ada", "slug": "ada", "version": 2}


async def cached(cache: AsyncCache, users: AsyncWriteThrough, number: int = 1) -> Any:
    """What is cached for a row, without a load."""
    return await cache.get(users.key(number))


# -------------------------------------------------------------------- what is cached


@BOTH
async def test_a_row_that_was_put_is_read_everywhere_without_a_load(
    server: EmbeddedServer, namespace: str, table: type[AsyncTable]
) -> None:
    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        source = table(1)
        here, there = AsyncWriteThrough(a, source), AsyncWriteThrough(b, source)
        assert await there.get(1) == source.rows[1]
        assert await here.put({"id": 1, "name": "Ada"}) == STORED
        assert await here.get("1") == STORED
        await until_read(lambda: there.get(1), STORED)
        assert source.log.count("load") == 1
        assert a.stats().fills == 1
        assert a.stats().l1_hits == 1, "it is in memory here"


@BOTH
async def test_without_a_server_it_is_in_memory(table: type[AsyncTable]) -> None:
    async with AsyncCache() as cache:
        source = table(1)
        users = AsyncWriteThrough(cache, source)
        await users.get(1)
        await users.put({"id": 1, "name": "Ada"})
        assert await users.get(1) == STORED
        assert await users.delete(1)
        assert await users.get(1) is MISSING
        assert source.log.count("load") == 1


@BOTH
async def test_defect_21_the_stored_row_is_cached_and_not_the_input(
    place: str | None, namespace: str, table: type[AsyncTable]
) -> None:
    async with AsyncCache(place, namespace=namespace, policy=Policy(copy=True)) as cache:
        users = AsyncWriteThrough(cache, table())
        given = {"id": 1, "name": "Ada", "password": "plain"}
        stored = await users.put(given)
        stored["name"] = given["name"] = "changed by its holder"
        assert await users.get(1) == {**STORED, "version": 1}
        assert given == {"id": 1, "name": "changed by its holder", "password": "plain"}


@BOTH
async def test_an_id_that_the_source_gives_is_known_from_then_on(
    place: str | None, namespace: str, table: type[AsyncTable]
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        users = AsyncWriteThrough(cache, table())
        assert await users.get(1) is MISSING, "and that is remembered"
        row = await users.put({"name": "Ada"})
        assert await users.get(row["id"]) == row


@BOTH
async def test_many_rows_are_one_call_of_the_source(
    place: str | None, namespace: str, table: type[AsyncTable]
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        source = table(1)
        users = AsyncWriteThrough(cache, source)
        rows = await users.put_many([{"id": 1, "name": "A"}, {"name": "B"}, {"id": 9, "name": "C"}])
        assert [row["id"] for row in rows] == [1, 2, 9]
        assert await users.get_many([1, 2, 9]) == source.rows
        assert source.log.count("begin") <= 1
        assert await users.put_many([]) == []


@BOTH
async def test_defect_20_a_row_that_is_gone_is_gone_from_the_cache(
    server: EmbeddedServer, namespace: str, table: type[AsyncTable]
) -> None:
    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        source = table(1, 2)
        here, there = AsyncWriteThrough(a, source), AsyncWriteThrough(b, source)
        await there.get_many([1, 2])
        assert await here.delete("1") is True
        await until_read(lambda: there.get(1, None), None)
        assert await here.get(1, None) is None
        assert source.log.count("load") == 1, "that it is gone is known"
        assert await here.delete(1) is False
        assert await here.delete_many([2, 3]) == 1
        await until_read(lambda: there.get(2, None), None)


@BOTH
async def test_a_patch_returns_and_caches_the_whole_row(
    place: str | None, namespace: str, table: type[AsyncTable]
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        source = table(1)
        users = AsyncWriteThrough(cache, source)
        assert await users.patch("1", {"name": "Ada"}) == STORED == await cached(cache, users)
        assert await users.patch(2, {"name": "nobody"}) is ABSENT
        assert await cached(cache, users, 2) is MISSING


@BOTH
async def test_defect_23_a_row_whose_life_has_ended_is_read_through(
    table: type[AsyncTable],
) -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=Policy(ttl=60)) as cache:
        source = table()
        users = AsyncWriteThrough(cache, source)
        await users.put({"id": 1, "name": "Ada"})
        clock.advance(61)
        assert await users.get(1) == source.rows[1]
        assert source.log.count("load") == 1


@BOTH
async def test_defect_24_a_replica_that_lags_is_not_asked(
    server: EmbeddedServer, namespace: str, table: type[AsyncTable]
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = table(1)
        source.lag = {1: {"id": 1, "name": "as it was"}}
        users = AsyncWriteThrough(cache, source)
        await users.put({"id": 1, "name": "Ada"})
        assert await users.get(1) == STORED
        assert "load" not in source.log


async def test_what_else_a_write_makes_wrong_can_be_named(
    place: str | None, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        users = AsyncWriteThrough(cache, AsyncTable(1))
        for write in (
            lambda: users.put({"id": 1, "name": "Ada"}, tags=["names"]),
            lambda: users.delete(1, tags=["names"]),
            lambda: users.put({"name": "Grace"}, tags=["names"]),
        ):
            await cache.set("list", "old", tags=["names"])
            assert await cache.get("list") == "old"
            await write()
            assert await cache.get("list") is MISSING


async def test_other_rows_of_the_table_stay(place: str | None, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        source = AsyncTable(1, 2)
        users = AsyncWriteThrough(cache, source)
        await users.get_many([1, 2])
        await users.put({"id": 1, "name": "Ada"})
        assert await cached(cache, users, 2) == source.rows[2]


async def test_what_cannot_be_encoded_is_written_and_not_cached(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        source = AsyncTransactingTable(1)
        users = AsyncWriteThrough(cache, source)
        await users.get(1)

        class Name(str):
            __slots__ = ()

        await users.put({"id": 1, "name": Name("Ada")})
        assert source.rows[1]["name"] == "Ada"
        assert await cached(cache, users) is MISSING


async def test_a_bypassed_cache_is_not_filled_but_told(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        users = AsyncWriteThrough(cache, AsyncTable(1))
        await users.get(1)
        with cache.bypassed():
            await users.put({"id": 1, "name": "Ada"})
        assert await cached(cache, users) is MISSING


# -------------------------------------------------------------------- the source refuses


@BOTH
async def test_defect_18_of_a_write_that_the_source_refuses_nothing_is_ever_served(
    place: str | None, namespace: str, table: type[AsyncTable]
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        source = table(1)
        users = AsyncWriteThrough(cache, source)
        await users.get(1)
        source.error = Broken()
        for write in (lambda: users.put({"id": 1, "name": "Ada"}), lambda: users.delete(1)):
            with pytest.raises(Broken):
                await write()
            assert await users.get(1) == source.rows[1]
            assert source.rows[1]["name"] == "n1"


async def test_defect_18_before_the_commit_the_new_row_is_nowhere(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        source = AsyncTransactingTable(1)
        users = AsyncWriteThrough(cache, source)
        source.commit_error = Broken()
        for write in (lambda: users.put({"id": 1, "name": "Ada"}), lambda: users.delete(1)):
            assert (await users.get(1))["name"] == "n1"
            with pytest.raises(Broken):
                await write()
            assert await cached(cache, users) is MISSING, (
                "whether it was committed, nobody here knows"
            )
            assert (await users.get(1))["name"] == "n1"
            assert (await cached(cache, users))["name"] == "n1", "and no mark was left"


@BOTH
async def test_a_compare_and_set_that_comes_too_late_changes_nothing_and_the_next_read_loads(
    place: str | None, namespace: str, table: type[AsyncTable]
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        source = table(1)
        users = AsyncWriteThrough(cache, source)
        row = await users.get(1)
        assert (await users.put({**row, "name": "Ada"}, expected=row["version"]))["version"] == 2
        source.rows[1] = {**source.rows[1], "name": "by hand", "version": 3}  # nobody was told
        assert (await users.get(1))["version"] == 2
        with pytest.raises(Conflict) as caught:
            await users.put({**row, "name": "Eve"}, expected=2)
        assert (caught.value.expected, caught.value.found) == (2, 3)
        assert await users.get(1) == source.rows[1]
        with pytest.raises(Conflict):
            await users.put({"id": 1, "name": "new"}, expected=ABSENT)


# -------------------------------------------------------------------- the cache refuses


@BOTH
@pytest.mark.parametrize("on_error", ["serve", "raise"])
async def test_defect_22_an_error_of_the_cache_after_the_commit_is_a_success_and_repaired(
    valkey: EmbeddedServer, namespace: str, table: type[AsyncTable], on_error: Any
) -> None:
    policy = Policy(on_error="raise") if on_error == "raise" else Policy()
    events = RecordingListener()
    with FaultProxy(valkey.url) as proxy:
        async with (
            AsyncCache(proxy.url, namespace=namespace, policy=policy, listeners=[events]) as a,
            AsyncCache(valkey.url, namespace=namespace) as b,
        ):
            source = table(1)
            here, there = AsyncWriteThrough(a, source), AsyncWriteThrough(b, source)
            assert (await there.get(1))["name"] == "n1"
            fail_at_the_end_of(here, proxy)
            assert (await here.put({"id": 1, "name": "Ada"}))["name"] == "Ada"
            assert a.stats().pending_repairs > 0
            assert events.of("remote_error")
            proxy.heal()
            await until_read(lambda: there.get(1), source.rows[1])
            await until(lambda: events.of("repaired"))


def fail_at_the_end_of(users: AsyncWriteThrough, proxy: FaultProxy) -> None:
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


async def test_if_errors_after_the_commit_were_raised_the_caller_would_think_it_had_failed(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above: an end as `writing()` has it."""

    async def end(self: AsyncFillingWrite) -> None:
        await self._engine.invalidate(self._keys, self._tags, token=self._token)

    monkeypatch.setattr(AsyncFillingWrite, "_end", end)
    with FaultProxy(valkey.url) as proxy:
        policy = Policy(on_error="raise")
        async with AsyncCache(proxy.url, namespace=namespace, policy=policy) as cache:
            users = AsyncWriteThrough(cache, AsyncTable(1))
            fail_at_the_end_of(users, proxy)
            with pytest.raises(RemoteError):
                await users.put({"id": 1, "name": "Ada"})
            proxy.heal()


@BOTH
async def test_defect_25_a_strict_write_that_cannot_be_told_is_refused_before_the_source_commits(
    valkey: EmbeddedServer, namespace: str, table: type[AsyncTable]
) -> None:
    with FaultProxy(valkey.url) as proxy:
        async with AsyncCache(proxy.url, namespace=namespace) as cache:
            source = table(1)
            users = AsyncWriteThrough(cache, source, consistency="strict")
            await users.get(1)
            proxy.refuse()
            proxy.cut()
            for write in (lambda: users.put({"id": 1, "name": "Ada"}), lambda: users.delete(1)):
                with pytest.raises(RemoteError):
                    await write()
            assert source.rows[1]["name"] == "n1"
            assert (await users.get(1))["name"] == "n1"
            proxy.heal()


@BOTH
@pytest.mark.parametrize("on_error", ["serve", "raise"])
async def test_defect_25_an_available_write_goes_through_whatever_the_cache_does_and_is_repaired(
    valkey: EmbeddedServer, namespace: str, table: type[AsyncTable], on_error: Any
) -> None:
    policy = Policy(on_error="raise") if on_error == "raise" else Policy()
    with FaultProxy(valkey.url) as proxy:
        async with (
            AsyncCache(proxy.url, namespace=namespace, policy=policy) as a,
            AsyncCache(valkey.url, namespace=namespace) as b,
        ):
            source = table(1)
            here, there = AsyncWriteThrough(a, source), AsyncWriteThrough(b, source)
            await there.get(1)
            await a.get("open the connection")
            proxy.refuse()
            proxy.cut()
            assert (await here.put({"id": 1, "name": "Ada"}))["name"] == "Ada"
            assert a.stats().pending_repairs > 0
            assert (await there.get(1))["name"] == "n1", "the price of it, until the link is back"
            proxy.heal()
            await until_read(lambda: there.get(1), source.rows[1])


async def test_another_consistency_is_refused() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="strict"):
            AsyncWriteThrough(cache, AsyncTable(), consistency="eventual")  # type: ignore[arg-type]


async def test_a_session_of_an_unknown_kind_is_refused() -> None:
    async with AsyncCache() as cache:
        users = AsyncWriteThrough(cache, AsyncTable(1))
        with pytest.raises(ConfigurationError, match="cannot join a"):
            await users.put({"id": 1, "name": "Ada"}, session=object())


async def test_a_key_that_no_row_can_have_is_refused() -> None:
    async with AsyncCache() as cache:
        users = AsyncWriteThrough(cache, AsyncTable(1))
        with pytest.raises(InvalidKey):
            await users.delete("one")
