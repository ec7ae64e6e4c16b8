"""Write-through in a transaction of the caller's: it acts at the commit, and nothing happens at a rollback.

On every database, for threads and asyncio. Django's are in test_django_transactions.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from integrations.shop import Article, Shown
from integrations.stores import Store, now

import cachewright.integrations.sqlalchemy.transactions
from cachewright import MISSING, AsyncCache, Cache
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteError
from cachewright.integrations.sqlalchemy.transactions import enlist_session
from cachewright.patterns._async.write_through import AsyncWriteThrough
from cachewright.patterns._sync.write_through import WriteThrough
from rig.proxy import FaultProxy

assert cachewright.integrations.sqlalchemy.transactions  # importing it is what lets a door join


class Shop:
    """A door to the articles, and a look at what is cached."""

    def __init__(self, store: Store, url: str | None, namespace: str, **options: Any) -> None:
        self.cache: Any = (AsyncCache if store.asynchronous else Cache)(
            url, namespace=namespace, type=Shown
        )
        kind = AsyncWriteThrough if store.asynchronous else WriteThrough
        self.source = store.source(Article, into=Shown)
        self.door: Any = kind(self.cache, self.source, **options)

    async def get(self, number: int) -> Any:
        return await now(self.door.get(number))

    async def put(self, *about: Any, session: Any) -> Any:
        return await now(self.door.put(Shown(*about), session=session))

    async def cached(self, number: int) -> Any:
        return await now(self.cache.get(self.door.key(number)))

    async def close(self) -> None:
        await now(self.cache.aclose() if isinstance(self.cache, AsyncCache) else self.cache.close())


@asynccontextmanager
async def shop_of(
    store: Store, url: str | None, namespace: str, **options: Any
) -> AsyncIterator[Shop]:
    """A shop, and row 1 in its cache."""
    shop = Shop(store, url, namespace, **options)
    try:
        await now(shop.source.save(Shown(1, "Old")))
        assert (await shop.get(1)).label == "Old"
        yield shop
    finally:
        await shop.close()


@pytest.fixture(params=["memory", "valkey"])
def url(request: pytest.FixtureRequest, valkey: EmbeddedServer) -> str | None:
    return None if request.param == "memory" else valkey.url


async def test_what_a_session_commits_is_cached_from_then_on(
    store: Store, url: str | None, namespace: str
) -> None:
    async with shop_of(store, url, namespace) as shop:
        async with store.session() as session:
            put = await shop.put(1, "New", session=session)
            assert put.slug == "new", "as stored"
            await shop.put(2, "Second", session=session)
            assert (await shop.cached(1)).label == "Old", "nothing was committed"
            assert await shop.cached(2) is MISSING
            await now(session.commit())
        assert await shop.cached(1) == await now(shop.source.load(1))
        assert (await shop.cached(1)).label == "New"
        assert (await shop.cached(2)).slug == "second"


async def test_a_row_that_is_written_twice_is_cached_as_it_was_last(
    store: Store, url: str | None, namespace: str
) -> None:
    async with shop_of(store, url, namespace) as shop, store.session() as session:
        await shop.put(1, "First", session=session)
        await shop.put(2, "Between", session=session)
        await shop.put(1, "Last", session=session)
        await now(session.commit())
        assert (await shop.cached(1)).label == "Last"
        assert (await shop.cached(2)).label == "Between"


async def test_at_a_rollback_nothing_happens(store: Store, url: str | None, namespace: str) -> None:
    async with shop_of(store, url, namespace) as shop:
        before = shop.cache.stats().invalidations
        async with store.session() as session:
            await shop.put(1, "New", session=session)
            await shop.put(2, "Second", session=session)
            await now(session.rollback())
            await now(session.commit())
        assert (await shop.cached(1)).label == "Old"
        assert await shop.cached(2) is MISSING
        assert shop.cache.stats().invalidations == before


async def test_a_savepoint_that_is_rolled_back_takes_its_rows_with_it(
    store: Store, url: str | None, namespace: str
) -> None:
    async with shop_of(store, url, namespace) as shop, store.session() as session:
        await shop.put(2, "outside", session=session)
        inner = await now(session.begin_nested())
        await shop.put(2, "inside", session=session)
        await shop.put(3, "inside", session=session)
        await now(inner.rollback())
        kept = await now(session.begin_nested())
        await shop.put(4, "kept", session=session)
        await now(kept.commit())
        await now(session.commit())
        assert (await shop.cached(2)).label == "outside"
        assert await shop.cached(3) is MISSING
        assert (await shop.cached(4)).label == "kept"


async def test_a_savepoint_that_began_before_the_first_row_counts_as_well(
    store: Store, url: str | None, namespace: str
) -> None:
    async with shop_of(store, url, namespace) as shop, store.session() as session:
        await now(session.execute(sa.select(Article.id)))
        inner = await now(session.begin_nested())
        await shop.put(3, "inside", session=session)
        await now(inner.rollback())
        await now(session.commit())
        assert await shop.cached(3) is MISSING


async def test_what_is_cached_is_what_was_committed_and_not_what_was_put(
    store: Store, url: str | None, namespace: str
) -> None:
    """Whoever changed the row last, by statement or by object."""
    async with shop_of(store, url, namespace) as shop, store.session() as session:
        await shop.put(1, "put", session=session)
        await now(session.execute(sa.update(Article).where(Article.id == 1).values(label="Later")))
        await now(session.commit())
        assert (await shop.cached(1)).label == "Later"
        await shop.put(1, "put", session=session)
        (await now(session.get(Article, 1))).label = "By object"
        await now(session.commit())
        assert (await shop.cached(1)).label == "By object"


async def test_a_row_that_a_session_deletes_is_gone_at_its_commit(
    store: Store, url: str | None, namespace: str
) -> None:
    async with shop_of(store, url, namespace) as shop, store.session() as session:
        assert await now(shop.door.delete(1, session=session))
        assert (await shop.cached(1)).label == "Old"
        await now(session.commit())
        assert await shop.cached(1) is MISSING
        assert await shop.get(1) is MISSING


async def test_a_connection_is_joined_as_a_session_is(
    store: Store, url: str | None, namespace: str
) -> None:
    async with shop_of(store, url, namespace) as shop, store.connected() as connection:
        await now(connection.begin())
        await shop.put(1, "New", session=connection)
        assert (await shop.cached(1)).label == "Old"
        await now(connection.commit())
        assert (await shop.cached(1)).label == "New"
        await shop.put(1, "Newer", session=connection)
        await now(connection.rollback())
        assert (await shop.cached(1)).label == "New"


async def test_a_strict_write_refuses_the_commit_when_nobody_can_be_told(
    store: Store, valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        async with shop_of(store, proxy.url, namespace, consistency="strict") as shop:
            async with store.session() as session:
                await shop.put(1, "New", session=session)
                proxy.refuse()
                proxy.cut()
                with pytest.raises(RemoteError):
                    await now(session.commit())
                await now(session.rollback())
            assert (await now(shop.source.load(1))).label == "Old"
            proxy.heal()


async def test_an_available_write_commits_whatever_the_cache_does(
    store: Store, valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        async with shop_of(store, proxy.url, namespace) as shop:
            async with store.session() as session:
                await shop.put(1, "New", session=session)
                proxy.refuse()
                proxy.cut()
                await now(session.commit())
            assert (await now(shop.source.load(1))).label == "New"
            assert (await shop.get(1)).label == "New"
            proxy.heal()


async def test_if_put_acted_at_once_and_not_at_the_commit_a_rollback_would_leave_a_phantom(
    store: Store, valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a door that does not know of the transaction."""
    async with shop_of(store, valkey.url, namespace) as shop:
        async with store.session() as session:
            save = shop.source.save
            monkeypatch.setattr(shop.source, "save", lambda row, **_: save(row, connection=session))
            await now(shop.door.put(Shown(1, "phantom")))
            await now(session.rollback())
        assert (await shop.cached(1)).label == "phantom"
        assert (await now(shop.source.load(1))).label == "Old"


async def test_a_session_in_two_phases_is_refused(store: Store) -> None:
    from sqlalchemy.orm import Session

    from cachewright.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="twophase"):
        enlist_session(Session(twophase=True), None, [])
