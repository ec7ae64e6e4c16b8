"""Decorated functions and caches, filled with the keys that the timed loops ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import KEYS, SMALL


def gets(stage: Stage, get: Callable[[str], Any], put: Callable[[str, Any], Any]) -> Measure:
    """Samples of `get` for keys that `put` stores beforehand."""
    for key in KEYS:
        put(key, SMALL)
    _check(get(KEYS[0]))
    return stage.timed("get(key)", get=get)


def calls(stage: Stage, decorate: Callable[[Any], Any], keys: Sequence[str] = KEYS) -> Measure:
    """Samples of hits of a function that `decorate` made a cached one."""
    load = called(decorate, keys)
    return stage.timed("load(key)", keys, load=load)


def called(decorate: Callable[[Any], Any], keys: Sequence[str] = KEYS) -> Any:
    """A cached function that was called once with each key, and is not called a second time."""
    loads = 0

    def load(key: str) -> Any:
        nonlocal loads
        loads += bool(key)
        return SMALL

    cached = decorate(load)
    for key in (*keys, *keys):
        _check(cached(key))
    _once(loads, keys)
    return cached


def awaited_calls(
    stage: Stage, decorate: Callable[[Any], Any], keys: Sequence[str] = KEYS
) -> Measure:
    """As `calls`, for a coroutine function."""
    return stage.timed("await load(key)", keys, load=awaited(stage, decorate, keys))


def awaited(stage: Stage, decorate: Callable[[Any], Any], keys: Sequence[str] = KEYS) -> Any:
    """As `called`, for a coroutine function."""
    loads = 0

    async def load(key: str) -> Any:
        nonlocal loads
        loads += bool(key)
        return SMALL

    cached = decorate(load)

    async def warm() -> None:
        for key in (*keys, *keys):
            _check(await cached(key))

    stage.wait(warm())
    _once(loads, keys)
    return cached


def _check(value: Any) -> None:
    if value != SMALL:
        raise ValueError(f"it returned {value!r} instead of the value")


def _once(loads: int, keys: Sequence[str]) -> None:
    if loads != len(keys):
        raise ValueError(f"{loads} loads for {len(keys)} keys: what is timed would be no hits")
