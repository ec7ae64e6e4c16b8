"""Serve, serve and refresh, or load; and the hit path's short form of it, which may never serve more."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cachewright import AsyncCache, Policy
from cachewright.core.decision import Decision, decide, decide_by_time, is_hot, refresh_point
from cachewright.core.entry import ALWAYS, NEVER, Entry
from cachewright.core.packing import to_entry
from cachewright.core.policy import Lifetime
from cachewright.core.tags import TagClock
from cachewright.testing import FakeClock
from cachewright.types import MISSING

TIME = st.floats(-100, 200)
STAMPS = st.dictionaries(st.sampled_from(["t:a", "t:b"]), st.sampled_from([b"1", b"2"]))


def clock_at(epoch: int, known: dict[str, bytes]) -> TagClock:
    clock = TagClock(threading.RLock())
    clock.epoch = epoch
    clock.known = known
    return clock


@st.composite
def policies(draw: Any) -> Policy:
    return Policy(
        ttl=draw(st.floats(0, 100)),
        stale=draw(st.sampled_from([0.0, 5.0, 50.0])),
        stale_if_error=draw(st.sampled_from([0.0, 20.0])),
        refresh_ahead=draw(st.sampled_from([None, 0.1, 0.9])),
        beta=draw(st.sampled_from([0.0, 1.0, 50.0])),
        l1_ttl=draw(st.sampled_from([None, 0.0, 3.0, 500.0])),
        copy=draw(st.booleans()),
    )


@st.composite
def entries(draw: Any, policy: Policy) -> Entry:
    """As `to_entry` makes them, at the random moment 0."""
    fresh = draw(st.floats(0, 100))
    entry = to_entry(
        "value",
        Lifetime(fresh, fresh + draw(st.sampled_from([0.0, 5.0, 60.0]))),
        policy,
        now=0.0,
        stamps=draw(STAMPS),
        ttl=draw(st.floats(0, 100)),
        cost=draw(st.floats(0, 10)),
        draw=draw(st.floats(0, 1)),
        careful=draw(st.booleans()),
    )
    entry.epoch = draw(st.integers(0, 2))
    return entry


@st.composite
def cases(draw: Any) -> tuple[Policy, Entry, TagClock, float]:
    policy = draw(policies())
    clock = clock_at(draw(st.integers(0, 2)), draw(STAMPS))
    return policy, draw(entries(policy)), clock, draw(TIME)


@given(cases())
def test_the_hit_path_serves_only_what_decide_would_serve(case: Any) -> None:
    policy, entry, clock, now = case
    if is_hot(entry, now, clock.epoch):
        assert decide(entry, policy, now, clock) is Decision.SERVE


@given(cases())
def test_a_looser_hit_path_fails_the_same_check(case: Any) -> None:
    """The checker can fail: a test that forgot the epoch would serve what is to be loaded."""
    policy = Policy()
    entry = to_entry(1, Lifetime(10, 10), policy, now=0.0, stamps={"t:a": b"1"}, ttl=10)
    moved = clock_at(1, {"t:a": b"2"})
    assert is_hot(entry, 1.0, entry.epoch)
    assert decide(entry, policy, 1.0, moved) is Decision.LOAD


@given(cases(), st.booleans())
@example(
    (
        Policy(),
        Entry(1, NEVER),
        clock_at(0, {}),
        0.0,
    ),
    False,
)
async def test_the_inlined_test_of_get_is_is_hot(case: Any, verify: bool) -> None:
    """`get` serves at once exactly what `is_hot` says, for the same random entries."""
    _, entry, clock, now = case
    if now < 0:
        return
    time = FakeClock()
    time.advance(now)
    cache = AsyncCache(clock=time)
    cache.engine.tags.epoch, cache.engine.tags.known = clock.epoch, clock.known
    entry.key = "k"
    cache.engine.memory.table["k"] = entry
    find = Found()
    cache._reader.find = find  # type: ignore[method-assign]
    try:
        await cache.get("k", verify=verify)
        assert find.called == (verify or not is_hot(entry, now, clock.epoch))
    finally:
        cache.engine.memory.table.clear()
        await cache.aclose()


class Found:
    """Stands where everything that needs a thought begins."""

    called = False

    async def __call__(self, read: Any) -> None:
        self.called = True


@given(cases())
def test_a_stamp_that_differs_is_a_load_however_stale_may_be_served(case: Any) -> None:
    policy, entry, clock, now = case
    if not clock.current(entry.epoch, entry.stamps):
        assert decide(entry, policy, now, clock) is Decision.LOAD


@given(cases())
def test_past_its_hard_end_nothing_is_served(case: Any) -> None:
    policy, entry, clock, now = case
    if now >= entry.usable_until:
        assert decide(entry, policy, now, clock) is Decision.LOAD
        assert not is_hot(entry, now, clock.epoch)


def test_the_four_ages_of_an_entry() -> None:
    policy = Policy(ttl=100, stale=50, stale_if_error=200, refresh_ahead=0.8)
    entry = to_entry(1, Lifetime(100, 300), policy, now=0.0, stamps={}, ttl=100)
    ages = {0: Decision.SERVE, 79.9: Decision.SERVE, 80: Decision.SERVE_AND_REFRESH}
    ages |= {100: Decision.SERVE_AND_REFRESH, 149.9: Decision.SERVE_AND_REFRESH}
    ages |= {150: Decision.LOAD, 299: Decision.LOAD, 300: Decision.LOAD}
    assert {age: decide_by_time(entry, policy, age) for age in ages} == ages


def test_entries_that_need_a_thought_are_never_hot() -> None:
    life = Lifetime(10, 10)
    for policy, careful in ((Policy(copy=True), False), (Policy(), True)):
        entry = to_entry(1, life, policy, now=0.0, stamps={}, ttl=10, careful=careful)
        assert entry.hot_until == ALWAYS
        assert decide_by_time(entry, policy, 1.0) is Decision.SERVE


def test_defect_45_early_refresh_begins_at_a_share_of_the_entrys_own_ttl() -> None:
    policy = Policy(ttl=1000, refresh_ahead=0.8)
    assert refresh_point(policy, 10.0, ttl=10.0, cost=0.0, draw=0.5) == 8.0


def test_defect_47_xfetch_refreshes_earlier_what_was_dearer_to_load() -> None:
    policy = Policy(beta=1.0)
    points = [refresh_point(policy, 100.0, ttl=100.0, cost=c, draw=0.5) for c in (0.0, 1.0, 10.0)]
    assert points[0] == NEVER
    assert 100 > points[1] > points[2]
    assert refresh_point(Policy(), 100.0, ttl=100.0, cost=10.0, draw=0.5) == NEVER


@given(st.floats(0, 1), st.floats(0, 100))
def test_xfetch_never_refreshes_after_the_end(draw: float, cost: float) -> None:
    assert refresh_point(Policy(beta=1.0), 50.0, ttl=50.0, cost=cost, draw=draw) <= 50 or not cost


def test_get_of_nothing_is_missing() -> None:
    assert not MISSING
