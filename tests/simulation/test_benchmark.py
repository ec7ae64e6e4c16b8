"""The benchmark of hit ratios: that its mixes are what they say, and that its verdicts can be bad."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from benchmarks.hit_ratio import ahead_of, below_lru, judged, target
from benchmarks.mixes import KEYS, MIXES, mix
from cachewright.simulation import Outcome


def outcome(**hits: tuple[int, ...]) -> Outcome:
    sizes = tuple(range(1, len(hits["lru"]) + 1))
    return Outcome("t", 1000, 100, sizes, {"opt": (900,) * len(sizes), **hits})


@pytest.mark.parametrize("name", MIXES)
def test_a_mix_is_the_same_for_the_same_seed(name: str) -> None:
    ids = mix(name, requests=20_000).ids
    assert mix(name, requests=20_000).ids == ids
    assert (mix(name, requests=20_000, seed=2).ids == ids) is (name == "loop")  # it draws nothing


def test_zipf_is_as_steep_as_it_says() -> None:
    """Of 20,000 keys the first gets 1 request in ln(20,000) + 0.577 when the skew is 1."""
    ids = mix("zipf 1.0", requests=100_000).ids
    most = max(ids.count(number) for number in range(20))
    assert most / 100_000 == pytest.approx(1 / (math.log(KEYS) + 0.577), rel=0.05)


def test_a_loop_comes_round() -> None:
    ids = mix("loop", requests=2 * KEYS).ids
    assert list(ids[:KEYS]) == list(ids[KEYS:]) == list(range(KEYS))


def test_a_scan_reads_neighbours() -> None:
    ids = mix("scan", requests=20_000)
    assert sum(after - before == 1 for before, after in pairwise(ids.ids)) > 15_000


def test_what_a_scan_between_brings_never_returns() -> None:
    trace = mix("zipf with scans", requests=60_000)
    scanned = trace.ids[10_000:15_000]
    assert len(set(scanned)) == 5000
    assert not set(scanned) & {*trace.ids[:10_000], *trace.ids[15_000:]}


def test_a_cell_below_lru_is_told() -> None:
    """The tolerance is half a point: 5 of 1,000 requests are within it, 6 are not."""
    found = below_lru([outcome(cachewright=(500, 495, 494), lru=(500, 500, 500))])
    assert found == [{"trace": "t", "entries": 3, "points": 0.6}]


def test_cells_ahead_level_and_behind_are_counted() -> None:
    cells = [outcome(cachewright=(5, 5, 5), lru=(0, 0, 0), theine=(4, 5, 6))]
    assert ahead_of("theine", cells) == {"ahead": 1, "level": 1, "behind": 1}
    assert ahead_of("moka", cells) is None


def test_gaps_are_means_over_all_cells() -> None:
    cells = [outcome(cachewright=(900, 800), lru=(700, 700)), outcome(cachewright=(600,), lru=(0,))]
    assert judged(cells)["mean_gap_to_opt"] == {"opt": 0, "cachewright": 13.333, "lru": 43.333}
    assert judged(cells)["cells"] == 3


def test_a_missed_target_is_called_missed() -> None:
    times = {"cachewright": 250.0, "peer": 100.0}
    assert target("hit", times, beside="peer", limit=2.5)["reached"] is True
    assert target("hit", times, beside="peer", limit=2.4)["reached"] is False
    assert target("hit", times, beside="absent", limit=2.5)["reached"] is None
