"""The pages: what they are made of, and that exactly what a delayed flight is in falls; both databases, both worlds."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from cachewright.core.loading import Load
from cachewright.embedded import EmbeddedServer
from demo import crowds, falling, pages
from demo.asking import Desk
from demo.change import change
from demo.database import Database
from demo.questions import plan
from demo.report import Report
from demo.results import Check, Layer


def test_a_cached_page_is_the_page(desk: Desk) -> None:
    wanted = pages.wanted(desk)
    assert {page.template for page in wanted} == {"board.html", "plane.html"}
    plain = pages.uncached(desk).all(wanted)
    with desk.process() as process, desk.process() as other:
        for site in (pages.cached(process), pages.cached(other)):
            for _ in range(2):
                assert site.all(wanted) == plain
    assert all("<li>" in html and "<h1>" in html for html in plain.values())


def test_the_uncached_templates_have_no_tag_of_the_cache(desk: Desk) -> None:
    source = pages.uncached(desk)._environment.loader.get_source
    for path in pages.TEMPLATES.glob("*.html"):
        assert "{% cache" in path.read_text()
        assert "{% cache" not in source(None, path.name)[0]


def test_just_what_a_delayed_flight_is_in_falls(desk: Desk) -> None:
    found, checks = falling.pages(desk)
    assert failed(checks) == []
    flight = desk.plan.flight
    number, month = flight["id"], flight["month"]
    query, thing, fragment, page = found.layers
    assert thing.fell == [f"flight {number}"]
    assert sorted(fragment.fell) == [f"airlines of month {month}", f"line of flight {number}"]
    assert f"row of flight {number}" in query.fell
    # Two lists of numbers depend on what their predicates fix, and a delay changes no number.
    assert len(query.fell) == 4
    assert all(name.startswith("which flights:") for name in query.same)
    assert len(query.same) == 2
    boards = [page.title for page in pages.wanted(desk) if page.about.get("month") == month]
    (its_plane,) = [name for name in found.pages if name.startswith(f"{flight['tailnum']},")]
    assert page.fell == sorted([*boards, its_plane])
    assert found.loads == len(query.fell)
    assert found.loads_cold == query.entries


def test_parts_that_hand_up_no_tags_are_found_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: what is made of a query falls no more with the query's rows."""
    whole = Load.gather

    def keys_alone(self: Load, stamps: dict[str, bytes] | None) -> None:
        kept = {tag: it for tag, it in (stamps or {}).items() if tag.startswith(("k:", "n:"))}
        whole(self, None if stamps is None else kept)

    monkeypatch.setattr(Load, "gather", keys_alone)
    monkeypatch.setattr(falling, "PATIENCE", 0.0)
    found, checks = falling.pages(desk)
    query, thing, fragment, page = found.layers
    assert query.fell
    assert thing.missed
    assert fragment.missed
    assert page.missed
    assert not page.fell
    assert [claim.partition(":")[0].partition(",")[0] for claim in failed(checks)] == [
        "One flight late",
        "Each query",
        "In each layer something changed and something stayed",
    ]


def test_a_second_cache_that_hears_nothing_is_found_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = falling._gone, []

    def deaf(process: object, keys: object) -> set[str]:
        asked.append(process)
        return whole(process, keys) if process is asked[0] else set()

    monkeypatch.setattr(falling, "_gone", deaf)
    monkeypatch.setattr(falling, "PATIENCE", 0.0)
    found, checks = falling.pages(desk)
    assert found.heard is None
    assert failed(checks) == ["In a second cache exactly the same entries fell"]


def test_postgresql_says_the_same_in_both_worlds(postgres: Database) -> None:
    with EmbeddedServer() as server:
        desk = Desk(server.url, postgres, plan(postgres))
        checks = [
            *crowds.threads(desk)[1],
            *crowds.coroutines(desk)[1],
            *change(desk)[1],
            *falling.pages(desk)[1],
        ]
    assert failed(checks) == []


def test_what_was_missed_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = falling.pages(desk)
    lost = Layer(
        name="page",
        entries=99,
        fell=[f"n{n}" for n in range(11)],
        same=["n3"],
        missed=["the home page"],
    )
    Report(sys.stdout)._pages(replace(found, layers=[lost]), desk.plan)
    told = capsys.readouterr().out
    assert "NOT the home page" in told
    assert "n3 (same)" in told
    assert "and 3 more" in told
    assert max(map(len, told.splitlines())) <= 100


def failed(checks: list[Check]) -> list[str]:
    return [check.claim for check in checks if not check.holds]
