"""The pattern tour: its numbers come from what happened, its checks can fail, and the flights stay as they were."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cachewright.embedded import EmbeddedServer
from demo import agreeing, crashing, data, doors, patterns, racing, showing, sqlite
from demo.__main__ import main
from demo.database import Database, census
from demo.doors import ASIDE, BEHIND, SQL, THROUGH, Place, copied, opened
from demo.matrix import Crash, Freshness, Latency, Pattern
from demo.report import Report
from demo.results import Check


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few operations of each kind; the processes that are killed acknowledge as many as ever."""
    monkeypatch.setattr(racing, "ROUNDS", 2)
    monkeypatch.setattr(racing, "BLOCK", 4)
    monkeypatch.setattr(agreeing, "WRITES", 12)
    monkeypatch.setattr(agreeing, "CONTROLS", 5)


@pytest.fixture
def place(loaded: sqlite.SQLite, tmp_path: Path) -> Iterator[Place]:
    with EmbeddedServer(directory=tmp_path / "cache", config=patterns.LOGGED) as server:
        yield Place(loaded.url, server.url)


def test_the_matrix_is_measured_shown_and_written_as_json(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(data, "SHA256", data.digest(archive))
    kept = ["--folder", str(tmp_path / "kept"), "--archive", str(archive)]
    assert main(["--no-postgres", "--json", *kept]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    matrix = {line["name"]: line for line in found["patterns"]}
    assert list(matrix) == [SQL, *doors.OPEN, crashing.GUIDE]
    assert {line["claim"] for line in found["checks"]} > {
        "No cache read an old row of its own write, through any pattern"
    }
    for name in doors.OPEN:
        assert 0 < matrix[name]["latency"]["hot"] < matrix[SQL]["latency"]["hot"]
        assert matrix[name]["freshness"]["writes"] == 12
        assert matrix[name]["freshness"]["in_sql"] == (12 if name == BEHIND else 0)
    for name in (ASIDE, THROUGH, BEHIND):
        assert matrix[name]["crash"]["acknowledged"] >= crashing.ENOUGH
        assert matrix[name]["crash"]["lost"] == 0
    assert matrix[crashing.GUIDE]["crash"]["lost"] > 0
    assert showing.HEAD in told.err
    assert f"{BEHIND} " in told.err


def test_the_flights_and_the_tables_are_as_before(loaded: sqlite.SQLite, place: Place) -> None:
    before = census(loaded)
    with place.engine() as engine, copied(engine) as flights:
        assert len(flights) == doors.COPIED
        with opened(THROUGH, place, engine) as door:
            door.write(flights[0] | {"arr_delay": 4321})
        assert sa.inspect(engine).has_table("pattern_tour")
    assert census(loaded) == before
    assert not loaded.exists("pattern_tour")
    assert not loaded.exists("cachewright_positions")


def test_every_door_reads_what_it_wrote_and_brings_it_to_the_table(place: Place) -> None:
    with place.engine() as engine, copied(engine) as flights, opened(SQL, place, engine) as sql:
        for number, name in enumerate(doors.OPEN):
            new = flights[number] | {"arr_delay": 5000 + number}
            with opened(name, place, engine) as door:
                assert door.read(new["id"]) == flights[number]
                door.write(new)
                assert door.read(new["id"]) == new
                assert door.settle()
            assert sql.read(new["id"]) == new


def test_the_tour_reaches_postgresql_too(postgres: Database, place: Place) -> None:
    there = dataclasses.replace(place, database=postgres.url)
    with there.engine() as engine, copied(engine) as flights, opened(SQL, there, engine) as sql:
        new = flights[0] | {"arr_delay": 5000}
        with opened(BEHIND, there, engine) as door:
            door.write(new)
            assert sql.read(new["id"]) == flights[0]
            assert door.settle()
        assert sql.read(new["id"]) == new


def test_a_door_that_tells_nobody_of_its_writes_is_found_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreeing, "PATIENCE", 0.0)
    monkeypatch.setattr(doors, "_around", lambda _cache, _source, plain: plain.write)
    with place.engine() as engine, copied(engine) as flights, opened(SQL, place, engine) as sql:
        watch = agreeing.Watch(sql, flights)
        with opened(ASIDE, place, engine) as here, opened(ASIDE, place, engine) as elsewhere:
            for flight in flights[:12]:
                here.read(flight["id"])
            seen = watch.freshness(here, elsewhere)
    assert seen == Freshness(writes=12, here=12, elsewhere=12, in_sql=0, heard=None)
    assert not _holds(_checks(fresh={ASIDE: seen}), "No cache read an old row")
    assert not _holds(_checks(fresh={ASIDE: seen}), "A second cache was right")


def test_a_cache_server_that_comes_back_without_its_log_is_found_out(
    loaded: sqlite.SQLite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write-behind loses what was queued then; the others have it in the database."""
    monkeypatch.setattr(crashing, "KILLED", (THROUGH, BEHIND))
    folder = tmp_path / "cache"

    class Forgetful(EmbeddedServer):
        def restart(self) -> None:
            shutil.rmtree(folder)
            super().restart()

    with Forgetful(directory=folder, config=patterns.LOGGED) as server:
        place = Place(loaded.url, server.url)
        with place.engine() as engine, copied(engine):
            found = crashing.crashes(server, place, engine)
    assert found[THROUGH].lost == 0
    assert 0 < found[BEHIND].lost <= found[BEHIND].acknowledged
    safe = {ASIDE: found[THROUGH], crashing.GUIDE: Crash(acknowledged=200, lost=9)} | found
    assert not _holds(_checks(safe=safe), "Killed with kill -9")


def test_a_row_that_is_newer_than_an_acknowledged_write_has_lost_nothing() -> None:
    told = [(1, 10), (2, 11), (1, 12), (3, 13)]
    assert crashing._judged(told, {1: 12, 2: 15, 3: 0}) == Crash(acknowledged=4, lost=1)
    assert crashing._judged(told, {1: 10, 2: 11, 3: 13}) == Crash(acknowledged=4, lost=1)


def test_the_matrix_fits_on_a_page() -> None:
    widest = Pattern(
        name="queue in memory",
        guarantee="bus; SQL 1 s",
        latency=Latency(hot=123.4e-6, cold=9_999e-6, write=99_999e-6, compared=12.34),
        freshness=Freshness(writes=200, here=200, elsewhere=200, in_sql=200, heard=None),
        crash=Crash(acknowledged=2000, lost=2000),
    )
    out = io.StringIO()
    Report(out)._console.print(showing.matrix([widest]))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in out.getvalue()
    assert "2000 of 2000" in out.getvalue()


def _checks(**seen: Any) -> list[Check]:
    everything: dict[str, Any] = {
        "fast": {name: Latency(hot=1, cold=1, write=1, compared=1) for name in doors.OPEN}
        | {SQL: Latency(hot=2, cold=2, write=1, compared=1)},
        "fresh": {},
        "safe": dict.fromkeys(
            (*crashing.KILLED, ASIDE, crashing.GUIDE), Crash(acknowledged=200, lost=0)
        ),
    }
    everything |= seen
    return patterns._checks(*everything.values(), controlled=agreeing.CONTROLS)


def _holds(checks: list[Check], beginning: str) -> bool:
    (found,) = [check.holds for check in checks if check.claim.startswith(beginning)]
    return found


def test_the_legend_says_how_late_the_second_cache_was() -> None:
    fresh = Freshness(writes=200, here=0, elsewhere=3, in_sql=0, heard=0.0063)
    in_time = Pattern(name=ASIDE, guarantee="bus latency", freshness=fresh)
    late = dataclasses.replace(in_time, freshness=dataclasses.replace(fresh, heard=None))
    assert "right at most 6.3 ms after a write" in showing.legend([in_time])
    assert "not always right in time" in showing.legend([in_time, late])
    assert "200 writes" in showing.legend([in_time])
