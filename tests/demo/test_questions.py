"""The questions: the same answer from both databases, and tags that name just what it is made from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import mean, median_low

import pytest

from demo import sqlite
from demo.database import Database, Row, ensure_loaded
from demo.questions import Plan, Question, flight_tags, plan, route_delays


def flights(database: Database) -> list[Row]:
    return database.ask("SELECT * FROM flights ORDER BY id", {})


def test_both_databases_give_equal_answers(loaded: sqlite.SQLite, postgres: Database) -> None:
    """Rows, order, types and every bit of a mean; so what is shown for one holds for the other."""
    asked = plan(loaded)
    assert asked == plan(postgres)
    assert answers(loaded, asked) == answers(postgres, asked)
    assert types(answers(loaded, asked)) == types(answers(postgres, asked))

    async def through_asyncio() -> list[list[Row]]:
        async with postgres.asynchronous() as ask:
            return await asyncio.gather(*(ask(q.sql, q.parameters) for q in asked.questions))

    assert asyncio.run(through_asyncio()) == [q.ask(loaded) for q in asked.questions]
    known = postgres.ask("SELECT * FROM loaded ORDER BY what", {})
    assert known == loaded.ask("SELECT * FROM loaded ORDER BY what", {})


def test_a_second_start_of_postgresql_uses_what_is_there(postgres: Database, archive: Path) -> None:
    again = ensure_loaded(postgres, lambda: archive, progress=lambda _table, _size, rows: rows)
    assert again.reused


def test_a_route_says_the_mean_and_percentiles_of_its_delays(loaded: sqlite.SQLite) -> None:
    delays = sorted(
        row["arr_delay"]
        for row in flights(loaded)
        if (row["origin"], row["dest"]) == ("JFK", "LAX") and isinstance(row["arr_delay"], int)
    )
    (answer,) = route_delays("JFK", "LAX").ask(loaded)
    assert answer == {
        "arrived": len(delays),
        "mean_delay": pytest.approx(mean(delays)),
        "median_delay": median_low(delays),
        "p90_delay": delays[-(-len(delays) * 9 // 10) - 1],
        "worst_delay": delays[-1],
    }


def test_a_route_without_flights_has_an_answer_too(loaded: sqlite.SQLite) -> None:
    (answer,) = route_delays("JFK", "nowhere").ask(loaded)
    assert answer["arrived"] == 0
    assert answer["mean_delay"] is None


def test_every_question_has_a_key_of_its_own_and_rows_to_show(loaded: sqlite.SQLite) -> None:
    questions = plan(loaded).questions
    assert len({question.key for question in questions}) == len(questions) >= 18
    assert all(question.ask(loaded) for question in questions)


def test_a_changed_flight_changes_just_the_answers_that_carry_its_tags(
    loaded: sqlite.SQLite,
) -> None:
    asked = plan(loaded)
    before = answers(loaded, asked)
    some_arrived = [row for row in flights(loaded) if row["arr_delay"] is not None][::100]
    for flight in [asked.flight, *some_arrived]:
        write(loaded, flight | {"arr_delay": 5000})
        assert different(before, answers(loaded, asked)) == tagged(asked, flight_tags(flight))
        write(loaded, flight)


def test_a_flight_given_to_another_plane_changes_the_answers_about_both(
    loaded: sqlite.SQLite,
) -> None:
    asked = plan(loaded)
    before = answers(loaded, asked)
    write(loaded, asked.changed)
    changed = different(before, answers(loaded, asked))
    tags = {*flight_tags(asked.flight), *flight_tags(asked.changed)}
    assert changed == tagged(asked, tuple(tags))
    assert changed > tagged(asked, flight_tags(asked.flight))
    assert changed < {question.key for question in asked.questions}


def answers(database: Database, asked: Plan) -> dict[str, list[Row]]:
    return {question.key: question.ask(database) for question in asked.questions}


def types(told: dict[str, list[Row]]) -> list[type]:
    return [type(value) for rows in told.values() for row in rows for value in row.values()]


def different(before: dict[str, list[Row]], after: dict[str, list[Row]]) -> set[str]:
    return {key for key in before if before[key] != after[key]}


def tagged(asked: Plan, tags: tuple[str, ...]) -> set[str]:
    def touched(question: Question) -> bool:
        return bool({*question.tags} & {*tags})

    return {question.key for question in asked.questions if touched(question)}


def write(database: Database, flight: Row) -> None:
    sql = "UPDATE flights SET arr_delay = %(arr_delay)s, tailnum = %(tailnum)s WHERE id = %(id)s"
    database.change(sql, {name: flight[name] for name in ("arr_delay", "tailnum", "id")})
