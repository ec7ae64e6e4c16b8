# Generated from _async/test_tags.py by tools/unasync.py. Do not edit.
"""Invalidating a tag costs the same whatever hangs on it, touches nothing else, and can never be undone.

Not by a stamp that was evicted, nor by a server that took over, nor by a tag that was named only during the load.
"""

from __future__ import annotations

from typing import Any

import pytest
import redis
from _sync import weaknesses
from _sync.racing import KEY, TAG, heard_by, read
from _sync.steps import Source
from _sync.weaknesses import Weakness

from cachewright import ABSENT, MISSING, Cache
from cachewright.core.tags import TagClock
from cachewright.embedded import EmbeddedServer
from rig.servers import CHOICE, OwnServer, Pool, Raw

pytestmark = pytest.mark.usefixtures("patient")

NOWHERE = "no server"


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
def url(request: pytest.FixtureRequest, server_pool: Pool) -> str | None:
    """Each kind of server, and none."""
    return None if request.param == NOWHERE else server_pool.get(request.param).url


# -------------------------------------------------------------------- what it costs


def calls(client: redis.Redis) -> dict[str, int]:
    """How often each command that touches a key was called, those inside scripts included."""
    stats: Any = client.info("commandstats")
    quiet = {"info", "ping", "publish", "subscribe", "client|setname", "auth", "select"}
    return {
        name.removeprefix("cmdstat_"): stat["calls"]
        for name, stat in stats.items()
        if name.removeprefix("cmdstat_") not in quiet
    }


def cost(server: EmbeddedServer, namespace: str, raw: Raw, *, entries: int, how: Any) -> Any:
    """The commands that forgetting so many entries costs the server."""
    with Cache(server.url, namespace=f"{namespace}.{entries}") as cache:
        keys = [f"k{n}" for n in range(entries)]
        cache.set_many(dict.fromkeys(keys, "old"), tags=[TAG])
        client = raw(server)
        before = calls(client)
        how(cache, keys)
        after = calls(client)
        assert cache.get_many(keys) == {}
        spent = {name: count - before.get(name, 0) for name, count in after.items()}
        return {name: count for name, count in spent.items() if count}


HOW = {
    "tag": lambda cache, keys: cache.invalidate(tags=[TAG]),
    "clear": lambda cache, keys: cache.clear(),
}


@pytest.mark.parametrize("how", HOW)
def test_what_forgetting_costs_does_not_depend_on_how_much_is_forgotten(
    server: EmbeddedServer, namespace: str, raw: Raw, how: str
) -> None:
    few = cost(server, namespace, raw, entries=2, how=HOW[how])
    many = cost(server, namespace, raw, entries=500, how=HOW[how])
    assert few == many
    assert sum(few.values()) < 10


def test_forgetting_key_by_key_would_be_seen_to_cost_more(
    valkey: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    def one_by_one(cache: Cache, keys: list[Any]) -> None:
        for key in keys:
            cache.invalidate(key)

    few = cost(valkey, namespace, raw, entries=2, how=one_by_one)
    many = cost(valkey, namespace, raw, entries=500, how=one_by_one)
    assert sum(many.values()) > sum(few.values()) + 498


# -------------------------------------------------------------------- what it leaves alone


def test_other_tags_keep_their_entries(url: str | None, namespace: str) -> None:
    with Cache(url, namespace=namespace) as cache:
        for tag in ("a", "b"):
            cache.set(f"of {tag}", tag, tags=[tag])
        cache.set("of both", "both", tags=["a", "b"])
        cache.invalidate(tags=["a"])
        found = cache.get_many(["of a", "of b", "of both"])
        assert found == {"of b": "b"}


def hits_after_another_tag(url: str | None, namespace: str) -> tuple[int, int]:
    """(hits in memory, hits at the server) of two reads after a tag was invalidated that is none of theirs."""
    source = Source("old")
    with Cache(url, namespace=namespace) as cache:
        read(cache, source)
        cache.invalidate(tags=["another"])
        before = cache.stats()
        for _ in range(2):
            assert read(cache, source) == "old"
        after = cache.stats()
        assert source.loads == 1
        return after.l1_hits - before.l1_hits, after.l2_hits - before.l2_hits


def test_an_entry_in_memory_stays_a_hit_there_when_another_tag_is_invalidated(
    url: str | None, namespace: str
) -> None:
    assert hits_after_another_tag(url, namespace) == (2, 0)


def test_an_entry_that_is_not_stamped_again_would_be_read_from_the_server(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matches", "renew"):
        monkeypatch.setattr(TagClock, name, lambda self, stamps: False)
    assert hits_after_another_tag(valkey.url, namespace) == (0, 2)


# -------------------------------------------------------------------- stamps


def revived(server: EmbeddedServer, namespace: str, client: redis.Redis) -> list[Any]:
    """What a new process reads after the stamp of an invalidated tag was evicted, and then loads."""
    source = Source("old")
    with Cache(server.url, namespace=namespace) as cache:
        read(cache, source)
        source.value = "new"
        cache.invalidate(tags=[TAG])
        client.delete(cache.engine.keys.tag("t:" + TAG))
    with Cache(server.url, namespace=namespace) as cache:
        return [cache.get(KEY), read(cache, source)]


def test_an_evicted_stamp_revives_nothing(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    assert revived(server, namespace, raw(server)) == [MISSING, "new"]


@pytest.mark.parametrize("weakness", [weaknesses.missing_stamps_match])
def test_a_missing_stamp_that_counts_as_unmoved_revives_the_old_value(
    valkey: EmbeddedServer,
    namespace: str,
    raw: Raw,
    *,
    weakness: Weakness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weakness(monkeypatch)
    assert revived(valkey, namespace, raw(valkey)) == ["old", "old"]


def test_a_stamp_that_was_evicted_without_an_invalidation_costs_one_load(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    source = Source("value")
    with Cache(server.url, namespace=namespace) as cache:
        read(cache, source)
        raw(server).delete(cache.engine.keys.tag("t:" + TAG))
    for _ in range(2):
        with Cache(server.url, namespace=namespace) as cache:
            assert read(cache, source) == "value"
            assert source.loads == 2


def stamps_over_time(
    server: EmbeddedServer, namespace: str, client: redis.Redis
) -> list[bytes]:
    """Every stamp that the tag had while it was invalidated, evicted and made again."""
    seen: list[Any] = []
    with Cache(server.url, namespace=namespace) as cache:
        name = cache.engine.keys.tag("t:" + TAG)
        for turn in range(30):
            cache.set(KEY, turn, tags=[TAG])
            seen.append(client.get(name))
            cache.invalidate(tags=[TAG])
            seen.append(client.get(name))
            if turn % 3 == 0:
                client.delete(name)
            if turn % 7 == 0:
                client.delete(name, cache.engine.keys.sequence)
    return [stamp for i, stamp in enumerate(seen) if i == 0 or stamp != seen[i - 1]]


def test_no_stamp_of_a_tag_ever_comes_again(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    stamps = stamps_over_time(server, namespace, raw(server))
    assert len(set(stamps)) == len(stamps) > 30


def test_stamps_that_come_again_are_noticed_and_revive_the_old_value(
    valkey: EmbeddedServer, namespace: str, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.stamps_that_repeat(monkeypatch)
    stamps = stamps_over_time(valkey, namespace + ".a", raw(valkey))
    assert len(set(stamps)) < len(stamps)
    source = Source("old")
    with Cache(valkey.url, namespace=namespace + ".b") as cache:
        read(cache, source)
        cache.invalidate(tags=[TAG])
        source.value = "new"
        cache.set("another of the tag", 1, tags=[TAG])
        assert read(cache, source) == "old"


# -------------------------------------------------------------------- another node


def read_after_failover(server: EmbeddedServer, namespace: str) -> Any:
    """What is read from a replica that took over without having seen the last invalidation."""
    source = Source("old")
    with redis.Redis.from_url(server.url) as client:
        with Cache(server.url, namespace=namespace) as cache:
            read(cache, source)
            held = {name: client.get(name) for name in client.keys(f"{namespace}*")}
            source.value = "new"
            cache.invalidate(tags=[TAG])
        for name, data in held.items():
            client.set(name, data or b"", px=60_000)
        client.execute_command("DEBUG", "CHANGE-REPL-ID")
        with Cache(server.url, namespace=namespace) as cache:
            return read(cache, source)


@pytest.mark.parametrize("kind", CHOICE.chosen)
def test_what_an_earlier_primary_vouched_for_is_a_miss(
    own_server: OwnServer, namespace: str, kind: str
) -> None:
    assert read_after_failover(debuggable(own_server, kind), namespace) == "new"


def test_without_the_replication_id_a_failover_revives_the_old_value(
    own_server: OwnServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.nodes_are_all_one(monkeypatch)
    assert read_after_failover(debuggable(own_server, "valkey"), namespace) == "old"


def debuggable(own_server: OwnServer, kind: str) -> EmbeddedServer:
    """A server that takes DEBUG; Redis 6.2 always does and does not know the directive."""
    config = {} if kind == "redis62" else {"enable-debug-command": "yes"}
    return own_server(kind, config=config)


# -------------------------------------------------------------------- what is not there


def found_after_insert(url: str | None, namespace: str, *, here: bool) -> list[Any]:
    """What is read before a row is inserted, again, and after the insert has invalidated its tag."""
    source = Source(ABSENT)
    with (
        Cache(url, namespace=namespace) as cache,
        Cache(url, namespace=namespace) as other,
    ):
        before = [read(cache, source, default="none") for _ in range(2)]
        assert source.loads == 1
        source.value = "row"
        if here:
            cache.invalidate(tags=[TAG])
        else:
            heard_by(cache, lambda: other.invalidate(tags=[TAG]))
        return [*before, read(cache, source, default="none")]


@pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])
def test_an_insert_finds_the_negative_entry_by_its_tag(
    server: EmbeddedServer, namespace: str, here: bool
) -> None:
    assert found_after_insert(server.url, namespace, here=here) == ["none", "none", "row"]


def test_an_insert_finds_the_negative_entry_without_a_server(namespace: str) -> None:
    assert found_after_insert(None, namespace, here=True) == ["none", "none", "row"]


def test_a_negative_entry_without_tags_hides_what_was_inserted(
    url: str | None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.negative_entries_carry_no_tags(monkeypatch)
    seen = found_after_insert(url, namespace, here=True)
    assert seen == ["none", "none", "none"]
