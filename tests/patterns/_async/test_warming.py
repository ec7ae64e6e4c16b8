# Warming, before anybody asks.
"""Warming: adds only, in batches, paced by the cache's clock, by one process, and goes on where it was broken off."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from _async.racing import heard_by
from _async.steps import AsyncStep, until
from patterns._async.processes import turned, weaken_fill
from patterns._async.recording import AsyncRecording, people

from cachewright import MISSING, AsyncCache, ConfigurationError, Policy
from cachewright._async.leading import AsyncLeader
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._async.read_through import AsyncReadThrough
from cachewright.patterns._async.warming import AsyncWarming
from cachewright.patterns.outcomes import Warmed
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


class AsyncLoading:
    """A loader of many that remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.fail_at: int | None = None
        self.absent: set[Any] = set()

    async def load_many(self, keys: list[Any]) -> dict[Any, str]:
        if len(self.batches) == self.fail_at:
            raise ConnectionError("the database is away")
        self.batches.append(keys)
        return {key: f"value of {key}" for key in keys if key not in self.absent}


def names(number: int) -> list[str]:
    return [f"k{n}" for n in range(number)]


async def test_what_is_missing_is_loaded_in_batches_and_counted(
    server: EmbeddedServer, namespace: str
) -> None:
    async with (
        AsyncCache(server.url, namespace=namespace) as cache,
        AsyncCache(server.url, namespace=namespace) as other,
    ):
        loading, seen = AsyncLoading(), list[Warmed]()
        loading.absent = {"k3"}
        await cache.set("k1", "mine")
        warming = AsyncWarming(cache, batch=4, progress=seen.append)
        done = await warming.warm(names(10), loading.load_many)
        assert done == Warmed(loaded=9, absent=1, present=1, batches=3, finished=True)
        assert [one.keys for one in seen] == [4, 8, 10]
        assert loading.batches == [["k0", "k2", "k3"], ["k4", "k5", "k6", "k7"], ["k8", "k9"]]
        assert await other.get("k1") == "mine"
        assert await other.get("k9") == "value of k9"
        assert await other.get_or_load("k3", lambda: "not asked", default="absent") == "absent"


async def test_keys_may_come_from_anywhere() -> None:
    def generated() -> Iterator[str]:
        yield from names(3)

    async def asked() -> list[str]:
        return names(3)

    async def streamed() -> AsyncIterator[str]:
        for name in names(3):
            yield name

    for keys in (names(3), tuple(names(3)), generated(), generated, asked, streamed, streamed()):
        async with AsyncCache() as cache:
            done = await AsyncWarming(cache, batch=2).warm(keys, AsyncLoading().load_many)
            assert (done.loaded, done.batches) == (3, 2)


async def test_a_source_is_warmed_under_the_keys_of_its_doors(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = AsyncRecording(people(*range(1, 8)))
        done = await AsyncWarming(cache, batch=3).warm_source(source)
        assert (done.loaded, done.batches, done.finished) == (7, 3, True)
        assert source.statements == [[1, 2, 3], [4, 5, 6], [7]]
        assert await AsyncReadThrough(cache, source).get_many(["1", 7]) == {
            "1": source.rows[1],
            7: source.rows[7],
        }
        assert len(source.statements) == 3
        await cache.invalidate(tags=["row:users:1"])
        assert await cache.get(("users", 1)) is MISSING
        again = await AsyncWarming(cache, batch=3).warm_source(source)
        assert (again.loaded, again.present) == (1, 6)


async def test_a_source_that_cannot_list_its_keys_is_refused() -> None:
    class Listless:
        name = "users"

    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="cannot list its keys"):
            await AsyncWarming(cache).warm_source(Listless())


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"per_second": 0}, {"per_second": -1}, {"jitter": 1.0}]
)
async def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        AsyncWarming(AsyncCache(), **options)


# -------------------------------------------------------------------- add-only


async def test_defect_112_warming_overwrites_nothing_that_is_newer(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await value_written_while_it_was_warmed(server, namespace, naive=False) == "new"


async def test_defect_112_a_naive_set_overwrites_it(valkey: EmbeddedServer, namespace: str) -> None:
    assert await value_written_while_it_was_warmed(valkey, namespace, naive=True) == "old"


async def value_written_while_it_was_warmed(
    server: EmbeddedServer, namespace: str, *, naive: bool
) -> Any:
    """The loader has read the old value when another process stores the new one."""
    rows = {"k": "old"}
    async with (
        AsyncCache(server.url, namespace=namespace) as cache,
        AsyncCache(server.url, namespace=namespace) as other,
    ):

        async def load_many(keys: list[Any]) -> dict[Any, str]:
            found = {key: rows[key] for key in keys}
            rows["k"] = "new"
            await heard_by(cache, lambda: other.set("k", "new"))
            return found

        if naive:
            await cache.set_many(await load_many(["k"]))
        else:
            await AsyncWarming(cache).warm(["k"], load_many)
        return await other.get("k", verify=True)


async def test_warming_revives_nothing_that_was_deleted_while_it_loaded(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await value_deleted_while_it_was_warmed(server, namespace) is MISSING


async def test_fills_that_ignore_their_lost_leases_revive_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_fill(monkeypatch)
    assert await value_deleted_while_it_was_warmed(valkey, namespace) == "old"


async def value_deleted_while_it_was_warmed(server: EmbeddedServer, namespace: str) -> Any:
    async with (
        AsyncCache(server.url, namespace=namespace) as cache,
        AsyncCache(server.url, namespace=namespace) as other,
    ):

        async def load_many(keys: list[Any]) -> dict[Any, str]:
            await heard_by(cache, lambda: other.invalidate("k"))
            return dict.fromkeys(keys, "old")

        await AsyncWarming(cache).warm(["k"], load_many)
        return await other.get("k", verify=True)


# -------------------------------------------------------------------- lifetimes and pace


async def test_what_was_warmed_together_does_not_expire_together() -> None:
    assert len(await lifetimes_after_warming(0.5)) > 40


async def test_without_jitter_it_expires_together() -> None:
    assert await lifetimes_after_warming(0.0) == {100.0}


async def lifetimes_after_warming(jitter: float) -> set[float]:
    async with AsyncCache(clock=FakeClock()) as cache:
        warming = AsyncWarming(cache, jitter=jitter)
        await warming.warm(names(50), AsyncLoading().load_many, ttl=100, tags=["warm"])
        lives = {await cache.ttl(name) for name in names(50)}
        assert all(life is not None and 50 <= life <= 100 for life in lives)
        await cache.invalidate(tags=["warm"])
        assert await cache.get_many(names(50)) == {}
        return {life for life in lives if life is not None}


async def test_tags_may_be_a_function_of_the_key() -> None:
    async with AsyncCache() as cache:
        loading = AsyncLoading()
        await AsyncWarming(cache).warm(names(3), loading.load_many, tags=lambda key: [f"t{key}"])
        await cache.invalidate(tags=["tk1"])
        assert sorted(await cache.get_many(names(3))) == ["k0", "k2"]


@pytest.mark.parametrize(("per_second", "pauses"), [(2, 2), (None, 0)])
async def test_it_keeps_to_its_rate_by_the_caches_clock(
    per_second: float | None, pauses: int
) -> None:
    clock, loading, times = FakeClock(), AsyncLoading(), list[float]()
    async with AsyncCache(clock=clock, policy=Policy(ttl=1000)) as cache:
        await cache.set_many(dict.fromkeys(names(20), 0))

        async def load_many(keys: list[Any]) -> Any:
            times.append(clock.monotonic())
            return await loading.load_many(keys)

        warming = AsyncWarming(cache, batch=2, per_second=per_second)
        done = await turned(clock, AsyncStep(warming.warm, names(26), load_many))
        assert (done.present, done.loaded, len(times)) == (20, 6, 3)
        assert sum(b - a >= 1 for a, b in itertools.pairwise(times)) == pauses


async def test_what_is_there_already_costs_nothing_of_the_rate() -> None:
    async with AsyncCache(clock=FakeClock()) as cache:
        await cache.set_many(dict.fromkeys(names(20), 0))
        warming = AsyncWarming(cache, batch=2, per_second=2)
        step = AsyncStep(warming.warm, names(20), AsyncLoading().load_many)
        assert (await step.result()).present == 20, "though time stands still"


async def test_a_cache_that_is_closed_ends_a_run_that_waits(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, loading = FakeClock(), AsyncLoading()
    async with AsyncCache(server.url, namespace=namespace, clock=clock) as cache:
        step = AsyncStep(AsyncWarming(cache, per_second=1).warm, names(5), loading.load_many)
        await until(lambda: loading.batches)
        cache.engine.stopping.set()
        done = await step.result()
        assert (done.finished, done.loaded) == (False, 1)


# -------------------------------------------------------------------- one in the fleet


async def test_one_process_of_the_fleet_warms(server: EmbeddedServer, namespace: str) -> None:
    assert await who_warmed(server, namespace) == [True, False]


async def test_without_a_leader_each_process_warms(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always(self: AsyncLeader) -> bool:
        return True

    monkeypatch.setattr(AsyncLeader, "_take", always)
    assert await who_warmed(valkey, namespace) == [True, True]


async def who_warmed(server: EmbeddedServer, namespace: str) -> list[bool]:
    """Of two processes that warm the same, the second beginning while the first is at it."""
    clock, loading = FakeClock(), AsyncLoading()
    async with (
        AsyncCache(server.url, namespace=namespace, clock=clock) as a,
        AsyncCache(server.url, namespace=namespace, clock=FakeClock()) as b,
    ):
        step = AsyncStep(AsyncWarming(a, per_second=1).warm, names(2), loading.load_many)
        await until(lambda: loading.batches)
        second = await AsyncWarming(b).warm(names(1), loading.load_many)
        return [(await turned(clock, step)).led, second.led]


async def test_another_job_is_nobodys_business_and_the_job_is_free_again_afterwards(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, loading = FakeClock(), AsyncLoading()
    async with (
        AsyncCache(server.url, namespace=namespace, clock=clock) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        step = AsyncStep(AsyncWarming(a, per_second=1).warm, names(2), loading.load_many)
        await until(lambda: loading.batches)
        assert (await AsyncWarming(b, job="other").warm(names(1), loading.load_many)).led
        await turned(clock, step)
        assert (await AsyncWarming(b).warm(names(1), loading.load_many)).led


async def test_two_callers_of_one_process_do_not_warm_the_same_either() -> None:
    clock, loading = FakeClock(), AsyncLoading()
    async with AsyncCache(clock=clock) as cache:
        step = AsyncStep(AsyncWarming(cache, per_second=1).warm, names(2), loading.load_many)
        await until(lambda: loading.batches)
        assert not (await AsyncWarming(cache).warm(names(2), loading.load_many)).led
        assert (await turned(clock, step)).led
        assert (await AsyncWarming(cache).warm(names(2), loading.load_many)).led


async def test_with_the_server_gone_nothing_is_loaded_since_nothing_could_be_kept() -> None:
    loading = AsyncLoading()
    async with AsyncCache("redis://127.0.0.1:1/0") as cache:
        assert await AsyncWarming(cache).warm(names(3), loading.load_many) == Warmed(led=False)
    assert loading.batches == []


# -------------------------------------------------------------------- resuming


async def test_a_run_that_was_broken_off_goes_on_behind_its_last_finished_batch(
    server: EmbeddedServer, namespace: str
) -> None:
    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        loading = AsyncLoading()
        loading.fail_at = 2
        with pytest.raises(ConnectionError):
            await AsyncWarming(a, batch=2, resume="r").warm(names(7), loading.load_many)
        loading.fail_at = None
        done = await AsyncWarming(b, batch=3, resume="r").warm(names(7), loading.load_many)
        assert done == Warmed(skipped=4, loaded=3, batches=1, finished=True)
        assert loading.batches == [["k0", "k1"], ["k2", "k3"], ["k4", "k5", "k6"]]
        again = await AsyncWarming(a, resume="r").warm(names(7), loading.load_many)
        assert (again.skipped, again.present) == (0, 7), "one that has finished begins anew"


async def test_a_source_goes_on_behind_the_key_and_not_behind_the_number(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:
        source = AsyncRecording(people(1, 3, 5, 7))
        source.poison = {7}
        with pytest.raises(ValueError, match="poison"):
            await AsyncWarming(cache, batch=2, resume="r").warm_source(source)
        source.poison = set()
        source.rows |= people(2, 4, 6)
        done = await AsyncWarming(cache, batch=5, resume="r").warm_source(source)
        assert source.statements == [[1, 3], [5, 7], [4, 5, 6, 7]]
        assert (done.skipped, done.loaded, done.finished) == (2, 4, True)


async def test_a_cache_that_was_cleared_is_warmed_from_the_beginning() -> None:
    async with AsyncCache() as cache:
        loading = AsyncLoading()
        loading.fail_at = 1
        with pytest.raises(ConnectionError):
            await AsyncWarming(cache, batch=2, resume="r").warm(names(4), loading.load_many)
        loading.fail_at = None
        await cache.clear()
        done = await AsyncWarming(cache, batch=2, resume="r").warm(names(4), loading.load_many)
        assert (done.skipped, done.loaded) == (0, 4)


async def test_the_cache_itself_warms_without_a_door(
    server: EmbeddedServer, namespace: str
) -> None:
    asked: list[int] = []

    async def load_many(keys: list[int]) -> dict[int, str]:
        asked.extend(keys)
        return {key: f"row {key}" for key in keys}

    async with AsyncCache(server.url, namespace=namespace) as cache:
        await cache.set("2", "newer")
        warmed = await cache.warm(["1", "2", "3"], load_many, ttl=60, batch=2)
        assert (warmed.loaded, warmed.present, warmed.finished) == (2, 1, True)
        assert sorted(asked) == ["1", "3"]
        assert await cache.get("2") == "newer"
