"""Raw SQL through the cache: on PostgreSQL and SQLite, for threads and asyncio."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from integrations.raw import Raw
from integrations.stores import now

from cachewright import ConfigurationError

pytest.importorskip("sqlglot")

BY_ID = "SELECT email, visits FROM users WHERE id = ?"


@pytest.fixture(
    params=[
        pytest.param(
            (dialect, asynchronous), id=f"{dialect}-{'asyncio' if asynchronous else 'threads'}"
        )
        for dialect in ("sqlite", "postgresql", "mariadb")
        for asynchronous in (False, True)
    ]
)
async def raw(request: pytest.FixtureRequest) -> AsyncIterator[Raw]:
    """A database with a few users, seen from each world."""
    dialect, asynchronous = request.param
    if dialect == "sqlite":
        address = str(request.getfixturevalue("tmp_path") / "raw.db")
    elif dialect == "mariadb":
        address = request.getfixturevalue("mariadb")
    else:
        address = request.getfixturevalue("postgresql").replace("+psycopg", "")
    found = Raw(address, dialect=dialect, asynchronous=asynchronous)
    await found.build()
    try:
        yield found
    finally:
        await found.close()


async def test_a_query_is_read_once(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    assert await raw.query(BY_ID, [1], here) == [("ann", 0)]
    assert await raw.query(BY_ID, [1], there) == [("ann", 0)]
    assert (raw.loads, raw.uncached) == (1, [])


async def test_a_result_knows_its_columns_and_cannot_be_changed(raw: Raw) -> None:
    found = await now(
        raw.queries.cached_query(
            "SELECT id, email FROM users ORDER BY id", None, await raw.connect()
        )
    )
    assert found.columns == ("id", "email")
    assert (len(found), found[0], found[-1:], found.scalar()) == (2, (1, "ann"), [(2, "bob")], 1)
    assert found.mappings()[1] == {"id": 2, "email": "bob"}
    assert not hasattr(found, "append")
    with pytest.raises(TypeError):
        hash(found)


async def test_nobody_changes_what_others_get(raw: Raw) -> None:
    if raw.dialect != "postgresql":
        pytest.skip("its driver gives out nothing that could be changed")
    connection = await raw.connect(autocommit=True)
    sql = """SELECT id, '{"a": [1]}'::jsonb AS doc, ARRAY[id] AS list FROM users ORDER BY id"""

    async def asked() -> Any:
        return await now(raw.queries.cached_query(sql, None, connection))

    for _ in range(2):
        found = await asked()
        found[0][1]["a"].append(2)
        found[:1][0][2].append(3)
        found.mappings()[0]["doc"].clear()
        for row in found:
            row[2].clear()
        (
            await now(raw.queries.cached_query("SELECT ARRAY[id] FROM users", None, connection))
        ).scalar().append(9)
        assert found == await asked() == [(1, {"a": [1]}, [1]), (2, {"a": [1]}, [2])]
    assert (await now(raw.queries.cached_query("SELECT ARRAY[id] FROM users", None, connection)))[
        0
    ] == ([1],)
    assert (raw.loads, raw.uncached) == (2, [])


async def test_a_commit_ends_what_was_read_and_spares_other_rows(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    for each in (1, 2):
        await raw.query(BY_ID, [each], there)
    async with raw.writing(here) as unit:
        await now(unit.execute(raw.spelled("UPDATE users SET visits = 9 WHERE id = ?"), [1]))
        assert await raw.query(BY_ID, [1], there) == [("ann", 0)]
    assert await raw.query(BY_ID, [1], there) == [("ann", 9)]
    assert await raw.query(BY_ID, [2], there) == [("bob", 20)]
    assert raw.loads == 3


async def test_a_row_that_a_transaction_names_by_hand_moves_its_table(raw: Raw) -> None:
    """Which may stand for it, in an entry with too many tags."""
    connection = await raw.connect()
    await now(raw.cache.set("page", 1, tags=["table:flights"]))
    await now(raw.cache.set("other", 1, tags=["table:airports"]))
    async with raw.writing(connection) as unit:
        await now(unit.execute("UPDATE users SET visits = 9 WHERE id = 1"))
        unit.also("row:flights:3")
    assert await now(raw.cache.get("page", default="gone")) == "gone"
    assert await now(raw.cache.get("other")) == 1


async def delete_all_and_fail(raw: Raw, connection: Any) -> None:
    """A transaction that is rolled back."""
    async with raw.writing(connection) as unit:
        await now(unit.execute("DELETE FROM orders"))
        await now(unit.execute("DELETE FROM users"))
        raise RuntimeError("no")


async def test_nothing_ends_at_a_rollback(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    await raw.query(BY_ID, [1], there)
    with pytest.raises(RuntimeError, match="no"):
        await delete_all_and_fail(raw, here)
    assert await raw.query(BY_ID, [1], there) == [("ann", 0)]
    assert raw.loads == 1


async def test_a_transaction_that_has_written_reads_around_the_cache(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    await raw.query(BY_ID, [1], there)
    await raw.execute("UPDATE users SET visits = 9 WHERE id = 1", None, here)
    assert await raw.query(BY_ID, [1], here) == [("ann", 9)]
    assert await raw.query(BY_ID, [1], there) == [("ann", 0)]
    await now(raw.queries.commit(here))
    assert await raw.query(BY_ID, [1], here) == [("ann", 9)]
    assert await raw.query(BY_ID, [1], there) == [("ann", 9)]


async def test_a_write_behind_the_door_is_not_cached_before_its_commit(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    await raw.query("SELECT count(*) FROM users", None, there)
    await raw.plain(here, "UPDATE users SET visits = 9 WHERE id = 1")
    assert await raw.query(BY_ID, [1], here) == [("ann", 9)]
    assert await raw.query(BY_ID, [1], there) == [("ann", 0)]


async def test_statements_that_commit_themselves_are_marked_around(raw: Raw) -> None:
    there = await raw.connect(autocommit=True)
    await raw.query(BY_ID, [1], there)
    await raw.execute("UPDATE users SET visits = 9 WHERE id = ?", [1], there)
    assert await raw.query(BY_ID, [1], there) == [("ann", 9)]


async def test_a_transaction_may_begin_and_end_as_sql(raw: Raw) -> None:
    there = await raw.connect(autocommit=True)
    await raw.query(BY_ID, [1], there)
    await raw.execute("BEGIN", None, there)
    await raw.execute("UPDATE users SET visits = 8 WHERE id = 1", None, there)
    await raw.execute("ROLLBACK", None, there)
    assert await raw.query(BY_ID, [1], there) == [("ann", 0)]
    assert raw.loads == 1
    for text in (
        "BEGIN",
        "UPDATE users SET visits = 9 WHERE id = 1",
        "SAVEPOINT s",
        "ROLLBACK TO s",
        "COMMIT",
    ):
        await raw.execute(text, None, there)
    assert await raw.query(BY_ID, [1], there) == [("ann", 9)]


async def test_many_rows_are_written_at_once(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    for each in (1, 2):
        await raw.query(BY_ID, [each], there)
    async with raw.writing(here) as unit:
        await now(
            unit.executemany(
                raw.spelled("UPDATE users SET visits = ? WHERE id = ?"), [[4, 1], [5, 2]]
            )
        )
    assert [await raw.query(BY_ID, [each], there) for each in (1, 2)] == [
        [("ann", 4)],
        [("bob", 5)],
    ]


async def test_a_cascade_ends_the_rows_that_it_deletes(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    if raw.dialect == "sqlite":
        await raw.plain(here, "PRAGMA foreign_keys = ON")
    assert await raw.query("SELECT total FROM orders WHERE id = ?", [1], there) == [(5,)]
    async with raw.writing(here) as unit:
        await now(unit.execute(raw.spelled("DELETE FROM users WHERE id = ?"), [1]))
    assert await raw.query("SELECT total FROM orders WHERE id = ?", [1], there) == []


async def test_a_view_is_made_of_its_tables(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    assert await raw.query("SELECT email FROM busy", None, there) == [("bob",)]
    async with raw.writing(here) as unit:
        await now(unit.execute("UPDATE users SET visits = 11 WHERE id = 1"))
    assert sorted(await raw.query("SELECT email FROM busy", None, there)) == [("ann",), ("bob",)]


async def test_changed_tables_are_known_at_once(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    assert await raw.query("SELECT email FROM busy", None, there) == [("bob",)]
    async with raw.writing(here) as unit:
        await now(unit.execute("DROP VIEW busy"))
        await now(unit.execute("CREATE VIEW busy AS SELECT note AS email FROM audits"))
    assert await raw.query("SELECT email FROM busy", None, there) == []
    async with raw.writing(here) as unit:
        await now(unit.execute("INSERT INTO audits VALUES (1, 'new')"))
    assert await raw.query("SELECT email FROM busy", None, there) == [("new",)]


NOTING = "INSERT INTO audits SELECT count(*) + 1, 'changed' FROM audits"
TRIGGER = {
    "sqlite": [f"CREATE TRIGGER t AFTER UPDATE ON users BEGIN {NOTING}; END"],
    "mariadb": [
        "CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW INSERT INTO audits VALUES (1, 'changed')"
    ],
    "postgresql": [
        f"CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {NOTING}; RETURN NEW; END $$",
        "CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION noting()",
    ],
}


async def test_what_a_trigger_writes_is_known_or_everything_is_in_doubt(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    for text in TRIGGER[raw.dialect]:
        await raw.plain(here, text)
    await now(here.commit())
    assert await raw.query("SELECT count(*) FROM audits", None, there) == [(0,)]
    async with raw.writing(here) as unit:
        await now(unit.execute("UPDATE users SET visits = 1 WHERE id = 1"))
    assert await raw.query("SELECT count(*) FROM audits", None, there) == [(1,)]
    everything = [event for event in raw.told if event.kind == "everything_invalidated"]
    assert bool(everything) == (raw.dialect != "sqlite")


async def test_declared_triggers_keep_everything_else(raw: Raw) -> None:
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    for text in TRIGGER[raw.dialect]:
        await raw.plain(here, text)
    await now(here.commit())
    raw.queries = raw.door(triggers={"users": ["audits"]})
    await raw.query("SELECT count(*) FROM audits", None, there)
    await raw.query("SELECT total FROM orders", None, there)
    async with raw.writing(here) as unit:
        await now(unit.execute("UPDATE users SET visits = 1 WHERE id = 1"))
    assert await raw.query("SELECT count(*) FROM audits", None, there) == [(1,)]
    await raw.query("SELECT total FROM orders", None, there)
    assert raw.loads == 3


OLD_SNAPSHOT = {
    "mariadb": ("START TRANSACTION WITH CONSISTENT SNAPSHOT",),
    "sqlite": ("PRAGMA journal_mode = WAL", "BEGIN"),
    "postgresql": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",),
}


async def read_in_an_old_snapshot(raw: Raw) -> list[Any]:
    """What another reads after one in an old snapshot has read the same."""
    here, there = await raw.connect(), await raw.connect(autocommit=True)
    for text in (*OLD_SNAPSHOT[raw.dialect], "SELECT count(*) FROM audits"):
        await raw.plain(here, text)
    await raw.execute("UPDATE users SET visits = 9 WHERE id = 1", None, there)
    assert await raw.query(BY_ID, [1], here) == [("ann", 0)]
    return await raw.query(BY_ID, [1], there)


async def test_an_old_snapshot_fills_nothing(raw: Raw) -> None:
    assert await read_in_an_old_snapshot(raw) == [("ann", 9)]
    assert raw.uncached


async def test_an_old_snapshot_that_filled_would_be_seen(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the question whether it may fill, and without knowing transactions, the old value stays."""
    rooms = "_async" if raw.asynchronous else "_sync"
    module = importlib.import_module(f"cachewright.integrations.dbapi.{rooms}.queries")

    async def later(*_: Any) -> bool:
        return True

    monkeypatch.setattr(
        module.connections, "may_fill", later if raw.asynchronous else lambda *_: True
    )
    monkeypatch.setattr(module.drivers, "in_transaction", lambda _: False)
    assert await read_in_an_old_snapshot(raw) == [("ann", 0)]


async def test_temporary_tables_and_settings_keep_a_session_away(raw: Raw) -> None:
    there = await raw.connect(autocommit=True)
    other = await raw.connect(autocommit=True)
    assert await raw.query("SELECT count(*) FROM audits", None, other) == [(0,)]
    await raw.execute("CREATE TEMPORARY TABLE audits (id integer)", None, there)
    await raw.plain(there, "INSERT INTO audits VALUES (1)")
    assert await raw.query("SELECT count(*) FROM audits", None, there) == [(1,)]
    assert await raw.query("SELECT count(*) FROM audits", None, other) == [(0,)]
    assert "the session has temporary tables" in raw.uncached


async def test_parameters_of_other_types_are_other_queries(raw: Raw) -> None:
    if raw.dialect != "sqlite":
        pytest.skip("asks SQLite what a parameter is")
    there = await raw.connect(autocommit=True)
    sql = "SELECT typeof(?)"
    assert await raw.query(sql, [1], there) == [("integer",)]
    assert await raw.query(sql, ["1"], there) == [("text",)]
    assert await raw.query(sql, [1.0], there) == [("real",)]
    assert await raw.query(sql, [True], there) == [("integer",)]
    assert raw.loads == 4


async def test_comments_and_blanks_make_no_other_query(raw: Raw) -> None:
    there = await raw.connect(autocommit=True)
    await raw.query("SELECT email FROM users WHERE id = ?", [1], there)
    await raw.query("SELECT email  -- the name\n FROM users /* all */ WHERE id = ?", [1], there)
    assert raw.loads == 1


async def test_what_is_too_large_is_returned_and_not_kept(raw: Raw) -> None:
    raw.queries = raw.door(max_rows=1)
    there = await raw.connect(autocommit=True)
    for _ in range(2):
        assert len(await raw.query("SELECT id FROM users", None, there)) == 2
    assert raw.loads == 2


async def test_a_query_that_writes_is_taken_for_what_it_is(raw: Raw) -> None:
    if raw.dialect == "mariadb":
        pytest.skip("UPDATE gives nothing back")
    there = await raw.connect(autocommit=True)
    await raw.query(BY_ID, [1], there)
    changing = "UPDATE users SET visits = 3 WHERE id = 1 RETURNING visits"
    assert await raw.query(changing, None, there) == [(3,)]
    assert await raw.query(BY_ID, [1], there) == [("ann", 3)]
    assert raw.uncached == ["it writes"]


async def test_what_the_driver_raises_reaches_the_caller(raw: Raw) -> None:
    there = await raw.connect(autocommit=True)
    with pytest.raises(Exception, match="nowhere"):
        await raw.query("SELECT nowhere FROM users", None, there)


async def test_a_database_in_memory_needs_a_name() -> None:
    found = Raw(":memory:", dialect="sqlite", asynchronous=False)
    connection = await found.connect()
    with pytest.raises(ConfigurationError, match="database="):
        await found.query("SELECT 1", None, connection)
    found.queries = found.door(database="shop")
    assert await found.query("SELECT 1", None, connection) == [(1,)]
    await found.close()


async def test_an_unknown_driver_is_refused() -> None:
    found = Raw(":memory:", dialect="sqlite", asynchronous=False)
    with pytest.raises(ConfigurationError, match="not known"):
        await found.query("SELECT 1", None, object())
    with pytest.raises(ConfigurationError, match="give the connection"):
        await found.query("SELECT 1")
    await found.close()


async def test_a_constraint_of_sqlite_that_replaces_removes_rows_and_what_hangs_on_them(
    tmp_path: Any,
) -> None:
    raw = Raw(str(tmp_path / "replacing.db"), dialect="sqlite", asynchronous=False)
    connection = await raw.connect()
    connection.executescript(
        "PRAGMA foreign_keys = ON;"
        "CREATE TABLE owners (id integer PRIMARY KEY, email text UNIQUE ON CONFLICT REPLACE);"
        "CREATE TABLE dogs (id integer PRIMARY KEY, owner integer REFERENCES owners ON DELETE CASCADE);"
        "INSERT INTO owners VALUES (1, 'ann'); INSERT INTO dogs VALUES (1, 1);"
    )
    asked = ("SELECT email FROM owners WHERE id = 1", "SELECT owner FROM dogs WHERE id = 1")
    assert [len(raw.queries.cached_query(sql, None, connection)) for sql in asked] == [1, 1]
    with raw.queries.writing(connection) as unit:
        unit.execute("INSERT INTO owners (id, email) VALUES (2, 'ann')")
    assert [len(raw.queries.cached_query(sql, None, connection)) for sql in asked] == [0, 0]
    await raw.close()
