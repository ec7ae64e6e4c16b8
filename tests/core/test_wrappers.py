"""The compiled hit path of decorated functions: it remembers keys, and only those that cannot be mistaken."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from enum import Enum
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.core.calls import CallKeys
from cachewright.core.entry import Entry
from cachewright.core.tags import TagClock
from cachewright.core.wrappers import compile_wrapper, remember


class Colour(str, Enum):  # noqa: UP042 - the mixin is what is tested
    RED = "red"


def compiled(
    function: Callable[..., Any], table: dict[str, Entry], keys: dict[Any, str]
) -> Callable[..., Any] | None:
    """A wrapper whose `read` returns what it was given."""

    parameters = list(inspect.signature(function).parameters.values())
    names = CallKeys(function, key=None, tags=(), ignore=(), version=None).names
    return compile_wrapper(
        parameters,
        names,
        define="def",
        wait="",
        table=table,
        domain=None,
        keys=keys,
        tags=TagClock(threading.RLock()),
        monotonic=time.monotonic,
        hits=count(),
        read=lambda short, plain, args, kwargs: (short, plain, args, kwargs),
    )


def entry(value: Any) -> Entry:
    end = time.monotonic() + 60
    return Entry(value, end)


def one(x: Any) -> Any: ...
def two(x: Any, y: Any = 7) -> Any: ...
def named(x: Any, /, *, y: Any = 7) -> Any: ...
def nothing() -> Any: ...


LOOKALIKES = [1, True, 1.0, "1", "red", Colour.RED, 0, False, "", 2, "a:b"]


@given(st.sampled_from(LOOKALIKES), st.sampled_from(LOOKALIKES))
def test_a_remembered_key_is_never_taken_for_that_of_a_lookalike(x: Any, other: Any) -> None:
    keys: dict[Any, str] = {}
    own = CallKeys(one, key=None, tags=(), ignore=(), version=None).key
    wrapper = compiled(one, {own(x): entry("of x")}, keys)
    assert wrapper is not None
    _, plain, _, _ = wrapper(x)
    if plain:
        keys[x] = own(x)
    assert (wrapper(other) == "of x") == (plain and own(other) == own(x))


@pytest.mark.parametrize("x", [True, 1.0, None, Colour.RED, b"x", (1,), [1]])
def test_what_is_not_plain_is_not_to_be_remembered(x: Any) -> None:
    wrapper = compiled(two, {}, {})
    assert wrapper is not None
    assert [wrapper(x)[1], wrapper(1, x)[1], wrapper(1, "a")[1]] == [False, False, True]


def test_no_more_keys_are_remembered_than_there_is_room_for() -> None:
    keys: dict[Any, str] = {}
    for n in range(100):
        remember(keys, n, str(n), most=3)
        assert keys[n] == str(n)
        assert len(keys) <= 3


def test_a_call_that_is_not_known_is_read_with_its_defaults_filled_in() -> None:
    wrapper = compiled(two, {}, {})
    assert wrapper is not None
    assert wrapper(1) == ((1, 7), True, (1, 7), {})
    assert wrapper(y=2, x=1) == ((1, 2), True, (1, 2), {})


def test_keyword_only_arguments_are_handed_on_by_name() -> None:
    wrapper = compiled(named, {}, {})
    assert wrapper is not None
    assert wrapper(1, y=3) == ((1, 3), True, (1,), {"y": 3})


def test_a_function_without_arguments_has_one_key() -> None:
    wrapper = compiled(nothing, {"k": entry("v")}, {(): "k"})
    assert wrapper is not None
    assert wrapper() == "v"


def test_an_argument_that_cannot_be_hashed_is_read() -> None:
    wrapper = compiled(one, {}, {})
    assert wrapper is not None
    assert wrapper([1]) == ([1], False, ([1],), {})


def test_a_wrong_call_fails_as_the_function_would() -> None:
    wrapper = compiled(one, {}, {})
    assert wrapper is not None
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        wrapper()


def test_a_parameter_may_be_called_as_what_the_wrapper_uses() -> None:
    def lookup(entry: Any, default_0: Any = 7) -> Any: ...

    ended = entry("old")
    ended.hot_until = 0.0
    wrapper = compiled(lookup, {"k": ended}, {(1, 7): "k"})
    assert wrapper is not None
    assert wrapper(1) == ((1, 7), True, (1, 7), {})


def test_signatures_with_stars_or_our_own_names_are_left_alone() -> None:
    def stars(*args: Any) -> Any: ...
    def more(**kwargs: Any) -> Any: ...
    def ours(_cw_table: Any) -> Any: ...

    assert [compiled(function, {}, {}) for function in (stars, more, ours)] == [None] * 3
