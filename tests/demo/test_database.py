"""Loading: once and whole, and never mistaken for something else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from demo import data, schema, sqlite
from demo.database import Loaded, count, ensure_loaded

FLIGHTS = 3000
Rows: TypeAlias = Iterable[tuple[data.Value, ...]]


def load(database: sqlite.SQLite, archive: Path, *, limit: int | None = None) -> Loaded:
    return ensure_loaded(
        database, lambda: archive, limit=limit, progress=lambda _table, _size, rows: rows
    )


def nothing_to_load() -> Path:
    raise AssertionError("the archive was asked for")


def test_all_rows_of_all_tables_are_loaded(archive: Path, loaded: sqlite.SQLite) -> None:
    expected = {table.name: len(list(data.rows(archive, table))) for table in data.TABLES}
    assert {table.name: count(loaded, table.name) for table in data.TABLES} == expected
    assert expected["flights"] == FLIGHTS


def test_a_row_comes_back_as_it_was_in_the_file(archive: Path, loaded: sqlite.SQLite) -> None:
    for table in data.TABLES:
        rows = loaded.ask(f"SELECT * FROM {table.name} ORDER BY rowid", {})
        assert [tuple(row.values()) for row in rows] == list(data.rows(archive, table))


def test_a_second_start_uses_what_is_there(loaded: sqlite.SQLite) -> None:
    again = ensure_loaded(loaded, nothing_to_load, progress=lambda _table, _size, rows: rows)
    assert again.reused
    assert again.rows["flights"] == FLIGHTS


def test_a_reset_loads_again(archive: Path, loaded: sqlite.SQLite) -> None:
    again = ensure_loaded(
        loaded, lambda: archive, progress=lambda _table, _size, rows: rows, reset=True
    )
    assert not again.reused


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM flights WHERE id = 7",
        "DELETE FROM weather WHERE hour = 9",
        "UPDATE flights SET arr_delay = arr_delay + 1 WHERE id = 1",
        "UPDATE loaded SET amount = 0 WHERE what = 'layout'",
        "DELETE FROM loaded",
        "DROP TABLE loaded",
        "DROP TABLE flights",
    ],
)
def test_damaged_data_is_loaded_again(archive: Path, loaded: sqlite.SQLite, damage: str) -> None:
    loaded.change(damage, {})
    assert not load(loaded, archive).reused
    assert load(loaded, archive).reused


def test_a_slice_holds_the_first_flights_and_everything_else(archive: Path, tmp_path: Path) -> None:
    with sqlite.opened(tmp_path / "slice.sqlite") as database:
        rows = load(database, archive, limit=50).rows
    assert rows["flights"] == 50
    assert rows["weather"] == len(list(data.rows(archive, data.WEATHER)))


def test_an_interrupted_load_leaves_what_was_there(archive: Path, loaded: sqlite.SQLite) -> None:
    def interrupted(table: data.Table, _size: int, rows: Rows) -> Rows:
        for row in rows:
            if table is data.FLIGHTS:
                raise KeyboardInterrupt
            yield row

    with pytest.raises(KeyboardInterrupt):
        ensure_loaded(loaded, lambda: archive, progress=interrupted, reset=True)
    assert load(loaded, archive).reused


def test_a_flight_of_an_unknown_airline_is_refused(loaded: sqlite.SQLite) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        loaded.change("UPDATE flights SET carrier = 'XX' WHERE id = 1", {})


def test_threads_get_the_same_rows(loaded: sqlite.SQLite) -> None:
    sql, parameters = "SELECT * FROM flights WHERE id < %(most)s ORDER BY id", {"most": 20}
    expected = loaded.ask(sql, parameters)
    with ThreadPoolExecutor(4) as pool:
        in_threads = list(pool.map(lambda _: loaded.ask(sql, parameters), range(8)))
    assert in_threads == [expected] * 8


def test_the_tables_are_declared_to_sqlalchemy_as_they_are(loaded: sqlite.SQLite) -> None:
    with closing(loaded.engine()) as engine:
        found = sa.inspect(engine)
        for name, declared in schema.TABLES.items():
            columns = {each["name"] for each in found.get_columns(name)}
            assert columns == {each.name for each in declared.columns}
            key = found.get_pk_constraint(name)["constrained_columns"]
            assert key == [each.name for each in declared.primary_key]
            refers = {each["constrained_columns"][0] for each in found.get_foreign_keys(name)}
            assert refers == {each.parent.name for each in declared.foreign_keys}
            indexes = {each["name"]: each["column_names"] for each in found.get_indexes(name)}
            assert indexes == {
                index.name: [each.name for each in index.columns] for index in declared.indexes
            }
    assert indexes["flights_month"] == ["month"]


def test_a_flight_is_read_as_an_object_as_it_is_in_the_table(loaded: sqlite.SQLite) -> None:
    with closing(loaded.engine()) as engine, Session(engine) as session:
        flight = session.get_one(schema.Flight, 7)
        (row,) = loaded.ask("SELECT * FROM flights WHERE id = 7", {})
        assert {name: getattr(flight, name) for name in row} == row


@contextmanager
def closing(engine: sa.Engine) -> Iterator[sa.Engine]:
    yield engine
    engine.dispose()
