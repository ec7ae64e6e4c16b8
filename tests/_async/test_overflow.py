# Values made of more than an entry may name.
"""A whole with more tags than `max_tags` depends on the tables of its rows instead, or is not stored, and is never stale.

Each test of consistency has a twin on an engine that trusts the tables, where the old value stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from _async.racing import AsyncHeldBus, behind_reply, heard_by

from cachewright import AsyncCache, ConfigurationError, current_load
from cachewright._async import bounding
from cachewright._async import cache as verbs
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.overflow import collapsed
from cachewright.core.reads import spell_tags
from cachewright.core.tags import row_tag, rows_tag, table_tag
from cachewright.embedded import EmbeddedServer
from cachewright.testing import RecordingListener
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")

NOWHERE = "no server"
PARTS, ROWS = 6, 5


class AsyncShop:
    """Two processes, a table, and a page made of several queries of several rows each."""

    def __init__(self, url: str | None, namespace: str) -> None:
        self.events = RecordingListener()
        self.cache = AsyncCache(url, namespace=namespace, max_tags=10, listeners=[self.events])
        self.other = self.cache if url is None else AsyncCache(url, namespace=namespace)
        self.rows = dict.fromkeys(range(PARTS * ROWS), 1)
        self.pages = 0
        self.during: Any = None

    async def query(self, part: int) -> int:
        mine = range(part * ROWS, (part + 1) * ROWS)

        async def load() -> int:
            return sum(self.rows[n] for n in mine)

        tags = [*(row_tag("flights", n) for n in mine), rows_tag("flights")]
        value: int = await self.cache.get_or_load(("query", part), load, tags=tags)
        return value

    async def page(self) -> int:
        async def load() -> int:
            self.pages += 1
            total = sum([await self.query(part) for part in range(PARTS)])
            if self.during is not None:
                work, self.during = self.during, None
                await work()
            return total

        value: int = await self.cache.get_or_load("page", load)
        return value

    async def write(self, n: int, *, here: bool = True) -> None:
        """As every writer of a named row does: its tag and the table's."""
        self.rows[n] = 2
        cache = self.cache if here else self.other
        await cache.invalidate(tags=[row_tag("flights", n), table_tag("flights")])

    async def write_elsewhere(self, n: int) -> None:
        """Done, and heard of."""
        if self.other is self.cache:
            await self.write(n)
        else:
            await heard_by(self.cache, lambda: self.write(n, here=False))

    @property
    def told(self) -> list[str]:
        return [event.detail for event in self.events.events if event.kind == "too_many_tags"]

    async def aclose(self) -> None:
        await self.other.aclose()
        if self.other is not self.cache:
            await self.cache.aclose()


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
async def shop(
    request: pytest.FixtureRequest, server_pool: Pool, namespace: str
) -> AsyncIterator[AsyncShop]:
    """Each kind of server, and none."""
    url = None if request.param == NOWHERE else server_pool.get(request.param).url
    made = AsyncShop(url, namespace)
    yield made
    await made.aclose()


@pytest.fixture
async def served(valkey: EmbeddedServer, namespace: str) -> AsyncIterator[AsyncShop]:
    """A server, and news that can be late."""
    made = AsyncShop(valkey.url, namespace)
    await made.cache.engine.open()
    await made.other.engine.open()
    yield made
    await made.aclose()


def trusts_the_table(patch: pytest.MonkeyPatch) -> None:
    """The naive rule: a table's stamp that was read after the load is as good as those of its rows."""

    def replaced(stamps: Any, gone: Any, tables: Any, now: Any) -> Any:
        return collapsed(stamps, gone, tables)

    patch.setattr(bounding, "_replaced", replaced)


TOTAL = PARTS * ROWS


async def test_a_whole_of_too_many_rows_carries_their_table(shop: AsyncShop) -> None:
    assert [await shop.page(), await shop.page()] == [TOTAL, TOTAL]
    assert shop.pages == 1, "and is stored"
    keys = {f"k:query:{part}" for part in range(PARTS)}
    assert set(shop.cache.engine.memory.table["page"].stamps) == {
        *keys,
        "n:",
        "t:rows:flights",
        "t:table:flights",
    }
    assert shop.told == []


@pytest.mark.parametrize("row", [0, TOTAL - 1])
async def test_it_falls_with_any_of_its_rows(shop: AsyncShop, row: int) -> None:
    await shop.page()
    await shop.write_elsewhere(row)
    assert await shop.page() == TOTAL + 1


async def test_it_falls_with_a_row_that_is_invalidated_by_hand(shop: AsyncShop) -> None:
    """Whoever names a row names its table, though he may not know that there are entries which carry that alone."""
    await shop.page()
    shop.rows[3] = 2
    await shop.cache.invalidate(tags=["row:flights:3"])
    assert await shop.page() == TOTAL + 1
    shop.rows[4] = 2
    async with shop.cache.writing(tags=["row:flights:4"]):
        """The commit."""
    assert await shop.page() == TOTAL + 2


async def test_an_invalidation_that_names_no_table_leaves_it_old(
    shop: AsyncShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "dead_tags", spell_tags)
    await shop.page()
    shop.rows[3] = 2
    await shop.cache.invalidate(tags=["row:flights:3"])
    assert await shop.page() == TOTAL


async def test_it_falls_with_a_row_that_is_none_of_its_own(shop: AsyncShop) -> None:
    """What collapsing costs."""
    await shop.page()
    await shop.write_elsewhere(1000)
    await shop.page()
    assert shop.pages == 2


async def test_it_falls_with_the_key_of_a_part(shop: AsyncShop) -> None:
    await shop.page()
    shop.rows[7] = 2
    await shop.cache.invalidate(("query", 1))
    assert await shop.page() == TOTAL + 1


async def test_a_write_in_the_middle_of_the_load_leaves_nothing_old(shop: AsyncShop) -> None:
    shop.during = lambda: shop.write_elsewhere(3)
    assert await shop.page() == TOTAL
    assert await shop.page() == TOTAL + 1


async def test_a_table_that_is_trusted_keeps_what_a_write_in_the_middle_made_old(
    shop: AsyncShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusts_the_table(monkeypatch)
    shop.during = lambda: shop.write_elsewhere(3)
    assert await shop.page() == TOTAL
    assert await shop.page() == TOTAL


async def late_news(shop: AsyncShop) -> list[int]:
    """The page made of a part whose row was written before the load began, and the news came after it ended."""
    await (
        shop.page()
    )  # inside a load, so that the parts are in memory with the stamps of their keys
    await shop.cache.invalidate("page")
    bus = AsyncHeldBus(shop.cache)
    await shop.write(3, here=False)
    first = await shop.page()
    await bus.deliver()
    return [first, await shop.page()]


async def test_a_part_from_memory_whose_write_is_not_heard_of_yet_leaves_nothing_old(
    served: AsyncShop,
) -> None:
    """The table's stamp is older than the lease here, so that its age alone would tell nothing."""
    assert await late_news(served) == [TOTAL, TOTAL + 1]


async def test_a_table_that_is_trusted_keeps_what_late_news_made_old(
    served: AsyncShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusts_the_table(monkeypatch)
    assert await late_news(served) == [TOTAL, TOTAL]


async def written_between_the_looks(shop: AsyncShop, first: str) -> list[int]:
    """The page when a row is written between the look at the table's stamp and that at the rows', and a read later."""
    await shop.page()
    await shop.cache.invalidate("page")
    behind_reply(shop.cache, first, lambda: shop.write_elsewhere(3))
    return [await shop.page(), await shop.page()]


async def test_a_write_behind_the_look_at_the_table_leaves_nothing_old(served: AsyncShop) -> None:
    assert await written_between_the_looks(served, "make_stamps") == [TOTAL, TOTAL + 1]


async def test_rows_that_are_looked_at_before_their_table_leave_an_old_value(
    served: AsyncShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stamps, stamps = AsyncRedisStore.make_stamps, AsyncRedisStore.stamps
    rows: dict[str, Any] = {}

    async def rows_first(self: AsyncRedisStore, tags: Any) -> Any:
        if "t:table:flights" in tags:
            names = [f"t:row:flights:{n}" for n in range(TOTAL)]
            rows.update(await self.stamps(names))
        return await make_stamps(self, tags)

    async def as_they_were(self: AsyncRedisStore, tags: Any) -> Any:
        return rows if rows.keys() >= set(tags) else await stamps(self, tags)

    monkeypatch.setattr(AsyncRedisStore, "make_stamps", rows_first)
    monkeypatch.setattr(AsyncRedisStore, "stamps", as_they_were)
    assert await written_between_the_looks(served, "stamps") == [TOTAL, TOTAL]


async def test_tags_that_no_table_stands_for_are_told_and_cost_the_storing(shop: AsyncShop) -> None:
    async def load() -> int:
        shop.pages += 1
        current_load().tag(*(("mine", n) for n in range(20)))
        return 1

    assert [await shop.cache.get_or_load("of mine", load) for _ in range(2)] == [1, 1]
    assert shop.pages == 2
    assert shop.told
    assert "max_tags=10" in shop.told[0]


async def test_rows_named_during_the_load_collapse_as_well(shop: AsyncShop) -> None:
    async def load() -> int:
        shop.pages += 1
        current_load().tag(*(row_tag("flights", n) for n in range(20)), rows_tag("flights"))
        return sum(shop.rows[n] for n in range(20))

    async def read() -> Any:
        return await shop.cache.get_or_load("late", load)

    await read()
    await read()  # tags that nobody has used yet may look newer than the load
    assert "t:table:flights" in shop.cache.engine.memory.table["late"].stamps
    await shop.write_elsewhere(19)
    assert await read() == 21


async def test_of_a_batch_each_value_is_bounded(shop: AsyncShop) -> None:
    async def load_many(keys: list[Any]) -> dict[Any, Any]:
        total = sum([await shop.query(part) for part in range(PARTS)])
        return dict.fromkeys(keys, total)

    async def read() -> dict[Any, Any]:
        return await shop.cache.get_or_load_many(["a", "b"], load_many)

    assert await read() == {"a": TOTAL, "b": TOTAL}
    assert {"a", "b"} <= set(shop.cache.engine.memory.table)
    await shop.write_elsewhere(3)
    assert await read() == {"a": TOTAL + 1, "b": TOTAL + 1}


async def test_the_limit_must_be_a_number() -> None:
    with pytest.raises(ConfigurationError, match="max_tags"):
        AsyncCache(max_tags=0)
