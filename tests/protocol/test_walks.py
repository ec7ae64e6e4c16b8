"""The two statements of the promise agree: what the model forbids is complained of in a history, and nothing else is."""

from __future__ import annotations

import math

import pytest

from protocol.checker import search, served_too_old
from protocol.history import complaints
from protocol.scenario import Scenario
from protocol.scenarios import HOLDING, WEAKENED
from protocol.walks import history, walk

SERVED = "abc"
"""The violations that a reader sees; what lies at rest nobody has read yet."""
SEEN = [it for it in WEAKENED if it.expects and set(it.expects) & set(SERVED) and not it.large]


def each(scenarios: list[Scenario]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda it: it.name)


@each(HOLDING)
def test_the_history_of_a_walk_that_keeps_the_rules_is_accepted(scenario: Scenario) -> None:
    for seed in range(8):
        path = walk(scenario.setup, seed)
        written = history(scenario.setup, path)
        assert written, "nothing happened"
        assert complaints(written, bus_latency=math.inf) == [], f"seed {seed}"


@each(SEEN)
def test_the_history_of_a_violation_is_complained_of(scenario: Scenario) -> None:
    verdict = search(scenario.setup)
    found = complaints(history(scenario.setup, verdict.path), bus_latency=math.inf)
    assert bool(found) == (verdict.kind in SERVED), verdict.violation


@each(SEEN)
def test_a_walk_without_a_rule_is_complained_of_exactly_when_the_model_objects(
    scenario: Scenario,
) -> None:
    for seed in range(40):
        path = walk(scenario.setup, seed)
        found = complaints(history(scenario.setup, path), bus_latency=math.inf)
        assert bool(found) == any(served_too_old(step) for step in path), f"seed {seed}"


def test_enough_of_the_weakened_walks_break_the_promise() -> None:
    """Else the test before would compare silence with silence."""
    broken = sum(
        bool(served_too_old(walk(it.setup, seed)[-1])) for it in SEEN for seed in range(40)
    )
    assert broken >= 5
