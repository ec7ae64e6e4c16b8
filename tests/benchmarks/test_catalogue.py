"""The rows as data: each target names cases that exist, and each row runs alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import charts, report
from benchmarks.catalogue import ROWS
from benchmarks.rows import Row
from benchmarks.running import Size, measure_here
from benchmarks.rushing import Rush
from benchmarks.verdicts import summary


def test_the_rows_of_the_issue_are_all_there() -> None:
    assert {row.number for row in ROWS} >= set(range(1, 19))
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_targets_and_references_name_cases_of_their_row(row: Row) -> None:
    names = [case.name for case in row.cases]
    assert len(set(names)) == len(names)
    wanted = {row.reference, *row.full_only}
    for target in row.targets:
        wanted |= {target.case, *target.against}
    assert wanted <= set(names)
    assert row.targets


def test_a_row_goes_from_measuring_to_page_and_chart(tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.name == "codec")
    size = Size(rounds=1, quick=True, seed=1)
    data = report.document([summary(row, measure_here(row, size))], size)
    assert json.loads(json.dumps(data)) == data
    assert "| **cachewright pack + open** |" in report.as_page(data)
    pytest.importorskip("matplotlib")
    charts.draw(data, tmp_path, formats=("svg",))
    assert "</svg>" in (tmp_path / "bench-codec.svg").read_text()


def test_who_waits_half_a_load_is_counted() -> None:
    sample = Rush(waits=[0.001, 0.024, 0.026], errors=["it broke"], loads=2).sample()
    assert dict(sample.counts) == {"loads": 2, "errors": 1, "waited": 1}
    assert sample.value == pytest.approx(0.52)
