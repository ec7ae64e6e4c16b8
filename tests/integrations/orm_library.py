"""A library that queries are asked of: authors, books, tags, loans; and readers whose queries are cached.

What must not be here: servers, tests.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from integrations.stores import Store, now
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    mapped_column,
    relationship,
    sessionmaker,
)

from cachewright import AsyncCache, Cache
from cachewright.integrations.sqlalchemy import QueryCache
from cachewright.testing import FakeClock, RecordingListener


class Base(DeclarativeBase):
    """All tables of the library."""


class Genre(enum.Enum):
    """What a book is."""

    NOVEL = "novel"
    POEMS = "poems"


shelved = sa.Table(
    "shelved",
    Base.metadata,
    sa.Column("book_id", sa.ForeignKey("book.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
)


class Author(Base):
    """Writes books; has a shelf mark that is unique."""

    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50))
    country: Mapped[str] = mapped_column(sa.String(2), index=True)
    books: Mapped[list[Book]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    """A key of text, a Decimal, JSON that may change in place, an enum."""

    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("author.id", ondelete="SET NULL"), index=True
    )
    title: Mapped[str] = mapped_column(sa.String(50))
    price: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2), default=Decimal("9.50"))
    genre: Mapped[Genre] = mapped_column(default=Genre.NOVEL)
    about: Mapped[Any] = mapped_column(MutableDict.as_mutable(sa.JSON()), default=dict)
    bought: Mapped[date | None]
    code: Mapped[UUID] = mapped_column(default=uuid4)
    shout: Mapped[str] = column_property(sa.func.upper(title))
    author: Mapped[Author | None] = relationship(back_populates="books")
    tags: Mapped[list[Tag]] = relationship(secondary=shelved, order_by="Tag.id")
    loans: Mapped[list[Loan]] = relationship(back_populates="book", passive_deletes=True)


class Tag(Base):
    """A word."""

    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(sa.String(20), unique=True)


class Loan(Base):
    """Falls with its book, in the database."""

    __tablename__ = "loan"

    reader: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    book_id: Mapped[int] = mapped_column(
        sa.ForeignKey("book.id", ondelete="CASCADE"), primary_key=True
    )
    since: Mapped[datetime | None]
    book: Mapped[Book] = relationship(back_populates="loans")


def build(connection: sa.Connection) -> None:
    """The tables, and three authors with five books."""
    clear(connection)
    Base.metadata.create_all(connection)
    # The database gives out the keys, so that it knows which is the next.
    people = [("Undset", "no"), ("Hamsun", "no"), ("Blixen", "dk")]
    connection.execute(sa.insert(Author), [{"name": name, "country": c} for name, c in people])
    titles = [(1, "Kristin"), (1, "Jenny"), (2, "Sult"), (3, "Out of Africa"), (None, "Edda")]
    connection.execute(
        sa.insert(Book),
        [
            {"author_id": a, "title": t, "about": {"pages": [place]}}
            for place, (a, t) in enumerate(titles, 1)
        ],
    )
    connection.execute(sa.insert(Tag), [{"word": "old"}, {"word": "good"}])
    connection.execute(shelved.insert(), [{"book_id": 1, "tag_id": 1}, {"book_id": 1, "tag_id": 2}])
    connection.execute(
        sa.insert(Loan), [{"reader": "Ada", "book_id": 1}, {"reader": "Ada", "book_id": 3}]
    )


def clear(connection: sa.Connection) -> None:
    """Remove the tables."""
    Base.metadata.drop_all(connection)


class Library:
    """Sessions whose queries are cached, a plain one beside them, and what was sent."""

    def __init__(self, store: Store, url: str | None, namespace: str, **options: Any) -> None:
        self.store = store
        self.clock = FakeClock()
        self.told = RecordingListener()
        kind = AsyncCache if store.asynchronous else Cache
        own = {} if url else {"clock": self.clock}
        self.cache: Any = kind(url, namespace=namespace, listeners=[self.told], **own)
        self.queries = QueryCache(self.cache, **options)
        maker: Any = async_sessionmaker if store.asynchronous else sessionmaker
        self.sessions: Any = maker(store.engine)
        self.queries.attach(self.sessions)

    @asynccontextmanager
    async def session(self, **options: Any) -> AsyncIterator[Any]:
        """A session, closed at the end."""
        session = self.sessions(**options)
        try:
            yield session
        finally:
            await now(session.close())

    async def ask(self, statement: Any, *, cache: Any = 60, **options: Any) -> list[Any]:
        """The rows of a cached statement, read in a session of its own, as tuples of plain values."""
        async with self.session() as session:
            result = await now(
                session.execute(statement, execution_options={"cache": cache, **options})
            )
            return [tuple(map(shown, row)) for row in result.all()]

    async def truth(self, statement: Any) -> list[Any]:
        """The same from the database."""

        def work(connection: sa.Connection) -> list[Any]:
            from sqlalchemy.orm import Session

            with Session(connection) as session:
                return [tuple(map(shown, row)) for row in session.execute(statement).all()]

        found: list[Any] = await self.store.run(work)
        return found

    async def is_cached(self, statement: Any) -> bool:
        """Whether asking sends nothing."""
        with self.store.statements() as sent:
            await self.ask(statement)
        return not sent

    def reasons(self) -> list[str]:
        """Why statements were not cached."""
        return [event.detail for event in self.told.events if event.kind == "query_uncached"]

    async def close(self) -> None:
        """Close the cache."""
        await now(self.cache.aclose() if self.store.asynchronous else self.cache.close())


def shown(value: Any) -> Any:
    """A value, or the columns of an entity."""
    if isinstance(value, Base):
        mapper = sa.inspect(type(value))
        return {each.key: getattr(value, each.key) for each in mapper.column_attrs}
    return value


@asynccontextmanager
async def open_library(
    store: Store, url: str | None = None, namespace: str = "queries", **options: Any
) -> AsyncIterator[Library]:
    """The tables with their rows, and a library over them; both are gone at the end."""
    await store.run(build)
    found = Library(store, url, namespace, **options)
    try:
        yield found
    finally:
        await found.close()
        await store.run(clear)
