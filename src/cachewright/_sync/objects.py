# Generated from _async/objects.py by tools/unasync.py. Do not edit.
"""What `Cache` has for objects: a view of one type, methods and properties whose results are cached.

What must not be here: how any of it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from cachewright._sync.methods import cached_method
from cachewright._sync.properties import cached_property_for
from cachewright._sync.sessions import Session
from cachewright._sync.typed import TypedCache

if TYPE_CHECKING:
    from cachewright._sync.cache import Cache

T = TypeVar("T")


class Objects:
    """What `Cache` has of them."""

    cached_method = cached_method
    cached_property_for = cached_property_for

    @overload
    def typed(self, spec: type[T]) -> TypedCache[T]: ...

    @overload
    def typed(self, spec: Any) -> TypedCache[Any]: ...

    def typed(self, spec: Any) -> TypedCache[Any]:
        """This cache as one of values of the type `spec`: a dataclass, Struct, attrs class, pydantic model, `list[User]`, …

        Its classes may from then on be values of this cache, and parts of them, by whatever verb. Raises
        `ConfigurationError` for a class that cannot be taken apart, and for a `Sensitive` one without `seal=`.
        """
        return TypedCache(cast("Cache", self), spec)

    def session(self) -> Session:
        """`with cache.session() as session:`, in which a key gives the same object while the cached value is the same."""
        return Session(cast("Cache", self))
