"""The key of a cached query: which database, as whom, which statement, which parameters of which types. Pure.

What must not be here: connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from cachewright.core.keys import spell
from cachewright.sql import Paramstyle, normalised

_MOST = 4096


class QueryKeys:
    """Spells keys. What comes before the parameters is digested once for each statement and session."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._known: dict[tuple[Any, ...], Any] = {}

    def key(self, sql: str, params: Any, *, style: Paramstyle, session: tuple[Any, ...]) -> str:
        """`query:<digest>`: 160 bits of all that the result depends on. `InvalidKey` for a parameter without a spelling."""
        name = (sql, style, session)
        start = self._known.get(name)
        if start is None:
            start = self._start(sql, style, session)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[name] = start
        digest = start.copy()
        digest.update(_spelled(params).encode("utf-8", "surrogatepass"))
        return f"query:{digest.hexdigest()}"

    def _start(self, sql: str, style: Paramstyle, session: tuple[Any, ...]) -> Any:
        text = normalised(sql, self._dialect, paramstyle=style)
        parts = (self._dialect, session, style, text)
        return blake2b(f"{spell(parts)}\n".encode("utf-8", "surrogatepass"), digest_size=20)


def _spelled(params: Any) -> str:
    if params is None:
        return ""
    if isinstance(params, Mapping):
        return "m:" + spell(dict(params))
    return "s:" + ":".join(map(spell, params))
