# Generated from _async/test_batches_of_wholes.py by tools/unasync.py. Do not edit.
"""A batch of values whose tags this process has never seen: their stamps are asked for together, and compared one by one."""

from __future__ import annotations

from typing import Any

import pytest
from _sync import weaknesses
from _sync.racing import behind_reply, heard_by
from _sync.steps import PATIENCE, Source, Step

from cachewright import Cache, Policy, Timeouts, current_load
from cachewright._sync.looking import Looker
from cachewright.core.tags import TagClock
from cachewright.embedded import EmbeddedServer
from rig.proxy import FaultProxy

FAR = Policy(ttl=600, timeouts=Timeouts(call=5.0, connect=5.0))
KEYS = [f"k{n}" for n in range(50)]


def fill(cache: Cache) -> None:
    """A value for each key, each with a tag of its own."""
    for key in KEYS:
        cache.get_or_load(key, lambda key=key: f"of {key}", tags=[f"row:{key}"])


def trips(url: str, namespace: str, *, verify: bool = False) -> int:
    """How many round trips a process that knows nothing needs for all of them."""
    with FaultProxy(url) as proxy:
        with Cache(proxy.url, namespace=namespace, policy=FAR) as cache:
            cache.get("anything")
            proxy.reset_counters()
            found = cache.get_many(KEYS, verify=verify)
            assert found == {key: f"of {key}" for key in KEYS}
            return proxy.round_trips


@pytest.mark.parametrize("verify", [False, True])
def test_stamps_that_are_not_known_are_asked_for_together(
    verify: bool, valkey: EmbeddedServer, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace, policy=FAR) as first:
        fill(first)
        assert trips(valkey.tcp_url, namespace, verify=verify) <= 3 + 1, "and a heartbeat"


def test_asked_for_one_by_one_they_would_take_a_trip_each(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(Looker, "ask_ahead", nothing)
    with Cache(valkey.url, namespace=namespace, policy=FAR) as first:
        fill(first)
        assert trips(valkey.tcp_url, namespace) >= len(KEYS)


@pytest.mark.parametrize("verify", [False, True])
def test_of_a_batch_only_what_was_invalidated_is_missing(
    verify: bool, valkey: EmbeddedServer, namespace: str
) -> None:
    with (
        Cache(valkey.url, namespace=namespace, policy=FAR) as first,
        Cache(valkey.url, namespace=namespace, policy=FAR) as second,
    ):
        fill(first)
        first.invalidate(tags=["row:k7", "row:k9"])
        found = second.get_many(KEYS, verify=verify)
        assert set(KEYS) - set(map(str, found)) == {"k7", "k9"}


def test_what_is_invalidated_while_the_stamps_come_is_not_kept(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Cache(valkey.url, namespace=namespace, policy=FAR) as first,
        Cache(valkey.url, namespace=namespace, policy=FAR) as second,
    ):
        fill(first)
        ask_ahead = Looker.ask_ahead

        def overtaken(*asked: Any) -> None:
            ask_ahead(*asked)
            monkeypatch.setattr(Looker, "ask_ahead", ask_ahead)
            second.invalidate(tags=["row:k7"])

        monkeypatch.setattr(Looker, "ask_ahead", overtaken)
        second.get_many(KEYS)
        assert "k7" not in second.get_many(KEYS)


def joined_by_a_batch(cache: Cache) -> list[Any]:
    """What a load brings that has read the old row and names its tag late, and what a batch gets that joins it later."""
    source, others = Source("old"), Source("other")

    def load() -> Any:
        value = source.load()
        current_load().tag("late")
        return value

    def load_many(keys: list[Any]) -> dict[Any, Any]:
        others.load()
        return dict.fromkeys(keys, source.value)

    source.gate.clear()
    first = Step(cache.get_or_load, "joined", load)
    assert source.began.wait(PATIENCE)
    source.value = "new"
    cache.invalidate(tags=["late"])
    batch = Step(cache.get_or_load_many, ["joined", "another"], load_many)
    assert others.began.wait(PATIENCE), "it leads the other key, and has joined this one"
    source.gate.set()
    return [first.result(), (batch.result())["joined"]]


def test_a_batch_that_joins_a_flight_after_an_invalidation_does_not_take_what_it_brings(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace, policy=FAR) as cache:
        assert joined_by_a_batch(cache) == ["old", "new"]


def test_a_batch_that_shares_with_whoever_was_first_is_old(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.shares_with_latecomers(monkeypatch)
    with Cache(valkey.url, namespace=namespace, policy=FAR) as cache:
        assert joined_by_a_batch(cache) == ["old", "old"]


def acquired_before_news(cache: Cache, other: Cache) -> list[Any]:
    """What a batch reads whose reply to acquire is overtaken by an invalidation, and then by its news."""
    source = Source("old")

    def elsewhere() -> None:
        other.get_or_load("x", source.load, tags=["row"])
        source.value = "new"
        heard_by(cache, lambda: other.invalidate(tags=["row"]))

    def load_many(keys: list[Any]) -> dict[Any, Any]:
        return dict.fromkeys(keys, 1)

    behind_reply(cache, "acquire", elsewhere)
    cache.get_or_load_many(["a", "b"], load_many, tags=["row"])
    return [source.value, cache.get_or_load("x", source.load, tags=["row"])]


def test_what_a_batch_has_acquired_teaches_nothing_that_news_have_overtaken(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with (
        Cache(valkey.url, namespace=namespace, policy=FAR) as cache,
        Cache(valkey.url, namespace=namespace, policy=FAR) as other,
    ):
        assert acquired_before_news(cache, other) == ["new", "new"]


def test_if_it_taught_nevertheless_an_old_value_would_be_served(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = TagClock.learn
    monkeypatch.setattr(
        TagClock, "learn", lambda self, issued, stamps: learn(self, self.epoch, stamps)
    )
    with (
        Cache(valkey.url, namespace=namespace, policy=FAR) as cache,
        Cache(valkey.url, namespace=namespace, policy=FAR) as other,
    ):
        assert acquired_before_news(cache, other) == ["new", "old"]
