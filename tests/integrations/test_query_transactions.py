"""What a write takes and what it leaves; who reads around the cache, and who fills nothing."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from integrations.library_writes import (
    QUESTIONS,
    ask_all,
    flush_insert,
    flush_move,
    flush_update,
    truth,
)
from integrations.orm_library import Book, Library, Loan, Tag, open_library
from integrations.stores import Store, now

from cachewright.embedded import EmbeddedServer


async def test_an_update_takes_only_what_its_rows_were_or_are_in(store: Store) -> None:
    """Both images: the shelf that a book leaves, the one that it comes to, and no other."""
    async with open_library(store) as books:

        def shelf(number: int) -> Any:
            return sa.select(Book.title).where(Book.author_id == number).order_by(Book.id)

        def book(number: int) -> Any:
            return sa.select(Book.title).where(Book.id == number)

        asked = [*map(shelf, (1, 2, 3)), *map(book, (1, 3, 4))]
        for each in asked:
            await books.ask(each)
        async with books.session() as session:
            await flush_move(session)
            await now(session.commit())
        assert [await books.is_cached(each) for each in asked] == [
            False,
            False,
            True,
            True,
            False,
            True,
        ]
        assert await books.ask(shelf(1)) == [("Kristin",), ("Jenny",), ("Sult",)]


async def test_the_old_image_is_that_of_the_database_and_not_of_the_session(store: Store) -> None:
    """Somebody moves the book after the session has read it, and the session then moves it blindly."""
    if store.dialect in ("mysql", "mariadb"):
        pytest.skip("a session there keeps its snapshot")
    async with open_library(store) as books:
        third = sa.select(Book.title).where(Book.author_id == 3).order_by(Book.id)
        async with books.session(expire_on_commit=False) as session:
            book = await now(session.get(Book, 1))
            await now(session.commit())
            await store.run(
                lambda c: c.execute(sa.update(Book).where(Book.id == 1).values(author_id=3))
            )
            assert await books.ask(third) == [("Kristin",), ("Out of Africa",)]
            book.author_id = 2  # it believes that the book was on shelf 1
            await now(session.commit())
        assert await books.ask(third) == [("Out of Africa",)]


async def test_an_insert_takes_its_shelf_and_the_answer_that_there_was_no_such_row(
    store: Store,
) -> None:
    async with open_library(store) as books:
        others = sa.select(Book.title).where(Book.author_id == 2)
        one = sa.select(Book.title).where(Book.id == 1)
        for each in (others, one, QUESTIONS["new"], QUESTIONS["by author"]):
            await books.ask(each)
        async with books.session() as session:
            await flush_insert(session)
            await now(session.commit())
        assert await books.ask(QUESTIONS["new"]) == [("New",)]
        assert len(await books.ask(QUESTIONS["by author"])) == 3
        if store.dialect not in (
            "mysql",
            "mariadb",
        ):  # who may store another value than they are given
            assert await books.is_cached(one)
            assert await books.is_cached(others)


async def test_a_session_that_has_written_reads_around_the_cache(store: Store) -> None:
    async with open_library(store) as books:
        await ask_all(books)
        async with books.session() as session:
            await now(session.execute(sa.update(Book).where(Book.id == 1).values(title="mine")))
            mine = await now(session.execute(QUESTIONS["one"], execution_options={"cache": 60}))
            assert mine.all() == [("mine",)]
            await now(session.execute(QUESTIONS["counts"], execution_options={"cache": 60}))
            await now(session.rollback())
            again = await now(session.execute(QUESTIONS["one"], execution_options={"cache": 60}))
            assert again.all() == [("Kristin",)]
        assert await books.ask(QUESTIONS["one"]) == [("Kristin",)], (
            "what it saw was for itself alone"
        )
        assert "the transaction has written" in books.reasons()


async def test_changes_that_are_not_written_yet_are_written_before_the_query(store: Store) -> None:
    async with open_library(store) as books:
        await ask_all(books)
        async with books.session() as session:
            await flush_update(session)
            found = await now(session.execute(QUESTIONS["one"], execution_options={"cache": 60}))
            assert found.all() == [("Changed",)]
        assert await books.ask(QUESTIONS["one"]) == [("Kristin",)]


async def test_an_old_snapshot_fills_nothing(store: Store) -> None:
    if store.dialect == "sqlite":
        pytest.skip("its driver holds no snapshot for reads")
    async with open_library(store) as books:

        def level(session: Any) -> Any:
            return session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

        async with books.session() as session:
            await now(level(session))
            await now(session.execute(sa.select(Tag)))
            await store.run(
                lambda c: c.execute(sa.update(Book).where(Book.id == 1).values(title="later"))
            )
            old = await now(session.execute(QUESTIONS["one"], execution_options={"cache": 60}))
            assert old.all() == [("Kristin",)]
        assert await books.ask(QUESTIONS["one"]) == [("later",)]
        async with books.session() as session:
            await now(level(session))
            await now(session.execute(QUESTIONS["titles"], execution_options={"cache": 60}))
        assert await books.is_cached(QUESTIONS["titles"]), "the first statement makes the snapshot"


async def test_other_processes_hear_of_it(
    store: Store, valkey: EmbeddedServer, namespace: str
) -> None:
    async with open_library(store, valkey.url, namespace) as books:
        other = Library(store, valkey.url, namespace)
        try:
            await ask_all(books)
            await ask_all(other)
            async with books.session() as session:
                await flush_move(session)
                await now(session.commit())
            for name, question in QUESTIONS.items():
                async with other.session() as session:
                    with_verify = await now(
                        session.execute(question, execution_options={"cache": 60})
                    )
                    assert [tuple(row) for row in with_verify] == await books.truth(question), name
        finally:
            await other.close()


async def test_a_statement_that_nobody_can_read_empties_the_cache(store: Store) -> None:
    if store.dialect != "postgresql":
        pytest.skip("anonymous code is PostgreSQL's")
    async with open_library(store) as books:
        await ask_all(books)
        async with books.session() as session:
            await now(
                session.execute(sa.text("DO $$ BEGIN UPDATE book SET title = 'done'; END $$"))
            )
            await now(session.commit())
        assert await ask_all(books) == await truth(books)
        assert books.told.of("everything_invalidated")


async def test_triggers_are_told_of_or_everything_falls(store: Store) -> None:
    if store.dialect != "sqlite":
        pytest.skip("one database is enough")
    trigger = "CREATE TRIGGER twin AFTER UPDATE ON tag BEGIN UPDATE author SET name = NEW.word WHERE id = 3; END"
    for also, falls in ((None, True), ({"tag": ["author"]}, False)):
        async with open_library(store, also=also) as books:
            await store.sql(trigger)
            await ask_all(books)
            await store.sql("UPDATE tag SET word = 'new' WHERE id = 1")
            assert await books.is_cached(QUESTIONS["loans"]) is not falls
            assert await ask_all(books) == await truth(books)


async def test_an_aggregate_may_be_late_by_what_was_said(store: Store) -> None:
    from cachewright.integrations.sqlalchemy import cached

    async with open_library(store) as books:
        statement = sa.select(sa.func.count()).select_from(Loan).options(cached(60, delay=5))
        count = sa.select(sa.func.count()).select_from(Loan)

        async def ask() -> Any:
            async with books.session() as session:
                return await now(session.scalar(statement))

        assert await ask() == 2
        await store.run(lambda c: c.execute(sa.insert(Loan).values(reader="Eve", book_id=4)))
        assert await ask() == 2
        books.clock.advance(4)
        assert await ask() == 2, "no later than that"
        books.clock.advance(1.1)
        assert [(await ask(),)] == await books.truth(count)
        books.clock.advance(6)
        with store.statements() as sent:
            assert await ask() == 3
        assert not sent, "nothing was written: the same result is served on"
