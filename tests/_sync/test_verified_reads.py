# Generated from _async/test_verified_reads.py by tools/unasync.py. Do not edit.
"""`verify=True` is right before the news of an invalidation has come; a lost link makes every read as careful.

The bus is held back or cut, so that what an ordinary read may still serve is there to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Callable
from typing import Any, Self

import pytest
import redis
from _sync import weaknesses
from _sync.racing import (
    KEY,
    TAG,
    WRITES,
    HeldBus,
    behind_reply,
    cache_on,
    heard_by,
    read,
)
from _sync.steps import PATIENCE, Source, Step, until
from _sync.weaknesses import Weakness

from cachewright import Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.testing import RecordingListener
from rig.proxy import FaultProxy
from rig.servers import CHOICE, OwnServer

pytestmark = pytest.mark.usefixtures("patient")

writes = pytest.mark.parametrize("write", WRITES)


class Pair:
    """A cache that read the old value, and another process that tells it nothing until the bus is let go."""

    def __init__(self, url: str, namespace: str) -> None:
        self.cache = cache_on(url, namespace)
        self.other = cache_on(url, namespace)
        self.source = Source("old")

    def __enter__(self) -> Self:
        self.cache.__enter__()
        self.other.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cache.close()
        self.other.close()

    def invalidate(self, write: str) -> HeldBus:
        """The other process changes the source; the cache will not hear of it."""
        bus = HeldBus(self.cache)
        self.source.value = "new"
        WRITES[write](self.other)
        return bus


@pytest.fixture
def pair(server: EmbeddedServer, namespace: str) -> Iterator[Pair]:
    with Pair(server.url, namespace) as made:
        yield made


@pytest.fixture
def weak_pair(valkey: EmbeddedServer, namespace: str) -> Iterator[Pair]:
    """For weaknesses that are not of one kind of server."""
    with Pair(valkey.url, namespace) as made:
        yield made


# -------------------------------------------------------------------- verify=True


def get(pair: Pair, *, verify: bool) -> Any:
    return pair.cache.get(KEY, "nothing", verify=verify)


def get_many(pair: Pair, *, verify: bool) -> Any:
    return (pair.cache.get_many([KEY, "a:l"], verify=verify)).get(KEY, "nothing")


def get_or_load(pair: Pair, *, verify: bool) -> Any:
    return read(pair.cache, pair.source, verify=verify)


def decorated(pair: Pair, *, verify: bool) -> Any:
    @pair.cache.cached(key=KEY, tags=[TAG], verify=verify)
    def value() -> Any:
        return pair.source.load()

    return value()


WAYS: dict[str, Callable[..., Any]] = {
    way.__name__: way for way in (get, get_many, get_or_load, decorated)
}


def before_the_news(pair: Pair, way: str, write: str) -> list[Any]:
    """An ordinary read and a verified one before the news has come, and an ordinary one after it."""
    read(pair.cache, pair.source)
    bus = pair.invalidate(write)
    seen = [WAYS[way](pair, verify=verify) for verify in (False, True)]
    bus.deliver()
    return [*seen, WAYS[way](pair, verify=False)]


@pytest.mark.parametrize("way", WAYS)
@writes
def test_a_verified_read_is_right_where_an_ordinary_one_is_still_old(
    pair: Pair, way: str, write: str
) -> None:
    right = "nothing" if way.startswith("get") and way != "get_or_load" else "new"
    assert before_the_news(pair, way, write) == ["old", right, right]


@pytest.mark.parametrize(
    ("write", "weakness"),
    [
        ("key", weaknesses.verified_reads_look_in_memory),
        ("tag", weaknesses.verified_reads_look_in_memory),
        ("tag", weaknesses.verified_reads_trust_the_clock),
        ("clear", weaknesses.verified_reads_trust_the_clock),
        ("prefix", weaknesses.verified_reads_trust_the_clock),
    ],
)
@pytest.mark.parametrize("way", ["get", "get_or_load", "decorated"])
def test_without_this_protection_a_verified_read_is_old_too(
    weak_pair: Pair,
    way: str,
    write: str,
    *,
    weakness: Weakness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weakness(monkeypatch)
    assert (before_the_news(weak_pair, way, write))[:2] == ["old", "old"]


@writes
def test_what_a_verified_read_brought_is_a_hit_for_ordinary_ones(
    pair: Pair, write: str
) -> None:
    read(pair.cache, pair.source)
    pair.invalidate(write)
    assert get_or_load(pair, verify=True) == "new"
    hits = pair.cache.stats().l1_hits
    assert get_or_load(pair, verify=False) == "new"
    assert pair.cache.stats().l1_hits == hits + 1
    assert pair.source.loads == 2


def test_a_verified_read_of_what_nobody_has_invalidated_is_a_hit(pair: Pair) -> None:
    for way in WAYS.values():
        assert read(pair.cache, pair.source) == "old"
        assert way(pair, verify=True) == "old"
    assert pair.source.loads == 1


def test_without_a_server_a_verified_read_is_an_ordinary_one(namespace: str) -> None:
    source = Source("value")
    with cache_on(None, namespace) as cache:
        for _ in range(2):
            assert read(cache, source, verify=True) == "value"
        assert cache.get(KEY, verify=True) == "value"
        assert cache.get_many([KEY], verify=True) == {KEY: "value"}
        assert source.loads == 1


def verified_after(pair: Pair, write: str) -> list[Any]:
    """What an ordinary reader and a verified one see when the invalidation came during the load of the first."""
    pair.source.gate.clear()
    first = Step(read, pair.cache, pair.source)
    assert pair.source.began.wait(PATIENCE)
    pair.invalidate(write)
    before = pair.cache.stats()
    verified = Step(lambda: get_or_load(pair, verify=True))
    until(
        lambda: (
            pair.cache.stats().misses > before.misses or pair.cache.stats().joined > before.joined
        )
    )
    pair.source.gate.set()
    return [first.result(), verified.result()]


@writes
def test_a_verified_read_joins_no_flight_that_began_before_it(
    pair: Pair, write: str
) -> None:
    assert verified_after(pair, write) == ["old", "new"]


@writes
def test_a_verified_read_that_joins_an_older_flight_is_old(
    weak_pair: Pair, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.lets_join_what_began_before(monkeypatch)
    assert verified_after(weak_pair, write) == ["old", "old"]


@pytest.mark.parametrize("change", ["key", "tag"])
def test_a_verified_whole_is_made_of_verified_parts(pair: Pair, change: str) -> None:
    """Else it would be loaded anew from the old part that memory still has."""

    def load() -> Any:
        return ["whole", get_or_load(pair, verify=False)]

    def whole(*, verify: bool) -> Any:
        return pair.cache.get_or_load("whole", load, verify=verify)

    assert whole(verify=False) == ["whole", "old"]
    bus = pair.invalidate(change)
    assert whole(verify=False) == ["whole", "old"]
    assert whole(verify=True) == ["whole", "new"]
    bus.deliver()
    assert whole(verify=False) == ["whole", "new"]


def unverifiable(valkey: EmbeddedServer, namespace: str) -> list[Any]:
    """What verified reads see when the server does not answer, while the link is still taken to be up."""
    source = Source("old")
    with FaultProxy(valkey.url) as proxy:
        # Calls that fail before the heartbeat can find the link lost.
        brief = Policy(timeouts=Timeouts(call=0.4, connect=1))
        with cache_on(proxy.url, namespace, policy=brief) as cache:
            read(cache, source)
            source.value = "new"
            proxy.blackhole_replies()
            seen = [
                cache.get(KEY, "nothing", verify=True),
                read(cache, source, verify=True),
            ]
            proxy.heal()
            return seen


def test_what_cannot_be_verified_is_loaded(valkey: EmbeddedServer, namespace: str) -> None:
    assert unverifiable(valkey, namespace) == ["nothing", "new"]


def test_a_verified_read_that_falls_back_on_memory_is_old(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.verified_reads_look_in_memory(monkeypatch)
    assert unverifiable(valkey, namespace) == ["old", "old"]


# -------------------------------------------------------------------- the link is lost


class Link:
    """A cache whose link to the bus can be cut, and kept cut, while its commands go through."""

    def __init__(self, server: EmbeddedServer, namespace: str) -> None:
        self._admin: Any = redis.Redis.from_url(server.url)
        self._proxy = FaultProxy(server.url)
        self._proxy.__enter__()
        self.events = RecordingListener()
        self.source = Source("old")
        self.cache = cache_on(self._proxy.url, namespace, listeners=[self.events])
        self.other = cache_on(server.url, namespace)

    def __enter__(self) -> Self:
        self.cache.__enter__()
        self.other.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cache.close()
        self.other.close()
        self._proxy.__exit__()
        self._admin.close()

    def read(self) -> Any:
        return read(self.cache, self.source)

    def cut(self) -> None:
        lost = len(self.events.of("link_lost"))
        self._proxy.refuse()
        self._admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        until(lambda: len(self.events.of("link_lost")) > lost)

    def heal(self) -> None:
        up = len(self.events.of("link_up"))
        self._proxy.heal()
        until(lambda: len(self.events.of("link_up")) > up)


@pytest.fixture(params=CHOICE.chosen)
def link(
    request: pytest.FixtureRequest, own_server: OwnServer, namespace: str
) -> Iterator[Link]:
    with Link(own_server(request.param), namespace) as made:
        yield made


@pytest.fixture
def weak_link(own_server: OwnServer, namespace: str) -> Iterator[Link]:
    """For weaknesses that are not of one kind of server."""
    with Link(own_server(), namespace) as made:
        yield made


def missed_news(link: Link, write: str, *, healed: bool) -> Any:
    """What is read after an invalidation that a cut link could not tell of. `healed`: when it is back."""
    assert link.read() == "old"
    link.cut()
    link.source.value = "new"
    WRITES[write](link.other)
    if healed:
        link.heal()
    return link.read()


@pytest.mark.parametrize("healed", [False, True], ids=["lost", "back"])
@pytest.mark.parametrize("write", ["key", "tag"])
def test_what_was_missed_while_the_link_was_lost_is_not_served(
    link: Link, write: str, healed: bool
) -> None:
    assert missed_news(link, write, healed=healed) == "new"


@pytest.mark.parametrize("healed", [False, True], ids=["lost", "back"])
@pytest.mark.parametrize("write", ["key", "tag"])
def test_a_cache_that_keeps_all_it_knew_serves_what_it_missed(
    weak_link: Link, write: str, healed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.keeps_all_when_the_link_changes(monkeypatch)
    assert missed_news(weak_link, write, healed=healed) == "old"


def test_memory_is_out_of_use_until_the_link_is_back(link: Link) -> None:
    link.read()
    link.cut()
    before = link.cache.stats()
    assert before.link == "lost"
    assert [link.read(), link.read()] == ["old", "old"]
    lost = link.cache.stats()
    assert (lost.l1_hits - before.l1_hits, lost.l2_hits - before.l2_hits) == (0, 2)
    link.heal()
    assert [link.read(), link.read()] == ["old", "old"]
    back = link.cache.stats()
    assert (back.link, back.l1_hits - lost.l1_hits, back.l2_hits - lost.l2_hits) == ("up", 1, 1)
    link.source.value = "new"
    heard_by(link.cache, lambda: WRITES["tag"](link.other))
    assert link.read() == "new"
    assert link.source.loads == 2


def flight_over_a_cut(link: Link) -> list[Any]:
    """A hit on its way into memory while the link is lost, the key is invalidated, and the link is back."""
    heard_by(link.cache, lambda: link.other.set(KEY, "old"))

    def cut_and_invalidate() -> None:
        link.cut()
        link.other.invalidate(KEY)
        link.heal()

    behind_reply(link.cache, "read", cut_and_invalidate)
    return [link.cache.get(KEY), link.cache.get(KEY, "nothing")]


def test_what_was_under_way_when_the_link_was_lost_does_not_enter_memory(
    link: Link,
) -> None:
    assert flight_over_a_cut(link) == ["old", "nothing"]


def test_a_flight_that_is_not_doomed_by_a_lost_link_brings_the_old_value(
    weak_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.keeps_all_when_the_link_changes(monkeypatch)
    assert flight_over_a_cut(weak_link) == ["old", "old"]
