"""Each protection of cached queries: what it keeps from happening, and that without it this happens.

The weakened twins are those of the experiments. SQLite in a file and PostgreSQL, in threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from integrations import orm_library as library
from integrations.orm_library import Author, Book, Library, Loan
from integrations.stores import Store
from proof import weakened_queries as weakened

from cachewright.integrations.sqlalchemy import cached

KRISTIN = sa.select(Book.title).where(Book.id == 1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def books(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """A library with threads, and whatever a test takes out of its cache."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql")
    store = Store(url, asynchronous=False)
    if request.param == "sqlite":
        sa.event.listen(store.engine, "connect", _tuned)
    await store.run(library.build)
    found = Library(store, None, "protected")
    yield found
    await found.close()
    await store.run(library.clear)
    await store.close()


def _tuned(connection: Any, _: Any) -> None:
    for pragma in (
        "foreign_keys=ON",
        "journal_mode=WAL",
    ):  # without the log, readers hold writers up
        connection.execute(f"PRAGMA {pragma}")


def ask(books: Library, statement: Any) -> list[Any]:
    with books.sessions() as session:
        return [tuple(row) for row in session.execute(statement, execution_options={"cache": 60})]


def truth(books: Library, statement: Any) -> list[Any]:
    with books.store.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def is_stale(books: Library, statement: Any) -> bool:
    return ask(books, statement) != truth(books, statement)


def a_comma_join(books: Library) -> bool:
    """The second table of a comma join is read as well."""
    both = sa.text(
        "SELECT book.title, author.name FROM book, author WHERE author.id = book.author_id"
    )
    ask(books, both)
    with books.sessions.begin() as session:
        session.execute(sa.update(Author).where(Author.id == 1).values(name="Sigrid"))
    return sorted(ask(books, both)) != sorted(truth(books, both))


def a_load_that_races_a_commit(books: Library) -> bool:
    """What was read before a commit is not kept after it."""
    has_read, may_go_on = threading.Event(), threading.Event()

    def rest(*about: Any) -> None:
        if "book.title" in about[2] and threading.current_thread() is loader:
            has_read.set()
            may_go_on.wait(10)

    loader = threading.Thread(target=ask, args=(books, KRISTIN))
    sa.event.listen(books.store.engine, "after_cursor_execute", rest)
    loader.start()
    assert has_read.wait(10)
    with books.sessions.begin() as session:
        session.execute(sa.update(Book).where(Book.id == 1).values(title="New"))
    may_go_on.set()
    loader.join(10)
    sa.event.remove(books.store.engine, "after_cursor_execute", rest)
    return is_stale(books, KRISTIN)


def asked_between_statement_and_commit(books: Library) -> bool:
    """Who asks while somebody has written and not committed gets the old answer, and it does not stay."""
    ask(books, KRISTIN)
    with books.sessions() as session:
        session.execute(sa.update(Book).where(Book.id == 1).values(title="New"))
        assert ask(books, KRISTIN) == [("Kristin",)]
        session.commit()
    return is_stale(books, KRISTIN)


def a_book_that_leaves_its_shelf(books: Library) -> bool:
    """The shelf that a book was on falls, whatever the session believed."""
    shelf = sa.select(Book.title).where(Book.author_id == 1).order_by(Book.id)
    ask(books, shelf)
    with books.sessions.begin() as session:
        session.get(Book, 1).author_id = 2
    return is_stale(books, shelf)


def a_cascade_of_the_database(books: Library) -> bool:
    """Loans fall with their book."""
    loans = sa.select(Loan.reader).order_by(Loan.reader)
    ask(books, loans)
    with books.sessions.begin() as session:
        session.execute(sa.delete(Book.__table__).where(Book.__table__.c.id == 3))
    return is_stale(books, loans)


def what_a_transaction_has_written(books: Library) -> bool:
    """What only the writer sees is for the writer alone."""
    with books.sessions() as session:
        session.execute(sa.update(Book).where(Book.id == 1).values(title="mine"))
        assert session.scalar(KRISTIN, execution_options={"cache": 60}) == "mine"
        session.rollback()
    return is_stale(books, KRISTIN)


PROTECTIONS: dict[str, tuple[Callable[[Library], bool], Callable[[pytest.MonkeyPatch], None]]] = {
    each.__name__: (each, twin)
    for each, twin in (
        (a_comma_join, weakened.tables_by_regular_expression),
        (a_load_that_races_a_commit, weakened.no_stamps),
        (asked_between_statement_and_commit, weakened.no_transactions),
        (a_book_that_leaves_its_shelf, weakened.images_of_the_new_row_alone),
        (a_cascade_of_the_database, weakened.no_cascades),
        (what_a_transaction_has_written, weakened.reads_what_it_wrote_into_the_cache),
    )
}


@pytest.mark.parametrize("name", PROTECTIONS)
def test_nothing_stale_is_served(books: Library, name: str) -> None:
    happens, _ = PROTECTIONS[name]
    assert not happens(books)


@pytest.mark.parametrize("name", PROTECTIONS)
def test_without_the_protection_it_is(
    books: Library, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    happens, weaken = PROTECTIONS[name]
    weaken(monkeypatch)
    assert happens(books)


# -------------------------------------------------------------------- what is never cached


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT count(*), CURRENT_TIMESTAMP FROM book", ""),
        ("SELECT random() FROM book", ""),
        ("SELECT * FROM nothing_known", "knows no relation"),
    ],
)
def test_defect_88_what_cannot_be_cached_is_executed_and_the_reason_told(
    books: Library, text: str, why: str
) -> None:
    statement = sa.text(text)
    if "nothing" in text:
        with books.store.engine.connect() as connection:
            assert why in books.queries.why(statement, connection)
        return
    for _ in range(2):
        with books.store.statements() as sent:
            ask(books, statement)
        assert sent
    assert why in books.reasons()[-1]
    with books.store.engine.connect() as connection:
        assert books.queries.why(statement, connection) == books.reasons()[-1]


def test_defect_88_rows_that_are_locked_are_read_from_the_database(books: Library) -> None:
    statement = sa.select(Book).where(Book.id == 1).with_for_update()
    if books.store.dialect == "sqlite":
        pytest.skip("SQLite has no FOR UPDATE")
    with books.sessions() as session:
        session.scalars(statement, execution_options={"cache": 60}).one()
        session.scalars(statement, execution_options={"cache": 60}).one()
    assert "locks" in books.reasons()[0]


def test_defect_88_a_statement_that_writes_is_no_query(books: Library) -> None:
    statement = sa.insert(Author).values(name="New", country="se").returning(Author.name)
    for _ in range(2):
        with books.sessions.begin() as session:
            assert session.scalars(statement, execution_options={"cache": 60}).one() == "New"
    assert len(ask(books, sa.select(Author.id).where(Author.country == "se"))) == 2


def test_defect_86_a_cached_function_falls_with_the_tables_that_its_queries_read(
    books: Library,
) -> None:
    """`update_user` invalidates `get_user_count_by_status`: nobody lists what must be purged."""

    @books.cache.cached(ttl=60)
    def authors_by_country(country: str) -> int:
        with books.sessions() as session:
            statement = (
                sa.select(sa.func.count()).select_from(Author).where(Author.country == country)
            )
            found: int = session.scalar(statement.options(cached(60)))
            return found

    assert authors_by_country("no") == 2
    with books.sessions.begin() as session:
        session.get(Author, 3).country = "no"
    assert authors_by_country("no") == 3


def test_defect_89_a_cached_result_is_a_result_of_sqlalchemy(books: Library) -> None:
    """Its entities can be changed and written, its rows asked by name; the key is used: the second time nothing is sent."""
    statement = sa.select(Book, Author.name).join(Author).where(Book.id == 1)
    for sends in (True, False):
        with books.store.statements() as sent, books.sessions() as session:
            row = session.execute(statement, execution_options={"cache": 60}).one()
            assert (row.Book.title, row.name) == ("Kristin", "Undset")
            assert sa.inspect(row.Book).persistent
        assert bool(sent) is sends


# -------------------------------------------------------------------- whom it belongs to


def test_what_sessions_set_for_themselves_keeps_them_out_until_a_scope_is_named(
    books: Library,
) -> None:
    if books.store.dialect != "postgresql":
        pytest.skip("SQLite has no settings of the session")
    ask(books, KRISTIN)
    with books.sessions() as session:
        session.execute(sa.text("SET LOCAL search_path TO public"))
        assert session.scalar(KRISTIN, execution_options={"cache": 60}) == "Kristin"
    with books.store.statements() as sent:
        ask(books, KRISTIN)
    assert sent
    assert "scope=" in books.reasons()[-1]


async def test_results_of_one_tenant_are_not_served_to_another(books: Library) -> None:
    tenant = ["a"]
    theirs = Library(books.store, None, "scoped", scope=lambda: tenant[0])
    ask(theirs, KRISTIN)
    with books.store.statements() as sent:
        ask(theirs, KRISTIN)
    assert not sent
    tenant[0] = "b"
    with books.store.statements() as sent:
        ask(theirs, KRISTIN)
    assert sent
    await theirs.close()


def test_a_listener_that_comes_later_keeps_the_cache_out(books: Library) -> None:
    """It might add what only some may see to a statement, and a hit would not ask it."""
    ask(books, KRISTIN)

    def later(state: Any) -> None:
        state.statement = state.statement.where(Book.title == "another")

    sa.event.listen(books.sessions, "do_orm_execute", later)
    assert ask(books, KRISTIN) == []
    assert "attach the QueryCache last" in books.reasons()[-1]


def test_a_listener_that_came_earlier_narrows_relationships_as_well(books: Library) -> None:
    sessions = sa.orm.sessionmaker(books.store.engine)

    def earlier(state: Any) -> None:
        if state.is_relationship_load:
            state.statement = state.statement.where(Book.title != "Kristin")

    sa.event.listen(sessions, "do_orm_execute", earlier)
    books.queries.attach(sessions)
    statement = sa.select(Author).options(sa.orm.selectinload(Author.books)).where(Author.id == 1)
    for _ in range(2):
        with sessions() as session:
            author = session.scalars(statement, execution_options={"cache": 60}).one()
            assert [book.title for book in author.books] == ["Jenny"]


def test_a_listener_that_came_earlier_is_in_the_key(books: Library) -> None:
    shown = ["Kristin"]
    sessions = sa.orm.sessionmaker(books.store.engine)

    def earlier(state: Any) -> None:
        state.statement = state.statement.where(Book.title == shown[0])

    sa.event.listen(sessions, "do_orm_execute", earlier)
    books.queries.attach(sessions)
    books.sessions = sessions
    every = sa.select(Book.title)
    assert ask(books, every) == [("Kristin",)]
    shown[0] = "Jenny"
    assert ask(books, every) == [("Jenny",)]
