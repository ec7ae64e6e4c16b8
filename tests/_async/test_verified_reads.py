# Reads that must be right now.
"""`verify=True` is right before the news of an invalidation has come; a lost link makes every read as careful.

The bus is held back or cut, so that what an ordinary read may still serve is there to be seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import pytest
import redis
from _async import weaknesses
from _async.racing import (
    KEY,
    TAG,
    WRITES,
    AsyncHeldBus,
    behind_reply,
    cache_on,
    heard_by,
    read,
)
from _async.steps import PATIENCE, AsyncSource, AsyncStep, until
from _async.weaknesses import Weakness

from cachewright import Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.testing import RecordingListener
from rig.proxy import FaultProxy
from rig.servers import CHOICE, OwnServer

pytestmark = pytest.mark.usefixtures("patient")

writes = pytest.mark.parametrize("write", WRITES)


class AsyncPair:
    """A cache that read the old value, and another process that tells it nothing until the bus is let go."""

    def __init__(self, url: str, namespace: str) -> None:
        self.cache = cache_on(url, namespace)
        self.other = cache_on(url, namespace)
        self.source = AsyncSource("old")

    async def __aenter__(self) -> Self:
        await self.cache.__aenter__()
        await self.other.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cache.aclose()
        await self.other.aclose()

    async def invalidate(self, write: str) -> AsyncHeldBus:
        """The other process changes the source; the cache will not hear of it."""
        bus = AsyncHeldBus(self.cache)
        self.source.value = "new"
        await WRITES[write](self.other)
        return bus


@pytest.fixture
async def pair(server: EmbeddedServer, namespace: str) -> AsyncIterator[AsyncPair]:
    async with AsyncPair(server.url, namespace) as made:
        yield made


@pytest.fixture
async def weak_pair(valkey: EmbeddedServer, namespace: str) -> AsyncIterator[AsyncPair]:
    """For weaknesses that are not of one kind of server."""
    async with AsyncPair(valkey.url, namespace) as made:
        yield made


# -------------------------------------------------------------------- verify=True


async def get(pair: AsyncPair, *, verify: bool) -> Any:
    return await pair.cache.get(KEY, "nothing", verify=verify)


async def get_many(pair: AsyncPair, *, verify: bool) -> Any:
    return (await pair.cache.get_many([KEY, "a:l"], verify=verify)).get(KEY, "nothing")


async def get_or_load(pair: AsyncPair, *, verify: bool) -> Any:
    return await read(pair.cache, pair.source, verify=verify)


async def decorated(pair: AsyncPair, *, verify: bool) -> Any:
    @pair.cache.cached(key=KEY, tags=[TAG], verify=verify)
    async def value() -> Any:
        return await pair.source.load()

    return await value()


WAYS: dict[str, Callable[..., Any]] = {
    way.__name__: way for way in (get, get_many, get_or_load, decorated)
}


async def before_the_news(pair: AsyncPair, way: str, write: str) -> list[Any]:
    """An ordinary read and a verified one before the news has come, and an ordinary one after it."""
    await read(pair.cache, pair.source)
    bus = await pair.invalidate(write)
    seen = [await WAYS[way](pair, verify=verify) for verify in (False, True)]
    await bus.deliver()
    return [*seen, await WAYS[way](pair, verify=False)]


@pytest.mark.parametrize("way", WAYS)
@writes
async def test_a_verified_read_is_right_where_an_ordinary_one_is_still_old(
    pair: AsyncPair, way: str, write: str
) -> None:
    right = "nothing" if way.startswith("get") and way != "get_or_load" else "new"
    assert await before_the_news(pair, way, write) == ["old", right, right]


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
async def test_without_this_protection_a_verified_read_is_old_too(
    weak_pair: AsyncPair,
    way: str,
    write: str,
    *,
    weakness: Weakness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weakness(monkeypatch)
    assert (await before_the_news(weak_pair, way, write))[:2] == ["old", "old"]


@writes
async def test_what_a_verified_read_brought_is_a_hit_for_ordinary_ones(
    pair: AsyncPair, write: str
) -> None:
    await read(pair.cache, pair.source)
    await pair.invalidate(write)
    assert await get_or_load(pair, verify=True) == "new"
    hits = pair.cache.stats().l1_hits
    assert await get_or_load(pair, verify=False) == "new"
    assert pair.cache.stats().l1_hits == hits + 1
    assert pair.source.loads == 2


async def test_a_verified_read_of_what_nobody_has_invalidated_is_a_hit(pair: AsyncPair) -> None:
    for way in WAYS.values():
        assert await read(pair.cache, pair.source) == "old"
        assert await way(pair, verify=True) == "old"
    assert pair.source.loads == 1


async def test_without_a_server_a_verified_read_is_an_ordinary_one(namespace: str) -> None:
    source = AsyncSource("value")
    async with cache_on(None, namespace) as cache:
        for _ in range(2):
            assert await read(cache, source, verify=True) == "value"
        assert await cache.get(KEY, verify=True) == "value"
        assert await cache.get_many([KEY], verify=True) == {KEY: "value"}
        assert source.loads == 1


async def verified_after(pair: AsyncPair, write: str) -> list[Any]:
    """What an ordinary reader and a verified one see when the invalidation came during the load of the first."""
    pair.source.gate.clear()
    first = AsyncStep(read, pair.cache, pair.source)
    assert await pair.source.began.wait(PATIENCE)
    await pair.invalidate(write)
    before = pair.cache.stats()
    verified = AsyncStep(lambda: get_or_load(pair, verify=True))
    await until(
        lambda: (
            pair.cache.stats().misses > before.misses or pair.cache.stats().joined > before.joined
        )
    )
    pair.source.gate.set()
    return [await first.result(), await verified.result()]


@writes
async def test_a_verified_read_joins_no_flight_that_began_before_it(
    pair: AsyncPair, write: str
) -> None:
    assert await verified_after(pair, write) == ["old", "new"]


@writes
async def test_a_verified_read_that_joins_an_older_flight_is_old(
    weak_pair: AsyncPair, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.lets_join_what_began_before(monkeypatch)
    assert await verified_after(weak_pair, write) == ["old", "old"]


@pytest.mark.parametrize("change", ["key", "tag"])
async def test_a_verified_whole_is_made_of_verified_parts(pair: AsyncPair, change: str) -> None:
    """Else it would be loaded anew from the old part that memory still has."""

    async def load() -> Any:
        return ["whole", await get_or_load(pair, verify=False)]

    async def whole(*, verify: bool) -> Any:
        return await pair.cache.get_or_load("whole", load, verify=verify)

    assert await whole(verify=False) == ["whole", "old"]
    bus = await pair.invalidate(change)
    assert await whole(verify=False) == ["whole", "old"]
    assert await whole(verify=True) == ["whole", "new"]
    await bus.deliver()
    assert await whole(verify=False) == ["whole", "new"]


async def unverifiable(valkey: EmbeddedServer, namespace: str) -> list[Any]:
    """What verified reads see when the server does not answer, while the link is still taken to be up."""
    source = AsyncSource("old")
    with FaultProxy(valkey.url) as proxy:
        # Calls that fail before the heartbeat can find the link lost.
        brief = Policy(timeouts=Timeouts(call=0.4, connect=1))
        async with cache_on(proxy.url, namespace, policy=brief) as cache:
            await read(cache, source)
            source.value = "new"
            proxy.blackhole_replies()
            seen = [
                await cache.get(KEY, "nothing", verify=True),
                await read(cache, source, verify=True),
            ]
            proxy.heal()
            return seen


async def test_what_cannot_be_verified_is_loaded(valkey: EmbeddedServer, namespace: str) -> None:
    assert await unverifiable(valkey, namespace) == ["nothing", "new"]


async def test_a_verified_read_that_falls_back_on_memory_is_old(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.verified_reads_look_in_memory(monkeypatch)
    assert await unverifiable(valkey, namespace) == ["old", "old"]


# -------------------------------------------------------------------- the link is lost


class AsyncLink:
    """A cache whose link to the bus can be cut, and kept cut, while its commands go through."""

    def __init__(self, server: EmbeddedServer, namespace: str) -> None:
        self._admin: Any = redis.Redis.from_url(server.url)
        self._proxy = FaultProxy(server.url)
        self._proxy.__enter__()
        self.events = RecordingListener()
        self.source = AsyncSource("old")
        self.cache = cache_on(self._proxy.url, namespace, listeners=[self.events])
        self.other = cache_on(server.url, namespace)

    async def __aenter__(self) -> Self:
        await self.cache.__aenter__()
        await self.other.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cache.aclose()
        await self.other.aclose()
        self._proxy.__exit__()
        self._admin.close()

    async def read(self) -> Any:
        return await read(self.cache, self.source)

    async def cut(self) -> None:
        lost = len(self.events.of("link_lost"))
        self._proxy.refuse()
        self._admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: len(self.events.of("link_lost")) > lost)

    async def heal(self) -> None:
        up = len(self.events.of("link_up"))
        self._proxy.heal()
        await until(lambda: len(self.events.of("link_up")) > up)


@pytest.fixture(params=CHOICE.chosen)
async def link(
    request: pytest.FixtureRequest, own_server: OwnServer, namespace: str
) -> AsyncIterator[AsyncLink]:
    async with AsyncLink(own_server(request.param), namespace) as made:
        yield made


@pytest.fixture
async def weak_link(own_server: OwnServer, namespace: str) -> AsyncIterator[AsyncLink]:
    """For weaknesses that are not of one kind of server."""
    async with AsyncLink(own_server(), namespace) as made:
        yield made


async def missed_news(link: AsyncLink, write: str, *, healed: bool) -> Any:
    """What is read after an invalidation that a cut link could not tell of. `healed`: when it is back."""
    assert await link.read() == "old"
    await link.cut()
    link.source.value = "new"
    await WRITES[write](link.other)
    if healed:
        await link.heal()
    return await link.read()


@pytest.mark.parametrize("healed", [False, True], ids=["lost", "back"])
@pytest.mark.parametrize("write", ["key", "tag"])
async def test_what_was_missed_while_the_link_was_lost_is_not_served(
    link: AsyncLink, write: str, healed: bool
) -> None:
    assert await missed_news(link, write, healed=healed) == "new"


@pytest.mark.parametrize("healed", [False, True], ids=["lost", "back"])
@pytest.mark.parametrize("write", ["key", "tag"])
async def test_a_cache_that_keeps_all_it_knew_serves_what_it_missed(
    weak_link: AsyncLink, write: str, healed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.keeps_all_when_the_link_changes(monkeypatch)
    assert await missed_news(weak_link, write, healed=healed) == "old"


async def test_memory_is_out_of_use_until_the_link_is_back(link: AsyncLink) -> None:
    await link.read()
    await link.cut()
    before = link.cache.stats()
    assert before.link == "lost"
    assert [await link.read(), await link.read()] == ["old", "old"]
    lost = link.cache.stats()
    assert (lost.l1_hits - before.l1_hits, lost.l2_hits - before.l2_hits) == (0, 2)
    await link.heal()
    assert [await link.read(), await link.read()] == ["old", "old"]
    back = link.cache.stats()
    assert (back.link, back.l1_hits - lost.l1_hits, back.l2_hits - lost.l2_hits) == ("up", 1, 1)
    link.source.value = "new"
    await heard_by(link.cache, lambda: WRITES["tag"](link.other))
    assert await link.read() == "new"
    assert link.source.loads == 2


async def flight_over_a_cut(link: AsyncLink) -> list[Any]:
    """A hit on its way into memory while the link is lost, the key is invalidated, and the link is back."""
    await heard_by(link.cache, lambda: link.other.set(KEY, "old"))

    async def cut_and_invalidate() -> None:
        await link.cut()
        await link.other.invalidate(KEY)
        await link.heal()

    behind_reply(link.cache, "read", cut_and_invalidate)
    return [await link.cache.get(KEY), await link.cache.get(KEY, "nothing")]


async def test_what_was_under_way_when_the_link_was_lost_does_not_enter_memory(
    link: AsyncLink,
) -> None:
    assert await flight_over_a_cut(link) == ["old", "nothing"]


async def test_a_flight_that_is_not_doomed_by_a_lost_link_brings_the_old_value(
    weak_link: AsyncLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.keeps_all_when_the_link_changes(monkeypatch)
    assert await flight_over_a_cut(weak_link) == ["old", "old"]
