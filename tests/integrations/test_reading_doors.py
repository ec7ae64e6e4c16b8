"""The reading doors on real databases, in both worlds: one statement for all misses, one load for a hit, rows as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from integrations.shop import Article, Leg
from integrations.stores import Store, now

from cachewright import MISSING, AsyncCache, Cache
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._async import cache_aside as aio_aside
from cachewright.patterns._async import existing as aio_existing
from cachewright.patterns._async import read_through as aio_through
from cachewright.patterns._async import refresh_ahead as aio_ahead
from cachewright.patterns._async import warming as aio_warming
from cachewright.patterns._sync import cache_aside, existing, read_through, refresh_ahead, warming

DOORS: dict[tuple[str, bool], Any] = {
    ("aside", True): aio_aside.AsyncCacheAside,
    ("aside", False): cache_aside.CacheAside,
    ("through", True): aio_through.AsyncReadThrough,
    ("through", False): read_through.ReadThrough,
    ("ahead", True): aio_ahead.AsyncRefreshAhead,
    ("ahead", False): refresh_ahead.RefreshAhead,
    ("warming", True): aio_warming.AsyncWarming,
    ("warming", False): warming.Warming,
    ("existing", True): aio_existing.AsyncExisting,
    ("existing", False): existing.Existing,
}


class Shop:
    """A store with a cache of its world, and the statements that its database got."""

    def __init__(self, store: Store, cache: Any) -> None:
        self.store, self.cache = store, cache
        self.statements: list[str] = []
        sa.event.listen(store.plain, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            self.statements.append(statement)

    def door(self, kind: str, *args: Any, **options: Any) -> Any:
        return DOORS[kind, self.store.asynchronous](self.cache, *args, **options)

    async def fill(self, count: int) -> None:
        rows = [{"id": n, "title": f"Title {n}"} for n in range(1, count + 1)]
        await self.store.run(lambda own: own.execute(sa.insert(Article.__table__), rows) and None)


@asynccontextmanager
async def opened(store: Store, server: EmbeddedServer, namespace: str) -> AsyncIterator[Shop]:
    if store.asynchronous:
        async with AsyncCache(server.url, namespace=namespace) as cache:
            yield Shop(store, cache)
    else:
        with Cache(server.url, namespace=namespace) as cache:
            yield Shop(store, cache)


@pytest.fixture
async def shop(store: Store, valkey: EmbeddedServer, namespace: str) -> AsyncIterator[Shop]:
    async with opened(store, valkey, namespace) as shop:
        yield shop


async def test_a_batch_is_one_statement_and_then_none(
    shop: Shop, valkey: EmbeddedServer, namespace: str
) -> None:
    await shop.fill(150)
    source = shop.store.source(Article.__table__)
    rows = await now(shop.door("through", source).get_many(["1", *range(2, 151), 999]))
    assert [row["title"] for row in rows.values()] == [f"Title {n}" for n in range(1, 151)]
    assert "1" in rows
    assert len(shop.statements) == 1
    async with opened(shop.store, valkey, namespace) as other:
        again = await now(other.door("through", source).get_many(["1", *range(2, 151), 999]))
        assert again == rows, "from the server, with the types that they had"
        assert other.statements == []


async def test_one_row_is_loaded_once_and_its_absence_too(shop: Shop) -> None:
    await shop.fill(1)
    users = shop.door("aside", source=shop.store.source(Article.__table__))
    for _ in range(3):
        assert (await now(users.get("1")))["title"] == "Title 1"
        assert await now(users.get(2)) is MISSING
    assert len(shop.statements) == 2


async def test_a_composite_key_is_one_row_however_it_is_written(shop: Shop) -> None:
    legs = shop.door("through", shop.store.source(Leg.__table__))
    for key in (("AA1", "2013-01-01"), ("AA1", date(2013, 1, 1))):
        assert await now(legs.get(key)) is MISSING
    assert len(shop.statements) == 1


async def test_a_round_refreshes_rows_in_use_by_one_statement(shop: Shop) -> None:
    await shop.fill(20)
    users = shop.door("ahead", shop.store.source(Article.__table__))
    await now(users.get_many(range(1, 11)))
    await shop.store.sql("UPDATE article SET title = 'changed' WHERE id = 3")
    await shop.store.sql("DELETE FROM article WHERE id = 4")
    shop.statements.clear()
    done = await now(users.refresh_in_use())
    assert (done.loaded, done.absent, len(shop.statements)) == (10, 1, 1)
    assert (await now(users.get(3)))["title"] == "changed"
    assert await now(users.get(4)) is MISSING


async def test_a_table_is_warmed_page_by_page(shop: Shop) -> None:
    await shop.fill(25)
    source = shop.store.source(Article.__table__)
    done = await now(shop.door("warming", batch=10).warm_source(source))
    assert (done.loaded, done.batches, done.finished) == (25, 3, True)
    shop.statements.clear()
    assert len(await now(shop.door("through", source).get_many(range(1, 26)))) == 25
    assert shop.statements == []


async def test_a_filter_of_a_table_rules_out_what_is_not_there(shop: Shop) -> None:
    pytest.importorskip("rbloom")
    await shop.fill(25)
    source = shop.store.source(Article.__table__)
    there = shop.door("existing", source, page=10)
    assert await now(there.rebuild()) == 25
    users = shop.door("through", source, existing=there)
    shop.statements.clear()
    assert await now(users.get_many(range(1000, 1100))) == {}
    assert shop.statements == []
    assert len(await now(users.get_many(range(20, 30)))) == 6
