"""The patterns on a table of flights: for each the door that an application would open, its read and its write.

The table is a copy of the first flights, made for the tour and dropped after it, so that the flights stay as they are.
What must not be here: timing, judging, printing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from cachewright import Cache, Policy, Timeouts
from cachewright.integrations.sqlalchemy import TableSource
from cachewright.patterns import CacheAside, ReadThrough, RefreshAhead, WriteBehind, WriteThrough

Flight: TypeAlias = dict[str, Any]

COPIED = 1_000
"""Flights in the table of the tour; the demo never has fewer."""
LEASE = 1.0
"""Seconds after which the queue of a worker that was killed is taken over."""
POLICY = Policy(ttl=600, timeouts=Timeouts(call=2.0, connect=2.0))

_NUMBERS = ("month", "day", "flight", "arr_delay")
_NAMES = ("carrier", "tailnum", "origin", "dest")
TABLE = sa.Table(
    "pattern_tour",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.Integer) for name in _NUMBERS),
    *(sa.Column(name, sa.Text) for name in _NAMES),
)
FIELDS = ("id", *_NUMBERS, *_NAMES)
_UPDATE = (
    sa.update(TABLE)
    .where(TABLE.c.id == sa.bindparam("its_id"))
    .values({name: sa.bindparam(f"new_{name}") for name in (*_NUMBERS, *_NAMES)})
)
_SELECT = sa.select(TABLE).where(TABLE.c.id == sa.bindparam("its_id"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tour takes place. `database`: as SQLAlchemy spells it; `cache`: the URL of a server that keeps a log."""

    database: str
    cache: str

    @contextmanager
    def engine(self) -> Iterator[sa.Engine]:
        """To the database, with its own pool."""
        # SQLite has one writer at a time, and the others wait.
        patience = {"timeout": 30} if self.database.startswith("sqlite") else {}
        engine = sa.create_engine(self.database, connect_args=patience)
        try:
            yield engine
        finally:
            engine.dispose()


@contextmanager
def copied(engine: sa.Engine) -> Iterator[list[Flight]]:
    """The table of the tour, filled; gone at the end, with what write-behind keeps beside it."""
    flights = sa.table("flights", *map(sa.column, FIELDS))
    first = sa.select(*flights.columns).order_by(flights.c.id).limit(COPIED)
    _drop(engine)
    with engine.begin() as connection:
        TABLE.create(connection)
        connection.execute(sa.insert(TABLE).from_select(FIELDS, first))
        rows = stored(connection)
    TableSource(engine, TABLE).create_tables()
    try:
        yield rows
    finally:
        _drop(engine)


def stored(connection: sa.Connection) -> list[Flight]:
    """All rows of the table, by their ids."""
    return [_flight(row) for row in connection.execute(sa.select(TABLE).order_by(TABLE.c.id))]


def _flight(row: sa.Row[Any]) -> Flight:
    # The keys of `row.mappings()` are no plain strings, and a cache gives back what it was given.
    return dict(zip(FIELDS, row, strict=True))


def _drop(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for name in (TABLE.name, "cachewright_positions"):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {name}"))


@dataclass(frozen=True, slots=True)
class Door:
    """One pattern at work. `settle` brings to the database what is still queued; whether all of it got there."""

    read: Callable[[int], Flight]
    write: Callable[[Flight], object]
    settle: Callable[[], bool] = lambda: True


class Plain:
    """No cache at all: SQLAlchemy Core, each write committed, each read without a transaction around it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    def read(self, number: int) -> Flight:
        """SELECT by primary key."""
        with self._reading.connect() as connection:
            return _flight(connection.execute(_SELECT, {"its_id": number}).one())

    def write(self, flight: Flight) -> None:
        """UPDATE by primary key, committed when it returns."""
        values = {f"new_{name}": flight[name] for name in (*_NUMBERS, *_NAMES)}
        with self._engine.begin() as connection:
            connection.execute(_UPDATE, {**values, "its_id": flight["id"]})


Open: TypeAlias = Callable[[Cache, "TableSource[Flight]", Plain, ExitStack], Door]


def _around(cache: Cache, source: TableSource[Flight], plain: Plain) -> Callable[[Flight], None]:
    """What an application with a cache writes by itself: its own SQL, with the rows named around it."""
    rows = CacheAside(cache, source=source)

    def write(flight: Flight) -> None:
        with rows.writing(flight["id"]):
            plain.write(flight)

    return write


def _cache_aside(
    cache: Cache, source: TableSource[Flight], plain: Plain, _stack: ExitStack
) -> Door:
    rows = CacheAside(cache, source=source)
    return Door(lambda number: rows.get(number, plain.read), _around(cache, source, plain))


def _read_through(
    cache: Cache, source: TableSource[Flight], plain: Plain, _stack: ExitStack
) -> Door:
    return Door(ReadThrough(cache, source).get, _around(cache, source, plain))


def _refresh_ahead(
    cache: Cache, source: TableSource[Flight], plain: Plain, _stack: ExitStack
) -> Door:
    return Door(RefreshAhead(cache, source).get, _around(cache, source, plain))


def _write_through(
    cache: Cache, source: TableSource[Flight], _plain: Plain, _stack: ExitStack
) -> Door:
    rows = WriteThrough(cache, source)
    return Door(rows.get, rows.put)


def _write_behind(
    cache: Cache, source: TableSource[Flight], _plain: Plain, stack: ExitStack
) -> Door:
    rows = stack.enter_context(WriteBehind(cache, source, durability="aof", lease=LEASE))
    return Door(rows.get, rows.put, rows.flush)


SQL, ASIDE, BEHIND, THROUGH = "plain SQL", "cache-aside", "write-behind", "write-through"
OPEN: dict[str, Open] = {
    ASIDE: _cache_aside,
    "read-through": _read_through,
    "refresh-ahead": _refresh_ahead,
    THROUGH: _write_through,
    BEHIND: _write_behind,
}
_BUS = "bus latency"
GUARANTEES = {SQL: "never", **dict.fromkeys(OPEN, _BUS), BEHIND: "bus; SQL 1 s"}
"""How long others may see the old row after a write; the process that wrote never does."""


@contextmanager
def opened(name: str, place: Place, engine: sa.Engine) -> Iterator[Door]:
    """A door as a process of its own would have it, over the same entries as any other of that name."""
    plain = Plain(engine)
    if name == SQL:
        yield Door(plain.read, plain.write)
        return
    with ExitStack() as stack:
        space = f"tour-{name}"
        cache = stack.enter_context(Cache(place.cache, namespace=space, policy=POLICY))
        cache.get("nothing")  # so that no row pays for the first connection
        yield OPEN[name](cache, TableSource(engine, TABLE), plain, stack)
