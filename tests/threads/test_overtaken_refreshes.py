"""Two threads that see the same stale value refresh it once, also when one is much slower than the other."""

from __future__ import annotations

import pytest
from _sync.steps import Source, until

from cachewright import Cache, Policy
from cachewright.testing import FakeClock


def test_a_thread_that_was_overtaken_by_a_whole_refresh_does_not_begin_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has seen the stale value; before it offers the refresh, that of another thread has come and gone."""
    clock, source = FakeClock(), Source("old")
    with Cache(policy=Policy(ttl=10, stale=100), clock=clock) as cache:
        cache.get_or_load("k", source.load)
        clock.advance(11)
        source.value = "new"
        offer = cache._refresher.offer

        def overtaken(*args: object) -> None:
            monkeypatch.setattr(cache._reader, "_refresh", offer)
            assert cache.get_or_load("k", source.load) == "old"
            until(lambda: cache.get("k") == "new")
            offer(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(cache._reader, "_refresh", overtaken)
        assert cache.get_or_load("k", source.load) == "old"
        until(lambda: len(cache.engine.background) == 0)
        assert source.loads == 2, "the first load and one refresh"
