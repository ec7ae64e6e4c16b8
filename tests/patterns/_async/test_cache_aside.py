# Cache-aside, the door.
"""Cache-aside: one load for all, absence remembered, no old value back, writes in two phases; and naive code beside it."""

from __future__ import annotations

from typing import Any

import pytest
from _async.racing import heard_by
from _async.steps import AsyncSource, AsyncStep, until
from patterns._async.recording import AsyncRecording, people

from cachewright import ABSENT, MISSING, AsyncCache, ConfigurationError, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._async.cache_aside import AsyncCacheAside
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


async def test_a_row_is_loaded_once_by_what_the_caller_says() -> None:
    async with AsyncCache() as cache:
        users, asked = AsyncCacheAside(cache, "users"), []

        async def load(key: Any) -> str:
            asked.append(key)
            return "ada"

        assert [await users.get(42, load) for _ in range(3)] == ["ada"] * 3
        assert asked == [42]
        assert await cache.get(("users", 42)) == "ada", "a plain key that every other verb knows"


async def test_a_source_says_what_is_one_row_and_how_it_is_loaded() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1))
        users = AsyncCacheAside(cache, source=source)
        assert await users.get("1") == await users.get(1) == source.rows[1]
        assert source.statements == [[1]]
        assert users.key("1") == users.key(1) == ("users", 1)


@pytest.mark.parametrize("given", [{}, {"name": "users", "source": AsyncRecording}, {"name": ""}])
async def test_rows_without_one_name_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        AsyncCacheAside(AsyncCache(), **given)


async def test_without_a_loader_and_without_a_source_a_get_is_refused() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="how to load"):
            await AsyncCacheAside(cache, "users").get(1)


# -------------------------------------------------------------------- line 2


async def test_defect_02_an_absent_row_is_remembered_until_it_is_inserted() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording()
        users = AsyncCacheAside(cache, source=source)
        assert [await users.get(7, default=None) for _ in range(5)] == [None] * 5
        assert source.statements == [[7]]
        async with users.writing(7):
            source.rows |= people(7)
        assert await users.get(7) == source.rows[7]


async def test_defect_02_naive_code_asks_for_an_absent_row_every_time() -> None:
    cache: dict[int, Any] = {}
    source = AsyncRecording()
    for _ in range(5):
        if not cache.get(7):
            row = await source.load(7)
            if row is not ABSENT:
                cache[7] = row
    assert len(source.statements) == 5


# -------------------------------------------------------------------- line 3


async def test_defect_03_fifty_callers_of_a_cold_row_share_one_load() -> None:
    assert await loads_of_fifty_callers(naive=False) == 1


async def test_defect_03_naive_code_loads_once_for_each_caller() -> None:
    assert await loads_of_fifty_callers(naive=True) == 50


async def loads_of_fifty_callers(*, naive: bool) -> int:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1))
        users = AsyncCacheAside(cache, source=source)
        source.gate.clear()

        async def get() -> Any:
            if not naive:
                return await users.get(1)
            found = await cache.get("naive")
            if found is MISSING:
                found = await source.load(1)
                await cache.set("naive", found)
            return found

        steps = [AsyncStep(get) for _ in range(50)]
        await until(lambda: naive or cache.stats().joined == 49)
        await until(lambda: len(source.statements) >= (50 if naive else 1))
        source.gate.set()
        assert [await step.result() for step in steps] == [source.rows[1]] * 50
        return len(source.statements)


# -------------------------------------------------------------------- line 14


async def test_defect_14_a_load_that_a_write_overtook_does_not_bring_the_old_row_back(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await row_after_an_overtaken_load(server, namespace, naive=False) == "new"


async def test_defect_14_naive_code_keeps_the_old_row(
    valkey: EmbeddedServer, namespace: str
) -> None:
    assert await row_after_an_overtaken_load(valkey, namespace, naive=True) == "old"


async def row_after_an_overtaken_load(
    server: EmbeddedServer, namespace: str, *, naive: bool
) -> Any:
    """A reader has read the old row when a writer in another process writes and deletes; then it goes on."""
    source = AsyncSource("old")
    async with (
        AsyncCache(server.url, namespace=namespace) as here,
        AsyncCache(server.url, namespace=namespace) as there,
    ):
        reading, writing = AsyncCacheAside(here, "users"), AsyncCacheAside(there, "users")

        async def load(key: Any) -> Any:
            return await source.load()

        async def read() -> Any:
            if not naive:
                return await reading.get(1, load)
            row = await load(1)
            await reading.put(1, row)
            return row

        source.gate.clear()
        step = AsyncStep(read)
        await until(source.began.is_set)
        source.value = "new"
        await heard_by(here, lambda: writing.invalidate(1))
        source.gate.set()
        await step.result()
        return await reading.get(1, load)


# -------------------------------------------------------------------- line 15


async def test_defect_15_nothing_is_filled_between_the_write_and_its_commit(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await row_after_a_commit(server, namespace, naive=False) == "new"


async def test_defect_15_a_delete_inside_the_open_transaction_keeps_the_old_row(
    valkey: EmbeddedServer, namespace: str
) -> None:
    assert await row_after_a_commit(valkey, namespace, naive=True) == "old"


async def row_after_a_commit(server: EmbeddedServer, namespace: str, *, naive: bool) -> Any:
    """A read falls between the write's statement and its commit, then the writer dies without another word."""
    committed = {"row": "old"}
    async with AsyncCache(server.url, namespace=namespace) as cache:
        users = AsyncCacheAside(cache, "users")

        async def load(key: Any) -> str:
            return committed["row"]

        await users.get(1, load)
        write = users.writing(1)
        if naive:
            await users.invalidate(1)
        else:
            await write.__aenter__()
        assert await users.get(1, load) == "old", "not committed yet"
        committed["row"] = "new"
        found = await users.get(1, load)
        if not naive:
            write._keeping.__exit__(None, None, None)  # what dies with its process
        return found


async def test_defect_15_a_write_through_the_door_is_seen_by_all_that_was_made_from_the_row(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = AsyncRecording(people(1))
        users = AsyncCacheAside(cache, source=source)

        async def greeting() -> str:
            return "hello " + (await users.get(1))["name"]

        assert await cache.get_or_load("greeting", greeting) == "hello n1"
        async with users.writing("1") as write:
            source.rows[1] = {"id": 1, "name": "eve"}
            await write.before_commit()
        assert await cache.get_or_load("greeting", greeting) == "hello eve"


async def test_a_row_carries_its_own_tag_its_tables_and_those_of_the_call() -> None:
    async with AsyncCache() as cache:
        source = AsyncRecording(people(1))
        users = AsyncCacheAside(cache, source=source)
        for tag in ("row:users:1", "rows:users", "team:7"):
            await users.get(1, tags=["team:7"])
            await cache.invalidate(tags=[tag])
            assert await cache.get(users.key(1)) is MISSING
        await users.put(1, "computed")
        await cache.invalidate(tags=["row:users:1"])
        assert await cache.get(users.key(1)) is MISSING


async def test_a_write_removes_a_row_that_was_set_without_its_tag() -> None:
    async with AsyncCache() as cache:
        users = AsyncCacheAside(cache, "users")
        await cache.set(users.key(1), "by hand")
        await users.invalidate(1)
        assert await cache.get(users.key(1)) is MISSING
        await cache.set(users.key(1), "by hand")
        await written(users)
        assert await cache.get(users.key(1)) is MISSING


async def written(users: AsyncCacheAside) -> None:
    """Row 1 is written."""
    async with users.writing(1):
        pass


# -------------------------------------------------------------------- lines 16 and 17


async def test_defect_16_a_cold_cache_asks_no_more_than_its_share_of_the_database_at_once() -> None:
    async with AsyncCache(max_loads=3) as cache:
        source = AsyncRecording(people(*range(20)))
        users = AsyncCacheAside(cache, source=source)
        source.gate.clear()
        steps = [AsyncStep(users.get, number) for number in range(20)]
        await until(lambda: len(source.statements) == 3)
        source.gate.set()
        assert [(await step.result())["id"] for step in steps] == list(range(20))


async def test_defect_16_with_the_server_gone_rows_come_from_the_source_and_few_at_once() -> None:
    async with AsyncCache("redis://127.0.0.1:1/0", max_loads=3) as cache:
        source = AsyncRecording(people(*range(12)))
        users = AsyncCacheAside(cache, source=source)
        source.gate.clear()
        steps = [AsyncStep(users.get, number) for number in range(12)]
        await until(lambda: len(source.statements) == 3)
        source.gate.set()
        assert [(await step.result())["id"] for step in steps] == list(range(12))


async def test_defect_17_with_copy_a_caller_may_change_the_row_that_it_got() -> None:
    assert await name_after_a_caller_changed_it(Policy(copy=True)) == "n1"


async def test_defect_17_without_copy_callers_share_one_row() -> None:
    assert await name_after_a_caller_changed_it(Policy()) == "changed"


async def name_after_a_caller_changed_it(policy: Policy) -> Any:
    async with AsyncCache() as cache:
        users = AsyncCacheAside(cache, source=AsyncRecording(people(1)), policy=policy)
        await users.get(1)
        (await users.get(1))["name"] = "changed"
        return (await users.get(1))["name"]


async def test_a_policy_of_the_door_holds_for_its_rows_alone() -> None:
    clock = FakeClock()
    async with AsyncCache(policy=Policy(ttl=100), clock=clock) as cache:
        users = AsyncCacheAside(cache, "users", policy=Policy(ttl=5))
        await users.put(1, "ada")
        await cache.set("other", 1)
        clock.advance(6)
        assert await cache.get(("users", 1)) is MISSING
        assert await cache.get("other") == 1
