"""What `ttl=`, `expires_at=` and `sliding=` of one call come to. The clock and the draw are given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from cachewright.core.policy import Lifetime, Policy, Seconds, Ttl, lifetime, until
from cachewright.errors import ConfigurationError
from cachewright.types import ABSENT

Life = Callable[[Any], Lifetime]


class Lives:
    """Lifetimes for one cache. `time` reads the wall clock, `draw` is uniform in 0..1."""

    def __init__(self, time: Callable[[], float], draw: Callable[[], float]) -> None:
        self._time = time
        self._draw = draw

    def choose(
        self, policy: Policy, ttl: Ttl | None, expires_at: datetime | None, sliding: Seconds | None
    ) -> tuple[Policy, Life | None]:
        """The policy of the call, and how long its value lives if not by the policy. At most one may be given."""
        if ttl is None and expires_at is None and sliding is None:
            return policy, None
        if sum(given is not None for given in (ttl, expires_at, sliding)) > 1:
            raise ConfigurationError("give one of ttl, expires_at and sliding, not several")
        if expires_at is not None:
            until(expires_at, 0.0)  # refuses what is no aware datetime, before anything is loaded
            return policy, lambda value: self._until(expires_at)
        return _but(policy, ttl, sliding), None

    def _until(self, expires_at: datetime) -> Lifetime:
        left = max(0.0, until(expires_at, self._time()))
        return Lifetime(left, left)

    def of(self, policy: Policy, life: Life | None, value: Any) -> Lifetime:
        """How long this value lives."""
        if life is not None and value is not ABSENT:
            return life(value)
        return lifetime(policy, value, absent=value is ABSENT, draw=self._draw())


@lru_cache(maxsize=256)
def _but(policy: Policy, ttl: Ttl | None, sliding: Seconds | None) -> Policy:
    if sliding is not None:
        return policy.but(
            sliding=sliding, max_age=None, stale=0, stale_if_error=0, refresh_ahead=None
        )
    return policy.but(ttl=ttl, sliding=None, max_age=None)
