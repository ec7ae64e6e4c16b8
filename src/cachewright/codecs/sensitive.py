"""How a type says that it must not be stored in the clear, and who asks.

    class Card(msgspec.Struct):
        holder: str
        number: Annotated[str, Sensitive]

    class Token:
        __cachewright_sensitive__ = True

What must not be here: what to do about it (`payload`, `pickle`).
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from functools import lru_cache
from inspect import get_annotations
from typing import Annotated, Any, Final, cast, get_args, get_origin, get_type_hints

_ATTRIBUTE: Final = "__cachewright_sensitive__"


class Sensitive:
    """In `Annotated[str, Sensitive]`: refuse to cache values with this field without encryption."""


def mentions_sensitive(spec: Any) -> bool:
    """True when the type, a part of it or a field of a class in it is marked."""
    seen: set[int] = set()
    todo = [spec]
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if _is_marked(item):
            return True
        todo.extend(_parts(item))
    return False


def is_sensitive(cls: type) -> bool:
    """`mentions_sensitive`, remembered for classes that are met at run time."""
    return _remembered(cast(Hashable, cls))


_remembered = lru_cache(maxsize=1024)(mentions_sensitive)


def _is_marked(item: Any) -> bool:
    if get_origin(item) is Annotated:
        return any(mark is Sensitive or isinstance(mark, Sensitive) for mark in item.__metadata__)
    if not isinstance(item, type):
        return False
    if getattr(item, _ATTRIBUTE, False) is True:
        return True
    # Annotations that cannot be resolved are judged by their spelling: better refused than stored.
    return _hints(item) is None and any(
        "Sensitive" in str(spelled)
        for cls in item.__mro__
        for spelled in get_annotations(cls).values()
    )


def _parts(item: Any) -> Iterator[Any]:
    yield from get_args(item)
    origin = get_origin(item)
    if isinstance(origin, type):
        yield origin
    if isinstance(item, type):
        yield from (_hints(item) or {}).values()
    for name in ("__supertype__", "__value__", "__bound__"):  # NewType, type X = …, TypeVar
        part = getattr(item, name, None)
        if part is not None and not isinstance(item, type):
            yield part


def _hints(cls: type) -> dict[str, Any] | None:
    """The annotations with their metadata; None when they cannot be resolved."""
    if cls.__module__ in sys.stdlib_module_names:
        return {}
    try:
        return get_type_hints(cls, include_extras=True)
    except Exception:  # noqa: BLE001 - evaluating a user's annotations raises anything
        return None
