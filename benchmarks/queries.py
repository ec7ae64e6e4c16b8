"""Rows on queries: an ORM query that is answered from the cache, beside the same query through the same kind of session.

A table as large and as wide as that of the flights demo, made in PostgreSQL itself. Both sides make a session, execute,
take the result and close; every entity is an object of the session. What must not be here: writes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from benchmarks.rows import Case, Measure, Row, Target, ours
from benchmarks.stage import Stage
from benchmarks.tables import Tables, tables
from benchmarks.values import PATIENT
from cachewright import Cache, Policy

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

FLIGHTS = 336_776
"""As many as left New York in 2013."""

_FILL = """
INSERT INTO airlines SELECT 'A' || n, 'Airline ' || n FROM generate_series(0, 15) n;
INSERT INTO flights SELECT n, 2013, 1 + n % 12, 1 + n % 28, timestamp '2013-01-01' + n * interval '94 seconds',
    timestamp '2013-01-01' + n * interval '94 seconds' + interval '3 hours', (n * 7919) % 120 - 20, (n * 104729) % 150 - 30,
    'A' || n % 16, n % 8500, 'N' || (n * 31) % 4043, (ARRAY['EWR', 'JFK', 'LGA'])[1 + n % 3],
    (ARRAY['ATL', 'BOS', 'LAX', 'MIA', 'ORD', 'SFO'])[1 + n % 6], (n * 13) % 600, (n * 17) % 4900
    FROM generate_series(1, {count}::bigint) n;
CREATE INDEX ON flights (origin, dest);
"""


class Asked:
    """Sessions over the flights, plain ones or cached ones, and the three questions. `on`: the options that ask for the cache."""

    def __init__(self, sessions: Any, models: Any, on: dict[str, Any]) -> None:
        import sqlalchemy as sa

        self._select, self._func = sa.select, sa.func
        self._sessions = sessions
        self._airline, self._flight = models
        self._on: Any = {"execution_options": on}

    def delays(self, origin: str) -> list[Any]:
        """By airline, from one airport: a join and three aggregates over a third of all flights."""
        flight, airline, func = self._flight, self._airline, self._func
        statement = (
            self._select(
                airline.name, func.count(), func.avg(flight.dep_delay), func.max(flight.arr_delay)
            )
            .join(flight, flight.carrier == airline.code)
            .where(flight.origin == origin)
            .group_by(airline.name)
            .order_by(airline.name)
        )
        session: Session
        with self._sessions() as session:
            return list(session.execute(statement, **self._on).all())

    def point(self, number: int) -> Any:
        """One flight by its key."""
        with self._sessions() as session:
            statement = self._select(self._flight).where(self._flight.id == number)
            return session.execute(statement, **self._on).scalar_one()

    def listed(self, first: int) -> list[Any]:
        """A thousand flights."""
        flight = self._flight
        statement = self._select(flight).where(flight.id >= first).order_by(flight.id).limit(1000)
        with self._sessions() as session:
            return list(session.scalars(statement, **self._on).all())


@cache
def _models(at: Tables) -> Any:
    """The mapped classes, and their tables filled."""
    import sqlalchemy as sa
    from sqlalchemy.orm import registry

    metadata = sa.MetaData()
    airlines = sa.Table(
        "airlines",
        metadata,
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("name", sa.Text),
    )
    number, text = sa.Integer, sa.Text
    kinds: dict[str, Any] = {
        "year": number,
        "month": number,
        "day": number,
        "sched_dep": sa.DateTime,
        "sched_arr": sa.DateTime,
    }
    kinds |= dict.fromkeys(("dep_delay", "arr_delay"), number)
    kinds |= {
        "carrier": text,
        "flight": number,
        "tailnum": text,
        "origin": text,
        "dest": text,
        "air_time": number,
        "distance": number,
    }
    columns = [sa.Column(name, kind) for name, kind in kinds.items()]
    flights = sa.Table("flights", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    mapped = registry(metadata=metadata)
    classes = type("Airline", (), {}), type("Flight", (), {})
    for each, table in zip(classes, (airlines, flights), strict=True):
        mapped.map_imperatively(each, table)
    metadata.create_all(at.engine)
    with at.connect() as connection:
        for statement in _FILL.format(count=FLIGHTS).split(";\n")[:-1]:
            connection.execute(statement.encode())
        connection.execute(b"VACUUM ANALYZE flights")
    return classes


def _plain(stage: Stage) -> Asked:
    from sqlalchemy.orm import sessionmaker

    at = tables(stage)
    return Asked(sessionmaker(at.engine), _models(at), {})


def _cached(stage: Stage) -> Asked:
    import sqlalchemy as sa
    from sqlalchemy.orm import sessionmaker

    from cachewright.integrations.sqlalchemy import QueryCache

    at = tables(stage)
    models = _models(at)
    engine = sa.create_engine(at.engine.url)
    stage.closing(engine.dispose)
    cached = Cache(stage.url, namespace="queries", policy=Policy(ttl=3600, timeouts=PATIENT))
    stage.closing(cached.close)
    sessions = sessionmaker(engine)
    QueryCache(cached).attach(sessions)
    return Asked(sessions, models, {"cache": 3600})


def _timed(
    make: Callable[[Stage], Asked], question: str, keys: list[Any]
) -> Callable[[Stage], Measure]:
    def prepare(stage: Stage) -> Measure:
        ask = getattr(make(stage), question)
        for key in keys:
            ask(key)
        return stage.timed("ask(key)", keys, block=1, ask=ask)

    return prepare


_NOTE = (
    "336,776 flights of 15 columns in the memory of PostgreSQL 18, over a Unix socket; a hit is one of L1. Both sides open a "
    "session, build the statement, execute it, take all rows and close the session."
)
_UNCACHED = "SQLAlchemy session"


def _row(name: str, title: str, question: str, keys: list[Any], *, limit: float) -> Row:
    return Row(
        number=20,
        name=name,
        title=title,
        unit="ns",
        reference=_UNCACHED,
        pinned=True,
        rounds=41,
        note=_NOTE,
        cases=(
            ours("QueryCache, warm", _timed(_cached, question, keys)),
            Case(_UNCACHED, _timed(_plain, question, keys)),
        ),
        targets=(Target(case="cachewright QueryCache, warm", limit=limit, against=(_UNCACHED,)),),
    )


ROWS = (
    _row(
        "query-aggregate",
        "A join and aggregates through the ORM",
        "delays",
        ["EWR", "JFK", "LGA"],
        limit=1 / 100,
    ),
    _row(
        "query-point",
        "One row by its key through the ORM",
        "point",
        [1, 4711, 90_001, 336_776],
        limit=1 / 3,
    ),
    _row(
        "query-list",
        "A list of 1,000 rows through the ORM",
        "listed",
        [1, 100_001, 200_001],
        limit=1 / 2,
    ),
)
