# Generated from _async/test_warming.py by tools/unasync.py. Do not edit.
"""Warming: adds only, in batches, paced by the cache's clock, by one process, and goes on where it was broken off."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Iterator
from typing import Any

import pytest
from _sync.racing import heard_by
from _sync.steps import Step, until
from patterns._sync.processes import turned, weaken_fill
from patterns._sync.recording import Recording, people

from cachewright import MISSING, Cache, ConfigurationError, Policy
from cachewright._sync.leading import Leader
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._sync.read_through import ReadThrough
from cachewright.patterns._sync.warming import Warming
from cachewright.patterns.outcomes import Warmed
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


class Loading:
    """A loader of many that remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.fail_at: int | None = None
        self.absent: set[Any] = set()

    def load_many(self, keys: list[Any]) -> dict[Any, str]:
        if len(self.batches) == self.fail_at:
            raise ConnectionError("the database is away")
        self.batches.append(keys)
        return {key: f"value of {key}" for key in keys if key not in self.absent}


def names(number: int) -> list[str]:
    return [f"k{n}" for n in range(number)]


def test_what_is_missing_is_loaded_in_batches_and_counted(
    server: EmbeddedServer, namespace: str
) -> None:
    with (
        Cache(server.url, namespace=namespace) as cache,
        Cache(server.url, namespace=namespace) as other,
    ):
        loading, seen = Loading(), list[Warmed]()
        loading.absent = {"k3"}
        cache.set("k1", "mine")
        warming = Warming(cache, batch=4, progress=seen.append)
        done = warming.warm(names(10), loading.load_many)
        assert done == Warmed(loaded=9, absent=1, present=1, batches=3, finished=True)
        assert [one.keys for one in seen] == [4, 8, 10]
        assert loading.batches == [["k0", "k2", "k3"], ["k4", "k5", "k6", "k7"], ["k8", "k9"]]
        assert other.get("k1") == "mine"
        assert other.get("k9") == "value of k9"
        assert other.get_or_load("k3", lambda: "not asked", default="absent") == "absent"


def test_keys_may_come_from_anywhere() -> None:
    def generated() -> Iterator[str]:
        yield from names(3)

    def asked() -> list[str]:
        return names(3)

    def streamed() -> Iterator[str]:
        for name in names(3):
            yield name

    for keys in (names(3), tuple(names(3)), generated(), generated, asked, streamed, streamed()):
        with Cache() as cache:
            done = Warming(cache, batch=2).warm(keys, Loading().load_many)
            assert (done.loaded, done.batches) == (3, 2)


def test_a_source_is_warmed_under_the_keys_of_its_doors(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = Recording(people(*range(1, 8)))
        done = Warming(cache, batch=3).warm_source(source)
        assert (done.loaded, done.batches, done.finished) == (7, 3, True)
        assert source.statements == [[1, 2, 3], [4, 5, 6], [7]]
        assert ReadThrough(cache, source).get_many(["1", 7]) == {
            "1": source.rows[1],
            7: source.rows[7],
        }
        assert len(source.statements) == 3
        cache.invalidate(tags=["row:users:1"])
        assert cache.get(("users", 1)) is MISSING
        again = Warming(cache, batch=3).warm_source(source)
        assert (again.loaded, again.present) == (1, 6)


def test_a_source_that_cannot_list_its_keys_is_refused() -> None:
    class Listless:
        name = "users"

    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="cannot list its keys"):
            Warming(cache).warm_source(Listless())


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"per_second": 0}, {"per_second": -1}, {"jitter": 1.0}]
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Warming(Cache(), **options)


# -------------------------------------------------------------------- add-only


def test_defect_112_warming_overwrites_nothing_that_is_newer(
    server: EmbeddedServer, namespace: str
) -> None:
    assert value_written_while_it_was_warmed(server, namespace, naive=False) == "new"


def test_defect_112_a_naive_set_overwrites_it(valkey: EmbeddedServer, namespace: str) -> None:
    assert value_written_while_it_was_warmed(valkey, namespace, naive=True) == "old"


def value_written_while_it_was_warmed(
    server: EmbeddedServer, namespace: str, *, naive: bool
) -> Any:
    """The loader has read the old value when another process stores the new one."""
    rows = {"k": "old"}
    with (
        Cache(server.url, namespace=namespace) as cache,
        Cache(server.url, namespace=namespace) as other,
    ):

        def load_many(keys: list[Any]) -> dict[Any, str]:
            found = {key: rows[key] for key in keys}
            rows["k"] = "new"
            heard_by(cache, lambda: other.set("k", "new"))
            return found

        if naive:
            cache.set_many(load_many(["k"]))
        else:
            Warming(cache).warm(["k"], load_many)
        return other.get("k", verify=True)


def test_warming_revives_nothing_that_was_deleted_while_it_loaded(
    server: EmbeddedServer, namespace: str
) -> None:
    assert value_deleted_while_it_was_warmed(server, namespace) is MISSING


def test_fills_that_ignore_their_lost_leases_revive_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_fill(monkeypatch)
    assert value_deleted_while_it_was_warmed(valkey, namespace) == "old"


def value_deleted_while_it_was_warmed(server: EmbeddedServer, namespace: str) -> Any:
    with (
        Cache(server.url, namespace=namespace) as cache,
        Cache(server.url, namespace=namespace) as other,
    ):

        def load_many(keys: list[Any]) -> dict[Any, str]:
            heard_by(cache, lambda: other.invalidate("k"))
            return dict.fromkeys(keys, "old")

        Warming(cache).warm(["k"], load_many)
        return other.get("k", verify=True)


# -------------------------------------------------------------------- lifetimes and pace


def test_what_was_warmed_together_does_not_expire_together() -> None:
    assert len(lifetimes_after_warming(0.5)) > 40


def test_without_jitter_it_expires_together() -> None:
    assert lifetimes_after_warming(0.0) == {100.0}


def lifetimes_after_warming(jitter: float) -> set[float]:
    with Cache(clock=FakeClock()) as cache:
        warming = Warming(cache, jitter=jitter)
        warming.warm(names(50), Loading().load_many, ttl=100, tags=["warm"])
        lives = {cache.ttl(name) for name in names(50)}
        assert all(life is not None and 50 <= life <= 100 for life in lives)
        cache.invalidate(tags=["warm"])
        assert cache.get_many(names(50)) == {}
        return {life for life in lives if life is not None}


def test_tags_may_be_a_function_of_the_key() -> None:
    with Cache() as cache:
        loading = Loading()
        Warming(cache).warm(names(3), loading.load_many, tags=lambda key: [f"t{key}"])
        cache.invalidate(tags=["tk1"])
        assert sorted(cache.get_many(names(3))) == ["k0", "k2"]


@pytest.mark.parametrize(("per_second", "pauses"), [(2, 2), (None, 0)])
def test_it_keeps_to_its_rate_by_the_caches_clock(
    per_second: float | None, pauses: int
) -> None:
    clock, loading, times = FakeClock(), Loading(), list[float]()
    with Cache(clock=clock, policy=Policy(ttl=1000)) as cache:
        cache.set_many(dict.fromkeys(names(20), 0))

        def load_many(keys: list[Any]) -> Any:
            times.append(clock.monotonic())
            return loading.load_many(keys)

        warming = Warming(cache, batch=2, per_second=per_second)
        done = turned(clock, Step(warming.warm, names(26), load_many))
        assert (done.present, done.loaded, len(times)) == (20, 6, 3)
        assert sum(b - a >= 1 for a, b in itertools.pairwise(times)) == pauses


def test_what_is_there_already_costs_nothing_of_the_rate() -> None:
    with Cache(clock=FakeClock()) as cache:
        cache.set_many(dict.fromkeys(names(20), 0))
        warming = Warming(cache, batch=2, per_second=2)
        step = Step(warming.warm, names(20), Loading().load_many)
        assert (step.result()).present == 20, "though time stands still"


def test_a_cache_that_is_closed_ends_a_run_that_waits(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, loading = FakeClock(), Loading()
    with Cache(server.url, namespace=namespace, clock=clock) as cache:
        step = Step(Warming(cache, per_second=1).warm, names(5), loading.load_many)
        until(lambda: loading.batches)
        cache.engine.stopping.set()
        done = step.result()
        assert (done.finished, done.loaded) == (False, 1)


# -------------------------------------------------------------------- one in the fleet


def test_one_process_of_the_fleet_warms(server: EmbeddedServer, namespace: str) -> None:
    assert who_warmed(server, namespace) == [True, False]


def test_without_a_leader_each_process_warms(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always(self: Leader) -> bool:
        return True

    monkeypatch.setattr(Leader, "_take", always)
    assert who_warmed(valkey, namespace) == [True, True]


def who_warmed(server: EmbeddedServer, namespace: str) -> list[bool]:
    """Of two processes that warm the same, the second beginning while the first is at it."""
    clock, loading = FakeClock(), Loading()
    with (
        Cache(server.url, namespace=namespace, clock=clock) as a,
        Cache(server.url, namespace=namespace, clock=FakeClock()) as b,
    ):
        step = Step(Warming(a, per_second=1).warm, names(2), loading.load_many)
        until(lambda: loading.batches)
        second = Warming(b).warm(names(1), loading.load_many)
        return [(turned(clock, step)).led, second.led]


def test_another_job_is_nobodys_business_and_the_job_is_free_again_afterwards(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, loading = FakeClock(), Loading()
    with (
        Cache(server.url, namespace=namespace, clock=clock) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        step = Step(Warming(a, per_second=1).warm, names(2), loading.load_many)
        until(lambda: loading.batches)
        assert (Warming(b, job="other").warm(names(1), loading.load_many)).led
        turned(clock, step)
        assert (Warming(b).warm(names(1), loading.load_many)).led


def test_two_callers_of_one_process_do_not_warm_the_same_either() -> None:
    clock, loading = FakeClock(), Loading()
    with Cache(clock=clock) as cache:
        step = Step(Warming(cache, per_second=1).warm, names(2), loading.load_many)
        until(lambda: loading.batches)
        assert not (Warming(cache).warm(names(2), loading.load_many)).led
        assert (turned(clock, step)).led
        assert (Warming(cache).warm(names(2), loading.load_many)).led


def test_with_the_server_gone_nothing_is_loaded_since_nothing_could_be_kept() -> None:
    loading = Loading()
    with Cache("redis://127.0.0.1:1/0") as cache:
        assert Warming(cache).warm(names(3), loading.load_many) == Warmed(led=False)
    assert loading.batches == []


# -------------------------------------------------------------------- resuming


def test_a_run_that_was_broken_off_goes_on_behind_its_last_finished_batch(
    server: EmbeddedServer, namespace: str
) -> None:
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        loading = Loading()
        loading.fail_at = 2
        with pytest.raises(ConnectionError):
            Warming(a, batch=2, resume="r").warm(names(7), loading.load_many)
        loading.fail_at = None
        done = Warming(b, batch=3, resume="r").warm(names(7), loading.load_many)
        assert done == Warmed(skipped=4, loaded=3, batches=1, finished=True)
        assert loading.batches == [["k0", "k1"], ["k2", "k3"], ["k4", "k5", "k6"]]
        again = Warming(a, resume="r").warm(names(7), loading.load_many)
        assert (again.skipped, again.present) == (0, 7), "one that has finished begins anew"


def test_a_source_goes_on_behind_the_key_and_not_behind_the_number(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        source = Recording(people(1, 3, 5, 7))
        source.poison = {7}
        with pytest.raises(ValueError, match="poison"):
            Warming(cache, batch=2, resume="r").warm_source(source)
        source.poison = set()
        source.rows |= people(2, 4, 6)
        done = Warming(cache, batch=5, resume="r").warm_source(source)
        assert source.statements == [[1, 3], [5, 7], [4, 5, 6, 7]]
        assert (done.skipped, done.loaded, done.finished) == (2, 4, True)


def test_a_cache_that_was_cleared_is_warmed_from_the_beginning() -> None:
    with Cache() as cache:
        loading = Loading()
        loading.fail_at = 1
        with pytest.raises(ConnectionError):
            Warming(cache, batch=2, resume="r").warm(names(4), loading.load_many)
        loading.fail_at = None
        cache.clear()
        done = Warming(cache, batch=2, resume="r").warm(names(4), loading.load_many)
        assert (done.skipped, done.loaded) == (0, 4)


def test_the_cache_itself_warms_without_a_door(
    server: EmbeddedServer, namespace: str
) -> None:
    asked: list[int] = []

    def load_many(keys: list[int]) -> dict[int, str]:
        asked.extend(keys)
        return {key: f"row {key}" for key in keys}

    with Cache(server.url, namespace=namespace) as cache:
        cache.set("2", "newer")
        warmed = cache.warm(["1", "2", "3"], load_many, ttl=60, batch=2)
        assert (warmed.loaded, warmed.present, warmed.finished) == (2, 1, True)
        assert sorted(asked) == ["1", "3"]
        assert cache.get("2") == "newer"
