"""What an object is called in keys: its class and the identity that it declares. Never `id()`, never `repr()`.

An object says what identifies it: `__cache_identity__ = "id"` on its class, the names of several attributes, or a
method that returns the parts; or a decorator says it with `identity=`. What must not be here: keys of calls (`calls`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, TypeAlias, cast

from cachewright.core.keys import spell
from cachewright.errors import ConfigurationError, InvalidKey

Identity: TypeAlias = "str | tuple[str, ...] | Callable[[Any], Any]"
"""The name of an attribute, names of several, or a function of the object."""

DECLARED = "__cache_identity__"


def identity_of(instance: Any, identity: Identity | None = None) -> tuple[Any, ...]:
    """The parts that identify an object among those of its class. Raises `ConfigurationError` if nothing declares them.

    Raises `InvalidKey` for an object that has no identity yet: a row that was not inserted has None for an id, and
    would share its entries with every other such row.
    """
    how = identity if identity is not None else getattr(type(instance), DECLARED, None)
    if how is None:
        raise ConfigurationError(
            f"what identifies a {type(instance).__qualname__}? Say {DECLARED} = 'id' on the class, or identity='id'"
        )
    if callable(how):
        found = how(instance)
        parts = found if isinstance(found, tuple) else (found,)
    else:
        names = (how,) if isinstance(how, str) else how
        parts = tuple(getattr(instance, name) for name in names)
    if not parts or None in parts:
        raise InvalidKey(
            f"a {type(instance).__qualname__} that has no identity yet: {how!r} is {parts!r}"
        )
    return parts


def named(instance: Any, identity: Identity | None = None) -> str:
    """The class and the identity of an object, spelled as parts of a key.

    The class is the object's own and not the one that has the method: an object of a subclass may answer otherwise.
    """
    return ":".join(
        (_spelled(cast(Hashable, type(instance))), *map(spell, identity_of(instance, identity)))
    )


@lru_cache(maxsize=1024)
def _spelled(cls: Any) -> str:
    return spell(f"{cls.__module__}.{cls.__qualname__}")
