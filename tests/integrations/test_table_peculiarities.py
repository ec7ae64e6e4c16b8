"""What some tables do that most do not: triggers afterwards, ids that only the database gives, versions that move themselves."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from integrations.shop import Article, Leg, Shown
from integrations.stores import Store, now

from cachewright import ABSENT
from cachewright.errors import ConfigurationError
from cachewright.patterns.sources import Change, Conflict, Position, Unsavable

only_postgresql = pytest.mark.parametrize(
    "store",
    ["postgresql-threads", "postgresql-asyncio", "postgresql-asyncpg"],
    indirect=True,
)


async def made(store: Store, table: sa.Table, *statements: str) -> None:
    """Make a table of the test's own; `clear` in the fixture knows it not, so it is dropped first."""

    def work(connection: sa.Connection) -> None:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)

    await store.run(work)


@only_postgresql
async def test_reread_shows_what_a_trigger_did_after_the_write_which_returning_does_not(
    store: Store,
) -> None:
    table = sa.Table(
        "late",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer),
    )
    await made(
        store,
        table,
        """CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN UPDATE late SET n = 7 WHERE id = NEW.id; RETURN NULL; END $$""",
        "CREATE TRIGGER late AFTER INSERT ON late FOR EACH ROW EXECUTE FUNCTION late()",
    )
    assert await now(store.source(table, reread=True).save({"id": 1, "n": 1})) == {"id": 1, "n": 7}
    assert await now(store.source(table).save({"id": 2, "n": 1})) == {"id": 2, "n": 1}


@only_postgresql
async def test_a_row_that_a_trigger_refuses_is_not_taken_for_stored(store: Store) -> None:
    table = sa.Table("refusing", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    await made(
        store,
        table,
        """CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$""",
        "CREATE TRIGGER refuse BEFORE INSERT ON refusing FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(Unsavable):
        await now(store.source(table).save_many([{"id": 1}, {"id": 2}]))
    assert await store.sql("SELECT id FROM refusing") == []


@only_postgresql
async def test_where_only_the_database_gives_ids_rows_are_inserted_without_and_updated_with(
    store: Store,
) -> None:
    table = sa.Table(
        "numbered",
        sa.MetaData(),
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("label", sa.String),
    )
    await made(store, table)
    source = store.source(table)
    stored = await now(source.save({"label": "a"}))
    assert await now(source.save({**stored, "label": "b"})) == {"id": 1, "label": "b"}
    with pytest.raises(Unsavable):
        await now(source.save({"id": 99, "label": "mine"}))


async def test_computed_columns_are_read_and_never_written(store: Store) -> None:
    table = sa.Table(
        "boxes",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("side", sa.Integer),
        sa.Column("area", sa.Integer, sa.Computed("side * side", persisted=True)),
    )
    await made(store, table)
    source = store.source(table)
    stored = await now(source.save({"id": 1, "side": 3}))
    assert stored == {"id": 1, "side": 3, "area": 9}
    assert (await now(source.save({**stored, "side": 4})))["area"] == 16


async def test_a_version_that_an_update_moves_by_itself_is_left_to_it(store: Store) -> None:
    table = sa.Table(
        "stamped",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("label", sa.String(20)),
        sa.Column("mark", sa.String(20), default="first", onupdate="moved"),
    )
    await made(store, table)
    source = store.source(table, version="mark")
    read = await now(source.save({"id": 1, "label": "a"}))
    assert read["mark"] == "first"
    mine = await now(source.save({**read, "label": "mine"}, expected="first"))
    assert mine["mark"] == "moved"
    with pytest.raises(Conflict):
        await now(source.save({**read, "label": "late"}, expected="first"))
    assert (await now(source.save(read)))["mark"] == "moved"


async def test_comparing_needs_a_version(store: Store) -> None:
    source = store.source(Article, into=Shown)
    with pytest.raises(ConfigurationError):
        await now(source.save(Shown(1, "a"), expected=1))
    await now(source.save(Shown(1, "a"), expected=ABSENT))
    with pytest.raises(Conflict):
        await now(source.save(Shown(1, "b"), expected=ABSENT))


async def test_defect_21_of_a_value_handed_in_only_the_allow_list_may_be_cached(
    store: Store,
) -> None:
    given = {"id": 1, "label": "Tea", "password": "secret"}
    assert store.source(Article, into=dict, columns=["label"]).allowed(given) == {
        "id": 1,
        "label": "Tea",
    }
    assert store.source(Article, into=dict).allowed(given) is given
    kept = store.source(Article, columns=["label"]).allowed(Article(**given))
    assert "password" not in sa.inspect(kept).dict


async def test_a_put_may_be_a_dataclass_or_an_instance(store: Store) -> None:
    source = store.source(Article, into=dict)
    await now(source.create_tables())
    values: list[Any] = [Shown(1, "A"), Article(id=2, label="B")]
    batch = [Change(n, "put", value) for n, value in enumerate(values, 1)]
    assert await now(source.apply(batch, Position("q", 0, "1-0"))) is True
    assert await store.sql("SELECT id, slug FROM article ORDER BY id") == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("reread", [True, False])
async def test_rows_that_are_read_again_are_those_that_returning_shows(
    store: Store, reread: bool
) -> None:
    if not reread and store.dialect == "sqlite":
        reread = True  # its triggers come too late for RETURNING
    source = store.source(Article, into=dict, reread=reread)
    one, two = await now(source.save_many([{"id": n, "label": f"T{n}"} for n in (101, 102)]))
    assert (one["slug"], two["slug"]) == ("t101", "t102")
    assert (await now(source.save({"id": 101, "label": "NEW"})))["slug"] == "new"
    assert (await now(source.patch(102, {"label": "NEWER"})))["slug"] == "newer"
    assert (await now(source.save({"label": "LAST"})))["slug"] == "last"


async def test_every_plain_type_comes_back_as_it_was_also_null(store: Store) -> None:
    """On PostgreSQL such rows travel as one array a column."""
    table = sa.Table(
        "kinds",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("text", sa.String(20)),
        sa.Column("large", sa.BigInteger),
        sa.Column("money", sa.Numeric(10, 2)),
        sa.Column("real", sa.Double),
        sa.Column("flag", sa.Boolean),
        sa.Column("day", sa.Date),
        sa.Column("moment", sa.DateTime),
        sa.Column("which", sa.Uuid),
        sa.Column("raw", sa.LargeBinary),
    )
    await made(store, table)
    source = store.source(table)
    filled = {
        "id": 2,
        "text": 'a "b", {c} \\ é',
        "large": 2**40,
        "money": Decimal("1.25"),
        "real": 0.1,
        "flag": True,
        "day": date(2026, 1, 2),
        "moment": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - the column has no zone
        "which": UUID(int=7),
        "raw": b"\x00\xff",
    }
    empty = dict.fromkeys(filled, None) | {"id": 1}
    for rows in ([filled, empty], [empty], [filled], [empty | {"id": 2}, filled | {"id": 1}]):
        with store.statements() as sent:
            assert await now(source.save_many(rows)) == rows
        assert len(sent) <= 2
    assert await now(source.load_many([1, 2])) == {1: filled | {"id": 1}, 2: empty | {"id": 2}}


async def test_text_that_is_too_long_is_refused_and_not_cut(store: Store) -> None:
    if store.dialect == "sqlite":
        pytest.skip("SQLite knows no lengths")
    source = store.source(Leg, into=dict)
    with pytest.raises(sa.exc.DBAPIError):
        await now(source.save({"flight": "x" * 21, "day": date(2026, 1, 1), "seats": 1}))
