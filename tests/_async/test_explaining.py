# What an entry was made of.
"""An entry tells what it was made of, whether that still holds, and what would invalidate it; a sample tells who carries a tag."""

from __future__ import annotations

from typing import Any

import pytest
from _async.steps import until

from cachewright import ABSENT, AsyncCache, ConfigurationError, Policy, RemoteError, TagIndex
from cachewright.core.explained import Explained
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


async def page_of(cache: AsyncCache) -> Any:
    """A page of two objects, one of which is made of a query; the query is read by the page as well."""

    async def query() -> list[int]:
        return [1]

    async def user() -> Any:
        return await cache.get_or_load("query", query, tags=["row:users:1", "rows:users"])

    async def other() -> int:
        return 2

    async def load() -> list[Any]:
        return [
            await cache.get_or_load("user", user, tags=["user:1"]),
            await cache.get_or_load("other", other),
            await cache.get("banner", None),
        ]

    return await cache.get_or_load("page", load, tags=["page"], ttl=60)


def shape(found: Explained) -> Any:
    return {part.key: shape(part) for part in found.parts}


async def test_the_tree_of_what_an_entry_was_made_of(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await page_of(cache)
        found = await cache.explain("page")
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
        assert (await cache.explain("page", parts=False)).parts == ()


async def test_what_has_moved_is_named_and_the_whole_is_invalid(
    valkey: Any, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await page_of(cache)
        await cache.invalidate(tags=["row:users:1"])
        found = await cache.explain("page")
        assert [it.tag for it in found.dependencies if it.holds != "same"] == ["t:row:users:1"]
        states = {one.key: one.state for one in found.walk()}
        assert states == {
            "page": "invalid",
            "banner": "absent",
            "other": "fresh",
            "user": "invalid",
            "query": "invalid",
        }
        await cache.invalidate("other")
        found = await cache.explain("page")
        moved = {it.tag for it in found.dependencies if it.holds != "same"}
        assert moved == {"t:row:users:1", "k:other"}


async def test_explained_is_what_a_read_would_do(valkey: Any, namespace: str) -> None:
    """The states agree with what is served, whatever moves."""
    for tag in ("page", "user:1", "row:users:1", "rows:users", "nobody's"):
        async with AsyncCache(
            valkey.url, namespace=f"{namespace}-{tag.replace(':', '-')[:4]}"
        ) as cache:
            await page_of(cache)
            await cache.invalidate(tags=[tag])
            for key in ("page", "user", "query", "other"):
                served = await cache.contains(key)
                assert served == ((await cache.explain(key)).state == "fresh"), (tag, key)


async def test_a_write_under_way_is_told(valkey: Any, namespace: str) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await page_of(cache)
        async with cache.writing(tags=["user:1"]):
            found = await cache.explain("page")
            holds = {it.tag: it.holds for it in found.dependencies}
            assert (holds["t:user:1"], holds["t:page"]) == ("written", "same")


async def test_times_and_kinds(valkey: Any, namespace: str) -> None:
    clock = FakeClock()
    policy = Policy(ttl=60, stale=60)
    async with AsyncCache(valkey.url, namespace=namespace, clock=clock, policy=policy) as cache:
        await cache.set("k", "x" * 100)
        await cache.get_or_load("gone", lambda: ABSENT, default=None)
        await cache.incr("n")
        await cache.set("s", 1, sliding=30)
        clock.advance(10)
        found = await cache.explain("k")
        assert (found.age, found.fresh, found.usable) == pytest.approx((10, 50, 110), abs=0.01)
        assert found.size is not None
        assert found.size > 100
        clock.advance(51)
        assert (await cache.explain("k")).state == "stale"
        clock.advance(60)
        assert (await cache.explain("k")).state == "ended"
        kinds = [(await cache.explain(key)).kind for key in ("k", "gone", "n", "s")]
        assert kinds == ["value", "absence", "counter", "sliding"]
        assert (await cache.explain("never")).state == "absent"


async def test_security_11_what_is_no_entry_is_unreadable_and_nothing_is_raised(
    valkey: Any, namespace: str, raw: Any
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await cache.engine.open()
        client = raw(valkey)
        client.set(cache.engine.keys.entry("text"), "nonsense")
        client.rpush(cache.engine.keys.entry("list"), "1")
        await cache.set("good", 1)
        data = client.get(cache.engine.keys.entry("good"))
        client.set(cache.engine.keys.entry("cut"), data[:60])
        states = [(await cache.explain(key)).state for key in ("text", "cut", "list")]
        assert states[:2] == ["unreadable", "unreadable"]
        assert states[2] in ("absent", "unreadable")


async def test_to_explain_counts_as_no_read_and_changes_nothing(
    valkey: Any, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await page_of(cache)
        before = cache.stats()
        await cache.explain("page")
        after = cache.stats()
        assert (after.hits, after.misses, after.loads) == (before.hits, before.misses, before.loads)


async def test_what_would_invalidate_it_is_told_in_words(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace, hierarchy=True, scope="user") as cache:
        with cache.scoped(7):
            tags = [
                "row:users:1",
                "rows:users",
                "match:users:a=1:b=2",
                "matches:users",
                "table:users",
            ]
            await cache.set("a:b", 1, tags=[*tags, "mine"])
            said = {it.tag: it.moved_by for it in (await cache.explain("a:b")).dependencies}
        assert said["n:"] == "clear()"
        assert said["t:row:users:1"] == "a write of row 1 of users"
        assert said["t:rows:users"] == "a write to users that does not say of which rows"
        assert said["t:match:users:a=1:b=2"].endswith("has, or had, a=1 and b=2")
        assert said["t:table:users"] == "any write to users"
        assert said["t:mine"] == "invalidate(tags=['mine'])"
        assert said["s:7"].startswith("invalidate(scope=")
        assert said["p:7|a"].startswith("invalidate(prefix=")


# -------------------------------------------------------------------- the index


async def indexed(cache: AsyncCache, count: int) -> None:
    await until(lambda: cache.engine.indexer is not None and not cache.engine.indexer._noted)
    while await cache.sampled_keys() < count:
        assert cache.engine.indexer is not None
        await cache.engine.indexer.tell()


async def test_the_index_tells_what_carries_a_tag(valkey: Any, namespace: str) -> None:
    index = TagIndex(share=1.0, every=0.01)
    async with AsyncCache(valkey.url, namespace=namespace, tag_index=index) as cache:
        await page_of(cache)
        await cache.set("set", 1, tags=["user:1"])
        await indexed(cache, 5)
        assert [one.key for one in await cache.carrying("user:1")] == ["page", "set", "user"]
        assert [one.key for one in await cache.carrying("row:users:1")] == ["page", "query", "user"]
        assert await cache.carrying("nobody's") == []
        await cache.invalidate("set")
        assert [one.key for one in await cache.carrying("user:1")] == ["page", "user"]
        await cache.invalidate(tags=["user:1"])
        assert {one.state for one in await cache.carrying("user:1")} == {"invalid"}


async def test_long_lists_of_tags_and_odd_keys_are_found(valkey: Any, namespace: str) -> None:
    index = TagIndex(share=1.0, every=0.01)
    async with AsyncCache(valkey.url, namespace=namespace, tag_index=index) as cache:
        tags = [f"a-rather-long-tag:{n}" for n in range(400)]
        odd = ("ü" * 20, "x" * 600, "a b")
        await cache.set_many(dict.fromkeys(odd, 1), tags=tags)
        await indexed(cache, 3)
        found = await cache.carrying("a-rather-long-tag:399")
        assert [one.key for one in found] == sorted(odd)


async def test_security_23_the_index_is_bounded_and_ends(
    valkey: Any, namespace: str, raw: Any
) -> None:
    index = TagIndex(keys=20, share=1.0, every=0.01)
    async with AsyncCache(valkey.url, namespace=namespace, tag_index=index) as cache:
        for start in range(0, 100, 20):
            await cache.set_many({f"k:{n}": n for n in range(start, start + 20)}, ttl=60)
            assert cache.engine.indexer is not None
            assert len(cache.engine.indexer._noted) <= 20
            await cache.engine.indexer.tell()
        assert await cache.sampled_keys() == 20
        assert 0 < raw(valkey).pttl(f"{namespace}:index") <= 61_000


async def test_a_share_of_the_keys_is_sampled_and_always_the_same(
    valkey: Any, namespace: str
) -> None:
    index = TagIndex(share=0.2)
    sampled = {n for n in range(5000) if index.has(f"k:{n}")}
    assert 800 < len(sampled) < 1200
    assert {n for n in range(5000) if TagIndex(share=0.5).has(f"k:{n}")} > sampled


async def test_without_it_nothing_is_written_and_who_asks_is_told(
    valkey: Any, namespace: str, raw: Any
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await page_of(cache)
        assert cache.engine.indexer is None
        assert raw(valkey).exists(f"{namespace}:index") == 0
        assert await cache.sampled_keys() == 0
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="none"):
            await cache.carrying("t")


async def test_a_server_that_does_not_answer_is_an_error_for_who_asks(
    own_server: Any, namespace: str
) -> None:
    server = own_server()
    async with AsyncCache(server.url, namespace=namespace) as cache:
        await page_of(cache)
        server.stop()
        with pytest.raises(RemoteError):
            await cache.explain("page")


@pytest.mark.parametrize("bad", [{"keys": 0}, {"share": 0}, {"share": 2}, {"every": 0}])
def test_an_index_that_cannot_work_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigurationError):
        TagIndex(**bad)
    with pytest.raises(ConfigurationError, match="TagIndex"):
        AsyncCache(tag_index=True)
