"""Functions make a source; what they cannot do is said at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cachewright import ABSENT
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.patterns.sources import AsyncCallableSource, CallableSource, ReadOnly

ROWS = {1: {"id": 1}, 2: {"id": 2}}


def load(key: int) -> Any:
    """One row."""
    return ROWS.get(key, ABSENT)


async def async_load(key: int) -> Any:
    """One row."""
    return ROWS.get(key, ABSENT)


def test_a_function_for_one_serves_for_many_and_is_asked_once_for_each() -> None:
    asked: list[int] = []

    def counted(key: int) -> Any:
        asked.append(key)
        return load(key)

    source = CallableSource("rows", load=counted, key_types=int)
    assert source.load_many(["1", 1, 9]) == {1: {"id": 1}}
    assert asked == [1, 9]


def test_a_function_for_many_serves_for_one() -> None:
    def many(keys: Sequence[int]) -> Mapping[Any, Any]:
        return {str(key): ROWS[key] for key in keys if key in ROWS}

    source = CallableSource("rows", load_many=many, key_types=int)
    assert source.load("1") == {"id": 1}
    assert source.load(9) is ABSENT
    assert source.load_many([]) == {}


async def test_coroutine_functions_make_a_source_for_asyncio() -> None:
    stored: list[Any] = []

    async def save(value: Any) -> Any:
        stored.append(value)
        return {**value, "seen": True}

    source = AsyncCallableSource(
        "rows", load=async_load, save=save, key=lambda row: row["id"], key_types=int
    )
    assert await source.load("2") == {"id": 2}
    assert await source.load_many([1, 9]) == {1: {"id": 1}}
    assert await source.save_many([{"id": "3"}]) == [{"id": "3", "seen": True}]
    assert source.key_of({"id": "3"}) == 3
    with pytest.raises(ReadOnly):
        await source.delete(1)


def test_what_a_source_was_given_no_function_for_it_cannot_do() -> None:
    source = CallableSource[Any]("rows", load=load)
    with pytest.raises(ReadOnly):
        source.save({})
    with pytest.raises(ReadOnly):
        source.delete(1)
    with pytest.raises(ConfigurationError):
        source.key_of({})
    with pytest.raises(ConfigurationError):
        CallableSource[Any]("rows", save=lambda value: value)
    with pytest.raises(ConfigurationError):
        CallableSource[Any]("", load=load)
    with pytest.raises(InvalidKey):
        source.load(None)


def test_a_plain_function_is_no_source_for_asyncio() -> None:
    with pytest.raises(ConfigurationError, match="async def"):
        AsyncCallableSource("rows", load=load)
