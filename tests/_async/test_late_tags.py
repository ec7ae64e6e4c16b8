# Tags that are named during a load.
"""A tag that only the load itself can name is as good as a declared one, and costs a load where that is in doubt.

A value is stored only if the server shows that none of its late tags was invalidated since the load began.
"""

from __future__ import annotations

from typing import Any

import pytest
from _async import weaknesses
from _async.racing import KEY, during, heard_by
from _async.steps import AsyncSource

from cachewright import AsyncCache, current_load
from cachewright.embedded import EmbeddedServer
from rig.servers import CHOICE, Pool, Raw

pytestmark = pytest.mark.usefixtures("patient")

NOWHERE = "no server"


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
def url(request: pytest.FixtureRequest, server_pool: Pool) -> str | None:
    """Each kind of server, and none."""
    return None if request.param == NOWHERE else server_pool.get(request.param).url


async def late(cache: AsyncCache, source: AsyncSource, tags: tuple[str, ...] = ("row",)) -> Any:
    """The value of `KEY`, which names its tags when it has read the source."""

    async def load() -> Any:
        value = await source.load()
        current_load().tag(*tags)
        return value

    return await cache.get_or_load(KEY, load)


async def test_what_a_late_tag_covers_is_stored_at_once_and_forgotten_by_that_tag(
    url: str | None, namespace: str
) -> None:
    source = AsyncSource("old")
    async with AsyncCache(url, namespace=namespace) as cache:
        assert await late(cache, source) == await late(cache, source) == "old"
        assert source.loads == 1
        await cache.invalidate(tags=["row"])
        source.value = "new"
        assert await late(cache, source) == await late(cache, source) == "new"
        assert source.loads == 2


async def test_every_process_forgets_by_a_late_tag(server: EmbeddedServer, namespace: str) -> None:
    source = AsyncSource("old")
    async with (
        AsyncCache(server.url, namespace=namespace) as cache,
        AsyncCache(server.url, namespace=namespace) as other,
    ):
        assert await late(cache, source) == await late(other, source) == "old"
        assert source.loads == 1
        source.value = "new"
        await heard_by(cache, lambda: other.invalidate(tags=["row"]))
        assert await late(cache, source) == await late(other, source) == "new"


async def overtaken_late_tag(url: str | None, namespace: str, *, here: bool) -> list[Any]:
    """What a load and the next read see whose tag was invalidated after the source was read and before it was named."""
    source = AsyncSource("old")
    async with (
        AsyncCache(url, namespace=namespace) as cache,
        AsyncCache(url, namespace=namespace) as other,
    ):

        async def write() -> None:
            await (cache if here else other).invalidate(tags=["row"])

        return [
            await during(source, lambda: late(cache, source), write),
            await late(cache, source),
        ]


@pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])
async def test_a_value_is_not_kept_whose_late_tag_was_invalidated_before_it_was_named(
    server: EmbeddedServer, namespace: str, here: bool
) -> None:
    assert await overtaken_late_tag(server.url, namespace, here=here) == ["old", "new"]


async def test_the_same_holds_without_a_server(namespace: str) -> None:
    assert await overtaken_late_tag(None, namespace, here=True) == ["old", "new"]


async def test_a_late_tag_whose_stamp_is_not_checked_keeps_the_old_value(
    url: str | None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.late_tags_go_unchecked(monkeypatch)
    seen = await overtaken_late_tag(url, namespace, here=url is None)
    assert seen == ["old", "old"]


async def test_an_invalidation_of_another_tag_does_not_keep_a_late_tag_from_being_stored(
    url: str | None, namespace: str
) -> None:
    source = AsyncSource("value")
    async with AsyncCache(url, namespace=namespace) as cache:
        # The stamp of the row is older than the load, and the other tag's invalidation does not move it.
        await cache.set("another of the row", 1, tags=["row"])
        await during(
            source, lambda: late(cache, source), lambda: cache.invalidate(tags=["another"])
        )
        await late(cache, source)
        assert source.loads == 1


async def test_a_lost_sequence_costs_a_load_and_revives_nothing(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    source = AsyncSource("old")
    async with (
        AsyncCache(server.url, namespace=namespace) as cache,
        AsyncCache(server.url, namespace=namespace) as other,
    ):

        async def write() -> None:
            await other.invalidate(tags=["row"])
            raw(server).delete(cache.engine.keys.sequence)

        assert await during(source, lambda: late(cache, source), write) == "old"
        assert await late(cache, source) == "new"


async def test_a_late_tag_of_a_batch_covers_every_key_of_it(
    url: str | None, namespace: str
) -> None:
    """Also those for whose neighbour the tag was declared before the load."""
    rows = {"a": 1, "b": 1}

    async def load_many(keys: list[Any]) -> dict[Any, Any]:
        current_load().tag("row:a")
        return {key: sum(rows.values()) for key in keys}

    async with AsyncCache(url, namespace=namespace) as cache:

        async def totals() -> dict[Any, Any]:
            return await cache.get_or_load_many(
                ["a", "b"], load_many, tags=lambda key: [f"row:{key}"]
            )

        assert await totals() == {"a": 2, "b": 2}
        rows["a"] = 5
        await cache.invalidate(tags=["row:a"])
        assert await totals() == {"a": 6, "b": 6}
