"""What the structure of a database adds to a write: queries of Django fall also by what a statement does not name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from django.db import connection, models
from sqlalchemy.orm import sessionmaker

from cachewright import Cache
from cachewright.integrations.django import CachedManager, QueryCache
from cachewright.integrations.sqlalchemy import QueryCache as ForSessions


class Person(models.Model):
    """As far as the application knows it; the tests make its table."""

    name = models.CharField(max_length=5, db_index=True)

    objects = CachedManager()

    class Meta:
        """Made by hand."""

        app_label = "library"
        managed = False
        db_table = "structures_people"


class Lowered(models.Model):
    """The same with a column that the database computes."""

    name = models.CharField(max_length=5)
    low = models.GeneratedField(
        expression=models.functions.Lower("name"),
        output_field=models.CharField(max_length=5, db_index=True),
        db_persist=True,
    )

    objects = CachedManager()

    class Meta:
        """Made by hand."""

        app_label = "library"
        managed = False
        db_table = "structures_lowered"


class Tag(models.Model):
    """A text is its key."""

    name = models.CharField(max_length=2, primary_key=True)

    objects = CachedManager()

    class Meta:
        """Made by hand."""

        app_label = "library"
        managed = False
        db_table = "structures_tags"


class Child(models.Model):
    """Goes with its parent, in another schema, by the database's own hand."""

    parent = models.IntegerField()

    objects = CachedManager()

    class Meta:
        """Made by hand."""

        app_label = "library"
        managed = False
        db_table = "structures_children"


PEOPLE = "CREATE TABLE structures_people (id integer PRIMARY KEY, name {})"
INDEX = "CREATE INDEX structures_people_name ON structures_people (name)"


def run(*statements: str) -> None:
    """Statements that nobody sees."""
    with connection.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


@pytest.fixture
def structures(library: Any) -> Iterator[str]:
    """The kind of an empty database, in which the tables of a test are dropped after it."""
    yield str(connection.vendor)
    cascade = " CASCADE" if connection.vendor == "postgresql" else ""
    for model in (Child, Person, Lowered, Tag, Coded):
        name = model._meta.db_table
        run(f"DROP TABLE IF EXISTS {name}{cascade}")
    if cascade:
        run("DROP SCHEMA IF EXISTS archive CASCADE")


@contextmanager
def cached(ddl: Sequence[str], *exact: str) -> Iterator[QueryCache]:
    """Queries over these tables."""
    run(*ddl)
    with Cache() as cache, QueryCache(cache, exact=exact) as queries:
        yield queries


def falls(question: Any, write: Callable[[], object]) -> None:
    """A question is cached, a write is done, and the answer is what the database says."""
    before = list(question.cached(60))
    assert list(question.all().cached(60)) == before
    write()
    truth = list(question.all().uncached())
    assert truth != before, "the write changes the answer"
    assert list(question.all().cached(60)) == truth


EXACT = ("library.Person", "library.Lowered")


LOWERED = (
    (
        "CREATE TABLE structures_lowered (id integer PRIMARY KEY, name varchar(5),"
        " low varchar(5) GENERATED ALWAYS AS (lower(name)) STORED)"
    ),
    "CREATE INDEX structures_lowered_low ON structures_lowered (low)",
    "INSERT INTO structures_lowered (id, name) VALUES (1, 'Ann')",
)


@pytest.mark.parametrize("exact", [(), EXACT])
def test_a_generated_column_changes_with_those_it_is_made_of(
    structures: str, exact: Sequence[str]
) -> None:
    with cached(LOWERED, *exact):
        people, one = Lowered.objects.values_list("pk").order_by("pk"), Lowered.objects.filter(pk=1)
        falls(people.filter(low="bob"), lambda: one.update(name="Bob"))
        falls(people.filter(low="bob"), lambda: one.update(name="Cid"))
        falls(people.filter(low="dan"), lambda: Lowered(pk=1, name="Dan").save())
        falls(people.filter(low="eve"), lambda: Lowered.objects.create(pk=2, name="Eve"))


def test_a_constraint_that_replaces_removes_rows_that_nobody_names(structures: str) -> None:
    if structures != "sqlite":
        pytest.skip("only SQLite has such constraints")
    for write in (
        lambda: Person.objects.create(pk=2, name="ann"),
        lambda: Person(name="ann").save(),
        lambda: Person.objects.bulk_create([Person(name="ann")]),
        lambda: Person.objects.filter(pk=9).update(name="ann"),
    ):
        run("DROP TABLE IF EXISTS structures_people")
        rows = "INSERT INTO structures_people VALUES (1, 'ann'), (9, 'bob')"
        with cached([PEOPLE.format("text UNIQUE ON CONFLICT REPLACE"), rows], *EXACT):
            falls(Person.objects.filter(pk=1), write)


def test_a_collation_that_only_the_database_knows_is_not_taken_for_exact(structures: str) -> None:
    if structures != "sqlite":
        pytest.skip("needs a build of PostgreSQL with ICU")
    with cached([PEOPLE.format("varchar(5) COLLATE NOCASE"), INDEX], *EXACT):
        falls(Person.objects.filter(name="ann"), lambda: Person.objects.create(pk=1, name="ANN"))
        falls(
            Person.objects.filter(name="bob"),
            lambda: Person.objects.filter(pk=1).update(name="BOB"),
        )


def test_padded_text_is_not_exact_though_the_model_calls_it_a_string(structures: str) -> None:
    if structures != "postgresql":
        pytest.skip("SQLite pads nothing")
    with cached([PEOPLE.format("char(5)"), INDEX], *EXACT):
        falls(
            Person.objects.filter(name="no"),
            lambda: Person.objects.create(pk=1, name="no "),
        )


def test_blanks_that_do_not_fit_are_not_stored(structures: str) -> None:
    if structures != "postgresql":
        pytest.skip("SQLite keeps them")
    with cached([PEOPLE.format("varchar(2)"), INDEX], *EXACT):
        falls(Person.objects.filter(name="no"), lambda: Person.objects.create(pk=1, name="no "))


@pytest.mark.parametrize("bulk", [False, True])
def test_blanks_of_a_key_that_do_not_fit_are_not_stored(structures: str, bulk: bool) -> None:
    if structures != "postgresql":
        pytest.skip("SQLite keeps them")
    with cached(["CREATE TABLE structures_tags (name varchar(2) PRIMARY KEY)"]):
        write = (
            (lambda: Tag.objects.bulk_create([Tag(name="no ")]))
            if bulk
            else lambda: Tag(name="no ").save(force_insert=True)
        )
        falls(Tag.objects.filter(pk="no"), write)


@pytest.mark.parametrize("path", ["public, archive", "archive, public"])
def test_a_cascade_crosses_schemas(structures: str, path: str) -> None:
    if structures != "postgresql":
        pytest.skip("SQLite has no schemas")
    ddl = (
        "CREATE SCHEMA archive",
        f"SET search_path TO {path}",
        "CREATE TABLE public.structures_people (id integer PRIMARY KEY, name text)",
        (
            "CREATE TABLE archive.structures_children (id integer PRIMARY KEY,"
            " parent integer REFERENCES public.structures_people ON DELETE CASCADE)"
        ),
        "INSERT INTO public.structures_people VALUES (1, 'ann')",
        "INSERT INTO archive.structures_children VALUES (1, 1)",
    )
    try:
        with cached(ddl, *EXACT):
            children = Child.objects.filter(pk=1)
            falls(children, lambda: Person.objects.filter(pk=1)._raw_delete("default"))
    finally:
        run("SET search_path TO DEFAULT")


class Coded(models.Model):
    """The model alone knows what its text means."""

    code = models.UUIDField(unique=True)
    day = models.DateField()

    objects = CachedManager()

    class Meta:
        """Made by hand."""

        app_label = "library"
        managed = False
        db_table = "structures_coded"


ONE, OTHER = UUID(int=1), UUID(int=2)
CODED = (
    "CREATE TABLE structures_coded (id integer PRIMARY KEY, code {}, day date)",
    "CREATE UNIQUE INDEX structures_coded_code ON structures_coded (code)",
    "CREATE INDEX structures_coded_day ON structures_coded (day)",
)


@pytest.fixture
def engine(structures: str) -> Iterator[sa.Engine]:
    """SQLAlchemy's connections to the same database."""
    own = connection.settings_dict
    address = f"sqlite:///{own['NAME']}"
    if structures == "postgresql":
        about = {"host": own["HOST"], "port": own["PORT"]} if own["PORT"] else {"host": own["HOST"]}
        query = {name: value for name, value in about.items() if value}
        url = sa.URL.create(
            "postgresql+psycopg",
            own["USER"],
            own["PASSWORD"] or None,
            database=own["NAME"],
            query=query,
        )
    made = sa.create_engine(address if structures == "sqlite" else url)
    yield made
    made.dispose()


@contextmanager
def two_doors(engine: sa.Engine, *ddl: str) -> Iterator[Any]:
    """One cache for queries of Django and of SQLAlchemy's sessions, which have no model of the tables."""
    run(*ddl)
    sessions = sessionmaker(engine)
    with Cache() as cache, QueryCache(cache, exact=["library.Coded", "library.Person"]):
        ForSessions(cache).attach(sessions)
        yield sessions


def through(sessions: Any, write: str) -> Callable[[], None]:
    """A write by the other door, which reads the images of its rows."""

    def done() -> None:
        with sessions.begin() as session:
            session.execute(sa.text(write))

    return done


def test_the_other_door_knows_no_uuids_where_the_database_has_none(
    structures: str, engine: sa.Engine
) -> None:
    native = structures == "postgresql"
    kind, one, other = ("uuid", ONE, OTHER) if native else ("char(32)", ONE.hex, OTHER.hex)
    create, *rest = CODED
    with two_doors(engine, create.format(kind), *rest) as sessions:
        coded = Coded.objects.values_list("pk")
        insert = f"INSERT INTO structures_coded VALUES (1, '{one}', '2020-01-01')"
        falls(coded.filter(code=ONE), through(sessions, insert))
        update = f"UPDATE structures_coded SET code = '{other}' WHERE id = 1"
        falls(coded.filter(code=OTHER), through(sessions, update))


def test_dates_are_dates_at_both_doors(structures: str, engine: sa.Engine) -> None:
    create, *rest = CODED
    with two_doors(
        engine, create.format("uuid" if structures == "postgresql" else "char(32)"), *rest
    ) as sessions:
        question = sa.text("SELECT id FROM structures_coded WHERE day = '2020-02-02'")

        def asked() -> list[Any]:
            with sessions() as session:
                return [
                    tuple(row) for row in session.execute(question, execution_options={"cache": 60})
                ]

        assert asked() == []
        Coded.objects.create(pk=1, code=ONE, day=date(2020, 1, 1))
        Coded.objects.filter(pk=1).update(day=date(2020, 2, 2))
        assert asked() == [(1,)]
        falls(
            Coded.objects.values_list("pk").filter(day=date(2020, 3, 3)),
            through(sessions, "UPDATE structures_coded SET day = '2020-03-03' WHERE id = 1"),
        )


def test_the_other_door_does_not_compute_what_the_database_computes(
    structures: str, engine: sa.Engine
) -> None:
    with two_doors(engine, *LOWERED) as sessions:
        write = through(sessions, "UPDATE structures_lowered SET name = 'Bob' WHERE id = 1")
        falls(Lowered.objects.values_list("pk").filter(low="bob"), write)
        insert = "INSERT INTO structures_lowered (id, name) VALUES (2, 'Eve')"
        falls(Lowered.objects.values_list("pk").filter(low="eve"), through(sessions, insert))
