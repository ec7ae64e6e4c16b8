"""What the structure of a database adds to a write: cached queries fall also by what a statement does not name."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import sessionmaker

from cachewright import Cache
from cachewright.integrations.sqlalchemy import QueryCache
from cachewright.testing import FakeClock

METADATA = sa.MetaData()
PEOPLE = sa.Table(
    "people",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(5), index=True),
)
NAMED = "SELECT id FROM people WHERE name = :name ORDER BY id"


@contextmanager
def database(address: str, ddl: Sequence[str]) -> Iterator[tuple[sa.Engine, Any]]:
    """An engine over these tables, and sessions whose queries are cached. The tables are in schemas of their own names."""
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        for statement in ddl:
            connection.exec_driver_sql(statement)
    sessions = sessionmaker(engine)
    QueryCache(Cache()).attach(sessions)
    try:
        yield engine, sessions
    finally:
        engine.dispose()


def asked(sessions: Any, question: Any) -> list[Any]:
    """The rows of a cached question."""
    with sessions() as session:
        return [tuple(r) for r in session.execute(question, execution_options={"cache": 60})]


def falls(address: str, ddl: Sequence[str], question: Any, write: Any) -> None:
    """A question is cached, a write commits, and the answer is what the database says."""
    with database(address, ddl) as (engine, sessions):
        before = asked(sessions, question)
        with engine.begin() as connection:
            connection.execute(write)
            truth = [tuple(row) for row in connection.execute(question)]
        assert truth != before, "the write changes the answer"
        assert asked(sessions, question) == truth


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The address of an empty database."""
    return f"sqlite:///{tmp_path / 'structures.db'}"


@pytest.fixture
def postgresql_alone(postgresql: str) -> Iterator[str]:
    """The address of a PostgreSQL whose schemas `public`, `archive` and `tenant` are empty before and after."""
    engine = sa.create_engine(postgresql)

    def clear(*schemas: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS public.people, public.parents CASCADE")
            for name in ("archive", "tenant"):
                connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            for name in schemas:
                connection.exec_driver_sql(f"CREATE SCHEMA {name}")

    clear("archive", "tenant")
    yield postgresql
    clear()
    engine.dispose()


GENERATED = (
    (
        "CREATE TABLE people (id integer PRIMARY KEY, name varchar(5),"
        " low varchar(5) GENERATED ALWAYS AS (lower(name)) STORED)"
    ),
    "CREATE INDEX people_low ON people (low)",
    "INSERT INTO people (id, name) VALUES (1, 'Ann')",
)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql_alone"])
def test_a_generated_column_changes_with_those_it_is_made_of(
    request: pytest.FixtureRequest, kind: str
) -> None:
    falls(
        request.getfixturevalue(kind),
        GENERATED,
        sa.text("SELECT id FROM people WHERE low = 'bob'"),
        sa.text("UPDATE people SET name = 'Bob' WHERE id = 1"),
    )


def test_a_collation_that_only_the_database_knows_is_not_taken_for_exact(sqlite: str) -> None:
    ddl = (
        "CREATE TABLE people (id integer PRIMARY KEY, name varchar(5) COLLATE NOCASE)",
        "CREATE INDEX people_name ON people (name)",
    )
    write = PEOPLE.insert().values(id=1, name="ANN")
    falls(sqlite, ddl, sa.select(PEOPLE.c.id).where(PEOPLE.c.name == "ann"), write)


def test_padded_text_is_not_exact_though_it_is_mapped_as_a_string(postgresql_alone: str) -> None:
    ddl = (
        "CREATE TABLE people (id integer PRIMARY KEY, name char(5))",
        "CREATE INDEX people_name ON people (name)",
    )
    with database(postgresql_alone, ddl) as (_, sessions):
        asked(sessions, sa.select(PEOPLE.c.name))  # so that the mapping is known
    falls(
        postgresql_alone,
        ("DROP TABLE people", *ddl),
        sa.select(PEOPLE.c.id).where(PEOPLE.c.name == sa.literal("no", sa.CHAR(5))),
        PEOPLE.insert().values(id=1, name="no "),
    )


@pytest.mark.parametrize("key", ["", " PRIMARY KEY"])
def test_blanks_that_do_not_fit_are_not_stored(postgresql_alone: str, key: str) -> None:
    ddl = (
        f"CREATE TABLE people (id integer, name varchar(2){key})",
        "CREATE INDEX people_name ON people (name)",
    )
    falls(
        postgresql_alone,
        ddl,
        sa.text(NAMED).bindparams(name="no"),
        sa.text("INSERT INTO people (id, name) VALUES (1, :name)").bindparams(name="no "),
    )


@pytest.mark.parametrize(("parent", "child"), [("public", "archive"), ("tenant", "archive"), ("public", "tenant")])  # fmt: skip
def test_a_cascade_crosses_schemas(postgresql_alone: str, parent: str, child: str) -> None:
    ddl = (
        f"CREATE TABLE {parent}.parents (id integer PRIMARY KEY)",
        (
            f"CREATE TABLE {child}.children (id integer PRIMARY KEY,"
            f" parent integer REFERENCES {parent}.parents ON DELETE CASCADE)"
        ),
        f"INSERT INTO {parent}.parents VALUES (1)",
        f"INSERT INTO {child}.children VALUES (1, 1)",
    )
    falls(
        postgresql_alone,
        ddl,
        sa.text(f"SELECT id FROM {child}.children WHERE id = 1"),
        sa.text(f"DELETE FROM {parent}.parents WHERE id = 1"),
    )


def test_a_constraint_that_replaces_removes_rows_that_nobody_names(sqlite: str) -> None:
    ddl = (
        "CREATE TABLE people (id integer PRIMARY KEY, name text UNIQUE ON CONFLICT REPLACE)",
        "INSERT INTO people VALUES (1, 'ann')",
    )
    question = sa.text("SELECT name FROM people WHERE id = 1")
    falls(sqlite, ddl, question, PEOPLE.insert().values(id=2, name="ann"))


def test_a_key_may_have_another_name(sqlite: str) -> None:
    ddl = (
        "CREATE TABLE people (id integer PRIMARY KEY, name text)",
        "INSERT INTO people VALUES (1, 'ann')",
    )
    question = sa.text("SELECT name FROM people WHERE id = 9")
    falls(sqlite, ddl, question, sa.text("UPDATE people SET rowid = 9 WHERE id = 1"))


def test_a_temporary_table_of_select_into_is_in_the_way_of_a_table(postgresql_alone: str) -> None:
    ddl = ("CREATE TABLE people (id integer PRIMARY KEY)", "INSERT INTO people VALUES (1)")
    question = sa.text("SELECT id FROM people")
    with database(postgresql_alone, ddl) as (engine, sessions):
        with engine.connect() as own:
            own.execute(sa.text("SELECT 5 AS id INTO TEMPORARY TABLE people"))
            own.commit()
            with sessions(bind=own) as session:
                found = session.execute(question, execution_options={"cache": 60}).all()
            own.exec_driver_sql("DROP TABLE pg_temp.people")
            own.commit()
        assert found == [(5,)]
        assert asked(sessions, question) == [(1,)]


class Shade(enum.Enum):
    """What the database keeps as text."""

    RED = "red"
    BLUE = "blue"


def test_processes_with_and_without_a_mapping_tell_matches_apart_alike(sqlite: str) -> None:
    metadata = sa.MetaData()
    paints = sa.Table(
        "paints",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("shade", sa.Enum(Shade), index=True),
    )
    plain, mapped = sa.create_engine(sqlite), sa.create_engine(sqlite)
    metadata.create_all(plain)
    cache, sessions = Cache(), [sessionmaker(plain), sessionmaker(mapped)]
    for each in sessions:
        QueryCache(cache).attach(each)
    raw = sa.text("SELECT id FROM paints WHERE shade = 'BLUE'")
    own = sa.select(paints.c.id).where(paints.c.shade == Shade.RED)
    assert asked(sessions[0], raw) == asked(sessions[1], own) == []
    with sessions[1].begin() as session:
        session.execute(paints.insert().values(id=1, shade=Shade.BLUE))
    assert asked(sessions[0], raw) == [(1,)]
    with sessions[0].begin() as session:
        session.execute(sa.text("UPDATE paints SET shade = 'RED' WHERE id = 1"))
    assert (asked(sessions[0], raw), asked(sessions[1], own)) == ([], [(1,)])
    with sessions[1].begin() as session:
        session.execute(paints.update().where(paints.c.id == 1).values(shade=Shade.BLUE))
    assert (asked(sessions[0], raw), asked(sessions[1], own)) == ([(1,)], [])
    plain.dispose()
    mapped.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql_alone"])
def test_a_view_that_another_process_makes_anew_is_noticed_in_time(
    request: pytest.FixtureRequest, kind: str
) -> None:
    clock = FakeClock()
    address = request.getfixturevalue(kind)
    ddl = (
        "CREATE TABLE people (id integer PRIMARY KEY, name varchar(5))",
        "CREATE VIEW anns AS SELECT id FROM people WHERE name = 'ann'",
        "INSERT INTO people VALUES (1, 'ann'), (2, 'bob')",
    )
    question = sa.text("SELECT id FROM anns ORDER BY id")
    other = sa.text("UPDATE others SET name = 'ann' WHERE id = 7")
    elsewhere, here = sa.create_engine(address), sa.create_engine(address)
    with elsewhere.begin() as connection:
        for statement in ddl:
            connection.exec_driver_sql(statement)
    try:
        cache = Cache(clock=clock)
        sessions = sessionmaker(here)
        QueryCache(cache, schema_ttl=20).attach(sessions)
        assert asked(sessions, question) == [(1,)]
        with elsewhere.begin() as connection:
            connection.exec_driver_sql("DROP VIEW anns")
            connection.exec_driver_sql(
                "CREATE TABLE others (id integer PRIMARY KEY, name varchar(5))"
            )
            connection.exec_driver_sql("INSERT INTO others VALUES (7, 'cid')")
            connection.exec_driver_sql(
                "CREATE VIEW anns AS SELECT id FROM others WHERE name = 'ann'"
            )
        assert asked(sessions, question) == [(1,)], "nobody has told it"
        clock.advance(20)
        assert asked(sessions, question) == []
        with sessions.begin() as session:
            session.execute(other)
        assert asked(sessions, question) == [(7,)]
    finally:
        with elsewhere.begin() as connection:
            connection.exec_driver_sql("DROP VIEW anns")
            connection.exec_driver_sql("DROP TABLE others")
        elsewhere.dispose()
        here.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql_alone"])
def test_two_processes_agree_on_a_cascade_that_one_of_them_made(
    request: pytest.FixtureRequest, kind: str
) -> None:
    clock = FakeClock()
    engines = [sa.create_engine(request.getfixturevalue(kind)) for _ in range(2)]
    cache, sessions = Cache(clock=clock), [sessionmaker(each) for each in engines]
    if kind == "sqlite":
        for each in engines:
            sa.event.listen(each, "connect", lambda own, _: own.execute("PRAGMA foreign_keys = ON"))
    child = "CREATE TABLE people (id integer PRIMARY KEY, parent integer{})"
    cascade = " REFERENCES parents (id) ON DELETE CASCADE"
    with engines[0].begin() as connection:
        connection.exec_driver_sql("CREATE TABLE parents (id integer PRIMARY KEY)")
        connection.exec_driver_sql(child.format(""))
    for each in sessions:
        QueryCache(cache, schema_ttl=20).attach(each)
    question = sa.text("SELECT id FROM people WHERE id = 1")
    try:
        assert [asked(each, question) for each in sessions] == [[], []]
        with sessions[1].begin() as session:  # the other process knows both tables
            session.execute(sa.text("DELETE FROM parents WHERE id = 5"))
        with sessions[0].begin() as session:
            session.execute(sa.text("DROP TABLE people"))
            session.execute(sa.text(child.format(cascade)))
            session.execute(sa.text("INSERT INTO parents VALUES (1)"))
            session.execute(sa.text("INSERT INTO people VALUES (1, 1)"))
        clock.advance(20)
        assert asked(sessions[0], question) == [(1,)]
        with sessions[1].begin() as session:
            session.execute(sa.text("DELETE FROM parents WHERE id = 1"))
        assert [asked(each, question) for each in sessions] == [[], []]
    finally:
        for engine in engines:
            engine.dispose()


def test_what_is_asked_again_and_is_the_same_leaves_the_results(sqlite: str) -> None:
    clock, told = FakeClock(), []
    engine = sa.create_engine(sqlite)
    METADATA.create_all(engine)
    cache = Cache(clock=clock, listeners=[told.append])
    sessions = sessionmaker(engine)
    QueryCache(cache, schema_ttl=60).attach(sessions)
    question = sa.text(NAMED).bindparams(name="ann")
    for _ in range(3):
        assert asked(sessions, question) == []
        asked(sessions, sa.select(PEOPLE.c.id))  # its mapping is known from now on
        clock.advance(19)
    clock.advance(3)
    with sessions() as session:
        session.execute(question, execution_options={"cache": 600})
    loads = sum(event.kind == "load" for event in told)
    engine.dispose()
    assert loads == 3, "the two, and the one that had expired"
