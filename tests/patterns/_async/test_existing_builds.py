# How a filter of the rows is built, and grows old.
"""Builds of the filter of existing rows: without a gap, in the background, by age; and what a failed one leaves."""

from __future__ import annotations

from typing import Any

import pytest
from _async.steps import AsyncStep, until
from patterns._async.existing_process import AsyncProcess
from patterns._async.recording import AsyncRecording, people

from cachewright import MISSING
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._async import existing as filters
from cachewright.patterns._async.existing import AsyncExisting
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")
pytest.importorskip("rbloom")


# -------------------------------------------------------------------- age and rebuilds


async def test_rows_of_others_are_found_after_the_next_build() -> None:
    clock, source = FakeClock(), AsyncRecording(people(1))
    async with AsyncProcess(None, "n", source, clock=clock, max_age=100) as one:
        await one.existing.rebuild()
        source.rows |= people(2)
        assert await one.users.get(2) is MISSING, "inserted by nobody that we know of"
        clock.advance(81)
        assert await one.users.get(2) is MISSING
        await until(lambda: one.existing.builds == 2)
        assert await one.users.get(2) == source.rows[2]


async def test_a_filter_beyond_its_age_rules_nothing_out() -> None:
    clock, source = FakeClock(), AsyncRecording(people(1))
    async with AsyncProcess(None, "n", source, clock=clock, max_age=100) as one:
        await one.existing.rebuild()
        source.gate.clear()
        source.rows |= people(2)
        clock.advance(100)
        assert not await one.existing.rules_out(2)
        source.gate.set()
        await until(lambda: one.existing.builds == 2)


async def test_while_it_is_rebuilt_the_old_filter_serves() -> None:
    source = AsyncRecording(people(1))
    async with AsyncProcess(None, "n", source) as one:
        await one.existing.rebuild()
        source.gate.clear()
        step = AsyncStep(one.existing.rebuild)
        await until(lambda: source.pages == 2)
        assert await one.existing.rules_out(99)
        assert await one.existing.rebuild() == 0, "one at a time"
        source.gate.set()
        assert await step.result() == 1


async def test_a_row_that_is_added_during_a_rebuild_is_in_the_new_filter(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await is_found_after_a_rebuild_that_it_met(server.url, namespace, by_another=True)
    assert await is_found_after_a_rebuild_that_it_met(server.url, namespace + "b", by_another=False)
    assert await is_found_after_a_rebuild_that_it_met(None, "n", by_another=False)


async def test_a_swap_that_forgets_what_was_added_meanwhile_loses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(AsyncExisting, "_add_all", staticmethod(lambda names, more: None))
    assert not await is_found_after_a_rebuild_that_it_met(None, "n", by_another=False)


async def is_found_after_a_rebuild_that_it_met(
    url: str | None, namespace: str, *, by_another: bool
) -> bool:
    """The page that would have shown the row has been read when the row is added."""
    source = AsyncRecording(people(1, 3, 5))
    async with (
        AsyncProcess(url, namespace, source) as here,
        AsyncProcess(url, namespace, source) as there,
    ):
        source.gate.clear()
        step = AsyncStep(here.existing.rebuild)
        await until(lambda: source.pages == 1)
        await (there if by_another else here).existing.add(2)
        source.rows |= people(2)
        source.gate.set()
        await step.result()
        return not await here.existing.rules_out(2)


@pytest.mark.parametrize(("grace", "found"), [(60.0, True), (0.0, False)])
async def test_a_row_that_was_added_before_a_rebuild_and_committed_during_it_is_in_it(
    server: EmbeddedServer, namespace: str, grace: float, found: bool
) -> None:
    """The log's begin and the page lie between the addition and its commit."""
    for url, by_another in ((server.url, True), (server.url, False), (None, False)):
        source, name = AsyncRecording(people(1, 3)), f"{namespace}{by_another}"
        async with (
            AsyncProcess(url, name, source, grace=grace) as one,
            AsyncProcess(url, name, source, grace=grace) as other,
        ):
            await (other if by_another else one).existing.add(2)
            one.clock.advance(0.001)
            source.gate.clear()
            step = AsyncStep(one.existing.rebuild)
            await until(lambda: source.pages == 1)  # noqa: B023 - asked at once
            source.rows |= people(2)
            source.gate.set()
            await step.result()
            assert await one.existing.rules_out(2) is not found


async def test_a_build_that_fails_leaves_the_old_filter_and_is_tried_again_later() -> None:
    clock, source = FakeClock(), AsyncRecording(people(1))
    async with AsyncProcess(None, "n", source, clock=clock, max_age=100) as one:
        await one.existing.rebuild()
        real, source.keys = source.keys, failing
        clock.advance(85)
        assert await one.existing.rules_out(2)
        await until(lambda: one.events.of("refresh_failed"))
        assert await one.existing.rules_out(2)
        assert len(one.events.of("refresh_failed")) == 1, "it has to wait a second"
        source.keys = real
        clock.advance(2)
        assert await one.existing.rules_out(2)
        await until(lambda: one.existing.builds == 2)


def failing(**_: Any) -> Any:
    raise ConnectionError("the database is away")


async def test_a_filter_that_was_outgrown_is_built_anew() -> None:
    source = AsyncRecording(people(1))
    async with AsyncProcess(None, "n", source) as one:
        await one.existing.rebuild()
        await one.existing.add(*range(10, 1200))
        await one.existing.rules_out(5)
        await until(lambda: one.existing.builds == 2)
    assert filters.RECENT > 1200
