"""Experiment: how many cached queries fall without need when one row is written, on a workload that mostly reads by rows.

PostgreSQL. Hundreds of queries whose predicates fix a key, a foreign key or an indexed pair are cached; then rows are
written one at a time by a session, and after each commit every query is asked again: it fell if it was sent, and without need
if its answer is what it was. Control: the same cache with tags of tables alone. What must not be here: staleness, which
`cached_queries` searches for; here it is counted as well, and is a violation.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from cachewright import Cache, Policy
from cachewright.integrations.sqlalchemy import QueryCache
from proof import weakened_queries
from proof.experiment import Experiment, Measured, Run
from rig.rows import versioned_rows

AIRLINES, FLIGHTS, MOST = 10, 2_000, 0.10
"""Rows, and the share of entries that may fall without need."""


class Base(DeclarativeBase):
    """The tables."""


class Airline(Base):
    """Found by its code."""

    __tablename__ = "airline"
    code: Mapped[str] = mapped_column(sa.String(2), primary_key=True)
    name: Mapped[str]


class Flight(Base):
    """Found by its key, its plane, or airline and day."""

    __tablename__ = "flight"
    __table_args__ = (sa.Index("flight_of_day", "carrier", "day"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    carrier: Mapped[str] = mapped_column(sa.ForeignKey("airline.code"))
    day: Mapped[int]
    plane: Mapped[int] = mapped_column(index=True)
    delay: Mapped[int]


@dataclass
class Counted:
    """Per write: how many entries there were, fell, fell without need, and were wrong."""

    writes: int = 0
    entries: int = 0
    fell: int = 0
    needless: int = 0
    stale: int = 0
    worst: float = 0.0


def _questions(draw: random.Random, many: int) -> list[Any]:
    flights = [
        sa.select(Flight).where(Flight.id == draw.randint(1, FLIGHTS)) for _ in range(many // 2)
    ]
    planes = [
        sa.select(Flight).where(Flight.plane == draw.randint(1, 200)) for _ in range(many // 4)
    ]
    days = [
        sa.select(sa.func.count(), sa.func.avg(Flight.delay)).where(
            Flight.carrier == f"A{draw.randrange(AIRLINES)}", Flight.day == draw.randint(1, 60)
        )
        for _ in range(many // 4)
    ]
    return [*flights, *planes, *days]


def _write(session: Any, draw: random.Random) -> None:
    flight = session.get(Flight, draw.randint(1, FLIGHTS))
    kind = draw.random()
    if kind < 0.6 or flight is None:
        if flight is not None:
            flight.delay += 1
    elif kind < 0.8:
        flight.plane = draw.randint(1, 200)
    elif kind < 0.9:
        session.add(
            Flight(carrier="A1", day=draw.randint(1, 60), plane=draw.randint(1, 200), delay=0)
        )
    else:
        session.delete(flight)


def _measure(how: Run) -> Counted:
    draw = random.Random(how.seed)
    counted = Counted()
    with versioned_rows(1) as rows:
        engine = sa.create_engine(rows.address.replace("postgresql://", "postgresql+psycopg://"))
        _build(engine, draw)
        cache = Cache(policy=Policy(ttl=3600))
        sessions = sessionmaker(engine)
        QueryCache(cache).attach(sessions)
        questions = _questions(draw, how.pick(80, 800))
        answers = [_ask(sessions, each) for each in questions]
        for _ in range(how.pick(15, 100)):
            with sessions.begin() as session:
                _write(session, draw)
            _look(engine, sessions, (questions, answers), counted)
        cache.close()
        engine.dispose()
    return counted


def _look(
    engine: sa.Engine, sessions: Any, asked: tuple[list[Any], list[Any]], counted: Counted
) -> None:
    questions, answers = asked
    sent: list[str] = []

    def note(*about: Any) -> None:
        sent.append(about[2])

    sa.event.listen(engine, "before_cursor_execute", note)
    needless = 0
    for place, question in enumerate(questions):
        sent.clear()
        answer = _ask(sessions, question)
        fell, same = bool(sent), answer == answers[place]
        counted.fell += fell
        needless += fell and same
        answers[place] = answer
    sa.event.remove(engine, "before_cursor_execute", note)
    with sessions() as session:
        for place, question in enumerate(questions):
            counted.stale += _shown(session.execute(question).all()) != answers[place]
    counted.writes += 1
    counted.entries += len(questions)
    counted.needless += needless
    counted.worst = max(counted.worst, needless / len(questions))


def _ask(sessions: Any, question: Any) -> Any:
    with sessions() as session:
        return _shown(session.execute(question, execution_options={"cache": 3600}).all())


def _shown(rows: Any) -> list[Any]:
    names = [column.key for column in Flight.__table__.columns]
    return sorted(
        [
            str([getattr(each, name) for name in names] if isinstance(each, Flight) else each)
            for each in row
        ]
        for row in rows
    )


def _build(engine: sa.Engine, draw: random.Random) -> None:
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            sa.insert(Airline), [{"code": f"A{n}", "name": f"Airline {n}"} for n in range(AIRLINES)]
        )
        connection.execute(
            sa.insert(Flight),
            [
                {
                    "carrier": f"A{draw.randrange(AIRLINES)}",
                    "day": draw.randint(1, 60),
                    "plane": draw.randint(1, 200),
                    "delay": 0,
                }
                for _ in range(FLIGHTS)
            ],
        )


def _told(counted: Counted) -> Measured:
    share = counted.needless / counted.entries
    numbers = {
        "writes": counted.writes,
        "queries": counted.entries // counted.writes,
        "fell, percent": round(100 * counted.fell / counted.entries, 2),
        "fell without need, percent": round(100 * share, 2),
        "worst write, percent": round(100 * counted.worst, 2),
        "stale": counted.stale,
    }
    return Measured(counted.stale + (counted.writes if share > MOST else 0), numbers)


def ours(how: Run) -> Measured:
    """The query cache as it is."""
    return _told(_measure(how))


def control(how: Run) -> Measured:
    """Tags of tables alone."""
    with pytest.MonkeyPatch.context() as patch:
        weakened_queries.tables_alone(patch)
        return _told(_measure(how))


EXPERIMENT = Experiment(
    name="row_predicates",
    what="rows are written one at a time while queries that fix keys or indexed columns are cached",
    target="at most 10 % of the entries fall without need",
    ours=ours,
    control=control,
    control_is="each query depends on its tables as a whole",
)
