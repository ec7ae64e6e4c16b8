"""Whether what a connection reads may be older than what has been committed.

What must not be here: what ran on it, the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

ISOLATION = "cachewright_isolation"
"""Under which name a pooled connection remembers what level it runs at."""

Quietly = Callable[[sa.Connection], AbstractContextManager[None]]
_EACH_STATEMENT_ANEW = ("READ COMMITTED", "READ UNCOMMITTED", "AUTOCOMMIT")


def autocommits(connection: sa.Connection) -> bool:
    """Whether the next statement takes effect by itself."""
    if at_autocommit(connection):
        return True
    # SQLite's driver begins nothing by itself if it was told so, and nobody else has.
    dbapi: Any = connection.connection.dbapi_connection
    return begins_nothing(connection) and dbapi.isolation_level is None


def at_autocommit(connection: sa.Connection) -> bool:
    """Whether the connection is at the level AUTOCOMMIT, so that SQLAlchemy's commits do nothing."""
    option = connection.get_execution_options().get("isolation_level")
    if option is not None:
        return str(option).upper() == "AUTOCOMMIT"
    dbapi: Any = connection.connection.dbapi_connection
    return getattr(dbapi, "autocommit", False) is True


def begins_nothing(connection: sa.Connection) -> bool:
    """Whether the database knows of no transaction yet: SQLite's driver begins one with the first write.

    Reads before that see what is committed, and a savepoint before that is a transaction of its own.
    """
    if connection.dialect.name != "sqlite":
        return False
    driver: Any = connection.connection.driver_connection
    return not driver.in_transaction


def level(connection: sa.Connection, quietly: Quietly) -> str:
    """The isolation level of the connection; asked once of each pooled connection."""
    option = connection.get_execution_options().get("isolation_level")
    if option is not None:
        return str(option).upper()
    known = connection.info.get(ISOLATION)
    if known is None:
        with quietly(connection):
            known = connection.get_isolation_level().upper()
        connection.info[ISOLATION] = known
    return str(known)


def why_old(connection: sa.Connection, quietly: Quietly, *, first: bool) -> str:
    """Why the next statement may see an old snapshot; "" if it cannot. `first`: it is the first of its transaction."""
    if first or autocommits(connection):
        return ""
    if begins_nothing(connection):
        return ""
    isolation = level(connection, quietly)
    if isolation in _EACH_STATEMENT_ANEW:
        return ""
    return f"the snapshot of a transaction at {isolation} may be older than what is cached now"
