"""What a query cache can be attached to, in both worlds, and what becomes of cancelled callers and of other binds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from integrations import orm_library as library
from integrations.orm_library import Author, Book, Library
from integrations.stores import Store, now
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from cachewright import AsyncCache, Cache
from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy import QueryCache
from cachewright.integrations.sqlalchemy.catalogue import DatabaseCatalogue

NAMES = sa.select(Author.name).order_by(Author.id)
ON: Any = {"execution_options": {"cache": 60}}


@pytest.fixture(params=["threads", "asyncio"])
async def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """A library in SQLite, seen from each world."""
    asynchronous = request.param == "asyncio"
    scheme = "sqlite+aiosqlite" if asynchronous else "sqlite"
    found = Store(f"{scheme}:///{tmp_path / 'shop.db'}", asynchronous=asynchronous)
    await found.run(library.build)
    yield found
    await found.close()


def targets(store: Store) -> dict[str, Any]:
    """Of each kind one, and how it gives a session."""
    if store.asynchronous:
        maker = async_sessionmaker(store.engine)
        one: Any = AsyncSession(store.engine)
        scope = async_scoped_session(
            async_sessionmaker(store.engine), scopefunc=asyncio.current_task
        )
    else:
        maker = sessionmaker(store.engine)  # type: ignore[assignment]
        one = Session(store.engine)
        scope = scoped_session(sessionmaker(store.engine))  # type: ignore[assignment]
    return {"maker": (maker, maker), "one": (one, lambda: one), "scope": (scope, scope)}


@pytest.mark.parametrize("kind", ["maker", "one", "scope"])
async def test_it_serves_what_it_is_attached_to(store: Store, kind: str) -> None:
    cache: Any = AsyncCache() if store.asynchronous else Cache()
    target, session_of = targets(store)[kind]
    assert QueryCache(cache).attach(target).cache is cache
    for sends in (True, False):
        session = session_of()
        with store.statements() as sent:
            assert (await now(session.scalars(NAMES, **ON))).all() == ["Undset", "Hamsun", "Blixen"]
        assert bool(sent) is sends
        await now(session.rollback())
    session = session_of()
    (await now(session.get(Author, 3))).name = "Dinesen"
    await now(session.commit())
    assert (await now(session.scalars(NAMES, **ON))).all()[-1] == "Dinesen"
    await now(session.close())
    await now(cache.aclose() if store.asynchronous else cache.close())


async def test_other_sessions_are_left_alone(store: Store) -> None:
    cache: Any = AsyncCache() if store.asynchronous else Cache()
    QueryCache(cache).attach(targets(store)["maker"][0])
    async with store.session() as other:
        for _ in range(2):
            with store.statements() as sent:
                await now(other.scalars(NAMES, **ON))
            assert sent
    await now(cache.aclose() if store.asynchronous else cache.close())


async def test_attached_to_an_engine_it_sees_the_writes_of_every_session(store: Store) -> None:
    books = Library(store, None, "engines")
    await books.ask(NAMES)
    async with store.session() as other:
        (await now(other.get(Author, 3))).name = "Dinesen"
        await now(other.commit())
    assert (await books.ask(NAMES))[-1] == ("Dinesen",)
    cache: Any = AsyncCache() if store.asynchronous else Cache()
    QueryCache(cache).attach(store.engine)
    await books.close()
    await now(cache.aclose() if store.asynchronous else cache.close())


def test_it_is_attached_to_nothing_else() -> None:
    with pytest.raises(ConfigurationError, match="sessionmaker, Session"):
        QueryCache(Cache()).attach("sqlite://")
    with pytest.raises(ConfigurationError, match="max_rows"):
        QueryCache(Cache(), max_rows=0)


async def test_a_lazy_load_of_a_model_with_a_rule_is_answered(store: Store) -> None:
    if store.asynchronous:
        pytest.skip("lazy loads are for threads")
    books = Library(store, None, "lazy", models={Author: 60, Book: 60})
    for sends in (True, False):
        with books.sessions() as session, store.statements() as sent:
            author = session.get(Author, 1)
            assert [book.title for book in author.books] == ["Kristin", "Jenny"]
            assert author.books[0].author is author
        assert bool(sent) is sends
    with books.sessions.begin() as session:
        session.get(Book, 2).author_id = 3
    with books.sessions() as session:
        assert [book.title for book in session.get(Author, 1).books] == ["Kristin"]
    await books.close()


async def test_a_cancelled_caller_ends_its_load_before_it_goes_on(store: Store) -> None:
    """The load runs on the caller's connection, which nobody else may use while it does."""
    if not store.asynchronous:
        pytest.skip("threads cannot be cancelled")
    books = Library(store, None, "cancelled")
    await books.ask(NAMES)
    has_begun, ended = asyncio.Event(), []
    slow = sa.select(Book.title)

    async def rest() -> None:
        has_begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("the load")

    def before(*about: Any) -> None:
        if about[2].startswith("SELECT book.title"):
            sa.util.await_only(rest())

    sa.event.listen(store.plain, "before_cursor_execute", before)
    async with books.session() as session:
        asking = asyncio.ensure_future(session.execute(slow, **ON))
        await has_begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        ended.append("the caller")
        sa.event.remove(store.plain, "before_cursor_execute", before)
        await session.rollback()
        assert len((await session.scalars(slow)).all()) == 5, "the connection is whole"
    assert ended == ["the load", "the caller"]
    await books.close()


async def test_two_binds_of_one_session_are_two_databases(store: Store, tmp_path: Any) -> None:
    if store.asynchronous:
        pytest.skip("the same code")
    other = sa.create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with other.begin() as connection:
        library.build(connection)
        connection.execute(sa.update(Author).values(name="of the other"))
    cache = Cache()
    sessions = sessionmaker(binds={Author: other, Book: store.engine})
    QueryCache(cache).attach(sessions)
    for _ in range(2):
        with sessions() as session:
            assert session.scalars(NAMES, **ON).all() == ["of the other"] * 3
            assert session.scalars(sa.select(Book.title).where(Book.id == 1), **ON).all() == [
                "Kristin"
            ]
    own = sessionmaker(store.engine)
    QueryCache(cache).attach(own)
    with own() as session:
        assert session.scalars(NAMES, **ON).all()[0] == "Undset"
    other.dispose()
    cache.close()


def test_two_phase_transactions_are_refused() -> None:
    engine = sa.create_engine("sqlite://")
    QueryCache(Cache()).attach(engine)
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="two-phase"):
        connection.begin_twophase()
    engine.dispose()


@pytest.mark.parametrize("store", ["threads"], indirect=True)
async def test_who_comes_while_the_catalogue_is_read_for_the_first_time_is_served_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    cache = Cache(listeners=[lambda event: told.append(event.kind)])
    sessions = sessionmaker(store.engine)
    QueryCache(cache).attach(sessions)
    whole = DatabaseCatalogue._read_all

    def names() -> Sequence[str]:
        with sessions() as session:
            return session.scalars(NAMES, **ON).all()

    def read_slowly(self: DatabaseCatalogue, connection: sa.Connection) -> None:
        monkeypatch.setattr(DatabaseCatalogue, "_read_all", whole)
        with ThreadPoolExecutor(1) as pool:  # amid the first reading somebody else asks
            assert pool.submit(names).result() == ["Undset", "Hamsun", "Blixen"]
        whole(self, connection)

    monkeypatch.setattr(DatabaseCatalogue, "_read_all", read_slowly)
    assert names() == ["Undset", "Hamsun", "Blixen"]
    assert "query_uncached" not in told
