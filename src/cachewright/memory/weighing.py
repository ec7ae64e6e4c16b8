"""What a value weighs in memory, in bytes, roughly. For caches bounded by bytes; no bounds are kept here."""

from __future__ import annotations

import sys
from typing import Any

_LIMIT = 10_000
"""Objects looked at; what lies beyond counts as much as what was seen on average."""


def weigh(value: Any) -> int:
    """Bytes of `value` and of what it holds in lists, tuples, sets, dicts and attributes."""
    seen: set[int] = set()
    todo = [value]
    total = 0
    while todo and len(seen) < _LIMIT:
        it = todo.pop()
        if id(it) in seen:
            continue
        seen.add(id(it))
        total += sys.getsizeof(it, 64)
        todo.extend(_parts(it))
    return total * (len(seen) + len(todo)) // max(1, len(seen))


def _parts(it: Any) -> list[Any]:
    if isinstance(it, dict):
        return [*it.keys(), *it.values()]
    if isinstance(it, list | tuple | set | frozenset):
        return list(it)
    slots = [getattr(it, name, None) for name in getattr(type(it), "__slots__", ())]
    return [*slots, *getattr(it, "__dict__", {}).values()]
