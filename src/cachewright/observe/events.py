"""Events: what is rarer than a hit and worth telling. Listeners are called off the hot path."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from hashlib import blake2b

logger = logging.getLogger("cachewright")


class Event:
    """One thing that happened.

    `kind`: one of the names in the documentation, such as "load", "unreadable", "remote_error", "link_lost".
    `key`: the key or tag it is about, "" for none. It may name people: logs show `digest` instead.
    `detail`: words for people. `error`: the exception, if there is one. `seconds`: how long it took.
    """

    __slots__ = ("detail", "error", "key", "kind", "namespace", "seconds")

    def __init__(
        self,
        kind: str,
        *,
        namespace: str,
        key: str = "",
        detail: str = "",
        error: BaseException | None = None,
        seconds: float | None = None,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.key = key
        self.detail = detail
        self.error = error
        self.seconds = seconds

    @property
    def digest(self) -> str:
        """The key for logs and metrics: the same key gives the same digest, and nobody can read it."""
        return (
            blake2b(self.key.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
            if self.key
            else ""
        )

    def __repr__(self) -> str:
        error = f" {type(self.error).__name__}" if self.error is not None else ""
        about = f" {self.digest}" if self.key else ""
        return f"<Event {self.kind} {self.namespace}{about}{error}>"


Listener = Callable[[Event], None]


class Announcer:
    """Tells listeners. One that raises is logged and dropped."""

    def __init__(self, namespace: str, listeners: Iterable[Listener]) -> None:
        self._namespace = namespace
        self.listeners = tuple(listeners)

    def tell(
        self,
        kind: str,
        key: str = "",
        *,
        detail: str = "",
        error: BaseException | None = None,
        seconds: float | None = None,
    ) -> None:
        """Make one event and give it to each listener."""
        if not self.listeners:
            return
        event = Event(
            kind, namespace=self._namespace, key=key, detail=detail, error=error, seconds=seconds
        )
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:  # whatever a listener does, the cache goes on without it
                logger.exception("a cachewright listener raised and was dropped")
                self.listeners = tuple(it for it in self.listeners if it is not listener)
