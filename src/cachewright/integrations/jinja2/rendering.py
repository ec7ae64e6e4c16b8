"""What happens where a template has a fragment: a hit, or a block rendered inside a load, so that its parts reach it.

A block is rendered only by the page it stands in and while that page is: its variables are the page's, which by another
time or in another thread are those of the next round of the loop. So nothing here refreshes in the background, whatever
the cache's policy says. What must not be here: keys and templates (`site`), parsing (`extension`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from jinja2.runtime import Context

from cachewright.errors import Unstorable
from cachewright.integrations.jinja2.reach import Reach
from cachewright.integrations.jinja2.site import Site

Caller: TypeAlias = Callable[..., Any]
"""What Jinja made of the block: a macro, whose call renders it. With asyncio it has to be awaited."""


class Asked:
    """What a block says of itself when it is asked for that instead of its text."""

    def __init__(self) -> None:
        self.tags: Any = ()
        self.ttl: Any = None
        self.key: tuple[Any, ...] = ()

    def options(self, tags: Any, ttl: Any) -> str:
        """The template calls this with its `tags=` and `ttl=`."""
        self.tags, self.ttl = tags, ttl
        return ""

    def parts(self, key: Any) -> str:
        """The template calls this with its `key=`; a tuple or a list are several parts."""
        self.key = tuple(key) if type(key) in (tuple, list) else (key,)
        return ""


@dataclass(frozen=True, slots=True)
class Block:
    """A block about to be rendered, in the page it stands in."""

    site: Site
    context: Context
    outer: Any
    """The `caller` of the macro around it, if the block calls it."""
    caller: Caller
    reached: Reach

    def done(self, text: object) -> str:
        """The text as it is stored, without the type that says whether it is safe: the place in the page says that."""
        self.site.vouch(self.outer, self.caller, self.reached)
        if isinstance(text, str):
            return str.__str__(text)
        raise Unstorable(
            f"fragment {self.site.name!r} rendered a {type(text).__name__}: in a NativeEnvironment "
            "blocks are no text, cache the values they show instead"
        )


def render(site: Site, context: Context, outer: Any, *, parts: Any, caller: Caller) -> Any:
    """The text of a fragment in an environment without asyncio."""
    block = Block(site, context, outer, caller, site.reached(context, outer, caller))
    key = site.key(context, block.reached, parts)
    text = site.hit(key)
    if text is not None:
        return text
    asked = Asked()
    caller(asked.options)
    cache: Any = site.cache
    return cache.get_or_load(
        key,
        lambda: block.done(caller()),
        tags=asked.tags,
        ttl=asked.ttl,
        policy=site.policy,
    )


def render_async(site: Site, context: Context, outer: Any, *, parts: Any, caller: Caller) -> Any:
    """The text, or an awaitable for it."""
    block = Block(site, context, outer, caller, site.reached(context, outer, caller))
    key = site.key(context, block.reached, parts)
    text = site.hit(key)
    return text if text is not None else _load_async(block, key)


async def _load_async(block: Block, key: str) -> str:
    asked, caller = Asked(), block.caller
    await caller(asked.options)

    async def load() -> str:
        return block.done(await caller())

    cache: Any = block.site.cache
    text: str = await cache.get_or_load(
        key, load, tags=asked.tags, ttl=asked.ttl, policy=block.site.policy
    )
    return text
