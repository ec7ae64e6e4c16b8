"""The protocol holds in all interleavings of every scenario, and fails in each that takes a rule out."""

from __future__ import annotations

import pytest

from protocol.checker import search
from protocol.floor import WHY
from protocol.rules import ASSUMPTIONS, NAMES
from protocol.scenario import Scenario
from protocol.scenarios import HOLDING, WEAKENED


def each(scenarios: list[Scenario]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "scenario",
        [
            pytest.param(it, id=it.name, marks=[pytest.mark.slow] if it.large else [])
            for it in scenarios
        ],
    )


@each(HOLDING)
def test_the_promise_holds(scenario: Scenario) -> None:
    verdict = search(scenario.setup)
    assert not verdict.violation, "\n".join([verdict.violation, *verdict.trace])


@each(WEAKENED)
def test_the_search_finds_what_goes_wrong(scenario: Scenario) -> None:
    verdict = search(scenario.setup)
    assert verdict.kind, "nothing went wrong"
    assert verdict.kind in scenario.expects, verdict.violation
    assert verdict.trace, "there is no way without a step"


def test_every_rule_is_taken_out_somewhere_and_the_quick_tests_do_so_too() -> None:
    quick = {rule for it in WEAKENED if not it.large for rule in it.weakens}
    assert quick == set(NAMES)


def test_every_rule_is_taken_out_alone_where_no_other_makes_up_for_it() -> None:
    alone = {it.weakens[0] for it in WEAKENED if len(it.weakens) == 1}
    assert set(NAMES) - alone == {"landing_epoch", "doomed_joinable"}


def test_names_are_given_once_and_violations_are_of_known_kinds() -> None:
    names = [it.name for it in (*HOLDING, *WEAKENED)]
    assert len(set(names)) == len(names)
    assert all(set(it.expects) <= set(WHY) for it in WEAKENED)
    assert set(ASSUMPTIONS) < set(NAMES)
