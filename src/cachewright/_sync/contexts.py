# Generated from _async/contexts.py by tools/unasync.py. Do not edit.
"""The contexts of a cache: what is read inside is bypassed, loaded anew, or belongs to somebody.

What must not be here: verbs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from cachewright._sync.engine import Engine
from cachewright.core.loading import Mode, mode
from cachewright.core.reads import Reads


class Contexts:
    """What `Cache` has of them."""

    engine: Engine
    reads: Reads

    def bypassed(self) -> AbstractContextManager[None]:
        """Inside, reads ask the source, and nothing that they load is stored."""
        return mode(self.engine, Mode.BYPASS)

    def disabled(self) -> AbstractContextManager[None]:
        """As `bypassed`, and `set` stores nothing either. Invalidations still act."""
        return mode(self.engine, Mode.DISABLE)

    def refreshed(self) -> AbstractContextManager[None]:
        """Inside, every read loads anew and stores what it loads."""
        return mode(self.engine, Mode.REFRESH)

    def scoped(self, scope: Any) -> AbstractContextManager[None]:
        """Inside, keys belong to this user, tenant or whatever the cache was declared for with `scope=`."""
        return self.reads.scope.entered(scope)
