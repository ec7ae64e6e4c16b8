"""What is cached of queries falls when a write commits, whoever writes and however; and nothing falls at a rollback."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from integrations.library_writes import (
    QUESTIONS,
    WRITES,
    ask_all,
    bulk_update,
    flush_update,
    truth,
)
from integrations.orm_library import Author, Book, open_library
from integrations.stores import Store, now


@pytest.mark.parametrize("name", WRITES)
async def test_after_a_commit_every_answer_is_right(store: Store, name: str) -> None:
    async with open_library(store) as books:
        before = await ask_all(books)
        async with books.session() as session:
            await WRITES[name](session)
            await now(session.flush())
            assert await ask_all(books) == before, "others see nothing before the commit"
            await now(session.commit())
        after = await truth(books)
        assert after != before, "the write changes some answer"
        assert await ask_all(books) == after


@pytest.mark.parametrize("name", WRITES)
async def test_a_rollback_costs_nothing(store: Store, name: str) -> None:
    async with open_library(store) as books:
        await ask_all(books)
        async with books.session() as session:
            await WRITES[name](session)
            await now(session.flush())
            await now(session.rollback())
        with store.statements() as sent:
            await ask_all(books)
        assert not sent


async def test_a_savepoint_that_is_rolled_back_takes_its_writes_with_it(store: Store) -> None:
    async with open_library(store) as books:
        await ask_all(books)
        async with books.session() as session:
            inner = await now(session.begin_nested())
            await flush_update(session)
            await now(session.flush())
            await now(inner.rollback())
            await now(
                session.execute(sa.update(Author).where(Author.id == 3).values(name="Dinesen"))
            )
            await now(session.commit())
        assert await books.is_cached(QUESTIONS["titles"])
        assert not await books.is_cached(QUESTIONS["counts"])
        assert await ask_all(books) == await truth(books)


async def test_where_releasing_a_savepoint_is_the_commit_it_counts_as_one(store: Store) -> None:
    """With SQLite's driver: a savepoint before the first write is a transaction of its own."""
    async with open_library(store) as books:
        await ask_all(books)
        async with books.session() as session:
            inner = await now(session.begin_nested())
            await bulk_update(session)
            await now(inner.commit())
            await now(session.rollback())
        assert await ask_all(books) == await truth(books)


async def test_a_savepoint_that_is_released_counts(store: Store) -> None:
    async with open_library(store) as books:
        await ask_all(books)
        async with books.session() as session:
            inner = await now(session.begin_nested())
            await flush_update(session)
            await now(inner.commit())
            await now(session.commit())
        assert await ask_all(books) == await truth(books)


async def test_a_write_on_a_connection_of_the_engine_counts(store: Store) -> None:
    async with open_library(store) as books:
        await ask_all(books)
        await store.run(
            lambda c: c.execute(sa.update(Book).where(Book.id == 1).values(title="core"))
        )
        assert await ask_all(books) == await truth(books)


async def test_with_autocommit_the_statement_itself_is_the_commit(store: Store) -> None:
    if store.asynchronous:
        pytest.skip("the same code")
    async with open_library(store) as books:
        await ask_all(books)
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.update(Book).where(Book.id == 1).values(title="now"))
            assert (await books.ask(QUESTIONS["one"])) == [("now",)], "before anything else happens"
            with pytest.raises(sa.exc.DBAPIError):
                connection.execute(sa.text("UPDATE book SET nothing = 1"))
        assert await ask_all(books) == await truth(books)
        await ask_all(books)
        assert await books.is_cached(QUESTIONS["titles"]), "no mark was left behind"


async def test_transactions_by_hand_on_an_autocommitting_connection_count_at_their_commit(
    store: Store,
) -> None:
    if store.asynchronous:
        pytest.skip("the same code")
    async with open_library(store) as books:
        await ask_all(books)
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("BEGIN"))
            connection.execute(sa.update(Book).where(Book.id == 1).values(title="by hand"))
            assert await books.ask(QUESTIONS["one"]) == [("Kristin",)]
            connection.execute(sa.text("COMMIT"))
        assert await ask_all(books) == await truth(books)


async def test_a_commit_as_text_counts(store: Store) -> None:
    if store.asynchronous:
        pytest.skip("the same code")
    async with open_library(store) as books:
        await ask_all(books)
        with store.engine.connect() as connection:
            connection.execute(sa.update(Book).where(Book.id == 1).values(title="as text"))
            connection.execute(sa.text("COMMIT"))
            connection.rollback()
        assert await ask_all(books) == await truth(books)
