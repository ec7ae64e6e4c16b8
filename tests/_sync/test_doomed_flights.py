# Generated from _async/test_doomed_flights.py by tools/unasync.py. Do not edit.
"""A doomed flight takes no new followers, a refresh brings back nothing old, and an invalidation drops here at last.

Each test has a twin on a weakened engine on which the old value comes back.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync import weaknesses
from _sync.racing import (
    KEY,
    TAG,
    WRITES,
    behind_reply,
    cache_on,
    heard_by,
    read,
)
from _sync.steps import PATIENCE, Source, Step, until
from _sync.weaknesses import Weakness

from cachewright import Cache, Policy, Timeouts, current_load
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock
from rig.proxy import FaultProxy
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")

NOWHERE = "no server"
writes = pytest.mark.parametrize("write", WRITES)
BRIEF = Policy(timeouts=Timeouts(call=0.4, connect=1))
"""Calls that fail before the heartbeat can find the link lost."""


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
def url(request: pytest.FixtureRequest, server_pool: Pool) -> str | None:
    """Each kind of server, and none."""
    return None if request.param == NOWHERE else server_pool.get(request.param).url


# -------------------------------------------------------------------- followers


def followed(cache: Cache, source: Source, reading: Any, write: Any) -> list[Any]:
    """What the leader of a load sees, and who came after a write that met the load."""
    source.began.clear()
    source.gate.clear()
    leader = Step(reading)
    assert source.began.wait(PATIENCE), "nothing was loaded"
    source.value = "new"
    write()
    before = cache.stats()
    follower = Step(reading)
    until(
        lambda: cache.stats().misses > before.misses or cache.stats().joined > before.joined
    )
    source.gate.set()
    return [leader.result(), follower.result(), reading()]


def doomed(url: str | None, namespace: str, write: str) -> list[Any]:
    source = Source("old")
    with cache_on(url, namespace) as cache:
        return followed(
            cache, source, lambda: read(cache, source), lambda: WRITES[write](cache)
        )


@writes
def test_a_doomed_flight_takes_no_new_followers(
    url: str | None, namespace: str, write: str
) -> None:
    assert doomed(url, namespace, write) == ["old", "new", "new"]


@pytest.mark.parametrize(
    "weakness", [weaknesses.dooms_nothing_and_shares, weaknesses.lets_join_what_began_before]
)
@writes
def test_who_may_join_a_doomed_flight_gets_the_old_value(
    namespace: str, write: str, weakness: Weakness, monkeypatch: pytest.MonkeyPatch
) -> None:
    weakness(monkeypatch)
    assert (doomed(None, namespace, write))[:2] == ["old", "old"]


def joined_late(url: str | None, namespace: str, load: Any, tag: str) -> list[Any]:
    """The leader, a follower and a later reader of `load(cache, source)`, joined after `tag` was invalidated."""
    source = Source("old")
    with cache_on(url, namespace) as cache:

        def reading() -> Any:
            return cache.get_or_load(KEY, lambda: load(cache, source))

        return followed(cache, source, reading, lambda: cache.invalidate(tags=[tag]))


def with_a_part(cache: Cache, source: Source) -> Any:
    def part() -> Any:
        return source.value

    made_of = cache.get_or_load("part", part, tags=["row"])
    source.load()
    return made_of


def with_a_tag(cache: Cache, source: Source) -> Any:
    current_load().tag("row")
    return source.load()


def with_a_later_tag(cache: Cache, source: Source) -> Any:
    value = source.load()
    current_load().tag("row")
    return value


LOADS = {load.__name__: load for load in (with_a_part, with_a_tag, with_a_later_tag)}


@pytest.mark.parametrize("load", LOADS)
def test_who_joins_after_an_invalidation_that_the_flight_learns_of_by_loading_reads_again(
    url: str | None, namespace: str, load: str
) -> None:
    """What the load itself names or reads counts as much as what was declared."""
    assert joined_late(url, namespace, LOADS[load], "row") == ["old", "new", "new"]


@pytest.mark.parametrize("load", LOADS)
def test_who_joins_late_and_shares_all_the_same_gets_the_old_value(
    url: str | None, namespace: str, load: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.shares_with_latecomers(monkeypatch)
    assert joined_late(url, namespace, LOADS[load], "row") == ["old", "old", "new"]


def test_who_joins_after_an_invalidation_of_something_else_shares_the_load(
    url: str | None, namespace: str
) -> None:
    source = Source("old")
    with cache_on(url, namespace) as cache:
        seen = followed(
            cache,
            source,
            lambda: read(cache, source),
            lambda: cache.invalidate("another", tags=["another"]),
        )
        assert (seen, source.loads) == (["old", "old", "old"], 1)


def overtaken_hit(url: str, namespace: str) -> list[Any]:
    """A hit whose tags stand in the entry alone, overtaken, and who joined it after the invalidation."""
    source, followers = Source("new"), []
    with cache_on(url, namespace) as cache, cache_on(url, namespace) as other:
        heard_by(cache, lambda: other.set(KEY, "old", tags=[TAG]))

        def reading() -> Any:
            return cache.get_or_load(KEY, source.load)

        def write() -> None:
            cache.invalidate(tags=[TAG])
            followers.append(Step(reading))
            until(lambda: cache.stats().joined or followers[0].done)

        behind_reply(cache, "stamps", write)
        return [reading(), followers[0].result()]


def test_a_hit_that_was_overtaken_is_not_shared_with_who_comes_later(
    server: EmbeddedServer, namespace: str
) -> None:
    assert overtaken_hit(server.url, namespace) == ["old", "new"]


def test_a_hit_that_is_shared_with_all_who_come_is_old(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.shares_with_latecomers(monkeypatch)
    assert overtaken_hit(valkey.url, namespace) == ["old", "old"]


# -------------------------------------------------------------------- background refreshes


def refreshed(url: str | None, namespace: str, write: str) -> list[Any]:
    """What is read before, during and after a background refresh that an invalidation meets."""
    source, clock = Source("old"), FakeClock()
    policy = Policy(ttl=10, stale=600)
    with cache_on(url, namespace, policy=policy, clock=clock) as cache:
        first = read(cache, source)
        clock.advance(11)
        source.began.clear()
        source.gate.clear()
        stale = read(cache, source)
        assert source.began.wait(PATIENCE), "no refresh began"
        source.value = "new"
        WRITES[write](cache)
        source.gate.set()
        # The last that a flight does is to tell those who joined it.
        until(lambda: not cache.engine.flights._flying)
        return [first, stale, read(cache, source)]


@writes
def test_a_refresh_that_an_invalidation_meets_brings_nothing_back(
    url: str | None, namespace: str, write: str
) -> None:
    assert refreshed(url, namespace, write) == ["old", "old", "new"]


@pytest.mark.parametrize(
    ("write", "weakness"),
    [
        ("key", weaknesses.fills_without_lease),
        ("key", weaknesses.deletes_but_keeps_the_lease),
        ("tag", weaknesses.stamps_after_the_load),
    ],
)
def test_without_this_protection_a_refresh_brings_the_old_value_back(
    valkey: EmbeddedServer,
    namespace: str,
    write: str,
    *,
    weakness: Weakness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weakness(monkeypatch)
    assert refreshed(valkey.url, namespace, write) == ["old", "old", "old"]


# -------------------------------------------------------------------- the local half


def invalidated_without_an_answer(valkey: EmbeddedServer, namespace: str) -> tuple[Any, str]:
    """What is read after an invalidation whose reply was lost, and the state of the link then."""
    source = Source("old")
    with FaultProxy(valkey.url) as proxy:
        with cache_on(proxy.url, namespace, policy=BRIEF) as cache:
            read(cache, source)
            source.value = "new"
            proxy.blackhole_replies()
            cache.invalidate(KEY)
            link = cache.stats().link
            seen = read(cache, source)
            proxy.heal()
            return seen, link


def test_an_invalidation_drops_here_also_when_the_server_did_not_answer(
    valkey: EmbeddedServer, namespace: str
) -> None:
    assert invalidated_without_an_answer(valkey, namespace) == ("new", "up")


def test_who_drops_only_what_the_server_confirmed_serves_the_old_value(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.drops_only_what_the_server_confirmed(monkeypatch)
    assert invalidated_without_an_answer(valkey, namespace) == ("old", "up")


def read_before_the_server_knew(server: EmbeddedServer, namespace: str) -> list[Any]:
    """What is read in the midst of an invalidation, before its script has run, and after it."""
    with cache_on(server.url, namespace) as cache:
        cache.set(KEY, "old")
        tell, meanwhile = cache.engine.store, []
        assert tell is not None
        invalidate = tell.invalidate

        def read_first(*args: Any, **options: Any) -> None:
            meanwhile.append(cache.get(KEY))
            invalidate(*args, **options)

        tell.invalidate = read_first  # type: ignore[method-assign]
        cache.invalidate(KEY)
        return [*meanwhile, cache.get(KEY, "nothing")]


def test_an_invalidation_drops_here_after_the_server_has_dropped(
    server: EmbeddedServer, namespace: str
) -> None:
    assert read_before_the_server_knew(server, namespace) == ["old", "nothing"]


def test_who_drops_before_the_server_does_takes_the_old_value_back(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.drops_before_the_server_does(monkeypatch)
    assert read_before_the_server_knew(valkey, namespace) == ["old", "old"]
