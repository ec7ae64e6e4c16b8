"""A wait ends with the first true value, or with an error when its time is up."""

from __future__ import annotations

import itertools

import pytest

from rig.waiting import eventually, eventually_async


def test_a_wait_returns_the_first_true_value() -> None:
    values = iter([0, None, "", 7, 8])
    assert eventually(lambda: next(values)) == 7


def test_a_wait_fails_when_its_time_is_up_and_shows_the_last_value() -> None:
    with pytest.raises(AssertionError, match=r"still \[\] after 0.02 s"):
        eventually(list, within=0.02)


async def test_an_async_wait_takes_plain_and_async_predicates() -> None:
    plain, counted = itertools.count(), itertools.count()

    async def third() -> bool:
        return next(counted) == 2

    assert await eventually_async(lambda: next(plain) > 1)
    assert await eventually_async(third)


async def test_an_async_wait_fails_when_its_time_is_up() -> None:
    with pytest.raises(AssertionError, match="still 0 after"):
        await eventually_async(lambda: 0, within=0.02)
