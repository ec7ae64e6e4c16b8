"""The marks of a query cache around a commit: what `transactions` asks of a door. Both worlds.

What must not be here: which tags, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cachewright._async.cache import AsyncCache
from cachewright._async.leases import AsyncLeases
from cachewright._async.writing import AsyncWriting
from cachewright._sync.cache import Cache
from cachewright._sync.leases import Leases
from cachewright._sync.writing import Writing
from cachewright.core.reads import spell_tags
from cachewright.core.tags import NAMESPACE

EVERYTHING: Sequence[Any] = (object(),)
"""Instead of tags: nobody knows what was written, so nothing that is cached is believed."""


class Marks:
    """A door that writes nothing itself: it marks what others make wrong."""

    source = None

    def __init__(
        self,
        cache: Cache | AsyncCache,
        *,
        strict: bool,
        limit: float,
        after: Callable[[], None],
    ) -> None:
        self.cache = cache
        self._after = after
        self._strict = strict
        self._limit = limit
        self._leases: Any = (
            AsyncLeases(cache.engine) if isinstance(cache, AsyncCache) else Leases(cache.engine)
        )

    def commit_of(self, identities: Iterable[Any], tags: Sequence[Any]) -> Commit:  # noqa: ARG002
        """What to do around one commit."""
        everything = EVERYTHING[0] in tags
        spelled = [NAMESPACE] if everything else list(dict.fromkeys(spell_tags(tags)))
        kind: Any = AsyncWriting if isinstance(self.cache, AsyncCache) else Writing
        return Commit(
            kind(
                self.cache.engine,
                self._leases,
                [],
                spelled,
                strict=self._strict,
                limit=self._limit,
            ),
            self._after if everything else None,
        )


class Commit:
    """Around one commit: `begin` before it and `end` after it, whatever became of it."""

    def __init__(self, write: Any, after: Callable[[], None] | None) -> None:
        self._write = write
        self._after = after

    def begin(self) -> Any:
        """Mark; to be awaited with a cache for asyncio."""
        if hasattr(self._write, "__aenter__"):
            return self._write.__aenter__()
        self._write.__enter__()
        return None

    def committed(self, rows: Mapping[Any, Any]) -> None:
        """Nothing is filled: what was read is loaded again by whoever wants it."""

    def end(self) -> Any:
        """Fresh stamps; to be awaited with a cache for asyncio."""
        if self._after is not None:
            self._after()
        if hasattr(self._write, "__aexit__"):
            return self._write.__aexit__(None, None, None)
        self._write.__exit__(None, None, None)
        return None
