"""The engine against a model of what it promises, over random sequences of everything that can happen to it.

`make test ARGS=tests/model CACHEWRIGHT_TEST_PROFILE=long` runs 10,000 sequences; without it a quick sample runs.
Each weakened engine below must be caught: a checker that cannot fail is no checker.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from _sync import weaknesses
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from model import weakened
from model.fleet import FleetMachine
from model.machine import CacheMachine
from model.worlds import Loop, Threads, World

from cachewright import _async, _sync
from cachewright.embedded import EmbeddedServer

LONG = os.environ.get("CACHEWRIGHT_TEST_PROFILE") == "long"
SEQUENCES = 2500 if LONG else 40
"""For each of two worlds, with one cache and with a fleet. The sample is always the same, the long run never is."""
STEPS = 30


@pytest.fixture(params=[Threads, Loop])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # Links are cut all the time here, so the pause before another attempt is most of what a sequence takes.
    for bus in (_async.bus, _sync.bus):
        monkeypatch.setattr(bus, "FIRST_PAUSE", 0.002)
    world: World = request.param()
    yield world
    world.close()


def run(make: Callable[[], RuleBasedStateMachine], sequences: int = SEQUENCES) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        make,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # No shrinking: the servers and threads behind a sequence are not told to repeat themselves.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
            derandomize=not LONG,
        ),
    )


def test_one_cache_without_a_server_serves_nothing_that_the_model_forbids(world: World) -> None:
    run(lambda: CacheMachine(world))


def test_a_fleet_on_one_server_serves_nothing_that_the_model_forbids(
    world: World, valkey: EmbeddedServer
) -> None:
    with redis.Redis.from_url(valkey.url) as raw:
        run(lambda: FleetMachine(world, valkey.url, raw))


OBJECTIONS = (AssertionError, Flaky)
"""Flaky: threads and servers did not repeat themselves when the sequence was tried once more."""

# An engine whose clock learns from overtaken replies is not among them: it takes random sequences thousands of steps to
# meet the one order that shows it. tests/_async/test_races.py makes that order.
WEAKENED: dict[str, Callable[[pytest.MonkeyPatch], Any]] = {
    "fills without a lease": weaknesses.fills_without_lease,
    "stamps after the load": weaknesses.stamps_after_the_load,
    "dooms nothing": weakened.dooms_nothing_but_wakes,
    "keeps all when the link changes": weaknesses.keeps_all_when_the_link_changes,
    "hands up nothing": weaknesses.hands_up_nothing,
    "skips the first phase": weakened.skips_the_first_phase,
    "does not drop what it has itself": weakened.invalidates_at_the_server_only,
    "knows one prefix only": weakened.knows_one_prefix_only,
    "serves what has expired": weakened.lends_life_to_what_has_expired,
}
ENOUGH = 1000
"""Sequences after which a weakened engine should long have been caught: most are after some ten."""


@pytest.mark.parametrize("weakness", WEAKENED)
def test_the_model_forbids_what_a_weakened_engine_serves(
    weakness: str, valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sync.bus, "FIRST_PAUSE", 0.002)
    WEAKENED[weakness](monkeypatch)
    world = Threads()
    try:
        with redis.Redis.from_url(valkey.url) as raw, pytest.raises(OBJECTIONS) as caught:
            run(lambda: FleetMachine(world, valkey.url, raw), sequences=ENOUGH)
    finally:
        world.close()
    assert "AssertionError" in repr(caught.getrepr()), (
        "the model objected, and nothing else went wrong"
    )
