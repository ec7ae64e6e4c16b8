"""How long, how fresh and how patiently: the options of a cache, validated once. No decisions here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from cachewright.errors import ConfigurationError

Seconds = float | timedelta
LONGEST = 315_576_000


def seconds(option: str, value: object, *, zero: bool = True) -> float:
    """`value` (a number of seconds or a timedelta) as a finite float; refuses nonsense by the option's name."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{option} must be a finite number of seconds, not {value!r}")
    if value > LONGEST:
        raise ConfigurationError(
            f"{option} must not exceed ten years ({LONGEST} seconds), not {value!r}"
        )
    if value < 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise ConfigurationError(f"{option} must be {least} seconds, not {value!r}")
    return float(value)


def fraction(option: str, value: object, *, below: float = 1.0) -> float:
    """`value` as a float from 0 (inclusive) to `below` (exclusive)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below:
        raise ConfigurationError(f"{option} must be at least 0 and below {below:g}, not {value!r}")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveTtl:
    """A TTL that grows with how often a key is read, from `low` to `high` seconds.

    `full_at` reads, counted by a bounded sketch that forgets, earn `high`; fewer earn proportionally less.
    """

    low: float = 30.0
    high: float = 3600.0
    full_at: int = 100

    def __post_init__(self) -> None:
        seconds("AdaptiveTtl.low", self.low, zero=False)
        if seconds("AdaptiveTtl.high", self.high) < self.low:
            raise ConfigurationError("AdaptiveTtl.high must not be below AdaptiveTtl.low")
        if not 1 <= self.full_at <= 255:
            raise ConfigurationError(
                "AdaptiveTtl.full_at must be from 1 to 255, what the sketch can count"
            )

    def at(self, reads: int) -> float:
        """The TTL in seconds of a key that was read `reads` times lately."""
        return self.low + (self.high - self.low) * min(reads, self.full_at) / self.full_at


Ttl = Seconds | Callable[[Any], Seconds] | AdaptiveTtl


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time budgets in seconds.

    `call`: one remote call. `connect`: opening a connection. `load_soft`: how long a caller waits for a load
    when a stale value could be served instead (None: never serve it for slowness). `load`: after this a load no
    longer keeps its lease. A coroutine is cancelled then; a function in a thread cannot be stopped, so its own caller
    waits on, and those who joined it get `LoadTimeout` after twice the time, the wait for another process included.
    """

    call: float = 0.1
    connect: float = 0.5
    load_soft: float | None = None
    load: float = 30.0

    def __post_init__(self) -> None:
        for name in ("call", "connect", "load"):
            seconds(f"Timeouts.{name}", getattr(self, name), zero=False)
        if self.load_soft is not None and seconds("Timeouts.load_soft", self.load_soft) > self.load:
            raise ConfigurationError("Timeouts.load_soft must not exceed Timeouts.load")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of a cache, of one call or of one decorated function. Times in seconds or timedeltas.

    `ttl`: fresh for so long; 0 stores nothing; a callable gets the loaded value; `AdaptiveTtl` follows use.
    `sliding`: each access extends life by so much, at most to `max_age` in all (default 24 windows).
    `stale`: served while one refresh runs, for so long after `ttl`.
    `stale_if_error`: served when the load fails, for so long after `ttl`; `retry_after`: the pause before the
    next try, doubling to ten times itself.
    `refresh_ahead`: the share of the entry's own TTL after which a hit refreshes it in the background.
    `beta`: XFetch's eagerness, 0 to switch it off (Vattani, Chierichetti, Lowenstein, VLDB 2015).
    `negative_ttl`: for `ABSENT`; default min(ttl, 30). `jitter`: shortens each TTL by up to this share.
    `l1_ttl`: the longest stay in L1. `copy`: each caller gets a deep copy of its own.
    `store_if`: a value it refuses is returned and not stored. `cache_errors`: these exceptions of a loader are
    kept in L1 for `error_ttl`. `lease`: how long a silent leader may hold a key in the fleet.
    `on_error`: "fallback" treats a failing server as a miss, "raise" raises `RemoteError`.
    Raises `ConfigurationError` for any option that cannot work.
    """

    ttl: Ttl = 300.0
    sliding: Seconds | None = None
    max_age: Seconds | None = None
    stale: Seconds = 0.0
    stale_if_error: Seconds = 0.0
    retry_after: Seconds = 1.0
    refresh_ahead: float | None = None
    beta: float = 0.0
    negative_ttl: Seconds | None = None
    jitter: float = 0.0
    l1_ttl: Seconds | None = None
    copy: bool = False
    store_if: Callable[[Any], bool] | None = None
    cache_errors: tuple[type[Exception], ...] = ()
    error_ttl: Seconds = 1.0
    lease: Seconds = 10.0
    on_error: Literal["fallback", "raise"] = "fallback"
    timeouts: Timeouts = field(default_factory=Timeouts)

    def __post_init__(self) -> None:
        if not (callable(self.ttl) or isinstance(self.ttl, AdaptiveTtl)):
            self._set("ttl", seconds("ttl", self.ttl))
        for name in ("stale", "stale_if_error"):
            self._set(name, seconds(name, getattr(self, name)))
        for name in ("retry_after", "error_ttl", "lease"):
            self._set(name, seconds(name, getattr(self, name), zero=False))
        for name in ("sliding", "max_age", "negative_ttl", "l1_ttl"):
            if getattr(self, name) is not None:
                zero = name in ("negative_ttl", "l1_ttl")
                self._set(name, seconds(name, getattr(self, name), zero=zero))
        self._set("jitter", fraction("jitter", self.jitter))
        self._check_together()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_together(self) -> None:
        if self.refresh_ahead is not None and not fraction("refresh_ahead", self.refresh_ahead):
            raise ConfigurationError("refresh_ahead must be above 0; leave it out to switch it off")
        fraction("beta", self.beta, below=100.0)
        if self.max_age is not None and self.sliding is None:
            raise ConfigurationError(
                "max_age limits a sliding TTL: set sliding as well, or use ttl"
            )
        if self.sliding is not None:
            if self.max_age is not None and self.max_age < self.sliding:  # type: ignore[operator]
                raise ConfigurationError("max_age must not be below sliding")
            if self.stale or self.stale_if_error or self.refresh_ahead:
                raise ConfigurationError(
                    "sliding cannot be combined with stale, stale_if_error or refresh_ahead"
                )
        self._check_kinds()

    def _check_kinds(self) -> None:
        if self.on_error not in ("fallback", "raise"):
            raise ConfigurationError(
                f'on_error must be "fallback" or "raise", not {self.on_error!r}'
            )
        if not isinstance(self.cache_errors, tuple) or not all(
            isinstance(e, type) and issubclass(e, Exception) for e in self.cache_errors
        ):
            raise ConfigurationError("cache_errors must be a tuple of Exception classes")
        if type(self.copy) is not bool:
            raise ConfigurationError(f"copy must be True or False, not {self.copy!r}")
        if self.store_if is not None and not callable(self.store_if):
            raise ConfigurationError("store_if must be a function of the value, or None")
        if not isinstance(self.timeouts, Timeouts):
            raise ConfigurationError("timeouts must be a Timeouts, such as Timeouts(call=0.05)")

    def but(self, **changes: Any) -> Policy:
        """A copy with some options changed, validated again."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What a policy comes to for one value, in seconds from now. `fresh` 0 stores nothing."""

    fresh: float
    usable: float
    window: float = 0.0
    """Of a sliding entry; 0 for all others."""


def is_steady(policy: Policy) -> bool:
    """Whether all values live equally long, and all absences."""
    return not (
        policy.jitter
        or policy.store_if is not None
        or callable(policy.ttl)
        or isinstance(policy.ttl, AdaptiveTtl)
    )


def lifetime(
    policy: Policy,
    value: Any,
    *,
    absent: bool,
    reads: int = 0,
    draw: float = 1.0,
) -> Lifetime:
    """How long `value` lives under `policy`. `reads` feeds an `AdaptiveTtl`; `draw` is uniform in 0..1."""
    if policy.sliding is not None and not absent:
        window = as_float(policy.sliding)
        cap = as_float(policy.max_age) if policy.max_age is not None else 24 * window
        return Lifetime(cap, cap, window)
    ttl = _ttl(policy.ttl, value, reads, absent=absent)
    if absent:
        ttl = as_float(policy.negative_ttl) if policy.negative_ttl is not None else min(ttl, 30.0)
    ttl *= 1.0 - policy.jitter * draw
    return Lifetime(
        ttl, ttl + max(as_float(policy.stale), as_float(policy.stale_if_error)) if ttl else 0.0
    )


def _ttl(ttl: Ttl, value: Any, reads: int, *, absent: bool) -> float:
    if isinstance(ttl, AdaptiveTtl):
        return ttl.at(reads)
    if callable(ttl):
        # The callable was written for values; what is not there has the negative TTL alone.
        return (
            30.0 if absent else seconds("the ttl that the policy's callable returned", ttl(value))
        )
    return as_float(ttl)


def as_float(value: Seconds) -> float:
    """A validated time as seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def until(expires_at: datetime, now: float) -> float:
    """Seconds from the wall-clock time `now` until an aware datetime; negative when it has passed."""
    if not isinstance(expires_at, datetime) or expires_at.tzinfo is None:
        raise ConfigurationError(
            "expires_at must be an aware datetime: give it a tzinfo, such as datetime.now(UTC)"
        )
    return expires_at.timestamp() - now
