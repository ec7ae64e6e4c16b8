# A sample of the keys that are cached.
"""Notes which keys were stored, for those who ask what carries a tag: a bounded sample, told to the server now and then.

At the server one sorted set of keys by the end of their life; which tags they carry is in their entries. Nothing of it
is on the path of a hit, and nothing at all without `tag_index=`. What must not be here: who asks (`explaining`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cachewright.core.keys import KeySpace
from cachewright.core.tag_index import TagIndex
from cachewright.errors import RemoteError

if TYPE_CHECKING:
    from cachewright._async.engine import AsyncEngine

AT_ONCE = 500
"""Keys in one command."""


def index_name(keys: KeySpace) -> str:
    """Its name at the server, which no entry, lease, stamp or tag of the namespace spells."""
    return f"{keys.namespace}:index"


class AsyncTagIndexer:
    """Notes for one cache."""

    def __init__(self, engine: AsyncEngine, index: TagIndex) -> None:
        self._engine = engine
        self._index = index
        self._noted: dict[str, float] = {}
        self._running = False
        engine.on_leave.append(self._begin_anew)

    def note(self, stored: Iterable[tuple[str, float]]) -> None:
        """These keys were stored, each for so many seconds."""
        now, index, noted = self._engine.server_time(), self._index, self._noted
        for key, lasting in stored:
            if index.has(key) and (key in noted or len(noted) < index.keys):
                noted[key] = now + lasting
        if noted and not self._running:
            self._running = True
            try:
                self._engine.background.start(self._tell_soon)
            except RuntimeError as error:  # no more threads: what is stored next tries again
                self._running = False
                self._engine.tell("remote_error", detail="index", error=error)

    async def _tell_soon(self) -> None:
        await self._engine.stopping.wait(self._index.every)
        self._running = (
            False  # before the notes are taken: who notes from here on starts the next round
        )
        await self.tell()

    async def tell(self) -> None:
        """Tell the server what was noted. What it does not take is lost: it is a sample."""
        store, noted = self._engine.store, list(self._noted.items())
        self._noted = {}
        if store is None or not noted:
            return
        name, now = index_name(store.keys), self._engine.server_time()
        commands: list[tuple[str | bytes | int, ...]] = []
        for start in range(0, len(noted), AT_ONCE):
            scored: list[str | bytes] = []
            for key, until in noted[start : start + AT_ONCE]:
                scored += (repr(until), key.encode("utf-8", "surrogatepass"))
            commands.append(("ZADD", name, *scored))
        commands.append(("ZREMRANGEBYSCORE", name, "-inf", repr(now)))
        commands.append(("ZREMRANGEBYRANK", name, 0, -self._index.keys - 1))
        lasting = max(until for _, until in noted) - now
        commands.append(("PEXPIRE", name, max(1, round(1000 * max(lasting, 60.0)))))
        try:
            for value in (await store.ask(commands)).values:
                if isinstance(value, RemoteError):
                    raise value
        except RemoteError as error:
            self._engine.tell("remote_error", detail="index", error=error)

    def _begin_anew(self) -> None:
        self._noted = {}
        self._running = False
