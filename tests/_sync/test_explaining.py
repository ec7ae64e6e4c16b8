# Generated from _async/test_explaining.py by tools/unasync.py. Do not edit.
"""An entry tells what it was made of, whether that still holds, and what would invalidate it; a sample tells who carries a tag."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import until

from cachewright import ABSENT, Cache, ConfigurationError, Policy, RemoteError, TagIndex
from cachewright.core.explained import Explained
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


def page_of(cache: Cache) -> Any:
    """A page of two objects, one of which is made of a query; the query is read by the page as well."""

    def query() -> list[int]:
        return [1]

    def user() -> Any:
        return cache.get_or_load("query", query, tags=["row:users:1", "rows:users"])

    def other() -> int:
        return 2

    def load() -> list[Any]:
        return [
            cache.get_or_load("user", user, tags=["user:1"]),
            cache.get_or_load("other", other),
            cache.get("banner", None),
        ]

    return cache.get_or_load("page", load, tags=["page"], ttl=60)


def shape(found: Explained) -> Any:
    return {part.key: shape(part) for part in found.parts}


def test_the_tree_of_what_an_entry_was_made_of(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        page_of(cache)
        found = cache.explain("page")
        assert shape(found) == {"banner": {}, "other": {}, "user": {"query": {}}}
        assert {one.key: one.state for one in found.walk()} == {
            "page": "fresh",
            "banner": "absent",
            "other": "fresh",
            "user": "fresh",
            "query": "fresh",
        }
        assert {it.tag for it in found.dependencies} >= {
            "n:",
            "t:page",
            "t:user:1",
            "t:row:users:1",
            "t:rows:users",
            "k:banner",
            "k:user",
            "k:query",
        }
        assert {it.holds for it in found.dependencies} == {"same"}
        assert found.fresh == pytest.approx(60, abs=5)
        assert (cache.explain("page", parts=False)).parts == ()


def test_what_has_moved_is_named_and_the_whole_is_invalid(
    valkey: Any, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        page_of(cache)
        cache.invalidate(tags=["row:users:1"])
        found = cache.explain("page")
        assert [it.tag for it in found.dependencies if it.holds != "same"] == ["t:row:users:1"]
        states = {one.key: one.state for one in found.walk()}
        assert states == {
            "page": "invalid",
            "banner": "absent",
            "other": "fresh",
            "user": "invalid",
            "query": "invalid",
        }
        cache.invalidate("other")
        found = cache.explain("page")
        moved = {it.tag for it in found.dependencies if it.holds != "same"}
        assert moved == {"t:row:users:1", "k:other"}


def test_explained_is_what_a_read_would_do(valkey: Any, namespace: str) -> None:
    """The states agree with what is served, whatever moves."""
    for tag in ("page", "user:1", "row:users:1", "rows:users", "nobody's"):
        with Cache(
            valkey.url, namespace=f"{namespace}-{tag.replace(':', '-')[:4]}"
        ) as cache:
            page_of(cache)
            cache.invalidate(tags=[tag])
            for key in ("page", "user", "query", "other"):
                served = cache.contains(key)
                assert served == ((cache.explain(key)).state == "fresh"), (tag, key)


def test_a_write_under_way_is_told(valkey: Any, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        page_of(cache)
        with cache.writing(tags=["user:1"]):
            found = cache.explain("page")
            holds = {it.tag: it.holds for it in found.dependencies}
            assert (holds["t:user:1"], holds["t:page"]) == ("written", "same")


def test_times_and_kinds(valkey: Any, namespace: str) -> None:
    clock = FakeClock()
    policy = Policy(ttl=60, stale=60)
    with Cache(valkey.url, namespace=namespace, clock=clock, policy=policy) as cache:
        cache.set("k", "x" * 100)
        cache.get_or_load("gone", lambda: ABSENT, default=None)
        cache.incr("n")
        cache.set("s", 1, sliding=30)
        clock.advance(10)
        found = cache.explain("k")
        assert (found.age, found.fresh, found.usable) == pytest.approx((10, 50, 110), abs=0.01)
        assert found.size is not None
        assert found.size > 100
        clock.advance(51)
        assert (cache.explain("k")).state == "stale"
        clock.advance(60)
        assert (cache.explain("k")).state == "ended"
        kinds = [(cache.explain(key)).kind for key in ("k", "gone", "n", "s")]
        assert kinds == ["value", "absence", "counter", "sliding"]
        assert (cache.explain("never")).state == "absent"


def test_security_11_what_is_no_entry_is_unreadable_and_nothing_is_raised(
    valkey: Any, namespace: str, raw: Any
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.engine.open()
        client = raw(valkey)
        client.set(cache.engine.keys.entry("text"), "nonsense")
        client.rpush(cache.engine.keys.entry("list"), "1")
        cache.set("good", 1)
        data = client.get(cache.engine.keys.entry("good"))
        client.set(cache.engine.keys.entry("cut"), data[:60])
        states = [(cache.explain(key)).state for key in ("text", "cut", "list")]
        assert states[:2] == ["unreadable", "unreadable"]
        assert states[2] in ("absent", "unreadable")


def test_to_explain_counts_as_no_read_and_changes_nothing(
    valkey: Any, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        page_of(cache)
        before = cache.stats()
        cache.explain("page")
        after = cache.stats()
        assert (after.hits, after.misses, after.loads) == (before.hits, before.misses, before.loads)


def test_what_would_invalidate_it_is_told_in_words(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace, hierarchy=True, scope="user") as cache:
        with cache.scoped(7):
            tags = [
                "row:users:1",
                "rows:users",
                "match:users:a=1:b=2",
                "matches:users",
                "table:users",
            ]
            cache.set("a:b", 1, tags=[*tags, "mine"])
            said = {it.tag: it.moved_by for it in (cache.explain("a:b")).dependencies}
        assert said["n:"] == "clear()"
        assert said["t:row:users:1"] == "a write of row 1 of users"
        assert said["t:rows:users"] == "a write to users that does not say of which rows"
        assert said["t:match:users:a=1:b=2"].endswith("has, or had, a=1 and b=2")
        assert said["t:table:users"] == "any write to users"
        assert said["t:mine"] == "invalidate(tags=['mine'])"
        assert said["s:7"].startswith("invalidate(scope=")
        assert said["p:7|a"].startswith("invalidate(prefix=")


# -------------------------------------------------------------------- the index


def indexed(cache: Cache, count: int) -> None:
    until(lambda: cache.engine.indexer is not None and not cache.engine.indexer._noted)
    while cache.sampled_keys() < count:
        assert cache.engine.indexer is not None
        cache.engine.indexer.tell()


def test_the_index_tells_what_carries_a_tag(valkey: Any, namespace: str) -> None:
    index = TagIndex(share=1.0, every=0.01)
    with Cache(valkey.url, namespace=namespace, tag_index=index) as cache:
        page_of(cache)
        cache.set("set", 1, tags=["user:1"])
        indexed(cache, 5)
        assert [one.key for one in cache.carrying("user:1")] == ["page", "set", "user"]
        assert [one.key for one in cache.carrying("row:users:1")] == ["page", "query", "user"]
        assert cache.carrying("nobody's") == []
        cache.invalidate("set")
        assert [one.key for one in cache.carrying("user:1")] == ["page", "user"]
        cache.invalidate(tags=["user:1"])
        assert {one.state for one in cache.carrying("user:1")} == {"invalid"}


def test_long_lists_of_tags_and_odd_keys_are_found(valkey: Any, namespace: str) -> None:
    index = TagIndex(share=1.0, every=0.01)
    with Cache(valkey.url, namespace=namespace, tag_index=index) as cache:
        tags = [f"a-rather-long-tag:{n}" for n in range(400)]
        odd = ("ü" * 20, "x" * 600, "a b")
        cache.set_many(dict.fromkeys(odd, 1), tags=tags)
        indexed(cache, 3)
        found = cache.carrying("a-rather-long-tag:399")
        assert [one.key for one in found] == sorted(odd)


def test_security_23_the_index_is_bounded_and_ends(
    valkey: Any, namespace: str, raw: Any
) -> None:
    index = TagIndex(keys=20, share=1.0, every=0.01)
    with Cache(valkey.url, namespace=namespace, tag_index=index) as cache:
        for start in range(0, 100, 20):
            cache.set_many({f"k:{n}": n for n in range(start, start + 20)}, ttl=60)
            assert cache.engine.indexer is not None
            assert len(cache.engine.indexer._noted) <= 20
            cache.engine.indexer.tell()
        assert cache.sampled_keys() == 20
        assert 0 < raw(valkey).pttl(f"{namespace}:index") <= 61_000


def test_a_share_of_the_keys_is_sampled_and_always_the_same(
    valkey: Any, namespace: str
) -> None:
    index = TagIndex(share=0.2)
    sampled = {n for n in range(5000) if index.has(f"k:{n}")}
    assert 800 < len(sampled) < 1200
    assert {n for n in range(5000) if TagIndex(share=0.5).has(f"k:{n}")} > sampled


def test_without_it_nothing_is_written_and_who_asks_is_told(
    valkey: Any, namespace: str, raw: Any
) -> None:
    with Cache(valkey.url, namespace=namespace) as cache:
        page_of(cache)
        assert cache.engine.indexer is None
        assert raw(valkey).exists(f"{namespace}:index") == 0
        assert cache.sampled_keys() == 0
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="none"):
            cache.carrying("t")


def test_a_server_that_does_not_answer_is_an_error_for_who_asks(
    own_server: Any, namespace: str
) -> None:
    server = own_server()
    with Cache(server.url, namespace=namespace) as cache:
        page_of(cache)
        server.stop()
        with pytest.raises(RemoteError):
            cache.explain("page")


@pytest.mark.parametrize("bad", [{"keys": 0}, {"share": 0}, {"share": 2}, {"every": 0}])
def test_an_index_that_cannot_work_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigurationError):
        TagIndex(**bad)
    with pytest.raises(ConfigurationError, match="TagIndex"):
        Cache(tag_index=True)
