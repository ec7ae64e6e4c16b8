"""The demo's pages: HTML of nested fragments, made of objects, made of cached queries. Nobody lists what they depend on.

What must not be here: what becomes of them when something is written, timing, printing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import jinja2

from demo.asking import Desk, Process
from demo.data import Value
from demo.database import Row
from demo.questions import MONTHS, Question, carrier_ranking

TEMPLATES = Path(__file__).parent / "templates"
PLAIN = (
    (re.compile(r'{% cachemany "\w+", (.+?), key=\w+ %}'), r"{% for \1 %}"),
    (re.compile(r"{% endcachemany %}"), "{% endfor %}"),
    (re.compile(r"{% (cache .+?|endcache) %}"), "{# not cached #}"),
)
"""What makes of a template the same without a cache."""
_SHOWN: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}


@dataclass(frozen=True, slots=True)
class Flight:
    """What a page shows of a flight."""

    id: int
    month: int
    day: int
    sched_dep_time: int
    carrier: str
    flight: int
    origin: str
    dest: str
    arr_delay: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its template, and what it is about."""

    title: str
    template: str
    about: dict[str, Value]


def wanted(desk: Desk) -> list[Page]:
    """Boards of the flight's day and of each airport's busiest day, and of some planes what they flew in its quarter."""
    flight, days, planes = desk.plan.flight, desk.plan.days, desk.plan.planes
    airports = [day["origin"] for day in days]
    found = [_board(it | {"hour": flight["hour"]}) for it in days]
    found += [_board(flight | {"origin": origin}) for origin in airports]
    found += [_plane(tailnum, flight["month"]) for tailnum in planes]
    return sorted({page.title: page for page in found}.values(), key=lambda page: page.title)


def _board(about: Row) -> Page:
    day = {name: about[name] for name in ("origin", "month", "day", "hour")}
    month = _named(day["month"])
    title = f"{day['origin']} on {day['day']} {month}, {day['hour']} h"
    return Page(title, "board.html", day | {"month_name": month})


def _plane(tailnum: Value, month: Value) -> Page:
    assert isinstance(month, int)
    first = (month - 1) // 3 * 3 + 1
    title = f"{tailnum}, {_named(first)} to {_named(first + 2)}"
    return Page(title, "plane.html", {"tailnum": tailnum, "first": first, "last": first + 2})


def _named(month: Value) -> str:
    assert isinstance(month, int)
    return MONTHS[month]


# -------------------------------------------------------------------- what pages ask


def flight_row(number: Value) -> Question:
    """One row, by its number."""
    columns = ", ".join(field.name for field in fields(Flight))
    sql = f"SELECT {columns} FROM flights WHERE id = %(id)s"
    return Question(f"row of flight {number}", f"row:{number}", sql, {"id": number})


def departures(origin: Value, month: Value, day: Value, hour: Value) -> Question:
    """The numbers of an airport's flights of two hours of a day."""
    sql = """
        SELECT id FROM flights
        WHERE origin = %(origin)s AND month = %(month)s AND day = %(day)s
            AND hour BETWEEN %(hour)s AND %(hour)s + 1
        ORDER BY sched_dep_time, id
    """
    about = {"origin": origin, "month": month, "day": day, "hour": hour}
    return Question(
        f"which flights: {origin} on {day} {_named(month)}, {hour} h",
        f"departures:{origin}:{month}:{day}:{hour}",
        sql,
        about,
    )


def history(tailnum: Value, first: Value, last: Value) -> Question:
    """The numbers of a plane's flights in the months `first` to `last`."""
    sql = """
        SELECT id FROM flights
        WHERE tailnum = %(tailnum)s AND month BETWEEN %(first)s AND %(last)s
        ORDER BY time_hour, id
    """
    return Question(
        f"which flights: {tailnum}, {_named(first)} to {_named(last)}",
        f"history:{tailnum}:{first}",
        sql,
        {"tailnum": tailnum, "first": first, "last": last},
    )


def airport(origin: Value) -> Question:
    """An airport's name."""
    sql = "SELECT name FROM airports WHERE faa = %(origin)s"
    return Question(f"airport {origin}", f"airport:{origin}", sql, {"origin": origin})


def plane(tailnum: Value) -> Question:
    """What is known of a plane: a row, or none."""
    sql = "SELECT manufacturer, model FROM planes WHERE tailnum = %(tailnum)s"
    return Question(f"plane {tailnum}", f"plane:{tailnum}", sql, {"tailnum": tailnum})


def questions(page: Page) -> Iterator[Question]:
    """What a page asks, but for the rows of its flights."""
    it = page.about
    if page.template == "plane.html":
        yield from (plane(it["tailnum"]), history(it["tailnum"], it["first"], it["last"]))
        return
    yield departures(it["origin"], it["month"], it["day"], it["hour"])
    yield from (airport(it["origin"]), ranking(it["month"]))


def ranking(month: Value) -> Question:
    """The airlines by punctuality in one month."""
    assert isinstance(month, int)
    return replace(
        carrier_ranking(month, month), title=f"airlines by punctuality in {_named(month)}"
    )


# -------------------------------------------------------------------- the site


class Site:
    """Renders pages. `ask` answers a question; `flight` gives the object of a flight by its number."""

    def __init__(
        self,
        environment: jinja2.Environment,
        ask: Callable[[Question], list[Row]],
        flight: Callable[[int], Flight],
    ) -> None:
        def numbers(question: Question) -> list[Value]:
            return [row["id"] for row in ask(question)]

        self._environment = environment
        environment.globals |= {
            "flight": flight,
            "departures": lambda *day: numbers(departures(*day)),
            "history": lambda *months: numbers(history(*months)),
            "airport": lambda origin: next((row["name"] for row in ask(airport(origin))), origin),
            "plane": lambda tailnum: next(iter(ask(plane(tailnum))), None),
            "ranking": lambda month: ask(ranking(month)),
        }

    def html(self, page: Page) -> str:
        """The page as text."""
        return self._environment.get_template(page.template).render(page.about)

    def all(self, pages: list[Page]) -> dict[str, str]:
        """The pages by their titles."""
        return {page.title: self.html(page) for page in pages}


def cached(process: Process) -> Site:
    """The site as a process serves it."""
    environment: Any = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        extensions=["cachewright.integrations.jinja2.CacheExtension"],
        **_SHOWN,
    )
    environment.fragment_cache = process.cache
    flights = process.cache.typed(Flight)

    def flight(number: int) -> Flight:
        return flights.get_or_load(
            ("flight", number), lambda: _made(process.ask(flight_row(number)))
        )

    return Site(environment, process.ask, flight)


def uncached(desk: Desk) -> Site:
    """The same templates without their cache tags, over the database itself."""

    def source(name: str) -> str:
        text = (TEMPLATES / name).read_text(encoding="utf-8")
        for tag, plain in PLAIN:
            text = tag.sub(plain, text)
        return text

    environment = jinja2.Environment(loader=jinja2.FunctionLoader(source), **_SHOWN)
    return Site(environment, desk.straight, lambda number: _made(desk.straight(flight_row(number))))


def _made(rows: list[Row]) -> Flight:
    values: Any = rows[0]
    return Flight(**values)
