# Generated from _async/test_counters.py by tools/unasync.py. Do not edit.
"""What is stored only where there is nothing, and counters that lose nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import MISSING, Cache, ConfigurationError, RemoteError
from cachewright._waits import threads
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


# -------------------------------------------------------------------- add


def test_add_stores_where_there_is_nothing_and_only_there(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        assert cache.add("k", "first", ttl=60)
        assert not cache.add("k", "second")
        assert cache.get("k") == "first"
        cache.invalidate("k")
        assert cache.add("k", "third")
        cache.clear()
        assert cache.add("k", "fourth", tags=["t"])
        cache.invalidate(tags=["t"])
        assert cache.add("k", "fifth")
        assert cache.get("k") == "fifth"


def test_add_after_the_end_of_a_life(place: Any, namespace: str, clock: FakeClock) -> None:
    with Cache(place, namespace=namespace, clock=clock) as cache:
        cache.set("k", "old", ttl=5)
        clock.advance(6)
        assert cache.add("k", "new")
        assert cache.get("k") == "new"


def test_of_many_who_add_at_once_one_succeeds(place: Any, namespace: str) -> None:
    won: list[int] = []
    background = threads.Background("adders")
    with Cache(place, namespace=namespace) as cache:

        def add(n: int) -> None:
            if cache.add("k", n):
                won.append(n)

        for n in range(20):
            background.start(add, n)
        background.close(10)
        assert len(won) == 1
        assert cache.get("k") == won[0]


# -------------------------------------------------------------------- incr


def test_a_counter_begins_at_its_initial_and_counts(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        assert cache.incr("n") == 1
        assert cache.incr("n", 5) == 6
        assert cache.incr("n", -10) == -4
        assert cache.incr("m", initial=100) == 101
        assert cache.incr("m", 0) == 101
        assert cache.get("n") == -4
        assert cache.get_many(["n", "m"]) == {"n": -4, "m": 101}


def test_a_counter_is_one_for_all_processes(server: Any, namespace: str) -> None:
    one, other = (Cache(server.url, namespace=namespace) for _ in range(2))
    with one, other:
        assert [one.incr("n"), other.incr("n"), one.incr("n")] == [1, 2, 3]
        assert other.get("n", verify=True) == 3


def test_a_counter_keeps_the_life_it_began_with(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    with Cache(place, namespace=namespace, clock=clock) as cache:
        cache.incr("n", ttl=60)
        clock.advance(50)
        assert cache.incr("n", ttl=60) == 2
        assert cache.ttl("n") == pytest.approx(10)
        clock.advance(11)
        assert cache.get("n") is MISSING
        assert cache.incr("n") == 1


def test_counters_are_forgotten_as_all_else_is(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.incr("n")
        cache.invalidate("n")
        assert cache.incr("n") == 1
        cache.clear()
        assert cache.get("n") is MISSING
        assert cache.incr("n") == 1


def test_a_counter_that_a_long_key_names(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        assert [cache.incr("n" * 1000) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("workers", [100])
def test_many_who_count_at_once_lose_nothing(
    place: Any, namespace: str, workers: int
) -> None:
    background = threads.Background("counters")
    with Cache(place, namespace=namespace) as cache:
        for _ in range(workers):
            background.start(cache.incr, "n")
        background.close(20)
        assert cache.get("n") == workers
        assert cache.incr("n") == workers + 1


def test_many_who_read_and_write_at_once_do_lose_some(place: Any, namespace: str) -> None:
    """The twin of the test above: the naive way, in an order that shows it."""
    with Cache(place, namespace=namespace) as cache:
        cache.set("n", 0)
        seen = [cache.get("n") for _ in range(2)]
        for one in seen:
            cache.set("n", one + 1)
        assert cache.get("n") == 1


@pytest.mark.parametrize("value", ["7", 7.5, [7], None, True])
def test_what_is_no_counter_is_not_counted(place: Any, namespace: str, value: Any) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.set("k", value)
        with pytest.raises(ConfigurationError, match="no counter"):
            cache.incr("k")
        assert cache.get("k") == value


def test_a_number_that_was_set_counts_alike_with_and_without_a_server(
    valkey: Any, namespace: str
) -> None:
    outcomes: list[Any] = []
    for server in (None, valkey.url):
        with Cache(server, namespace=namespace) as cache:
            cache.set("k", 7)
            try:
                outcomes.append(cache.incr("k"))
            except ConfigurationError:
                outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("delta", [1.5, "1", None, True])
def test_a_step_that_is_no_whole_number_is_refused(
    place: Any, namespace: str, delta: Any
) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.incr("n")
        with pytest.raises(ConfigurationError, match="delta"):
            cache.incr("n", delta)
        assert cache.get("n") == 1


@pytest.mark.parametrize(("initial", "delta"), [(2**53, 1), (0, 2**60), (-(2**53), -1)])
def test_a_counter_refuses_to_leave_its_range(
    place: Any, namespace: str, initial: int, delta: int
) -> None:
    """A double counts no further exactly, and servers count in doubles."""
    with Cache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="2\\*\\*53"):
            cache.incr("n", delta, initial=initial)


def test_a_count_that_cannot_be_made_is_an_error_and_no_guess(
    own_server: Any, namespace: str
) -> None:
    server = own_server()
    with Cache(server.url, namespace=namespace) as cache:
        cache.incr("n")
        server.kill()
        with pytest.raises(RemoteError):
            cache.incr("n")
