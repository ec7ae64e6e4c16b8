"""Stale reads are found where they are, and called by the right name; what may be seen is not complained about."""

from __future__ import annotations

from pathlib import Path

import pytest
from proof.observer import calm

from rig.board import Board
from rig.percentiles import missed, percentile
from rig.staleness import Read, Write, staleness

HERE, THERE, KEY = 1, 2, 7


def write(version: int, acknowledged: float, process: int = HERE) -> Write:
    return Write(process, KEY, version, acknowledged - 0.2, acknowledged - 0.1, acknowledged)


def read(version: int, began: float, process: int = HERE, *, verified: bool = False) -> Read:
    return Read(process, KEY, version, began, began + 0.1, verified)


def test_what_the_latest_acknowledged_write_put_there_is_fresh() -> None:
    found = staleness([write(2, 1.0), write(3, 2.0)], [read(2, 1.5), read(3, 2.5)])
    assert (found.here, found.verified, found.late) == (0, 0, [])


def test_a_write_that_is_not_yet_acknowledged_may_be_seen_or_not() -> None:
    found = staleness([write(2, 1.0)], [read(1, 0.95), read(2, 0.95)])
    assert (found.here, found.verified, found.late) == (0, 0, [])


def test_an_old_value_in_the_process_that_wrote_is_stale_here() -> None:
    assert staleness([write(2, 1.0)], [read(1, 1.001)]).here == 1


def test_an_old_value_that_was_verified_is_stale_wherever_it_was_read() -> None:
    found = staleness([write(2, 1.0)], [read(1, 1.1, THERE, verified=True)])
    assert (found.here, found.verified, found.late) == (0, 1, [])


def test_elsewhere_the_time_counts_from_the_first_write_that_was_missed() -> None:
    found = staleness([write(2, 1.0), write(3, 2.0)], [read(1, 2.5, THERE)])
    assert found.late == [1.5]
    assert (found.elsewhere(1.4), found.elsewhere(1.6)) == (1, 0)


def test_versions_that_were_acknowledged_out_of_order_count_by_the_highest() -> None:
    assert staleness([write(3, 1.0), write(2, 2.0)], [read(2, 2.5)]).here == 1


@pytest.mark.parametrize(
    ("faults", "longest"),
    [([], 10.0), ([(2.0, 3.0)], 7.0), ([(0.0, 4.0), (3.0, 9.0)], 1.0), ([(20.0, 21.0)], 10.0)],
)
def test_only_the_longest_stretch_without_a_fault_counts(
    faults: list[tuple[float, float]], longest: float
) -> None:
    assert calm(0.0, 10.0, faults) == longest


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile(range(1, 101), share) for share in (0.5, 0.99, 1.0)] == [51, 100, 100]


def test_a_target_is_missed_only_beyond_it() -> None:
    assert missed("p99", 0.010, 0.010) == ()
    assert missed("p99", 0.0123, 0.010) == ("p99 12.3 ms, target 10 ms",)


def test_a_board_shows_everybody_what_anybody_wrote(tmp_path: Path) -> None:
    board = Board.new(tmp_path / "board", 2)
    board.open()[1] = 0.5
    assert list(board.open()) == [0.0, 0.5]
