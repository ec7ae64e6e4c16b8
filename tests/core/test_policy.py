"""Policies: every option's nonsense is refused by its name, and a lifetime is what the policy says."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.core.lives import Lives
from cachewright.core.policy import AdaptiveTtl, Lifetime, Policy, Timeouts, lifetime, until
from cachewright.errors import ConfigurationError
from cachewright.types import ABSENT

TIMES = [
    "ttl",
    "sliding",
    "max_age",
    "stale",
    "stale_if_error",
    "retry_after",
    "negative_ttl",
    "l1_ttl",
]
TIMES += ["error_ttl", "lease"]
NONSENSE = [-1, -0.001, math.nan, math.inf, True, "60", timedelta(seconds=-1), [], b""]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@pytest.mark.parametrize("option", TIMES)
def test_a_time_that_makes_no_sense_is_refused_by_name(option: str, nonsense: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"\b{option}\b"):
        Policy(**dict[str, Any]({option: nonsense}))


@pytest.mark.parametrize(
    "option", ["ttl", "stale", "stale_if_error", "retry_after", "error_ttl", "lease"]
)
def test_a_time_that_is_needed_cannot_be_none(option: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        Policy(**dict[str, Any]({option: None}))


@pytest.mark.parametrize("option", ["sliding", "retry_after", "error_ttl", "lease"])
def test_zero_is_refused_where_it_means_nothing(option: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        Policy(**dict[str, Any]({option: 0}))


@pytest.mark.parametrize("option", ["ttl", "stale", "stale_if_error", "negative_ttl", "l1_ttl"])
def test_zero_is_allowed_where_it_means_never(option: str) -> None:
    assert getattr(Policy(**dict[str, Any]({option: 0})), option) == 0


@pytest.mark.parametrize(
    ("option", "nonsense"),
    [
        *(("jitter", n) for n in (-0.1, 1, 1.5, math.nan, True, "0.1", None)),
        *(("refresh_ahead", n) for n in (-0.1, 0, 1, 1.5, math.nan, True, "0.8")),
        *(("beta", n) for n in (-1, 100, math.nan, True, "1", None)),
        *(("copy", n) for n in ("yes", 1, None)),
        *(("store_if", n) for n in (True, "x", 1)),
        *(
            ("cache_errors", n)
            for n in (
                (1,),
                ("ValueError",),
                (BaseException,),
                (KeyboardInterrupt,),
                ValueError,
                None,
            )
        ),
        *(("on_error", n) for n in ("ignore", None, True)),
        *(("timeouts", n) for n in (1.0, None, {"call": 1})),
    ],
    ids=repr,
)
def test_every_other_option_refuses_nonsense_by_name(option: str, nonsense: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        Policy(**dict[str, Any]({option: nonsense}))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_age": 60}, "max_age"),
        ({"sliding": 60, "max_age": 59}, "max_age"),
        ({"sliding": 60, "stale": 1}, "sliding"),
        ({"sliding": 60, "stale_if_error": 1}, "sliding"),
        ({"sliding": 60, "refresh_ahead": 0.5}, "sliding"),
    ],
)
def test_options_that_contradict_one_another_are_refused(options: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Policy(**options)


@pytest.mark.parametrize("nonsense", [*NONSENSE, 0], ids=repr)
@pytest.mark.parametrize("option", ["call", "connect", "load"])
def test_a_time_budget_that_makes_no_sense_is_refused_by_name(option: str, nonsense: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        Timeouts(**{option: nonsense})


def test_a_soft_timeout_beyond_the_hard_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="load_soft"):
        Timeouts(load=1, load_soft=2)


@pytest.mark.parametrize(
    "options",
    [
        {"low": 0},
        {"low": -1},
        {"low": 10, "high": 5},
        {"full_at": 0},
        {"full_at": 256},
        {"low": math.nan},
    ],
    ids=repr,
)
def test_an_adaptive_ttl_that_makes_no_sense_is_refused(options: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"AdaptiveTtl.{next(iter(options))}|AdaptiveTtl.high"
    ):
        AdaptiveTtl(**options)


def test_a_policy_cannot_be_changed_and_a_copy_is_validated_again() -> None:
    policy = Policy(ttl=60)
    with pytest.raises(AttributeError):
        policy.ttl = 10  # type: ignore[misc]
    assert policy.but(stale=5).ttl == 60
    with pytest.raises(ConfigurationError, match="stale"):
        policy.but(stale=-5)


def test_timedeltas_are_seconds() -> None:
    assert Policy(ttl=timedelta(minutes=1), stale=timedelta(seconds=5)) == Policy(ttl=60, stale=5)


def life(policy: Policy, value: Any = 1, **options: Any) -> Lifetime:
    return lifetime(policy, value, absent=value is ABSENT, **options)


def test_a_stale_entry_is_usable_for_the_longer_of_both_grants() -> None:
    assert life(Policy(ttl=60, stale=10, stale_if_error=40)) == Lifetime(60, 100)


def test_defect_05_zero_stores_nothing_not_even_as_stale() -> None:
    assert life(Policy(ttl=0, stale=10)) == Lifetime(0, 0)


@given(st.floats(0, 0.99), st.floats(0, 1), st.floats(0.01, 1e6))
def test_defect_05_jitter_only_shortens(jitter: float, draw: float, ttl: float) -> None:
    got = life(Policy(ttl=ttl, jitter=jitter), draw=draw).fresh
    assert ttl * (1 - jitter) * 0.999 <= got <= ttl


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (Policy(ttl=300), 30),
        (Policy(ttl=10), 10),
        (Policy(ttl=300, negative_ttl=60), 60),
        (Policy(ttl=10, negative_ttl=0), 0),
        (Policy(ttl=lambda value: 1 / 0), 30),
        (Policy(sliding=60), 30),
        (Policy(ttl=AdaptiveTtl(low=5)), 5),
    ],
)
def test_what_is_absent_has_a_ttl_of_its_own(policy: Policy, seconds: float) -> None:
    assert life(policy, ABSENT).fresh == seconds


def test_a_callable_ttl_gets_the_value_and_its_answer_is_checked() -> None:
    policy = Policy(ttl=lambda value: timedelta(seconds=value))
    assert life(policy, 7).fresh == 7
    with pytest.raises(ConfigurationError, match="callable"):
        life(policy, -7)


def test_a_sliding_lifetime_is_capped_by_max_age_or_24_windows() -> None:
    assert life(Policy(sliding=10)) == Lifetime(240, 240, 10)
    assert life(Policy(sliding=10, max_age=60)) == Lifetime(60, 60, 10)


@given(st.integers(0, 1000))
def test_an_adaptive_ttl_grows_with_use_and_stays_in_its_bounds(reads: int) -> None:
    ttl = AdaptiveTtl(low=30, high=3600, full_at=100)
    assert 30 <= ttl.at(reads) <= ttl.at(reads + 1) <= 3600
    assert ttl.at(0) == 30
    assert ttl.at(100) == 3600


def test_defect_48_a_naive_deadline_is_refused_and_an_aware_one_is_a_distance() -> None:
    now = 1_700_000_000.0
    soon = datetime.fromtimestamp(now + 60, UTC)
    assert until(soon, now) == 60
    assert until(soon.astimezone(tz=None), now) == 60
    assert until(soon, now + 100) == -40
    for nonsense in (soon.replace(tzinfo=None), now + 60, "2024-01-01"):
        with pytest.raises(ConfigurationError, match="aware"):
            until(nonsense, now)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [(60, None, 60), (60, datetime.now(UTC), None), (None, datetime.now(UTC), 60), (0, None, 0)],
)
def test_one_call_has_one_kind_of_life(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="one of ttl, expires_at and sliding"):
        Lives(lambda: 0.0, lambda: 0.0).choose(Policy(), *given)


def test_a_call_that_gives_a_ttl_ends_the_sliding_of_the_policy() -> None:
    lives = Lives(lambda: 0.0, lambda: 0.0)
    policy, _ = lives.choose(Policy(sliding=10, max_age=60), 5, None, None)
    assert life(policy) == Lifetime(5, 5)
    policy, _ = lives.choose(Policy(ttl=60, stale=5), None, None, 10)
    assert life(policy) == Lifetime(240, 240, 10)
