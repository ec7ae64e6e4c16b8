"""Raw connections of four drivers in both worlds, behind one face: a database, its query cache, and what it was asked.

Tests await `now(...)` of whatever a door returns. What must not be here: tests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
import psycopg
from integrations.stores import now

from cachewright import AsyncCache, Cache
from cachewright.integrations.dbapi import AsyncQueryCache, QueryCache

SCHEMA = (
    "CREATE TABLE users (id integer PRIMARY KEY, email varchar(40) UNIQUE, visits integer)",
    "CREATE TABLE orders (id integer PRIMARY KEY, user_id integer REFERENCES users (id) ON DELETE CASCADE, total integer)",
    "CREATE VIEW busy AS SELECT id, email FROM users WHERE visits > 10",
    "CREATE TABLE audits (id integer PRIMARY KEY, note varchar(400))",
    "INSERT INTO users VALUES (1, 'ann', 0), (2, 'bob', 20)",
    "INSERT INTO orders VALUES (1, 1, 5), (2, 2, 7)",
)


class Raw:
    """A database as raw SQL sees it, with a cache before it. `uncached` are the reasons that were told."""

    def __init__(self, address: str, *, dialect: str, asynchronous: bool, **options: Any) -> None:
        self.address = address
        self.dialect = dialect
        self.asynchronous = asynchronous
        self.told: list[Any] = []
        self.cache: Any = (AsyncCache if asynchronous else Cache)(listeners=[self.told.append])
        self.queries = self.door(**options)
        self.open: list[Any] = []

    def door(self, **options: Any) -> Any:
        """A query cache on the same cache."""
        return (AsyncQueryCache if self.asynchronous else QueryCache)(self.cache, **options)

    @property
    def uncached(self) -> list[str]:
        """Why queries went around the cache."""
        return [event.detail for event in self.told if event.kind == "query_uncached"]

    @property
    def loads(self) -> int:
        """How often something was loaded, the schema aside."""
        mine = [event for event in self.told if event.kind == "load"]
        return sum(event.key.startswith("query:") for event in mine)

    async def connect(self, *, autocommit: bool = False) -> Any:
        """A connection of the driver."""
        if self.dialect == "sqlite":
            level = None if autocommit else ""
            opened = (
                await aiosqlite.connect(self.address, isolation_level=level)
                if self.asynchronous
                else sqlite3.connect(self.address, isolation_level=level)
            )
        elif self.dialect == "mariadb":
            opened = await self._connect_to_mariadb(autocommit=autocommit)
        elif self.asynchronous:
            opened = await psycopg.AsyncConnection.connect(self.address, autocommit=autocommit)
        else:
            opened = psycopg.connect(self.address, autocommit=autocommit)
        self.open.append(opened)
        return opened

    async def _connect_to_mariadb(self, *, autocommit: bool) -> Any:
        options: Any = {
            "unix_socket": self.address,
            "user": "root",
            "autocommit": autocommit,
        }
        if not self.asynchronous:
            import pymysql

            return pymysql.connect(**options, database="test")
        import asyncmy

        return await asyncmy.connect(**options, db="test")

    async def plain(self, connection: Any, sql: str) -> list[Any]:
        """Run SQL behind the door."""
        cursor = await now(connection.cursor())
        await now(cursor.execute(sql))
        found = list(await now(cursor.fetchall())) if cursor.description else []
        await now(cursor.close())
        return found

    async def query(
        self, sql: str, params: Any = None, connection: Any = None, **options: Any
    ) -> list[Any]:
        """A cached query; parameters are written `?`."""
        found = await now(
            self.queries.cached_query(self.spelled(sql), params, connection, **options)
        )
        return list(found)

    async def execute(self, sql: str, params: Any = None, connection: Any = None) -> Any:
        """A statement through the door."""
        return await now(self.queries.execute(self.spelled(sql), params, connection))

    @asynccontextmanager
    async def writing(self, connection: Any) -> AsyncIterator[Any]:
        """`queries.writing`, in either world."""
        unit = self.queries.writing(connection)
        if self.asynchronous:
            async with unit:
                yield unit
        else:
            with unit:
                yield unit

    def spelled(self, sql: str) -> str:
        """With the parameters of the driver."""
        return sql if self.dialect == "sqlite" else sql.replace("?", "%s")

    async def build(self) -> None:
        """Make the tables anew."""
        connection = await self.connect()
        if self.dialect == "postgresql":
            await self.plain(connection, "DROP SCHEMA public CASCADE")
            await self.plain(connection, "CREATE SCHEMA public")
        if self.dialect == "mariadb":
            await self.plain(connection, "SET foreign_key_checks = 0")
            await self.plain(connection, "DROP VIEW IF EXISTS busy")
            await self.plain(connection, "DROP TABLE IF EXISTS users, orders, audits")
        for statement in SCHEMA:
            await self.plain(connection, statement)
        await now(connection.commit())

    async def close(self) -> None:
        """Close all that was opened."""
        for each in self.open:
            await now(each.close())
        await now(self.cache.aclose() if self.asynchronous else self.cache.close())
