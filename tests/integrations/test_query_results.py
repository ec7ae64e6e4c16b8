"""A cached query gives what its session would have given: entities, relationships, rows, scalars, on every database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from integrations.orm_library import Author, Book, Genre, Library, Tag, open_library
from integrations.stores import Store, now
from sqlalchemy.orm import aliased, joinedload, load_only, raiseload, selectinload

from cachewright.embedded import EmbeddedServer
from cachewright.integrations.sqlalchemy import cached

STATEMENTS: dict[str, Any] = {
    "entities": sa.select(Book).order_by(Book.id),
    "one entity": sa.select(Book).where(Book.id == 3),
    "no entity": sa.select(Book).where(Book.id == 99),
    "columns": sa.select(Book.title, Book.price, Book.genre, Book.code).order_by(Book.id),
    "a scalar": sa.select(sa.func.count()).select_from(Book),
    "an aggregate by group": sa.select(Author.name, sa.func.count(Book.id), sa.func.sum(Book.price))
    .join(Book, isouter=True)
    .group_by(Author.name)
    .order_by(Author.name),
    "entity and column": sa.select(Book, Author.name).join(Author).order_by(Book.id),
    "two entities, one missing": sa.select(Book, Author).outerjoin(Author).order_by(Book.id),
    "duplicates": sa.select(Author).join(Book).order_by(Author.id),
    "json": sa.select(Book.about).order_by(Book.id),
    "a CTE": sa.select(sa.select(Book.title).where(Book.author_id == 1).cte("own")),
    "a union": sa.union(sa.select(Book.title), sa.select(Author.name)),
    "IN": sa.select(Book.title).where(Book.id.in_([1, 3, 5])).order_by(Book.id),
    "NULL": sa.select(Book.title).where(Book.author_id.is_(None)),
    "a subquery": sa.select(Author.name).where(
        Author.id.in_(sa.select(Book.author_id).where(Book.title == "Sult"))
    ),
    "EXISTS": sa.select(Author.name)
    .where(sa.exists().where(Book.author_id == Author.id))
    .order_by(Author.name),
    "an alias": sa.select(aliased(Book, name="other").title).order_by(sa.text("1")),
    "text": sa.text("SELECT title, id FROM book ORDER BY id"),
    "a core table": sa.select(Book.__table__.c.title, Book.__table__.c.bought).order_by(
        Book.__table__.c.id
    ),
}


async def test_a_hit_gives_what_the_database_gives_and_sends_nothing(store: Store) -> None:
    async with open_library(store) as books:
        for name, statement in STATEMENTS.items():
            truth = await books.truth(statement)
            assert await books.ask(statement) == truth, f"{name}: a miss"
            with store.statements() as sent:
                assert await books.ask(statement) == truth, f"{name}: a hit"
            assert not sent, (name, books.reasons())


async def test_another_process_reads_the_same_from_the_server(
    store: Store, valkey: EmbeddedServer, namespace: str
) -> None:
    async with open_library(store, valkey.url, namespace) as books:
        other = Library(store, valkey.url, namespace)
        try:
            for name, statement in STATEMENTS.items():
                truth = await books.ask(statement)
                with store.statements() as sent:
                    assert await other.ask(statement) == truth, name
                assert not sent, (name, other.reasons())
        finally:
            await other.close()


async def test_entities_are_persistent_objects_of_the_session(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book).order_by(Book.id)
        await books.ask(statement)
        async with books.session() as session:
            found = (await now(session.scalars(statement, execution_options={"cache": 60}))).all()
            again = (await now(session.scalars(statement, execution_options={"cache": 60}))).all()
            assert all(a is b for a, b in zip(found, again, strict=True)), "one object for one row"
            assert all(sa.inspect(each).persistent for each in found)
            assert not session.dirty, "nothing is to be written"
            found[0].title = "Changed"
            await now(session.commit())
        async with books.session() as session:
            assert (await now(session.get(Book, 1))).title == "Changed", (
                "objects from the cache can be changed"
            )


async def test_an_object_that_the_session_has_keeps_what_is_changed_and_not_written(
    store: Store,
) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book).order_by(Book.id)
        await books.ask(statement)
        async with books.session(autoflush=False) as session:
            book = await now(session.get(Book, 1))
            book.title = "Mine"
            found = (await now(session.scalars(statement, execution_options={"cache": 60}))).all()
            assert found[0] is book
            assert book.title == "Mine"
            assert (await books.ask(statement))[0][0]["title"] == "Kristin", (
                "and nobody else sees it"
            )


async def test_an_expired_object_is_filled_again(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book).where(Book.id == 2)
        await books.ask(statement)
        async with books.session() as session:
            book = (await now(session.scalars(statement, execution_options={"cache": 60}))).one()
            session.expire(book)
            with store.statements() as sent:
                again = (
                    await now(session.scalars(statement, execution_options={"cache": 60}))
                ).one()
                assert again is book
                assert book.title == "Jenny"
            assert not sent


async def test_what_an_older_object_of_the_session_shows_does_not_get_into_the_cache(
    store: Store,
) -> None:
    """The session read the row before somebody else changed it, and now asks for it with a cached query."""
    statement = sa.select(Book).order_by(Book.id)
    async with open_library(store) as books:
        async with books.session() as session:
            old = await now(session.get(Book, 1))
            assert old.title == "Kristin"
            if store.dialect in ("mysql", "mariadb"):
                await now(session.execute(sa.text("COMMIT")))  # its snapshot ends, its objects stay
            await store.run(
                lambda c: c.execute(sa.update(Book).where(Book.id == 1).values(title="New"))
            )
            found = (await now(session.scalars(statement, execution_options={"cache": 60}))).all()
            assert found[0] is old
            assert old.title == "Kristin", "as without a cache"
        assert (await books.ask(statement))[0][0]["title"] == "New"


@pytest.mark.parametrize("how", [selectinload, joinedload])
async def test_relationships_come_loaded(store: Store, how: Any) -> None:
    async with open_library(store) as books:
        statement = (
            sa.select(Author).options(how(Author.books).options(how(Book.tags))).order_by(Author.id)
        )
        for hit in (False, True):
            with store.statements() as sent:
                async with books.session() as session:
                    result = await now(session.execute(statement, execution_options={"cache": 60}))
                    authors = result.unique().scalars().all()
                    shelf = {
                        a.name: [(b.title, [t.word for t in b.tags]) for b in a.books]
                        for a in authors
                    }
                    assert authors[0].books[0].author is authors[0]
            assert shelf["Undset"] == [("Kristin", ["old", "good"]), ("Jenny", [])]
            assert shelf["Hamsun"] == [("Sult", [])]
            assert bool(sent) is not hit, books.reasons()


async def test_what_was_not_loaded_is_read_when_it_is_asked_for(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book).options(load_only(Book.title)).where(Book.id == 3)
        await books.ask(sa.select(Author))  # the catalogue is known
        for _ in range(2):
            async with books.session() as session:
                book = (
                    await now(session.scalars(statement, execution_options={"cache": 60}))
                ).one()
                assert "price" not in sa.inspect(book).dict

                def read(_: Any, book: Any = book) -> Any:
                    return book.price, [book.author.name if book.author else None]

                found = await (session.run_sync(read) if store.asynchronous else now(read(session)))
                assert found == (Decimal("9.50"), ["Hamsun"])


async def test_options_for_later_loads_hold_on_objects_from_the_cache(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book).options(raiseload(Book.author)).where(Book.id == 3)
        for _ in range(2):
            async with books.session() as session:
                book = (
                    await now(session.scalars(statement, execution_options={"cache": 60}))
                ).one()
                with pytest.raises(sa.exc.InvalidRequestError, match="lazy='raise'"):
                    assert book.author


async def test_options_for_later_loads_hold_in_another_process(
    store: Store, valkey: EmbeddedServer, namespace: str
) -> None:
    """How an attribute is loaded later is an object of one process, so that the first load there brings it."""
    statement = sa.select(Book).options(raiseload(Book.author)).where(Book.id == 3)
    async with open_library(store, valkey.url, namespace) as books:
        await books.ask(statement)
        other = Library(store, valkey.url, namespace)
        try:
            for sends in (True, False):
                async with other.session() as session:
                    with store.statements() as sent:
                        result = await now(
                            session.scalars(statement, execution_options={"cache": 60})
                        )
                    book = result.one()
                    assert book.title == "Sult"
                    with pytest.raises(sa.exc.InvalidRequestError, match="lazy='raise'"):
                        assert book.author
                assert bool([text for text in sent if "FROM book" in text]) is sends
        finally:
            await other.close()


async def test_mutable_values_are_the_callers_own(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book).where(Book.id == 1)
        await books.ask(statement)
        async with books.session() as session:
            book = (await now(session.scalars(statement, execution_options={"cache": 60}))).one()
            book.about["pages"].append("torn out")
            assert type(book.about).__name__ == "MutableDict", "as the mapping says"
            book.about["new"] = 1
            assert book in session.dirty
        rows = await books.ask(sa.select(Book.about).where(Book.id == 1))
        rows[0][0]["pages"].append("too")
        assert await books.ask(sa.select(Book.about).where(Book.id == 1)) == [({"pages": [1]},)]
        assert (await books.ask(statement))[0][0]["about"] == {"pages": [1]}


async def test_types_come_back_exactly(store: Store) -> None:
    async with open_library(store) as books:
        await store.run(
            lambda c: c.execute(
                sa.update(Book).where(Book.id == 1).values(bought=dt.date(2020, 2, 29))
            )
        )
        statement = sa.select(Book.price, Book.genre, Book.bought, Book.code).where(Book.id == 1)
        for _ in range(2):
            ((price, genre, bought, code),) = await books.ask(statement)
            assert (price, genre, bought) == (Decimal("9.50"), Genre.NOVEL, dt.date(2020, 2, 29))
            assert type(code).__name__ == "UUID"


async def test_rows_can_be_asked_by_name_column_and_class(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book, Author.name.label("by")).join(Author).where(Book.id == 1)
        for _ in range(2):
            async with books.session() as session:
                row = (await now(session.execute(statement, execution_options={"cache": 60}))).one()
                assert row.by == "Undset"
                assert row.Book.title == row._mapping[Book].title == "Kristin"
                result = await now(session.execute(statement, execution_options={"cache": 60}))
                assert result.mappings().one()["by"] == "Undset"
                assert list(
                    (await now(session.execute(statement, execution_options={"cache": 60}))).keys()
                ) == ["Book", "by"]


async def test_unique_partitions_and_scalars_work_on_cached_results(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Author).join(Book).order_by(Author.id)
        on: Any = {"execution_options": {"cache": 60}}
        for _ in range(2):
            async with books.session() as session:
                assert len((await now(session.scalars(statement, **on))).all()) == 4
                assert len((await now(session.scalars(statement, **on))).unique().all()) == 3
                if not store.asynchronous:  # there, where no cache answers, these are for stream()
                    some = statement.execution_options(yield_per=3)
                    parts = session.execute(some, **on).partitions()
                    assert [len(part) for part in parts] == [3, 1]
                assert await now(session.scalar(sa.select(sa.func.count(Tag.id)), **on)) == 2
                assert (await now(session.get(Author, 3, **on))).name == "Blixen"
                assert await now(session.get(Author, 33, **on)) is None


async def test_it_can_be_asked_for_by_option_model_and_rule(store: Store) -> None:
    rules: Any = {
        "models": {Author: 60},
        "rule": lambda state: cached(60) if "tag" in str(state.statement) else None,
    }
    async with open_library(store, **rules) as books:
        for statement, kept in [
            (sa.select(Book).options(cached(60)), True),
            (sa.select(Author), True),
            (sa.select(Author, Book).join(Book), False),
            (sa.select(Tag.word), True),
            (sa.select(Book), False),
            (sa.select(Author).execution_options(cache=False), False),
            (sa.select(Book).execution_options(cache=True), True),
        ]:
            for _ in range(2):
                with store.statements() as sent:
                    async with books.session() as session:
                        (await now(session.execute(statement))).all()
            assert (not sent) is kept, (str(statement), books.reasons())


async def test_an_entry_lives_as_long_as_was_said(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book.title)
        await books.ask(statement, cache=10)
        books.clock.advance(9)
        assert await books.is_cached(statement)
        books.clock.advance(2)
        assert not await books.is_cached(statement)


async def test_parameters_of_other_types_are_other_results(store: Store) -> None:
    async with open_library(store) as books:

        def by(value: Any) -> Any:
            return sa.select(Book.title).where(
                sa.cast(Book.id, sa.String) == sa.literal(value, sa.String)
            )

        assert await books.ask(by("1")) == [("Kristin",)]
        assert await books.ask(by("01")) == []
        assert await books.ask(sa.select(Book.title).where(Book.id == 2)) == [("Jenny",)]


async def test_a_result_with_too_many_rows_is_given_and_not_kept(store: Store) -> None:
    async with open_library(store, max_rows=4) as books:
        assert len(await books.ask(sa.select(Book))) == 5
        assert "more than 4 rows" in " ".join(books.reasons())
        assert not await books.is_cached(sa.select(Book))
        assert len(await books.ask(sa.select(Book).limit(4))) == 4
        assert await books.is_cached(sa.select(Book).limit(4))


async def test_the_legacy_query_gets_entities_as_well(store: Store) -> None:
    if store.asynchronous:
        pytest.skip("there is no legacy Query in asyncio")
    async with open_library(store) as books:
        for _ in range(2):
            async with books.session() as session:
                query = session.query(Author).options(joinedload(Author.books), cached(60))
                assert [each.name for each in query.order_by(Author.id)] == [
                    "Undset",
                    "Hamsun",
                    "Blixen",
                ]
                assert (
                    session.query(Author).options(cached(60)).filter_by(id=2).one().name == "Hamsun"
                )


async def test_a_core_connection_is_answered_by_execute(store: Store) -> None:
    async with open_library(store) as books:
        statement = sa.select(Book.__table__.c.title).order_by(Book.__table__.c.id)

        def ask(connection: sa.Connection) -> Any:
            return books.queries.execute(connection, statement, cache=60).all()

        first = await store.run(ask)
        with store.statements() as sent:
            assert await store.run(ask) == first
        assert not sent
        assert first[0].title == "Kristin"
