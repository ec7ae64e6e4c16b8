# Generated from _async/test_sliding.py by tools/unasync.py. Do not edit.
"""Sliding lifetimes: each access extends them, in memory and in one step at the server, and never beyond their limit."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import MISSING, Cache, Policy
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


def name_of(namespace: str, key: str = "k") -> str:
    return f"{namespace}:{{{key}}}"


class Loads:
    """A source that counts how often it is asked, and returns the count."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


# -------------------------------------------------------------------- sliding


def test_defect_49_each_access_extends_a_sliding_value_up_to_its_age_limit(
    clock: FakeClock,
) -> None:
    policy = Policy(sliding=10, max_age=35)
    with Cache(policy=policy, clock=clock) as cache:
        cache.set("k", "v")
        for _ in range(3):
            clock.advance(9)
            assert cache.get("k") == "v"
        clock.advance(7.5)
        assert cache.get("k") == "v"
        clock.advance(1)
        assert cache.get("k") is MISSING, "35 s is the end, however often it is read"


def test_a_sliding_value_that_nobody_reads_ends_after_one_window(clock: FakeClock) -> None:
    with Cache(policy=Policy(sliding=10), clock=clock) as cache:
        cache.set("k", "v")
        cache.set("l", "v", sliding=20)
        clock.advance(11)
        assert cache.get("k") is MISSING
        assert cache.get("l") == "v"


READERS = ["get", "get_or_load", "get_many", "get_or_load_many"]


def read_by(verb: str, cache: Cache) -> Any:
    if verb == "get":
        return cache.get("k")
    if verb == "get_or_load":
        return cache.get_or_load("k", lambda: "anew")
    if verb == "get_many":
        return (cache.get_many(["k", "l"])).get("k")
    return (cache.get_or_load_many(["k", "l"], lambda keys: {}))["k"]


@pytest.mark.parametrize("verb", READERS)
def test_defect_49_at_the_server_a_read_extends_in_the_same_step(
    server: Any, raw: Any, namespace: str, *, clock: FakeClock, verb: str
) -> None:
    policy = Policy(sliding=60, max_age=600)
    client, name = raw(server), name_of(namespace)
    with Cache(server.url, namespace=namespace, policy=policy, clock=clock) as cache:
        cache.set("k", "v")
        assert 55_000 < client.pttl(name) <= 60_000
        client.pexpire(name, 5_000)
        assert read_by(verb, cache) == "v"
        assert 55_000 < client.pttl(name) <= 60_000
        clock.advance(580)
        client.pexpire(name, 5_000)
        assert read_by(verb, cache) == "v"
        assert 15_000 < client.pttl(name) <= 20_000, "never beyond the age limit"
        clock.advance(21)
        assert read_by(verb, cache) != "v"


@pytest.mark.parametrize("verb", READERS)
def test_a_value_that_a_call_made_sliding_slides_for_every_reader(
    valkey: Any, raw: Any, namespace: str, verb: str
) -> None:
    client, name = raw(valkey), name_of(namespace)
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.set("k", "v", sliding=60)
        client.pexpire(name, 5_000)
        assert read_by(verb, cache) == "v"
        assert 55_000 < client.pttl(name) <= 60_000


def test_a_loaded_value_slides_as_one_that_was_set(
    valkey: Any, raw: Any, namespace: str
) -> None:
    loads = Loads()
    client, name = raw(valkey), name_of(namespace)
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.get_or_load("k", loads, sliding=60)
        assert 55_000 < client.pttl(name) <= 60_000
        client.pexpire(name, 5_000)
        assert cache.get_or_load("k", loads, sliding=60) == 1
        assert 55_000 < client.pttl(name) <= 60_000


def test_a_sliding_value_stays_in_memory_only_where_a_limit_allows_it(
    valkey: Any, namespace: str
) -> None:
    """A copy in memory would not see the accesses that keep the value alive at the server."""
    for l1_ttl, copies in ((None, 0), (5, 1)):
        policy = Policy(sliding=60, l1_ttl=l1_ttl)
        with Cache(valkey.url, namespace=namespace, policy=policy) as cache:
            cache.set("k", "v")
            assert cache.get("k") == "v"
            assert cache.stats().entries == copies


def test_sliding_in_one_call_suits_a_cache_that_serves_stale(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=300, stale=600, jitter=0.1, refresh_ahead=0.8)
    with Cache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        assert cache.set("k", "v", sliding=60)
        assert cache.get("k") == "v"
        assert cache.get_or_load("l", lambda: "v", sliding=60) == "v"


def test_asking_how_long_a_value_lives_is_no_access(
    place: Any, raw: Any, namespace: str, clock: FakeClock
) -> None:
    with Cache(
        place, namespace=namespace, policy=Policy(sliding=60), clock=clock
    ) as cache:
        cache.set("k", "v")
        if place is None:
            clock.advance(55)
        else:
            raw(place).pexpire(name_of(namespace), 5_000)
        for _ in range(2):
            left = cache.ttl("k")
            assert left is not None
            assert 4 <= left <= 5
