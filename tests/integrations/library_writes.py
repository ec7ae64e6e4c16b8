"""Questions about the library, and every way to write to it that SQLAlchemy has.

What must not be here: tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from integrations.orm_library import Author, Book, Library, Loan, Tag, shelved
from integrations.stores import now

QUESTIONS: dict[str, Any] = {
    "titles": sa.select(Book.id, Book.title, Book.author_id).order_by(Book.id),
    "by author": sa.select(Book.id, Book.title).where(Book.author_id == 1).order_by(Book.id),
    "of nobody": sa.select(Book.id).where(Book.author_id.is_(None)).order_by(Book.id),
    "one": sa.select(Book.title).where(Book.id == 1),
    "new": sa.select(Book.title).where(Book.id == 6),
    "counts": sa.select(Author.name, sa.func.count(Book.id))
    .outerjoin(Book)
    .group_by(Author.name)
    .order_by(Author.name),
    "loans": sa.select(Loan.reader, Loan.book_id).order_by(Loan.book_id),
    "words": sa.select(Tag.word).join(shelved).where(shelved.c.book_id == 1).order_by(Tag.id),
    "norwegians": sa.select(Author.name).where(Author.country == "no").order_by(Author.id),
}


async def flush_update(s: Any) -> None:
    (await now(s.get(Book, 1))).title = "Changed"


async def flush_move(s: Any) -> None:
    (await now(s.get(Book, 3))).author_id = 1


async def flush_insert(s: Any) -> None:
    s.add(Book(title="New", author_id=1))


async def flush_delete(s: Any) -> None:
    await now(s.delete(await now(s.get(Book, 1))))


async def flush_unlink(s: Any) -> None:
    """The session itself empties the column of the books, which nobody has touched."""
    author = (
        await now(
            s.scalars(
                sa.select(Author).options(sa.orm.selectinload(Author.books)).where(Author.id == 2)
            )
        )
    ).one()
    author.books.clear()


async def flush_m2m(s: Any) -> None:
    book = (
        await now(
            s.scalars(sa.select(Book).options(sa.orm.selectinload(Book.tags)).where(Book.id == 1))
        )
    ).one()
    book.tags.pop()


async def bulk_update(s: Any) -> None:
    await now(s.execute(sa.update(Book).where(Book.title.like("%e%")).values(title="e")))


async def bulk_update_synchronized(s: Any) -> None:
    await now(s.get(Book, 1))
    await now(
        s.execute(
            sa.update(Book).where(Book.author_id == 1).values(title="e"),
            execution_options={"synchronize_session": "fetch"},
        )
    )


async def bulk_update_by_key(s: Any) -> None:
    await now(s.execute(sa.update(Book), [{"id": 1, "title": "a"}, {"id": 4, "author_id": 1}]))


async def bulk_delete(s: Any) -> None:
    await now(s.execute(sa.delete(Book).where(Book.author_id == 1)))


async def bulk_insert(s: Any) -> None:
    await now(
        s.execute(sa.insert(Book), [{"title": "x", "author_id": 2}, {"title": "y", "author_id": 3}])
    )


async def insert_returning(s: Any) -> None:
    await now(
        s.scalars(
            sa.insert(Book).returning(Book.id),
            [{"title": "x", "author_id": 2}, {"title": "y", "author_id": 3}],
        )
    )


async def insert_from_select(s: Any) -> None:
    rows = sa.select(
        sa.literal(6), Book.title, Book.price, Book.genre, Book.about, Book.code
    ).where(Book.id == 1)
    names = ["id", "title", "price", "genre", "about", "code"]
    await now(s.execute(sa.insert(Book).from_select(names, rows, include_defaults=False)))


async def legacy_bulk(s: Any) -> None:
    def work(session: Any) -> None:
        session.bulk_insert_mappings(Book, [{"title": "x", "author_id": 1}])
        session.bulk_update_mappings(Book, [{"id": 3, "author_id": 1}])
        session.bulk_save_objects([Loan(reader="Eve", book_id=4)])

    await (s.run_sync(work) if hasattr(s, "run_sync") else now(work(s)))


async def raw_text(s: Any) -> None:
    await now(
        s.execute(sa.text("UPDATE book SET title = 'raw', author_id = :a WHERE id = 3"), {"a": 1})
    )


async def raw_delete(s: Any) -> None:
    await now(s.execute(sa.text("DELETE FROM author WHERE id = 2")))


async def core_delete(s: Any) -> None:
    """Loans fall with their book, in the database."""
    await now(s.execute(sa.delete(Book.__table__).where(Book.__table__.c.id == 3)))


async def core_on_connection(s: Any) -> None:
    connection = await now(s.connection())
    await now(
        connection.execute(sa.update(Author.__table__).where(Author.id == 3).values(country="no"))
    )


WRITES: dict[str, Callable[[Any], Any]] = {f.__name__: f for f in (
    flush_update, flush_move, flush_insert, flush_delete, flush_unlink, flush_m2m, bulk_update, bulk_update_synchronized,
    bulk_update_by_key, bulk_delete, bulk_insert, insert_returning, insert_from_select, legacy_bulk, raw_text, raw_delete,
    core_delete, core_on_connection,
)}  # fmt: skip


async def ask_all(books: Library) -> dict[str, Any]:
    return {name: await books.ask(question) for name, question in QUESTIONS.items()}


async def truth(books: Library) -> dict[str, Any]:
    return {name: await books.truth(question) for name, question in QUESTIONS.items()}
