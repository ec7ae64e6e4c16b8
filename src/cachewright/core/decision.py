"""Serve, serve and refresh, or load: the one place that decides. Pure; the engine's hit path repeats only SERVE.

Invariants kept here (tests/core/test_decision.py):
- an entry whose stamps differ is never served, however stale it may be: stale means stale by time;
- past `usable_until` nothing is served;
- the engine's inlined test serves only what `decide` would SERVE.
"""

from __future__ import annotations

import math
from enum import Enum, auto

from cachewright.core.entry import NEVER, Entry
from cachewright.core.policy import Policy, as_float
from cachewright.core.tags import TagClock


class Decision(Enum):
    """What to do with an entry."""

    SERVE = auto()
    SERVE_AND_REFRESH = auto()
    LOAD = auto()


def decide(entry: Entry, policy: Policy, now: float, clock: TagClock) -> Decision:
    """What a read at monotonic time `now` does with `entry`. Changes nothing."""
    if not clock.current(entry.epoch, entry.stamps):
        return Decision.LOAD
    return decide_by_time(entry, policy, now)


def decide_by_time(entry: Entry, policy: Policy, now: float) -> Decision:
    """The same for an entry whose stamps were just compared with the server's."""
    if now >= entry.usable_until:
        return Decision.LOAD
    if now < entry.fresh_until:
        return Decision.SERVE if now < entry.refresh_from else Decision.SERVE_AND_REFRESH
    if now < entry.fresh_until + as_float(policy.stale):
        return Decision.SERVE_AND_REFRESH
    return Decision.LOAD


def is_hot(entry: Entry, now: float, epoch: int) -> bool:
    """The hit path's test, as the engine inlines it."""
    return now < entry.hot_until and entry.epoch == epoch


def refresh_point(
    policy: Policy, fresh_until: float, *, ttl: float, cost: float, draw: float
) -> float:
    """When early refresh begins, on the clock of `fresh_until`; `NEVER` when the policy has none.

    `ttl` is the entry's own freshness lifetime. XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic
    Cache Stampede Prevention, VLDB 2015, section 4) draws `-cost * beta * ln(draw)`; the draw is made once for each
    entry and process, since a hit must not cost a random number.
    """
    early = NEVER
    if policy.refresh_ahead is not None:
        early = fresh_until - ttl * (1.0 - policy.refresh_ahead)
    if policy.beta and cost:
        early = min(early, fresh_until + cost * policy.beta * math.log(max(draw, 1e-12)))
    return early
