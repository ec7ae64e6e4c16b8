"""What surrounds a call: loads, modes, scopes; what cannot be stored; pauses after failures."""

from __future__ import annotations

import io
import types
from typing import Any

import pytest

from cachewright.core.backoff import Backoff
from cachewright.core.loading import (
    LIVE,
    Load,
    Mode,
    collecting,
    collecting_load,
    current_load,
    enclosing_load,
    is_loading,
    mode,
    mode_of,
)
from cachewright.core.scopes import Scope
from cachewright.core.storable import refuse_generator_function, refuse_unstorable
from cachewright.errors import ConfigurationError, InvalidKey, Unstorable

HERE = "where stamps mean the same"


def test_outside_of_a_load_there_is_one_that_forgets() -> None:
    assert enclosing_load() is None
    current_load().tag("row:1")
    assert current_load().late == set()


def test_a_load_is_current_inside_and_the_outer_one_again_after() -> None:
    outer = Load("a", HERE, None)
    with collecting(outer):
        with collecting(Load("b", HERE, outer)):
            current_load().tag("row:1", ("row", 2))
            assert current_load().late == {"t:row:1", "t:row:2"}
            assert is_loading("a", HERE)
            assert not is_loading("a", "elsewhere")
            assert not is_loading("c", HERE)
        assert current_load() is outer
        assert outer.late == set()
    assert enclosing_load() is None


def test_while_a_context_is_open_the_hit_path_asks_further() -> None:
    cache = object()
    before = len(LIVE)
    with mode(cache, Mode.BYPASS), collecting(None):
        assert len(LIVE) == before + 2
    assert len(LIVE) == before


def test_the_innermost_mode_of_a_cache_wins_and_other_caches_have_their_own() -> None:
    one, other = object(), object()
    with mode(one, Mode.BYPASS), mode(other, Mode.REFRESH), mode(one, Mode.DISABLE):
        assert (mode_of(one), mode_of(other)) == (Mode.DISABLE, Mode.REFRESH)
    assert mode_of(one) is None


def test_a_parent_whose_parts_disagree_is_poisoned() -> None:
    load = Load("a", HERE, None)
    load.gather({"t:x": b"1", "t:y": b"1"})
    load.gather({"t:x": b"1"})
    assert not load.poisoned
    load.gather({"t:x": b"2"})
    assert load.poisoned


def test_a_part_that_nobody_vouches_for_poisons_the_whole() -> None:
    load = Load("a", HERE, None)
    load.gather(None)
    assert load.poisoned


def test_what_is_read_elsewhere_poisons_and_is_not_collected() -> None:
    load = Load("a", HERE, None)
    with collecting(load):
        assert collecting_load(HERE) is load
        assert not load.poisoned
        assert collecting_load("elsewhere") is None
    assert load.poisoned


def test_security_07_a_scoped_cache_refuses_to_be_used_without_a_scope() -> None:
    scope = Scope("user")
    for use in (scope.prefix, scope.tags):
        with pytest.raises(ConfigurationError, match="scoped"):
            use()
    with scope.entered(7):
        assert scope.prefix() == "7|"
        assert scope.tags() == [scope.tag(7)] == ["s:7"]
        with scope.entered("7"):
            assert scope.prefix() == "s~7|"
        assert scope.prefix() == "7|"


def test_a_cache_that_is_everybodys_has_no_scope_to_enter_or_invalidate() -> None:
    scope = Scope(None)
    assert scope.prefix() == ""
    assert scope.tags() == []
    with pytest.raises(ConfigurationError, match="scope="):
        scope.tag(7)
    with pytest.raises(ConfigurationError, match="scope="), scope.entered(7):
        pass


def test_a_scope_that_cannot_be_spelled_is_refused() -> None:
    with pytest.raises(InvalidKey), Scope("user").entered(object()):
        pass


async def coroutine() -> None: ...


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    "make",
    [
        generator,
        async_generator,
        lambda: iter([1]),
        lambda: map(str, [1]),
        lambda: zip([1], [2], strict=True),
        lambda: io.BytesIO(b"x"),
        lambda: io.StringIO("x"),
        lambda: types,
    ],
)
def test_what_can_be_used_once_only_is_refused(make: Any) -> None:
    with pytest.raises(Unstorable, match=r"cannot be cached"):
        refuse_unstorable(make())


def test_a_coroutine_is_refused() -> None:
    waiting = coroutine()
    with pytest.raises(Unstorable):
        refuse_unstorable(waiting)
    waiting.close()


@pytest.mark.parametrize(
    "value", [None, 0, "", [], {}, range(3), object(), ValueError("x"), {1: 2}.keys()]
)
def test_what_can_be_used_again_is_not_refused(value: Any) -> None:
    refuse_unstorable(value)


def test_generator_functions_are_refused_before_they_are_called() -> None:
    for function in (generator, async_generator):
        with pytest.raises(Unstorable, match="generator function"):
            refuse_generator_function(function)
    refuse_generator_function(coroutine)


def test_a_pause_doubles_to_ten_times_itself_and_ends_with_a_success() -> None:
    backoff = Backoff()
    pauses = [backoff.failed("k", 1.0, 100.0) - 100 for _ in range(6)]
    assert pauses == [1, 2, 4, 8, 10, 10]
    assert backoff.waits("k", 109.9)
    assert not backoff.waits("k", 110)
    assert not backoff.waits("other", 100)
    backoff.succeeded("k")
    assert not backoff.waits("k", 100)
    assert backoff.failed("k", 1.0, 0.0) == 1


def test_security_23_the_keys_that_failed_are_bounded() -> None:
    backoff = Backoff(limit=3)
    for n in range(10):
        backoff.failed(f"k{n}", 1.0, 0.0)
    assert [n for n in range(10) if backoff.waits(f"k{n}", 0.5)] == [7, 8, 9]
