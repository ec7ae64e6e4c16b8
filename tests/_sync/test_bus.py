# Generated from _async/test_bus.py by tools/unasync.py. Do not edit.
"""Messages that are none of ours change nothing; a link that is silent, cut or gone makes everything known forgotten."""

from __future__ import annotations

import time
from typing import Any

import pytest
from _sync.steps import Source, Step, until, until_read

from cachewright import MISSING, Cache
from cachewright._sync import bus as bus_module
from cachewright._sync.engine import Engine
from cachewright.embedded import EmbeddedServer
from cachewright.redis import messages
from cachewright.testing import RecordingListener
from rig.liar import Liar
from rig.proxy import FaultProxy
from rig.servers import OwnServer, Raw


def load_value() -> str:
    """A source that always works."""
    return "value"


def message(*, version: int = messages.VERSION, sender: str = "another", **names: Any) -> bytes:
    """An invalidation as some process might publish it."""
    told = messages.Invalidation(version, sender, names.get("keys", []), names.get("tags", []))
    return messages.encode(told)


# -------------------------------------------------------------------- what is heard


def test_what_one_process_invalidates_all_others_drop_from_memory(
    server: EmbeddedServer, namespace: str
) -> None:
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
        Cache(server.url, namespace=f"{namespace}-other") as stranger,
    ):
        source = Source("old")
        for cache in (a, b, stranger):
            for key in ("k", "tagged", "neither"):
                cache.get_or_load(key, source.load, tags=["row"] if key == "tagged" else [])
        source.value = "new"
        a.invalidate("k", tags=["row"])
        until_read(lambda: b.get_or_load("k", source.load), "new")
        until_read(lambda: b.get_or_load("tagged", source.load, tags=["row"]), "new")
        assert b.get("neither") == "old"
        assert stranger.get("k") == "old", "another namespace"


def test_a_process_does_not_act_on_its_own_messages(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Cache(server.url, namespace=namespace) as cache:
        cache.invalidate("something")
        cache.get_or_load("k", load_value)
        assert cache.engine.store is not None
        ours = message(sender=cache.engine.store.process, keys=["k"])
        assert raw(server).publish(cache.engine.keys.bus, ours) == 1
        raw(server).publish(cache.engine.keys.bus, message(keys=["a marker"]))
        until(lambda: cache.stats().heard == 1)
        assert cache.get("k") == "value"
        assert cache.stats().l1_hits == 1


NONSENSE = {
    "another version": message(version=messages.VERSION + 1, keys=["k"]),
    "garbage": b"\xff\x00 no message at all",
    "nothing": b"",
    "another shape": b"\x93\x01\x02\x03",
    "keys that are no strings": b"\x94\x01\xa1x\x91\x07\x90",
    "not UTF-8": b"\x94\x01\xa1x\x91\xa1\xff\x90",
    "too large": message(keys=["k", "x" * messages.MAX_BYTES]),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_message_that_is_none_of_ours_is_counted_and_changes_nothing(
    server: EmbeddedServer, namespace: str, raw: Raw, kind: str
) -> None:
    events = RecordingListener()
    with Cache(server.url, namespace=namespace, listeners=[events]) as cache:
        cache.get_or_load("k", load_value)
        assert raw(server).publish(cache.engine.keys.bus, NONSENSE[kind]) == 1
        until(lambda: events.of("unreadable"))
        assert cache.get("k") == "value"
        assert cache.stats().l1_hits == 1
        assert cache.stats().unreadable == 1
        assert cache.stats().link == "up"
        raw(server).publish(cache.engine.keys.bus, message(keys=["k"]))
        until(lambda: cache.stats().heard == 1)
        assert len(cache.engine.memory) == 0, "it goes on listening"


@pytest.mark.parametrize("kind", ["another version", "garbage", "nothing", "another shape"])
def test_nonsense_on_the_wake_up_channel_is_counted_too(
    valkey: EmbeddedServer, namespace: str, raw: Raw, kind: str
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        assert cache.engine.store is not None
        channel = cache.engine.keys.wake + cache.engine.store.process
        assert raw(valkey).publish(channel, NONSENSE[kind]) == 1
        until(lambda: cache.stats().unreadable == 1)
        assert cache.stats().link == "up"


def test_whoever_can_publish_can_cost_misses_and_plant_nothing(
    valkey: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.get_or_load("k", load_value)
        raw(valkey).publish(cache.engine.keys.bus, message(keys=["k", "planted"], tags=["n:"]))
        until(lambda: cache.stats().heard == 1)
        assert cache.get("planted") is MISSING
        assert cache.get("k") == "value", "from the server, which had it all along"


# -------------------------------------------------------------------- a lost link


def stale_value_after_a_message_was_missed(
    server: EmbeddedServer, namespace: str
) -> tuple[str, str]:
    """What a process reads whose link was cut while another one invalidated: during and after."""
    source = Source("old")
    with FaultProxy(server.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace) as deaf,
            Cache(server.url, namespace=namespace) as other,
        ):
            assert deaf.get_or_load("k", source.load) == "old"
            proxy.refuse()
            proxy.cut()
            until(lambda: deaf.engine.bus is not None and not deaf.engine.bus.up)
            source.value = "new"
            other.invalidate("k")
            during: str = deaf.get_or_load("k", source.load)
            proxy.heal()
            until(lambda: deaf.engine.bus is not None and deaf.engine.bus.up)
            return during, deaf.get_or_load("k", source.load)


def test_what_was_known_before_a_link_was_lost_is_forgotten(
    server: EmbeddedServer, namespace: str
) -> None:
    assert stale_value_after_a_message_was_missed(server, namespace) == ("new", "new")


def test_a_process_that_does_not_notice_a_lost_link_serves_what_was_invalidated(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = Engine.link_changed

    def careless(self: Engine, *news: Any) -> None:
        if not self.tags.linked:
            changed(self, *news)

    monkeypatch.setattr(Engine, "link_changed", careless)
    assert stale_value_after_a_message_was_missed(valkey, namespace) == ("old", "old")


def test_a_link_that_is_cut_is_opened_again(server: EmbeddedServer, namespace: str) -> None:
    events = RecordingListener()
    with FaultProxy(server.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace, listeners=[events]) as cache,
            Cache(server.url, namespace=namespace) as other,
        ):
            for n in range(1, 4):
                proxy.cut()
                until(lambda n=n: len(events.of("link_lost")) == n)  # type: ignore[misc]
                until(lambda n=n: len(events.of("link_up")) == n + 1)  # type: ignore[misc]
            until_read(lambda: cache.get_or_load("k", load_value), "value")
            heard = cache.stats().heard
            other.invalidate("k")
            until(lambda: cache.stats().heard > heard)


def test_a_load_under_way_when_the_link_is_lost_is_kept_nowhere(
    server: EmbeddedServer, namespace: str
) -> None:
    """It might have been invalidated by a message that nobody heard."""
    source = Source("old")
    source.gate.clear()
    with FaultProxy(server.url) as proxy:
        with Cache(proxy.url, namespace=namespace) as cache:
            step = Step(cache.get_or_load, "k", source.load)
            until(source.began.is_set)
            epoch = cache.engine.tags.epoch
            proxy.cut()
            until(lambda: cache.stats().link == "up" and cache.engine.tags.epoch >= epoch + 2)
            source.gate.set()
            assert step.result() == "old"
            assert len(cache.engine.memory) == 0


def test_a_silent_link_is_lost_when_a_pong_does_not_arrive(
    server: EmbeddedServer, namespace: str
) -> None:
    """Requests arrive, replies do not: only a heartbeat that has to come back shows it."""
    with FaultProxy(server.url) as proxy:
        with Cache(proxy.url, namespace=namespace) as cache:
            cache.get_or_load("k", load_value)
            proxy.blackhole_replies()
            began = time.monotonic()
            until(lambda: cache.stats().link == "lost")
            took = time.monotonic() - began
            assert bus_module.HEARTBEAT <= took < 2 * bus_module.HEARTBEAT + 1
            assert len(cache.engine.memory) == 0
            proxy.heal()
            until(lambda: cache.stats().link == "up")


def test_messages_of_others_do_not_stand_in_for_the_pong(
    valkey: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    """A server may go on publishing on a link whose own questions no longer reach it."""

    def answer(command: list[bytes]) -> bytes:
        return b"$-1\r\n"

    with Liar(answer, deaf=True) as liar:
        with Cache(liar.url, namespace=namespace) as cache:
            assert cache.stats().link == "up"
            bus = cache.engine.keys.bus.encode()
            news = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
            told = message(keys=["x"])

            def lost_amid_the_news() -> bool:
                liar.push(news % (len(bus), bus, len(told), told))
                return cache.stats().link == "lost"

            # Silence comes first: while news arrive nobody asks.
            until(lambda: liar.ignored)
            until(lost_amid_the_news, within=2 * bus_module.HEARTBEAT + 1)
            assert cache.stats().heard > 0


def test_an_idle_link_is_kept_alive_by_its_heartbeat(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        events = RecordingListener()
        with Cache(proxy.url, namespace=namespace, listeners=[events]) as cache:
            proxy.reset_counters()
            until(lambda: proxy.round_trips >= 2)
            assert events.of("link_lost") == []
            assert cache.stats().link == "up"


def test_a_server_that_restarts_is_listened_to_again(
    own_server: OwnServer, namespace: str
) -> None:
    server = own_server()
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        server.kill()
        until(lambda: a.stats().link == b.stats().link == "lost")
        server.restart()
        until(lambda: a.stats().link == b.stats().link == "up")
        a.get_or_load("k", load_value)
        b.get_or_load("k", load_value)
        b.invalidate("k")
        until(lambda: len(a.engine.memory) == 0)


def test_nothing_is_kept_in_memory_before_the_link_is_up(
    server: EmbeddedServer, namespace: str
) -> None:
    cache = Cache(server.url, namespace=namespace)
    try:
        assert cache.stats().link == "lost"
        assert cache.get_or_load("k", load_value) == "value"
        assert cache.stats().link == "up", "the first call waits for the link"
        assert cache.get("k") == "value"
        assert cache.stats().l1_hits == 1
    finally:
        cache.close()
