# Generated from _async/in_use.py by tools/unasync.py. Do not edit.
"""The keys of a source that are in use, with when they were last: noted here, told the fleet once a round.

At the server a sorted set, bounded in number; without one the notes of this process. A use is noted without waiting.
What must not be here: what is done about keys in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from cachewright._sync.engine import Engine
from cachewright._sync.redis import RedisStore
from cachewright.codecs import codec_for
from cachewright.errors import RemoteError
from cachewright.patterns.naming import server_name
from cachewright.redis import wire

AT_ONCE = 1000
"""Keys in one command."""


class KeysInUse:
    """The identities of one source that are in use. `most`: how many are known at a time, the latest ones.

    `lasting`: seconds after the last round for which the fleet's list is kept.
    """

    def __init__(
        self, engine: Engine, name: str, *, most: int = 10_000, lasting: float = 86_400.0
    ) -> None:
        self._engine = engine
        self._set = server_name(engine.keys, "in-use", name)
        self._most = most
        self._lasting_ms = max(1, round(lasting * 1000))
        self._codec = codec_for("msgpack", Any)
        self._used: dict[Any, float] = {}

    def note(self, identity: Any) -> None:
        """It was asked for just now."""
        used = self._used
        used.pop(identity, None)
        if len(used) >= self._most:
            used.pop(next(iter(used), None), None)
        used[identity] = self._engine.server_time()

    def latest(self, within: float) -> list[Any]:
        """The identities that anybody asked for within so many seconds, the latest first. Raises `RemoteError`."""
        store = self._engine.open()
        since = self._engine.server_time() - within
        if store is None:
            return [it for it, at in reversed(list(self._used.items())) if at >= since]
        self.tell()
        members = store.one(("ZREVRANGEBYSCORE", self._set, "+inf", repr(since)))
        with wire.making_sense():
            return [self._codec.decode(bytes(member)) for member in members]

    def tell(self) -> None:
        """Tell the fleet what was used here since the last time. Raises `RemoteError`, and tells it next time."""
        store = self._engine.open()
        if store is None or not self._used:
            return
        told, self._used = self._used, {}
        try:
            self._write(store, told)
        except RemoteError:
            self._used = dict(islice((told | self._used).items(), self._most))
            raise

    def _write(self, store: RedisStore, told: dict[Any, float]) -> None:
        items = list(told.items())
        commands: list[wire.Command] = []
        for start in range(0, len(items), AT_ONCE):
            scored: list[bytes | str] = []
            for identity, at in items[start : start + AT_ONCE]:
                scored += (repr(at), self._codec.encode(identity))
            commands.append(("ZADD", self._set, "GT", *scored))
        commands.append(("ZREMRANGEBYRANK", self._set, 0, -self._most - 1))
        commands.append(("PEXPIRE", self._set, self._lasting_ms))
        for value in (store.ask(commands)).values:
            if isinstance(value, RemoteError):
                raise value

    def drop(self, identities: Sequence[Any]) -> None:
        """They are gone from the source. Raises `RemoteError`."""
        for identity in identities:
            self._used.pop(identity, None)
        store = self._engine.open()
        if store is None:
            return
        for start in range(0, len(identities), AT_ONCE):
            members = map(self._codec.encode, identities[start : start + AT_ONCE])
            store.one(("ZREM", self._set, *members))
