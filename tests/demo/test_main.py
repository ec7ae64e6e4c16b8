"""The demo from its command line, with SQLite and a real Valkey: its checks pass, and can fail."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from demo import data
from demo.__main__ import main
from demo.asking import Desk, Process
from demo.database import Database
from demo.questions import Plan


@pytest.fixture
def arguments(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(data, "SHA256", data.digest(archive))
    # It takes seconds, and has its own tests.
    monkeypatch.setattr("demo.patterns.matrix", lambda _database: ([], []))
    kept = ["--folder", str(tmp_path / "kept"), "--archive", str(archive)]
    return ["--no-postgres", *kept]


def test_all_checks_hold_and_are_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "All checks hold." in told
    assert "because --no-postgres was given" in told
    assert "\x1b" not in told, "piped output is plain"
    assert max(map(len, told.splitlines())) <= 100


def test_a_program_gets_the_findings_as_json_and_nothing_else(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["all_hold"]
    assert found["change"]["reloaded"] == found["change"]["changed"] != []
    layers = {layer["name"]: layer for layer in found["pages"]["layers"]}
    assert list(layers) == ["query", "object", "fragment", "page"]
    assert all(layer["fell"] and not layer["missed"] for layer in layers.values())
    assert {crowd["who"]: set(crowd["loads"].values()) for crowd in found["crowds"]} == {
        "8 threads": {1},
        "200 coroutines": {1},
    }


def test_a_write_past_the_sessions_is_found_out(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The old answers stay cached then, and the demo says so instead of praising itself."""
    databases: list[Database] = []

    def past(_process: Process, number: object, **values: Any) -> None:
        for name, value in values.items():
            sql = f"UPDATE flights SET {name} = %(new)s WHERE id = %(id)s"
            databases[0].change(sql, {"new": value, "id": number})

    def remembered(server: str, database: Database, asked: Plan) -> Desk:
        databases.append(database)
        return Desk(server, database, asked)

    monkeypatch.setattr("demo.__main__.Desk", remembered)
    monkeypatch.setattr(Process, "write", past)
    monkeypatch.setattr("demo.change.PATIENCE", 0.0)
    monkeypatch.setattr("demo.falling.PATIENCE", 0.0)
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert "FAILED: After the write every cached answer" in told
    assert "FAILED: One flight late: in both caches every page" in told
    assert "FAILED: Each query, object, fragment and page" in told


def test_a_slice_is_kept_apart_from_the_whole(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--flights", "1000"]) == 0
    assert main(arguments) == 0
    kept = {path.name for path in (tmp_path / "kept").glob("*.sqlite")}
    assert kept == {"flights.sqlite", "flights_first_1000.sqlite"}


def test_no_keep_leaves_nothing_behind(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main([*arguments, "--no-keep"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == []


def test_two_demos_do_not_share_a_folder(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").mkdir()
    with (tmp_path / "kept" / "in-use").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(arguments) == 2
    assert "another demo is using" in capsys.readouterr().out


def test_fewer_flights_than_the_tour_needs_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*arguments, "--flights", "10"])
    assert "at least 1000" in capsys.readouterr().err
