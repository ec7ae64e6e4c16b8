"""Whose value it is: caches whose keys belong to a user, a tenant or a locale refuse to be used without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from cachewright.core.keys import spell
from cachewright.errors import ConfigurationError


class Scope:
    """What a cache's keys belong to; `name` None for a cache that is everybody's."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._current: ContextVar[str | None] = ContextVar(
            f"cachewright_scope_{name}", default=None
        )

    @contextmanager
    def entered(self, scope: Any) -> Iterator[None]:
        """Inside, keys belong to `scope`, spelled as a part of a key."""
        if self._name is None:
            raise ConfigurationError(
                "scoped() needs a cache that was declared with scope='user' or the like"
            )
        token = self._current.set(spell(scope))
        try:
            yield
        finally:
            self._current.reset(token)

    def _spelled(self) -> str | None:
        if self._name is None:
            return None
        current = self._current.get()
        if current is None:
            raise ConfigurationError(
                f"this cache was declared with scope={self._name!r}: use it inside `with cache.scoped(...)`"
            )
        return current

    def prefix(self) -> str:
        """What every key begins with."""
        current = self._spelled()
        # The bar cannot be part of a spelled scope, so no key of one scope reads as one of another.
        return "" if current is None else f"{current}|"

    def tags(self) -> list[str]:
        """The tag that every entry of the scope carries."""
        current = self._spelled()
        return [] if current is None else [f"s:{current}"]

    def tag(self, scope: Any) -> str:
        """The tag of one scope."""
        if self._name is None:
            raise ConfigurationError(
                "invalidate(scope=...) needs a cache that was declared with scope="
            )
        return f"s:{spell(scope)}"
