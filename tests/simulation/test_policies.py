"""The policies of the simulation: that each is what its name says, and that none beats OPT."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.simulation import (
    OPT,
    POLICIES,
    ReplacementPolicy,
    Trace,
    installed,
    opt_hits,
    simulate,
)
from cachewright.simulation.opt import next_uses

ALL = [
    pytest.param(
        policy,
        id=policy.name,
        marks=pytest.mark.skipif(not installed(policy), reason=f"{policy.package} is not here"),
    )
    for policy in POLICIES.values()
]
LRU_LIKE = ["lru", "cachebox-lru", "cachetools-lru"]
# moka evicts in batches of its own timing, so for a moment it holds more than its size.
BOUNDED = [param for param in ALL if param.id != "moka"]

requests = st.lists(st.integers(0, 6), min_size=1, max_size=14)


def hits(name: str, keys: str, entries: int) -> str:
    """The keys that hit, in order."""
    access = POLICIES[name].build(entries)
    return "".join(key for key in keys if access(key))


def most_hits(ids: Sequence[int], entries: int) -> int:
    """The most hits that are possible, by trying everything."""

    @cache
    def best(index: int, held: frozenset[int]) -> int:
        if index == len(ids):
            return 0
        key, hit = ids[index], ids[index] in held
        wanted = held | {key}
        choices = [held, wanted] if len(wanted) <= entries else [held]
        choices += [wanted - {other} for other in held if len(wanted) > entries]
        return hit + max(best(index + 1, choice) for choice in choices)

    return best(0, frozenset())


@given(requests, st.integers(1, 4), st.sampled_from([-20, 0, 1024]))
def test_opt_has_as_many_hits_as_any_sequence_of_choices(
    ids: list[int], entries: int, slack: int
) -> None:
    """Whether its heap is rebuilt at every step, now and then or never."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cachewright.simulation.opt._SLACK", slack)
        assert opt_hits(next_uses(array("I", ids)), entries) == most_hits(tuple(ids), entries)


def test_opt_forgets_what_is_past() -> None:
    """Its heap is rebuilt on the way; the hits are those of a loop of 100 keys with room for 50."""
    ids = array("I", list(range(100)) * 100)
    told: list[int] = []
    assert opt_hits(next_uses(ids), 50, told.append) == 50 * 99
    assert sum(told) == len(ids)
    assert opt_hits(next_uses(ids), 100) == 100 * 99


def test_lru_drops_what_was_not_used_for_longest() -> None:
    assert hits("lru", "abacab", 2) == "aa"


def test_fifo_drops_what_came_first_however_often_it_is_used() -> None:
    assert hits("fifo", "abacab", 2) == "a"


def test_lfu_drops_what_was_used_least_and_of_those_the_oldest() -> None:
    assert hits("lfu", "aabcba", 2) == "aa"
    assert hits("lfu", "abbaccdab", 3) == "baca"


@pytest.mark.parametrize("name", LRU_LIKE[1:])
def test_every_lru_is_the_same(name: str) -> None:
    if not installed(POLICIES[name]):
        pytest.skip(f"{name} is not here")
    draw = random.Random(7)
    trace = Trace.of("zipf", (int(draw.paretovariate(0.8)) % 500 for _ in range(5000)))
    outcome = simulate(trace, [POLICIES["lru"], POLICIES[name]], [10, 100])
    assert outcome.hits[name] == outcome.hits["lru"]
    assert outcome.hits["lru"][0] > 500


@pytest.mark.parametrize("policy", ALL)
def test_what_was_never_asked_for_misses_and_what_fits_is_kept(policy: ReplacementPolicy) -> None:
    trace = Trace.of("twice", [*range(50), *range(50)])
    outcome = simulate(trace, [policy], [50])
    assert outcome.hits[policy.name] == (50,)
    assert outcome.hits[OPT] == (50,)


@pytest.mark.parametrize("policy", ALL)
def test_room_for_more_than_there_is_costs_nothing(policy: ReplacementPolicy) -> None:
    outcome = simulate(Trace.of("few", [1, 2, 1, 2]), [policy], [10**15])
    assert outcome.hits[policy.name] == (2,)


@pytest.mark.parametrize("policy", BOUNDED)
def test_no_policy_has_more_hits_than_opt(policy: ReplacementPolicy) -> None:
    draw = random.Random(11)
    trace = Trace.of("skewed", (int(draw.paretovariate(0.7)) % 900 for _ in range(6000)))
    outcome = simulate(trace, [policy], [50, 200])
    for own, most in zip(outcome.hits[policy.name], outcome.hits[OPT], strict=True):
        assert 0 < own < most


def test_ours_stands_a_scan_that_empties_lru() -> None:
    """The control is LRU on the same requests."""
    draw, keys = random.Random(3), []
    for number in range(40):
        keys += [draw.randrange(80) for _ in range(400)]
        keys += range(1000 * (number + 1), 1000 * (number + 1) + 300)
    trace = Trace.of("scans", keys)
    outcome = simulate(trace, [POLICIES["cachewright"], POLICIES["lru"]], [100])
    ours, lru = (outcome.hits[name][0] for name in ("cachewright", "lru"))
    assert ours > lru + 1000


def test_an_outcome_is_told_in_points_below_opt() -> None:
    outcome = simulate(Trace.of("loop", [0, 1, 2] * 10), [POLICIES["lru"]], [2, 3])
    assert outcome.hits == {OPT: (18, 27), "lru": (0, 27)}
    assert outcome.ratios("lru") == [0, 0.9]
    assert outcome.gaps("lru") == [60.0, 0.0]
    assert outcome.mean_gap("lru") == 30.0
