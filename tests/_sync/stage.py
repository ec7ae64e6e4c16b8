# Generated from _async/stage.py by tools/unasync.py. Do not edit.
"""The stage of the tests of dependencies: a child with a source of its own, and a whole made of it.

What must not be here: assertions about the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from _sync.racing import heard_by
from _sync.steps import Source

from cachewright import Cache

NOWHERE = "no server"


class Stage:
    """The cache under test, another process where there is a server, and a child with a source of its own."""

    def __init__(self, url: str | None, namespace: str) -> None:
        self.cache = Cache(url, namespace=namespace)
        self.other = self.cache if url is None else Cache(url, namespace=namespace)
        self.child = Source("old")
        self.wholes = 0

    def read_child(self, cache: Cache | None = None) -> Any:
        return (cache or self.cache).get_or_load(
            "child", self.child.load, tags=["of child"], default="none"
        )

    def whole(self, part: Callable[[Stage], Any]) -> Any:
        """A value made of what `part` reads."""

        def load() -> list[Any]:
            self.wholes += 1
            return ["whole", part(self)]

        return self.cache.get_or_load("whole", load, tags=["of whole"])

    def change(self, how: Callable[[Cache], Any], *, here: bool) -> None:
        """Change the child's source and tell a cache, this one's or the other process's."""
        self.child.value = "new"
        if here or self.other is self.cache:
            how(self.cache)
        else:
            heard_by(self.cache, lambda: how(self.other))

    def __enter__(self) -> Self:
        self.cache.__enter__()
        self.other.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.other.close()
        if self.other is not self.cache:
            self.cache.close()


CHANGES: dict[str, Callable[[Cache], Any]] = {
    "its tag": lambda cache: cache.invalidate(tags=["of child"]),
    "its key": lambda cache: cache.invalidate("child"),
    "a set": lambda cache: cache.set("child", "new", tags=["of child"]),
}
"""What a write to the child's source may tell a cache."""


def part(stage: Stage) -> Any:
    """The child as a part of the whole."""
    return stage.read_child()
