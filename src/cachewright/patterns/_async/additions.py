# News of rows that are being inserted.
"""The log of rows that are being inserted, for filters of existing keys in every process: a bounded stream.

A filter remembers the last entry that it has read, its mark. If the mark is no longer there, or another node answers,
entries may have been lost between, and the filter that rests on them is worth nothing.

What must not be here: the filter, and any opinion on what a lost entry means.
"""

from __future__ import annotations

from dataclasses import dataclass

from cachewright._async.engine import AsyncEngine
from cachewright._async.redis import AsyncRedisStore
from cachewright.errors import RemoteError
from cachewright.patterns.naming import server_name
from cachewright.redis import wire

MOST = 100_000
"""Entries that the stream keeps, roughly: a filter that is further behind is built anew."""


@dataclass(slots=True)
class Mark:
    """How far a filter has read, and at which node."""

    at: bytes
    node: bytes


class AsyncAdditions:
    """The log of one source. `lasting`: seconds after the last addition for which it is kept."""

    def __init__(self, engine: AsyncEngine, name: str, *, lasting: float) -> None:
        self._stream = server_name(engine.keys, "existing", name)
        self._lasting_ms = max(1, round(lasting * 1000))

    async def append(self, store: AsyncRedisStore, names: list[str]) -> Mark:
        """Write names down; the mark behind them. Raises `RemoteError`."""
        adds: list[wire.Command] = [
            ("XADD", self._stream, "MAXLEN", "~", MOST, "*", "n", name) for name in names
        ]
        replies = await store.ask([*adds, ("PEXPIRE", self._stream, self._lasting_ms)])
        for value in replies.values:
            if isinstance(value, RemoteError):
                raise value
        with wire.making_sense():
            return Mark(bytes(replies.values[len(names) - 1]), replies.node)

    async def since(
        self, store: AsyncRedisStore, mark: Mark, *, grace: float = 0.0
    ) -> tuple[list[str], Mark] | None:
        """The names behind the mark and the mark behind them, or None where some may be lost. Raises `RemoteError`.

        `grace`: also those of so many seconds before the mark.
        """
        milliseconds = int(mark.at.partition(b"-")[0]) - round(grace * 1000)
        begin = mark.at if not grace else f"{max(0, milliseconds)}-0"
        replies = await store.ask([("XRANGE", self._stream, begin, "+")])
        entries = replies.values[0]
        if isinstance(entries, RemoteError):
            raise entries
        with wire.making_sense():
            found = [(bytes(at), bytes(fields[1]).decode()) for at, fields in entries]
        if replies.node != mark.node or mark.at not in (at for at, _ in found):
            return None
        return [name for _, name in found if name], Mark(found[-1][0], replies.node)
