"""Whether a value is of a type that an application has named. Pure, and only as deep as it costs nothing.

What is inside a container is the codec's business. What must not be here: schemas.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

Classes = tuple[type, ...] | None
"""For `isinstance`; None for a type that says nothing of a value's class."""


def classes_of(spec: Any) -> Classes:
    """The classes of which a value of type `spec` is an instance."""
    if spec is None:
        return (NoneType,)
    origin = get_origin(spec)
    if origin is Annotated:
        return classes_of(get_args(spec)[0])
    if origin in (Union, UnionType):
        parts = [classes_of(part) for part in get_args(spec)]
        return None if None in parts else tuple(cls for part in parts for cls in part or ())
    if origin is Literal:
        return tuple({type(value) for value in get_args(spec)})
    found = origin if origin is not None else spec
    if not isinstance(found, type) or spec is Any or _is_typed_dict(found):
        return (dict,) if isinstance(found, type) and _is_typed_dict(found) else None
    return (found,)


def _is_typed_dict(cls: type) -> bool:
    return issubclass(cls, dict) and hasattr(cls, "__total__")
