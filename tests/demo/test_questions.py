"""The questions: the same answer from both databases, and a write takes just the answers that are made from its row."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median_low

import pytest

from demo import sqlite
from demo.asking import Desk, Process
from demo.database import Database, Row, ensure_loaded
from demo.questions import Plan, plan, route_delays


def flights(database: Database) -> list[Row]:
    return database.ask("SELECT * FROM flights ORDER BY id", {})


def test_both_databases_give_equal_answers(loaded: sqlite.SQLite, postgres: Database) -> None:
    """Rows, order, types and every bit of a mean; so what is shown for one holds for the other."""
    asked = plan(loaded)
    assert asked == plan(postgres)
    assert answers(loaded, asked) == answers(postgres, asked)
    assert types(answers(loaded, asked)) == types(answers(postgres, asked))
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


def test_a_changed_flight_takes_just_the_answers_that_it_is_in(
    loaded: sqlite.SQLite, desk: Desk
) -> None:
    some_arrived = [row for row in flights(loaded) if row["arr_delay"] is not None][::300]
    with desk.process() as process:
        for flight in [desk.plan.flight, *some_arrived]:
            changed, fell = written(desk, process, flight, {"arr_delay": 5000})
            assert changed == fell
            written(desk, process, flight, {"arr_delay": flight["arr_delay"]})


def test_a_flight_given_to_another_plane_takes_the_answers_about_both(desk: Desk) -> None:
    old, new = desk.plan.flight, desk.plan.changed
    with desk.process() as process:
        values = {name: new[name] for name in ("arr_delay", "tailnum")}
        changed, fell = written(desk, process, old, values)
    assert changed == fell
    assert fell >= {f"plane-history:{flight['tailnum']}" for flight in (old, new)}
    assert fell < {question.key for question in desk.plan.questions}


def test_a_write_past_the_sessions_takes_nothing(desk: Desk) -> None:
    """The control: the answers that are wrong then are still cached, and would be found out."""
    with desk.process() as process:
        entries, before = filled(desk, process)
        write(desk.database, desk.plan.changed)
        assert different(before, desk.truth())
        assert gone(process, entries) == set()


def filled(desk: Desk, process: Process) -> tuple[dict[str, str], dict[str, list[Row]]]:
    """The cache keys of all answers, which are cached now, and what the database says."""
    process.answers(desk.plan.questions)
    return {q.key: process.entry(q) for q in desk.plan.questions}, desk.truth()


def gone(process: Process, entries: dict[str, str]) -> set[str]:
    held = process.cache.get_many(entries.values())
    return {question for question, entry in entries.items() if entry not in held}


def written(
    desk: Desk, process: Process, flight: Row, values: dict[str, object]
) -> tuple[set[str], set[str]]:
    """The answers that are different after a write, and those that fell."""
    entries, before = filled(desk, process)
    process.write(flight["id"], **values)
    return different(before, desk.truth()), gone(process, entries)


def answers(database: Database, asked: Plan) -> dict[str, list[Row]]:
    return {question.key: question.ask(database) for question in asked.questions}


def types(told: dict[str, list[Row]]) -> list[type]:
    return [type(value) for rows in told.values() for row in rows for value in row.values()]


def different(before: dict[str, list[Row]], after: dict[str, list[Row]]) -> set[str]:
    return {key for key in before if before[key] != after[key]}


def write(database: Database, flight: Row) -> None:
    sql = "UPDATE flights SET arr_delay = %(arr_delay)s, tailnum = %(tailnum)s WHERE id = %(id)s"
    database.change(sql, {name: flight[name] for name in ("arr_delay", "tailnum", "id")})
