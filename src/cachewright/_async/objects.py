# What a cache has for objects.
"""What `AsyncCache` has for objects: a view of one type, methods and properties whose results are cached.

What must not be here: how any of it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from cachewright._async.methods import cached_method
from cachewright._async.properties import cached_property_for
from cachewright._async.sessions import AsyncSession
from cachewright._async.typed import AsyncTypedCache

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache

T = TypeVar("T")


class AsyncObjects:
    """What `AsyncCache` has of them."""

    cached_method = cached_method
    cached_property_for = cached_property_for

    @overload
    def typed(self, spec: type[T]) -> AsyncTypedCache[T]: ...

    @overload
    def typed(self, spec: Any) -> AsyncTypedCache[Any]: ...

    def typed(self, spec: Any) -> AsyncTypedCache[Any]:
        """This cache as one of values of the type `spec`: a dataclass, Struct, attrs class, pydantic model, `list[User]`, …

        Its classes may from then on be values of this cache, and parts of them, by whatever verb. Raises
        `ConfigurationError` for a class that cannot be taken apart, and for a `Sensitive` one without `seal=`.
        """
        return AsyncTypedCache(cast("AsyncCache", self), spec)

    def session(self) -> AsyncSession:
        """`with cache.session() as session:`, in which a key gives the same object while the cached value is the same."""
        return AsyncSession(cast("AsyncCache", self))
