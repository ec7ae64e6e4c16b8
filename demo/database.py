"""The database the questions go to: what it can do, and how it gets the flights exactly once.

`PostgreSQL` and `SQLite` (in `postgres.py` and `sqlite.py`) keep the same contract and run the same
SQL, written with `%(name)s` parameters. Caches never go this way: what is asked here is the truth that they are compared
with. What must not be here: caching, questions, printing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.data import TABLES, Table, Value, rows

Row: TypeAlias = dict[str, Value]
Parameters: TypeAlias = Mapping[str, Value]
Progress: TypeAlias = Callable[
    [Table, int, Iterable[tuple[Value, ...]]], Iterable[tuple[Value, ...]]
]
"""Wraps the rows of a table while they are loaded; the number is how many there will be."""

MARKER = "CREATE TABLE loaded (what text PRIMARY KEY, amount bigint)"
LAYOUT = 2
"""Raise it when the tables change: data loaded under another layout is loaded again."""


class Database(Protocol):
    """Answers SQL from any thread. Every call is its own transaction."""

    @property
    def title(self) -> str:
        """Product and version, for people."""

    @property
    def url(self) -> str:
        """As SQLAlchemy spells it, for other connections to the same database."""

    def ask(self, sql: str, parameters: Parameters) -> list[Row]:
        """The rows, as dicts by column name."""

    def change(self, sql: str, parameters: Parameters) -> None:
        """Run a statement that writes; it is committed when this returns."""

    def engine(self) -> sa.Engine:
        """A new engine of SQLAlchemy; the caller disposes of it."""

    def async_engine(self) -> AsyncEngine | None:
        """The same for asyncio; None where the driver has no such side."""

    def exists(self, table: str) -> bool:
        """Whether there is such a table."""

    def load(self, content: Iterable[tuple[Table, Iterable[tuple[Value, ...]]]]) -> None:
        """Drop what there is; create and fill the tables and their indexes, in one transaction."""

    def mark(self, amounts: Mapping[str, int]) -> None:
        """Create and fill the table `loaded`, which says that the load was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What is in the database. `seconds` is what loading or verifying it took."""

    rows: dict[str, int]
    reused: bool
    seconds: float


def ensure_loaded(
    database: Database,
    archive: Callable[[], Path],
    *,
    limit: int | None = None,
    progress: Progress,
    reset: bool = False,
) -> Loaded:
    """Load the tables unless the database holds them whole; `limit` is a number of flights.

    `archive` is called only if there is something to load.
    """
    began = perf_counter()
    reused = not reset and _is_whole(database)
    if not reused:
        database.load(_content(archive(), limit, progress))
        database.mark(census(database))
    counts = {table.name: count(database, table.name) for table in TABLES}
    return Loaded(rows=counts, reused=reused, seconds=perf_counter() - began)


def census(database: Database) -> dict[str, int]:
    """Row counts, and a sum that a forgotten change of a flight would move."""
    delays = database.ask("SELECT sum(arr_delay) AS minutes FROM flights", {})[0]["minutes"]
    assert isinstance(delays, int)
    counts = {table.name: count(database, table.name) for table in TABLES}
    return counts | {"minutes of delay": delays, "layout": LAYOUT}


def named(sql: str) -> str:
    """`%(name)s`, as PostgreSQL's driver spells a parameter, in the spelling `:name` of SQLite and SQLAlchemy."""
    return re.sub(r"%\((\w+)\)s", r":\1", sql)


def count(database: Database, table: str) -> int:
    """How many rows the table has."""
    amount = database.ask(f"SELECT count(*) AS amount FROM {table}", {})[0]["amount"]
    assert isinstance(amount, int)
    return amount


def _is_whole(database: Database) -> bool:
    if not all(database.exists(name) for name in ("loaded", *(table.name for table in TABLES))):
        return False
    marked = database.ask("SELECT what, amount FROM loaded", {})
    return {row["what"]: row["amount"] for row in marked} == census(database)


def _content(
    archive: Path, limit: int | None, progress: Progress
) -> Iterator[tuple[Table, Iterable[tuple[Value, ...]]]]:
    for table in TABLES:
        most = limit if table.numbered else None
        expected = table.size if most is None else min(most, table.size)
        yield table, progress(table, expected, rows(archive, table, limit=most))
