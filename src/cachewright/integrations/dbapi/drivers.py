"""What a connection tells without a trip to its database: its dialect, whether a transaction is open, some settings.

Drivers are known by their module: psycopg, psycopg2, sqlite3, aiosqlite, pymysql, asyncmy, MySQLdb.
What must not be here: statements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cachewright.errors import ConfigurationError

_DIALECTS = {
    "psycopg": "postgres",
    "psycopg2": "postgres",
    "psycopg_pool": "postgres",
    "sqlite3": "sqlite",
    "aiosqlite": "sqlite",
    "pymysql": "mysql",
    "asyncmy": "mysql",
    "MySQLdb": "mysql",
}
_REPORTED = (
    "search_path",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "session_authorization",
    "standard_conforming_strings",
    "in_hot_standby",
)
_SERVER_STATUS_IN_TRANS = 1


_drivers: dict[type, str] = {}


def driver_of(connection: Any) -> str:
    """The driver that a connection, or its class's base, comes from. Raises `ConfigurationError` for an unknown one."""
    kind = type(connection)
    known = _drivers.get(kind)
    if known is not None:
        return known
    for each in kind.__mro__:
        name = str(each.__module__).partition(".")[0]
        if name in _DIALECTS:
            _drivers[kind] = name
            return name
    raise ConfigurationError(
        f"a connection of {type(connection).__module__} is not known: those of {sorted(_DIALECTS)} are"
    )


def dialect_of(connection: Any) -> str:
    """The dialect that its database speaks."""
    return _DIALECTS[driver_of(connection)]


def in_transaction(connection: Any) -> bool:
    """Whether a transaction is under way; True where the driver does not tell."""
    return _IN_TRANSACTION[driver_of(connection)](connection)


def commits_itself(connection: Any) -> bool:
    """Whether each statement outside BEGIN is committed at once."""
    driver = driver_of(connection)
    if driver in ("sqlite3", "aiosqlite"):
        return connection.isolation_level is None and getattr(connection, "autocommit", -1) in (
            -1,
            True,
        )
    if driver in ("pymysql", "MySQLdb", "asyncmy"):
        return bool(connection.get_autocommit())
    return bool(connection.autocommit)


def reported(connection: Any) -> tuple[Any, ...]:
    """The settings that the server keeps a driver informed of, and which bear on results."""
    if dialect_of(connection) != "postgres":
        return ()
    return tuple(map(connection.info.parameter_status, _REPORTED))


def reports_search_path(connection: Any) -> bool:
    """Whether a change of the search path is seen without asking: PostgreSQL 18."""
    return connection.info.parameter_status(_REPORTED[0]) is not None


def _status_of_psycopg(connection: Any) -> bool:
    return int(connection.info.transaction_status) != 0


def _status_of_mysql(connection: Any) -> bool:
    status = getattr(connection, "server_status", None)
    return True if status is None else bool(status & _SERVER_STATUS_IN_TRANS)


_IN_TRANSACTION: dict[str, Callable[[Any], bool]] = {
    "psycopg": _status_of_psycopg,
    "psycopg_pool": _status_of_psycopg,
    "psycopg2": _status_of_psycopg,
    "sqlite3": lambda connection: bool(connection.in_transaction),
    "aiosqlite": lambda connection: bool(connection.in_transaction),
    "pymysql": _status_of_mysql,
    "asyncmy": _status_of_mysql,
    "MySQLdb": lambda _connection: True,
}
