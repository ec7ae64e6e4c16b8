# What has to be asked of a connection.
"""Runs statements on a caller's connection, and asks it who it is and what its database holds.

A connection is left as it was found: a transaction that a question has begun is ended. What must not be here: caches.
"""

from __future__ import annotations

import inspect
from typing import Any

from cachewright.errors import ConfigurationError
from cachewright.integrations.dbapi import drivers, mysql, postgresql, sqlite
from cachewright.integrations.dbapi.asking import Conversation, Rows
from cachewright.integrations.dbapi.results import Result, read
from cachewright.integrations.dbapi.sessions import Session, session_like

CHUNK = 1000


async def run(connection: Any, sql: str, params: Any = None) -> Result:
    """Execute a statement; its rows, if it returns any. Fetched in chunks of 1,000."""
    cursor = connection.cursor()
    if inspect.isawaitable(cursor):
        cursor = await cursor
    try:
        if params is None:
            await cursor.execute(sql)
        else:
            await cursor.execute(sql, params)
        if cursor.description is None:
            return Result(read((), ()), cursor.rowcount)
        found = read((column[0] for column in cursor.description), ())
        while rows := list(await cursor.fetchmany(CHUNK)):
            found[1] += read((), rows)[1]
        return Result(found, cursor.rowcount)
    finally:
        await cursor.close()


async def fetch(connection: Any, sql: str) -> list[Any]:
    """The rows of a question of our own."""
    cursor = connection.cursor()
    if inspect.isawaitable(cursor):
        cursor = await cursor
    try:
        await cursor.execute(sql)
        return list(await cursor.fetchall())
    finally:
        await cursor.close()


async def run_many(connection: Any, sql: str, rows: Any) -> Result:
    """Execute a statement for many parameters; its rowcount."""
    cursor = connection.cursor()
    if inspect.isawaitable(cursor):
        cursor = await cursor
    try:
        await cursor.executemany(sql, rows)
        return Result(read((), ()), cursor.rowcount)
    finally:
        await cursor.close()


async def ask(connection: Any, conversation: Conversation) -> Any:
    """Hold a conversation; what it comes to."""
    idle = not drivers.in_transaction(connection)
    try:
        question = next(conversation)
        while True:
            answer: Rows = [tuple(row) for row in await fetch(connection, question)]
            question = conversation.send(answer)
    except StopIteration as end:
        return end.value
    finally:
        if (
            idle
            and drivers.in_transaction(connection)
            and drivers.dialect_of(connection) != "mysql"
        ):
            await connection.rollback()


async def introspected(connection: Any) -> Any:
    """What the database holds, as plain data."""
    kinds = {
        "postgres": postgresql.introspect,
        "sqlite": sqlite.introspect,
        "mysql": mysql.introspect,
    }
    return await ask(connection, kinds[drivers.dialect_of(connection)]())


async def session_of(connection: Any, database: str | None) -> Session:
    """Who the connection is. `database`: what its database is called, where it should not be asked."""
    dialect = drivers.dialect_of(connection)
    if dialect == "sqlite":
        return await _session_of_sqlite(connection, database)
    questions = postgresql if dialect == "postgres" else mysql
    row, identity = await ask(
        connection, _who(questions.SESSION, database or questions.IDENTITY, database)
    )
    if dialect == "postgres":
        path, *settings, temporary, security = row
        aside = "the session has temporary tables" if temporary else ""
        if connection.info.parameter_status("standard_conforming_strings") == "off":
            aside = "a setting changes what a backslash means"
        if connection.info.parameter_status("in_hot_standby") == "on":
            aside = "the server is a replica, which may lag behind"
        return Session(
            identity, tuple(path), (*settings, security), aside, drivers.reported(connection)
        )
    path = () if row[0] is None else (str(row[0]).lower(),)
    strange = {"ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ORACLE"} & set(str(row[3]).split(","))
    aside = f"the SQL mode {min(strange)} changes what quotes mean" if strange else ""
    return Session(identity, path, tuple(row[1:]), aside)


def _who(session: str, identity: str, database: str | None) -> Conversation:
    row = (yield session)[0]
    named = database if database is not None else "/".join(map(str, (yield identity)[0]))
    return row, named


async def _session_of_sqlite(connection: Any, database: str | None) -> Session:
    databases = {row[1]: row[2] for row in await fetch(connection, sqlite.SESSION)}
    if not databases["main"] and database is None:
        raise ConfigurationError("a database in memory has no name: give QueryCache a database=")
    aside = "other databases are attached" if databases.keys() - {"main", "temp"} else ""
    if "temp" in databases and (await fetch(connection, sqlite.TEMPORARY))[0][0]:
        aside = "the session has temporary tables"
    [[version]] = await fetch(connection, sqlite.VERSION)
    return session_like(database or str(databases["main"]), aside, version)


async def may_fill(connection: Any) -> bool:
    """Whether a result that is read now, in the transaction under way, is what has been committed last."""
    if drivers.dialect_of(connection) != "postgres":
        return False  # SQLite and MySQL read an old snapshot
    isolation, clean = (await fetch(connection, postgresql.TRANSACTION))[0]
    return bool(clean) and isolation in ("read committed", "read uncommitted")
