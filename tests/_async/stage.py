# A cached value that others are made of.
"""The stage of the tests of dependencies: a child with a source of its own, and a whole made of it.

What must not be here: assertions about the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from _async.racing import heard_by
from _async.steps import AsyncSource

from cachewright import AsyncCache

NOWHERE = "no server"


class AsyncStage:
    """The cache under test, another process where there is a server, and a child with a source of its own."""

    def __init__(self, url: str | None, namespace: str) -> None:
        self.cache = AsyncCache(url, namespace=namespace)
        self.other = self.cache if url is None else AsyncCache(url, namespace=namespace)
        self.child = AsyncSource("old")
        self.wholes = 0

    async def read_child(self, cache: AsyncCache | None = None) -> Any:
        return await (cache or self.cache).get_or_load(
            "child", self.child.load, tags=["of child"], default="none"
        )

    async def whole(self, part: Callable[[AsyncStage], Any]) -> Any:
        """A value made of what `part` reads."""

        async def load() -> list[Any]:
            self.wholes += 1
            return ["whole", await part(self)]

        return await self.cache.get_or_load("whole", load, tags=["of whole"])

    async def change(self, how: Callable[[AsyncCache], Any], *, here: bool) -> None:
        """Change the child's source and tell a cache, this one's or the other process's."""
        self.child.value = "new"
        if here or self.other is self.cache:
            await how(self.cache)
        else:
            await heard_by(self.cache, lambda: how(self.other))

    async def __aenter__(self) -> Self:
        await self.cache.__aenter__()
        await self.other.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.other.aclose()
        if self.other is not self.cache:
            await self.cache.aclose()


CHANGES: dict[str, Callable[[AsyncCache], Any]] = {
    "its tag": lambda cache: cache.invalidate(tags=["of child"]),
    "its key": lambda cache: cache.invalidate("child"),
    "a set": lambda cache: cache.set("child", "new", tags=["of child"]),
}
"""What a write to the child's source may tell a cache."""


async def part(stage: AsyncStage) -> Any:
    """The child as a part of the whole."""
    return await stage.read_child()
