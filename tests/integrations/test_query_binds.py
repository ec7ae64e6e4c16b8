"""Whose statements are seen, whom a result is for, and what runs around them: engines, connections, levels, schemas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from integrations import orm_library as library
from integrations.orm_library import Author, Base, Book
from sqlalchemy.orm import Session, selectinload, sessionmaker

from cachewright import Cache
from cachewright.integrations.sqlalchemy import QueryCache, cached

ON: Any = {"execution_options": {"cache": 60}}
NAME = sa.select(Author.name).where(Author.id == 1)
RENAME = sa.update(Author.__table__).where(Author.__table__.c.id == 1).values(name="Lagerlöf")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """A library in SQLite."""
    made = sa.create_engine(f"sqlite:///{tmp_path / 'binds.db'}")
    with made.begin() as connection:
        library.build(connection)
    yield made
    made.dispose()


def attached(bind: Any, **options: Any) -> tuple[QueryCache, Any]:
    """A query cache and its sessions."""
    sessions = sessionmaker(bind, **options)
    return QueryCache(Cache()).attach(sessions), sessions


def name(sessions: Any, **options: Any) -> Any:
    """The first author's name, through the cache."""
    with sessions(**options) as session:
        return session.scalar(NAME, **ON)


@pytest.mark.parametrize("writer", ["the engine", "another with options"])
def test_an_engine_with_options_is_the_engine_behind_it(engine: sa.Engine, writer: str) -> None:
    _, sessions = attached(engine.execution_options(own=1))
    other = engine if writer == "the engine" else engine.execution_options(own=2)
    assert name(sessions) == "Undset"
    with other.begin() as connection:
        connection.execute(RENAME)
    assert name(sessions) == "Lagerlöf"


def test_a_session_sees_what_its_connection_has_written(engine: sa.Engine) -> None:
    _, sessions = attached(engine)
    assert name(sessions) == "Undset"
    with engine.connect() as connection:
        connection.execute(RENAME)
        assert name(sessions, bind=connection) == "Lagerlöf"
        assert name(sessions) == "Undset"
        connection.rollback()
    assert name(sessions) == "Undset"


def test_what_is_read_from_two_databases_is_not_kept(engine: sa.Engine, tmp_path: Path) -> None:
    """The second one's statements run on a connection that nobody listens to for the first."""
    other = sa.create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with other.begin() as connection:
        library.build(connection)
    _queries, sessions = attached(None, binds={Author: engine, Book: other})
    question = sa.select(Author).options(selectinload(Author.books)).where(Author.id == 1)

    def titles() -> list[str]:
        with sessions() as session:
            return [book.title for book in session.scalars(question, **ON).one().books]

    assert titles() == ["Kristin", "Jenny"]
    with sessions() as session:
        session.get(Book, 1).title = "Olav"
        session.commit()
    assert titles() == ["Olav", "Jenny"]
    other.dispose()


def test_where_the_driver_commits_each_statement_a_rollback_undoes_nothing(tmp_path: Path) -> None:
    made = sa.create_engine(
        f"sqlite:///{tmp_path / 'alone.db'}", connect_args={"isolation_level": None}
    )
    with made.begin() as connection:
        library.build(connection)
    _, sessions = attached(made)
    assert name(sessions) == "Undset"
    with sessions() as session:
        session.execute(sa.update(Author).where(Author.country == "no").values(name="Lagerlöf"))
        session.rollback()
    assert name(sessions) == "Lagerlöf"
    made.dispose()


@pytest.mark.parametrize("attached_first", [False, True])
def test_where_users_begin_transactions_for_the_driver_they_are_transactions(
    tmp_path: Path, attached_first: bool
) -> None:
    """As SQLAlchemy's documentation advises for SQLite."""
    made = sa.create_engine(
        f"sqlite:///{tmp_path / 'alone.db'}", connect_args={"isolation_level": None}
    )
    with made.begin() as connection:
        library.build(connection)
    if attached_first:
        queries, sessions = attached(made)
    sa.event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    if not attached_first:
        queries, sessions = attached(made)
    assert name(sessions) == "Undset"
    with sessions() as session:
        session.execute(RENAME)
        session.flush()
        assert name(sessions) == "Undset"
        session.rollback()
    assert name(sessions) == "Undset"
    assert queries.cache.stats().loads == 1
    made.dispose()


def test_a_legacy_query_that_fills_objects_anew_reads_around_the_cache(engine: sa.Engine) -> None:
    _, sessions = attached(engine, expire_on_commit=False)
    with sessions() as session:
        author = session.get(Author, 1)
        session.commit()
        with engine.begin() as connection:
            connection.execute(RENAME)
        with sessions() as other:
            other.query(Author).options(cached(60)).filter_by(id=1).one()
        session.query(Author).options(cached(60)).filter_by(id=1).populate_existing().one()
        assert author.name == "Lagerlöf"


# -------------------------------------------------------------------- PostgreSQL


@pytest.fixture
def tenants(postgresql: str) -> Iterator[sa.Engine]:
    """A library in `public`, in `tenant_a` and in `tenant_b`, each with another first author."""
    made = sa.create_engine(postgresql)
    with made.begin() as connection:
        for schema in ("tenant_a", "tenant_b"):
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        for schema in ("public", "tenant_a", "tenant_b"):
            own = connection.execution_options(schema_translate_map={None: schema})
            Base.metadata.drop_all(own)
            Base.metadata.create_all(own)
            own.execute(sa.insert(Author), [{"name": schema, "country": "no"}])
    yield made
    with made.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA tenant_a CASCADE")
        connection.exec_driver_sql("DROP SCHEMA tenant_b CASCADE")
        connection = connection.execution_options(schema_translate_map={None: "public"})
        Base.metadata.drop_all(connection)
    made.dispose()


def mapped_on_the_connection(sessions: Any, schema: str) -> Session:
    session: Session = sessions()
    session.connection(execution_options={"schema_translate_map": {None: schema}})
    return session


def mapped_on_the_engine(sessions: Any, schema: str) -> Session:
    engine = sessions.kw["bind"].execution_options(schema_translate_map={None: schema})
    session: Session = sessions(bind=engine)
    return session


@pytest.mark.parametrize("mapped", [mapped_on_the_connection, mapped_on_the_engine])
def test_schemas_that_are_translated_are_told_apart(tenants: sa.Engine, mapped: Any) -> None:
    _, sessions = attached(tenants)

    def names() -> list[Any]:
        found = []
        for schema in ("tenant_a", "tenant_b"):
            with mapped(sessions, schema) as session:
                found.append(session.scalar(NAME, **ON))
        return found

    assert names() == names() == ["tenant_a", "tenant_b"]
    assert name(sessions) == "public"
    with mapped(sessions, "tenant_b") as session:
        session.get(Author, 1).name = "changed"
        session.commit()
    assert names() == ["tenant_a", "changed"]


def test_a_snapshot_that_was_taken_to_read_the_catalogue_is_old(tenants: sa.Engine) -> None:
    """It is before the stamps of the entry: what commits between is in neither."""
    queries, sessions = attached(tenants)
    knowledge = queries.databases.of(tenants).observer.knowledge
    read = knowledge.read

    def read_and_be_late(connection: sa.Connection) -> None:
        read(connection)
        with tenants.begin() as other:
            other.execute(RENAME)

    knowledge.read = read_and_be_late  # type: ignore[method-assign]
    with sessions() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        assert session.scalar(NAME, **ON) == "public"
    knowledge.read = read  # type: ignore[method-assign]
    assert name(sessions) == "Lagerlöf"


def test_search_paths_that_drivers_are_told_are_told_apart(
    postgresql: str, tenants: sa.Engine
) -> None:
    """The address of the two engines is the same."""
    cache, found = Cache(), []
    for schema in ("tenant_a", "tenant_b", "tenant_a"):
        engine = sa.create_engine(postgresql, connect_args={"options": f"-csearch_path={schema}"})
        sessions = sessionmaker(engine)
        QueryCache(cache).attach(sessions)
        found.append(name(sessions))
        engine.dispose()
    assert found == ["tenant_a", "tenant_b", "tenant_a"]
    assert cache.stats().loads == 2
