"""SQLite as the database: no server, for machines on which PostgreSQL cannot start.

What must not be here: anything that PostgreSQL does differently on purpose.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from demo.data import TABLES, Table, Value
from demo.database import MARKER, Parameters, Row, named

CONNECTIONS = 8

# The columns declared `timestamptz` hold ISO 8601 text.
sqlite3.register_adapter(datetime, datetime.isoformat)
sqlite3.register_converter("timestamptz", lambda text: datetime.fromisoformat(text.decode()))


class SQLite:
    """One file, one connection a thread; keeps the contract of `Database`."""

    def __init__(self, path: Path) -> None:
        self.title = f"SQLite {sqlite3.sqlite_version}"
        self.url = f"sqlite:///{path}"
        self._path = path
        self._mine = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def ask(self, sql: str, parameters: Parameters) -> list[Row]:
        cursor = self._connection().execute(named(sql), dict(parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor]

    def change(self, sql: str, parameters: Parameters) -> None:
        self._connection().execute(named(sql), dict(parameters))

    def engine(self) -> sa.Engine:
        # As the connections below: the driver makes the datetimes, so SQLAlchemy leaves them alone.
        driver = {"detect_types": sqlite3.PARSE_DECLTYPES, "timeout": 30}
        return sa.create_engine(
            self.url, connect_args=driver, native_datetime=True, pool_size=CONNECTIONS
        )

    def async_engine(self) -> None:
        """Python's own driver has no side for asyncio."""

    def exists(self, table: str) -> bool:
        known = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = %(name)s"
        return bool(self.ask(known, {"name": table}))

    def load(self, content: Iterable[tuple[Table, Iterable[tuple[Value, ...]]]]) -> None:
        connection = self._connection()
        with connection:
            connection.execute("BEGIN")
            for name in ("loaded", *(table.name for table in reversed(TABLES))):
                connection.execute(f"DROP TABLE IF EXISTS {name}")
            for table, rows in content:
                connection.execute(table.definition())
                places = ", ".join("?" * len(table.names()))
                connection.executemany(f"INSERT INTO {table.name} VALUES ({places})", rows)
                for statement in table.index_definitions():
                    connection.execute(statement)
        connection.execute("ANALYZE")

    def mark(self, amounts: Mapping[str, int]) -> None:
        connection = self._connection()
        with connection:
            connection.execute("BEGIN")
            connection.execute(MARKER)
            connection.executemany("INSERT INTO loaded VALUES (?, ?)", amounts.items())

    def close(self) -> None:
        """Close the connections of all threads; no other thread may be asking any more."""
        for connection in self._all:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = sqlite3.connect(
                self._path,
                detect_types=sqlite3.PARSE_DECLTYPES,
                isolation_level=None,
                check_same_thread=False,  # used by its own thread, closed by the last one
            )
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            with self._lock:
                self._all.append(connection)
        return connection


@contextmanager
def opened(path: Path) -> Iterator[SQLite]:
    """The database in the file `path`, which is created if need be."""
    database = SQLite(path)
    try:
        yield database
    finally:
        database.close()
