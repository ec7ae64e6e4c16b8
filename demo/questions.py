"""What the demo asks: five kinds of question, each with several parameters.

Nothing here says what an answer is made from. Each question fixes the columns of an index by equalities or lists, and
that is what the cache takes from its SQL.

What must not be here: the cache, timing, printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from demo.data import Value
from demo.database import Database, Row, named

MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NEW_DELAY = 777
"""Minutes; later than any flight to Los Angeles was."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask the database. `key` is its name in the demo; the cache makes its own of the SQL."""

    title: str
    key: str
    sql: str
    parameters: Mapping[str, Value]

    @property
    def statement(self) -> sa.TextClause:
        """The SQL for SQLAlchemy, which takes `parameters` with it."""
        return _text(self.sql)

    def ask(self, database: Database) -> list[Row]:
        """The answer from the database itself."""
        return database.ask(self.sql, self.parameters)


@cache
def _text(sql: str) -> sa.TextClause:
    return sa.text(named(sql))


def route_delays(origin: Value, dest: Value) -> Question:
    """How late a route arrives: one row."""
    # The percentiles are counted out rather than left to `percentile_disc`, which SQLite lacks.
    sql = """
        WITH arrived AS (
            SELECT arr_delay, row_number() OVER (ORDER BY arr_delay) AS place, count(*) OVER () AS n
            FROM flights
            WHERE origin = %(origin)s AND dest = %(dest)s AND arr_delay IS NOT NULL
        )
        SELECT count(*) AS arrived, avg(CAST(arr_delay AS double precision)) AS mean_delay,
            min(CASE WHEN place * 2 >= n THEN arr_delay END) AS median_delay,
            min(CASE WHEN place * 10 >= n * 9 THEN arr_delay END) AS p90_delay,
            max(arr_delay) AS worst_delay
        FROM arrived
    """
    return Question(
        f"{origin} → {dest}: arrival delays",
        f"route-delays:{origin}:{dest}",
        sql,
        {"origin": origin, "dest": dest},
    )


def airport_day(origin: Value, month: Value, day: Value) -> Question:
    """An airport's departures of one day: a row a flight, with the names of airline and place."""
    sql = """
        SELECT f.id, f.sched_dep_time, f.carrier, a.name AS airline, f.flight, f.tailnum,
            f.dest, p.name AS destination, f.dep_delay, f.arr_delay
        FROM flights f
        JOIN airlines a ON a.carrier = f.carrier
        LEFT JOIN airports p ON p.faa = f.dest
        WHERE f.origin = %(origin)s AND f.month = %(month)s AND f.day = %(day)s
        ORDER BY f.sched_dep_time, f.id
    """
    return Question(
        f"{origin} on {_date(month, day)}: all departures",
        f"departures:{origin}:{month}:{day}",
        sql,
        {"origin": origin, "month": month, "day": day},
    )


def weather_and_delays(origin: Value, month: Value, day: Value) -> Question:
    """An airport's weather and its delays of one day: a row an hour."""
    sql = """
        SELECT f.time_hour, w.temp, w.wind_speed, w.precip, w.visib, count(*) AS flights,
            avg(CAST(f.dep_delay AS double precision)) AS mean_dep_delay,
            avg(CAST(f.arr_delay AS double precision)) AS mean_arr_delay
        FROM flights f
        LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
        WHERE f.origin = %(origin)s AND f.month = %(month)s AND f.day = %(day)s
        GROUP BY f.time_hour, w.temp, w.wind_speed, w.precip, w.visib
        ORDER BY f.time_hour
    """
    return Question(
        f"{origin} on {_date(month, day)}: weather and delays",
        f"weather:{origin}:{month}:{day}",
        sql,
        {"origin": origin, "month": month, "day": day},
    )


def plane_history(tailnum: Value) -> Question:
    """A plane's year: a row a flight, with what is known of the plane."""
    sql = """
        SELECT p.manufacturer, p.model, p.year AS built, p.seats, f.id, f.time_hour, f.carrier,
            f.origin, f.dest, f.distance, f.arr_delay
        FROM flights f
        LEFT JOIN planes p ON p.tailnum = f.tailnum
        WHERE f.tailnum = %(tailnum)s
        ORDER BY f.time_hour, f.id
    """
    return Question(
        f"plane {tailnum}: every flight",
        f"plane-history:{tailnum}",
        sql,
        {"tailnum": tailnum},
    )


def carrier_ranking(first: int, last: int) -> Question:
    """The airlines by punctuality in the months `first` to `last`: a row an airline."""
    # A list, not a range: what an equality or a list fixes is what an answer depends on.
    months = {f"month_{month}": month for month in range(first, last + 1)}
    listed = ", ".join(f"%({name})s" for name in months)
    sql = f"""
        SELECT a.name AS airline, count(*) AS flights, count(*) - count(f.arr_delay) AS not_arrived,
            avg(CAST(f.arr_delay AS double precision)) AS mean_delay
        FROM flights f
        JOIN airlines a ON a.carrier = f.carrier
        WHERE f.month IN ({listed})
        GROUP BY a.carrier, a.name
        ORDER BY mean_delay NULLS LAST, a.carrier
    """
    return Question(
        f"{MONTHS[first]} to {MONTHS[last]}: airlines by punctuality",
        f"ranking:{first}:{last}",
        sql,
        dict(months),
    )


def _date(month: Value, day: Value) -> str:
    assert isinstance(month, int)
    return f"{day} {MONTHS[month]}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The questions, and the one flight that is going to change."""

    questions: tuple[Question, ...]
    flight: Row
    changed: Row
    """The same flight, much later and with another plane of its airline."""
    days: tuple[Row, ...] = ()
    """Of each airport its busiest day: `origin`, `month`, `day`."""
    planes: tuple[Value, ...] = ()
    """The flight's plane first, then busy ones of its airline."""


def plan(database: Database) -> Plan:
    """Questions that the loaded flights can answer, some of them made from the flight that changes.

    They depend on the data alone, so a slice and two databases agree on them.
    """
    routes = database.ask(_BUSIEST_ROUTES, {})
    flight = database.ask(_FLIGHT, routes[0])[0]
    planes = database.ask(_BUSIEST_PLANES, flight)
    questions = (*_about(flight, planes), *(route_delays(r["origin"], r["dest"]) for r in routes))
    days = database.ask(_BUSIEST_DAYS, {})
    questions += tuple(_about_days(days))
    questions += tuple(carrier_ranking(*months) for months in ((1, 12), (1, 3), (6, 8), (10, 12)))
    unique = {question.key: question for question in questions}
    ordered = sorted(unique.values(), key=lambda question: question.key.partition(":")[0])
    changed = flight | {"arr_delay": NEW_DELAY, "tailnum": planes[0]["tailnum"]}
    tailnums = (flight["tailnum"], *(plane["tailnum"] for plane in planes))
    return Plan(tuple(ordered), flight, changed, tuple(days), tailnums)


def _about(flight: Row, planes: list[Row]) -> Iterator[Question]:
    yield from _about_days([flight])
    yield plane_history(flight["tailnum"])
    yield from (plane_history(plane["tailnum"]) for plane in planes)


def _about_days(days: list[Row]) -> Iterator[Question]:
    for day in days:
        where_and_when = day["origin"], day["month"], day["day"]
        yield airport_day(*where_and_when)
        yield weather_and_delays(*where_and_when)


_BUSIEST_ROUTES = """
    SELECT origin, dest FROM flights
    GROUP BY origin, dest ORDER BY count(*) DESC, origin, dest LIMIT 4
"""
_FLIGHT = """
    SELECT * FROM flights
    WHERE origin = %(origin)s AND dest = %(dest)s
        AND arr_delay IS NOT NULL AND tailnum IN (SELECT tailnum FROM planes)
    ORDER BY CASE WHEN month = 7 AND day = 4 THEN 0 ELSE 1 END, id LIMIT 1
"""
_BUSIEST_PLANES = """
    SELECT tailnum FROM flights
    WHERE carrier = %(carrier)s AND tailnum <> %(tailnum)s
    GROUP BY tailnum ORDER BY count(*) DESC, tailnum LIMIT 3
"""
_BUSIEST_DAYS = """
    SELECT origin, month, day FROM (
        SELECT origin, month, day, row_number() OVER (
            PARTITION BY origin ORDER BY count(*) DESC, month, day
        ) AS place
        FROM flights GROUP BY origin, month, day
    ) AS days
    WHERE place = 1 ORDER BY origin
"""
