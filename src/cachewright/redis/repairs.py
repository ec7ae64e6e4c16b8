"""Invalidations that did not reach the server: kept, merged, sent again before anything else is asked.

While any is pending, this process reads nothing from the server without sending it first, so it never reads back a
value that it has itself invalidated. Bounded: beyond the limit it becomes one invalidation of the whole namespace.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from cachewright.core.tags import NAMESPACE

MOST_TOKENS = 100
"""Tokens of ended writers that are kept; the marks of others run out by themselves."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What is still to be invalidated; `tokens` of writers whose marks end with it, "" for none."""

    keys: list[str]
    tags: list[str]
    tokens: list[str]
    serial: int


class Repairs:
    """Keys and tags still to be invalidated. An invalidation has no content, so the newest one covers the older."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._names: dict[tuple[str, str], int] = {}
        self._tokens: dict[str, int] = {}
        self._serial = 0
        self._lock = threading.Lock()
        self.is_empty = True
        """Whether nothing is pending."""

    def __len__(self) -> int:
        return len(self._names)

    def add(self, keys: Iterable[str], tags: Iterable[str], token: str = "") -> None:
        """Remember what failed, and the writer whose mark it was to end."""
        with self._lock:
            self._serial += 1
            for name in [("key", key) for key in keys] + [("tag", tag) for tag in tags]:
                self._names[name] = self._serial
            if token and len(self._tokens) < MOST_TOKENS:
                self._tokens[token] = self._serial
            if len(self._names) > self._limit:
                self._names = {("tag", NAMESPACE): self._serial}
            self.is_empty = not self._names

    def pending(self) -> Pending:
        """All of it, with the serial number to confirm it by."""
        with self._lock:
            keys = [name for kind, name in self._names if kind == "key"]
            tags = [name for kind, name in self._names if kind == "tag"]
            return Pending(keys, tags, list(self._tokens) or [""], self._serial)

    def confirm(self, serial: int) -> None:
        """They reached the server; what was added since stays."""
        with self._lock:
            self._names = {name: at for name, at in self._names.items() if at > serial}
            self._tokens = {token: at for token, at in self._tokens.items() if at > serial}
            self.is_empty = not self._names

    def after_fork(self) -> None:
        """The child repairs what it inherited under a lock of its own."""
        self._lock = threading.Lock()
