"""A namespace at a real server, to run the Lua scripts in by hand.

What must not be here: what the scripts should do (tests/redis).
"""

from __future__ import annotations

from typing import Any

import redis

from cachewright.core import envelope as env
from cachewright.core.envelope import Envelope, Kind
from cachewright.redis.scripts import FENCED, script

FILL, OTHER_FILL = b"fill-fill-12", b"another-fill"
RANDOM = "0123456789abcdef01234567"
CHANNEL = "channel"


class Room:
    """A server's keys under one namespace, and what was published there."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.deadline = 0
        self._subscription: Any = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._subscription.psubscribe(f"{namespace}:*")
        self._subscription.get_message(timeout=5)

    def name(self, name: str) -> str:
        return f"{self.namespace}:{name}"

    def run(self, verb: str, names: list[str], *arguments: Any) -> Any:
        keys = [self.name(name) for name in names]
        if verb in FENCED:
            arguments = (*arguments, self.deadline)
        return self.client.eval(script(verb).source.decode(), len(keys), *keys, *arguments)

    def put(self, name: str, value: Any, px: int | None = None) -> None:
        self.client.set(self.name(name), value, px=px)

    def now_us(self) -> int:
        """The server's clock."""
        seconds, micros = self.client.time()
        return int(seconds * 1_000_000 + micros)

    def mark(self, name: str, *tokens: str, ms: int = 50_000) -> None:
        """Put a mark of writers whose tokens have `ms` left, which may be negative."""
        ends = self.now_us() // 1000 + ms
        self.put(name, "!" + "".join(f"{token}@{ends}," for token in tokens), px=max(ms, 50_000))

    def writers(self, name: str) -> list[str] | None:
        """The tokens of a mark, None for what is no mark."""
        held = self.get(name)
        if held is None or not held.startswith(b"!"):
            return None
        tokens = [token.partition("@")[0] for token in held.decode()[1:].split(",") if token]
        return [token.removeprefix("~") for token in tokens]

    def flagged(self, name: str) -> list[str]:
        """Those tokens of a mark that are flagged."""
        return [each.partition("@")[0] for each in self.get(name).decode().split("~")[1:]]

    def get(self, name: str) -> Any:
        return self.client.get(self.name(name))

    def left(self, name: str) -> int:
        """Milliseconds; -1 for ever, -2 not there."""
        return int(self.client.pttl(self.name(name)))

    def heard(self) -> list[tuple[str, bytes]]:
        """What was published so far, in order: a mark of our own ends the wait."""
        self.client.publish(self.name("end"), b"")
        messages: list[tuple[str, bytes]] = []
        while True:
            push = self._subscription.get_message(timeout=5)
            assert push is not None, "a message was lost"
            channel = push["channel"].decode().removeprefix(f"{self.namespace}:")
            if channel == "end":
                return messages
            messages.append((channel, push["data"]))

    def close(self) -> None:
        self._subscription.close()
        names = list(self.client.scan_iter(f"{self.namespace}:*"))
        if names:
            self.client.delete(*names)


def entry(kind: int = Kind.VALUE, *, fill: bytes = FILL, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "fresh_until": 1000.0,
        "usable_until": 1000.0,
        "lifetime": 60.0,
        "cost": 0.0,
        "stamps": {"n:": b"s"},
        "node": b"node",
        "payload": b"payload",
        "flags": 0,
        "code": 0,
        "window": 0.0,
        "key": None,
    }
    return env.pack(Envelope(fill=fill, kind=kind, **{**fields, **changes}))
