"""Whether a value consists of nothing but what a format can give back unchanged.

What must not be here: knowledge of any format. The formats bring their sets of types.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any, Final

MAX_DEPTH: Final = 100
"""Containers inside containers, the outermost included, that an untyped codec accepts."""

LEAVES: Final = frozenset({NoneType, bool, int, float, str, bytes})
"""What msgpack gives back with the type it had, as a value and as a dict key."""

JSON_LEAVES: Final = frozenset({NoneType, bool, int, float, str})
JSON_KEYS: Final = frozenset({str})

_CONTAINERS: Final = frozenset({dict, list})


def is_plain(value: Any, *, leaves: frozenset[type], keys: frozenset[type]) -> bool:
    """True when `value` is made of `dict`, `list` and `leaves` only, by exact type.

    It goes down level by level, so that each level is checked by C loops. False too when the value
    is nested deeper than `MAX_DEPTH`. The value must be free of cycles: encode it first.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        nested = frozenset(map(type, level)) - leaves
        if not nested:
            return True
        if not nested <= _CONTAINERS:
            return False
        dicts = [item for item in level if type(item) is dict]
        if not keys.issuperset(map(type, chain.from_iterable(dicts))):
            return False
        level = _below(level, dicts)
    return False


def all_finite(value: Any) -> bool:
    """True when no float inside a plain `value` is NaN or infinite."""
    level = [value]
    while level:
        if not all(isfinite(item) for item in level if type(item) is float):
            return False
        level = _below(level, [item for item in level if type(item) is dict])
    return True


def _below(level: list[Any], dicts: list[dict[Any, Any]]) -> list[Any]:
    lists = (item for item in level if type(item) is list)
    return [*chain.from_iterable(map(dict.values, dicts)), *chain.from_iterable(lists)]
