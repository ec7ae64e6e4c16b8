# Generated from _async/test_stampedes.py by tools/unasync.py. Do not edit.
"""Any number of callers cost one load; what the leader suffers, its followers do not.

The whole fleet is in tests/processes/test_fleet.py; cancelled tasks are in tests/threads, interrupted threads in
tests/threads.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync.mutants import weaken_script
from _sync.steps import Source, Step, until

from cachewright import Cache, Policy
from cachewright._sync.flights import Flights
from cachewright._sync.reading import Reader
from cachewright._waits import threads
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.errors import LoadTimeout
from cachewright.testing import FakeClock, RecordingListener
from rig.proxy import FaultProxy
from rig.servers import Raw

CALLERS = 20


def stampede(server: EmbeddedServer, namespace: str, loads_to_see: int = 1) -> Source:
    """Two caches with many callers each on one cold key; the load ends when all of them wait."""
    source = Source("value")
    source.gate.clear()
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        steps = [
            Step(cache.get_or_load, "k", source.load)
            for cache in (a, b)
            for _ in range(CALLERS)
        ]
        joined = 2 * CALLERS - 2 if loads_to_see <= 2 else 0
        until(lambda: a.stats().joined + b.stats().joined >= joined)
        until(lambda: source.loads >= loads_to_see)
        source.gate.set()
        assert [step.result() for step in steps] == ["value"] * 2 * CALLERS
        assert a.get("k") == "value" == b.get("k")
    return source


def test_all_callers_of_a_cold_key_share_one_load(
    server: EmbeddedServer, namespace: str
) -> None:
    assert (stampede(server, namespace)).loads == 1


def test_without_the_lease_every_process_loads(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    assert (stampede(valkey, namespace, loads_to_see=2)).loads == 2


def test_without_flights_every_caller_loads(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    join = Flights.join

    def alone(self: Flights, key: str, tags: Any, **how: bool) -> Any:
        return join(self, key, tags, alone=True)

    monkeypatch.setattr(Flights, "join", alone)
    assert (stampede(valkey, namespace, loads_to_see=2 * CALLERS)).loads == 2 * CALLERS


def test_a_loaders_error_reaches_every_caller_and_the_next_call_loads_again() -> None:
    source = Source("value")
    source.gate.clear()
    source.error = RuntimeError("the source is down")
    with Cache() as cache:
        steps = [Step(cache.get_or_load, "k", source.load) for _ in range(CALLERS)]
        until(lambda: cache.stats().joined == CALLERS - 1)
        source.gate.set()
        for step in steps:
            with pytest.raises(RuntimeError, match="the source is down"):
                step.result()
        assert source.loads == 1
        source.error = None
        assert cache.get_or_load("k", source.load) == "value"


@pytest.mark.parametrize("with_server", [False, True])
def test_a_caller_who_is_overtaken_between_his_look_and_his_turn_does_not_load_again(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch, with_server: bool
) -> None:
    """He finds nothing in memory; before he asks who leads, the load of another caller has come and gone."""
    source = Source("value")
    with Cache(valkey.url if with_server else None, namespace=namespace) as cache:
        looked, go_on = threads.Event(), threads.Event()

        def slow() -> Any:
            # Between the look and the turn lies this call.
            looked.set()
            go_on.wait(10)
            return opened()

        opened = cache.engine.open
        monkeypatch.setattr(cache.engine, "open", slow)
        overtaken = Step(cache.get_or_load, "k", source.load)
        until(looked.is_set)
        monkeypatch.setattr(cache.engine, "open", opened)
        assert cache.get_or_load("k", source.load) == "value"
        go_on.set()
        assert overtaken.result() == "value"
        assert source.loads == 1


def test_the_lease_of_a_load_that_raised_is_given_back_at_once(
    server: EmbeddedServer, namespace: str
) -> None:
    failing, good = Source(), Source("value")
    failing.gate.clear()
    failing.error = RuntimeError("not this time")
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        leader = Step(a.get_or_load, "k", failing.load)
        until(failing.began.is_set)
        other = Step(b.get_or_load, "k", good.load)
        until(lambda: b.stats().misses == 1)
        failing.gate.set()
        with pytest.raises(RuntimeError, match="not this time"):
            leader.result()
        # Far below the 10 s that the lease would have run on.
        assert other.result(within=3.0) == "value"


def trips_while_waiting(server: EmbeddedServer, namespace: str, raw: Raw) -> int:
    """How many round trips a process makes that waits for another one's load of 0.3 s."""

    def load() -> str:
        threads.wall_sleep(0.3)
        return "value"

    with FaultProxy(server.url) as proxy:
        with (
            Cache(server.url, namespace=namespace) as a,
            Cache(proxy.url, namespace=namespace) as b,
        ):
            b.get("open the connection")
            leader = Step(a.get_or_load, "k", load)
            lease = a.engine.keys.lease("k")
            until(lambda: raw(server).exists(lease))
            proxy.reset_counters()
            assert b.get_or_load("k", load) == "value"
            assert leader.result() == "value"
            assert b.stats().loads == 0
            return proxy.round_trips


MOST_TRIPS = 5
"""The look, the question for the lease, the same after being woken; a heartbeat may fall in between."""


def test_who_waits_for_another_process_is_woken_and_does_not_poll(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    assert trips_while_waiting(server, namespace, raw) <= MOST_TRIPS


def test_a_waiter_that_polls_would_be_noticed(
    valkey: EmbeddedServer, namespace: str, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poll(self: Reader, *_: Any) -> None:
        threads.wall_sleep(0.01)

    monkeypatch.setattr(Reader, "_wait_for_holder", poll)
    assert trips_while_waiting(valkey, namespace, raw) > MOST_TRIPS


def test_two_hundred_at_once_are_all_served_with_the_default_options(
    valkey: EmbeddedServer, namespace: str
) -> None:
    events = RecordingListener()
    source = Source("value")
    with Cache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        steps = [Step(cache.get_or_load, f"k{n}", source.load) for n in range(200)]
        assert [step.result() for step in steps] == ["value"] * 200
        assert [event.error for event in events.events if event.kind == "remote_error"] == []  # type: ignore[attr-defined]


# -------------------------------------------------------------------- bounded loads


class Crowd:
    """Loads that are under way at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.gate = threads.Event()

    def load(self) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        self.gate.wait(10)
        self.now -= 1
        return "value"


@pytest.mark.parametrize(("max_loads", "at_once"), [(None, 6), (2, 2)])
def test_no_more_than_max_loads_run_at_once(max_loads: int | None, at_once: int) -> None:
    crowd = Crowd()
    with Cache(max_loads=max_loads) as cache:
        steps = [Step(cache.get_or_load, f"k{n}", crowd.load) for n in range(6)]
        until(lambda: crowd.now == at_once)
        crowd.gate.set()
        assert [step.result() for step in steps] == ["value"] * 6
    assert crowd.most == at_once


def test_a_load_that_finds_no_slot_in_time_says_so() -> None:
    source = Source("value")
    source.gate.clear()
    policy = Policy(timeouts=Timeouts(load=0.2))
    with Cache(max_loads=1) as cache:
        first = Step(cache.get_or_load, "a", source.load)
        until(source.began.is_set)

        def second() -> Any:
            return cache.get_or_load("b", source.load, policy=policy)

        with pytest.raises(LoadTimeout, match="max_loads"):
            Step(second).result()
        source.gate.set()
        assert first.result() == "value"


def test_a_load_inside_a_load_needs_no_slot_of_its_own() -> None:
    with Cache(max_loads=1) as cache:

        def inner() -> str:
            return "part"

        def outer() -> list[str]:
            return [cache.get_or_load("inner", inner)]

        assert Step(cache.get_or_load, "outer", outer).result(2.0) == ["part"]


def test_a_load_that_joins_one_which_waits_for_its_slot_does_not_deadlock() -> None:
    """The outer load holds the only slot; the inner key is led by a caller who waits for that slot."""
    may_read = threads.Event()
    inner = Source("part")
    with Cache(max_loads=1) as cache:

        def outer() -> list[str]:
            may_read.wait(10)
            return [cache.get_or_load("inner", inner.load)]

        whole = Step(cache.get_or_load, "outer", outer)
        until(lambda: cache.stats().misses == 1)
        part = Step(cache.get_or_load, "inner", inner.load)
        until(lambda: cache.stats().misses == 2)
        may_read.set()
        assert whole.result(3.0) == ["part"]
        assert part.result(3.0) == "part"


# -------------------------------------------------------------------- loads that hang

IMPATIENT = Policy(timeouts=Timeouts(load=0.3))


def test_a_hung_load_holds_its_key_neither_here_nor_elsewhere(
    server: EmbeddedServer, namespace: str
) -> None:
    hung, good = Source("late"), Source("value")
    hung.gate.clear()
    with (
        Cache(server.url, namespace=namespace, policy=IMPATIENT) as a,
        Cache(server.url, namespace=namespace, policy=IMPATIENT) as b,
    ):
        leader = Step(a.get_or_load, "k", hung.load)
        try:
            until(hung.began.is_set)
            follower = Step(a.get_or_load, "k", good.load)
            elsewhere = Step(b.get_or_load, "k", good.load)
            with pytest.raises(LoadTimeout):
                follower.result()
            # The lease is for 10 s; nobody is to wait that long for a load that may take 0.3 s.
            assert elsewhere.result(within=2.0) == "value"
            assert Step(a.get_or_load, "k", good.load).result(within=2.0) == "value"
        finally:
            hung.gate.set()
        # A task is stopped, a thread cannot be: there the caller gets its own late value.
        until(lambda: leader.done)
        assert a.get_or_load("k", good.load) == "value", "what came late was kept"
        assert b.get_or_load("k", good.load) == "value", "what came late was kept"


def test_a_load_that_reads_its_own_key_loads_once_more_and_does_not_wait_for_itself() -> None:
    with Cache() as cache:

        def inner() -> str:
            return "inner"

        def outer() -> str:
            return f"outer of {cache.get_or_load('k', inner)}"

        assert Step(cache.get_or_load, "k", outer).result(2.0) == "outer of inner"


def test_recursion_under_a_lease_does_not_wait_for_itself_either(
    server: EmbeddedServer, namespace: str
) -> None:
    with Cache(server.url, namespace=namespace) as cache:

        def inner() -> str:
            return "inner"

        def middle() -> str:
            return f"middle of {cache.get_or_load('k', inner)}"

        def outer() -> str:
            return f"outer of {cache.get_or_load('other', middle)}"

        whole = Step(cache.get_or_load, "k", outer).result(2.0)
        assert whole == "outer of middle of inner"


def test_a_slow_load_gives_way_to_a_stale_value_and_replaces_it_when_it_ends(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), Source("old")
    policy = Policy(ttl=10, stale_if_error=100, timeouts=Timeouts(load_soft=0.05))
    with Cache(server.url, namespace=namespace, policy=policy, clock=clock) as cache:
        assert cache.get_or_load("k", source.load) == "old"
        clock.advance(11)
        source.value = "new"
        source.gate.clear()
        assert cache.get_or_load("k", source.load) == "old"
        source.gate.set()
        until(lambda: cache.stats().fills == 2)
        assert cache.get_or_load("k", source.load) == "new"
        assert (source.loads, cache.stats().stale) == (2, 1)


def test_a_slow_load_is_waited_for_where_there_is_nothing_stale() -> None:
    source = Source("value")
    source.gate.clear()
    with Cache(policy=Policy(timeouts=Timeouts(load_soft=0.0))) as cache:
        step = Step(cache.get_or_load, "k", source.load)
        until(source.began.is_set)
        source.gate.set()
        assert step.result() == "value"
