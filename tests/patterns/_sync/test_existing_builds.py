# Generated from _async/test_existing_builds.py by tools/unasync.py. Do not edit.
"""Builds of the filter of existing rows: without a gap, in the background, by age; and what a failed one leaves."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import Step, until
from patterns._sync.existing_process import Process
from patterns._sync.recording import Recording, people

from cachewright import MISSING
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._sync import existing as filters
from cachewright.patterns._sync.existing import Existing
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")
pytest.importorskip("rbloom")


# -------------------------------------------------------------------- age and rebuilds


def test_rows_of_others_are_found_after_the_next_build() -> None:
    clock, source = FakeClock(), Recording(people(1))
    with Process(None, "n", source, clock=clock, max_age=100) as one:
        one.existing.rebuild()
        source.rows |= people(2)
        assert one.users.get(2) is MISSING, "inserted by nobody that we know of"
        clock.advance(81)
        assert one.users.get(2) is MISSING
        until(lambda: one.existing.builds == 2)
        assert one.users.get(2) == source.rows[2]


def test_a_filter_beyond_its_age_rules_nothing_out() -> None:
    clock, source = FakeClock(), Recording(people(1))
    with Process(None, "n", source, clock=clock, max_age=100) as one:
        one.existing.rebuild()
        source.gate.clear()
        source.rows |= people(2)
        clock.advance(100)
        assert not one.existing.rules_out(2)
        source.gate.set()
        until(lambda: one.existing.builds == 2)


def test_while_it_is_rebuilt_the_old_filter_serves() -> None:
    source = Recording(people(1))
    with Process(None, "n", source) as one:
        one.existing.rebuild()
        source.gate.clear()
        step = Step(one.existing.rebuild)
        until(lambda: source.pages == 2)
        assert one.existing.rules_out(99)
        assert one.existing.rebuild() == 0, "one at a time"
        source.gate.set()
        assert step.result() == 1


def test_a_row_that_is_added_during_a_rebuild_is_in_the_new_filter(
    server: EmbeddedServer, namespace: str
) -> None:
    assert is_found_after_a_rebuild_that_it_met(server.url, namespace, by_another=True)
    assert is_found_after_a_rebuild_that_it_met(server.url, namespace + "b", by_another=False)
    assert is_found_after_a_rebuild_that_it_met(None, "n", by_another=False)


def test_a_swap_that_forgets_what_was_added_meanwhile_loses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Existing, "_add_all", staticmethod(lambda names, more: None))
    assert not is_found_after_a_rebuild_that_it_met(None, "n", by_another=False)


def is_found_after_a_rebuild_that_it_met(
    url: str | None, namespace: str, *, by_another: bool
) -> bool:
    """The page that would have shown the row has been read when the row is added."""
    source = Recording(people(1, 3, 5))
    with (
        Process(url, namespace, source) as here,
        Process(url, namespace, source) as there,
    ):
        source.gate.clear()
        step = Step(here.existing.rebuild)
        until(lambda: source.pages == 1)
        (there if by_another else here).existing.add(2)
        source.rows |= people(2)
        source.gate.set()
        step.result()
        return not here.existing.rules_out(2)


@pytest.mark.parametrize(("grace", "found"), [(60.0, True), (0.0, False)])
def test_a_row_that_was_added_before_a_rebuild_and_committed_during_it_is_in_it(
    server: EmbeddedServer, namespace: str, grace: float, found: bool
) -> None:
    """The log's begin and the page lie between the addition and its commit."""
    for url, by_another in ((server.url, True), (server.url, False), (None, False)):
        source, name = Recording(people(1, 3)), f"{namespace}{by_another}"
        with (
            Process(url, name, source, grace=grace) as one,
            Process(url, name, source, grace=grace) as other,
        ):
            (other if by_another else one).existing.add(2)
            one.clock.advance(0.001)
            source.gate.clear()
            step = Step(one.existing.rebuild)
            until(lambda: source.pages == 1)  # noqa: B023 - asked at once
            source.rows |= people(2)
            source.gate.set()
            step.result()
            assert one.existing.rules_out(2) is not found


def test_a_build_that_fails_leaves_the_old_filter_and_is_tried_again_later() -> None:
    clock, source = FakeClock(), Recording(people(1))
    with Process(None, "n", source, clock=clock, max_age=100) as one:
        one.existing.rebuild()
        real, source.keys = source.keys, failing
        clock.advance(85)
        assert one.existing.rules_out(2)
        until(lambda: one.events.of("refresh_failed"))
        assert one.existing.rules_out(2)
        assert len(one.events.of("refresh_failed")) == 1, "it has to wait a second"
        source.keys = real
        clock.advance(2)
        assert one.existing.rules_out(2)
        until(lambda: one.existing.builds == 2)


def failing(**_: Any) -> Any:
    raise ConnectionError("the database is away")


def test_a_filter_that_was_outgrown_is_built_anew() -> None:
    source = Recording(people(1))
    with Process(None, "n", source) as one:
        one.existing.rebuild()
        one.existing.add(*range(10, 1200))
        one.existing.rules_out(5)
        until(lambda: one.existing.builds == 2)
    assert filters.RECENT > 1200
