"""What happens where a template has fragments of many items: one round trip for those that are cached, then the others.

What is read inside a load is a dependency of all that the load brings. So items whose blocks read from the cache are
loaded one by one, or else a write that concerns one of them would take all others along; blocks that read nothing are
loaded together. Which it is, is learnt from what the block did. What must not be here: one fragment (`rendering`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2.runtime import Context

from cachewright.core.loading import enclosing_load
from cachewright.integrations.jinja2.rendering import Asked, Block, Caller
from cachewright.integrations.jinja2.site import Site


@dataclass(slots=True)
class Many:
    """The items of one `{% cachemany %}`, by their keys."""

    block: Block
    order: list[str] = field(default_factory=list)
    items: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)

    def add(self, item: Any, parts: Sequence[Any]) -> None:
        """One more item, of which these are the parts of the key."""
        key = self.block.site.key(self.block.context, self.block.reached, parts)
        self.items[key] = item
        self.order.append(key)

    def at_hand(self) -> dict[Any, Any]:
        """The texts that need no thought."""
        hit = self.block.site.hit
        return {key: text for key in self.items if (text := hit(key)) is not None}

    def missing(self, found: dict[Any, Any]) -> list[str]:
        """The keys of which nothing was found."""
        return [key for key in self.items if key not in found]

    def together(self, missing: Sequence[str]) -> bool:
        """Whether the missing ones may be loaded in one batch."""
        ttl = self.asked[missing[0]].ttl
        same = all(self.asked[key].ttl == ttl for key in missing)
        return same and len(missing) > 1 and not self.block.site.reads_inside

    def options(self, key: str) -> dict[str, Any]:
        """How one item is loaded."""
        asked = self.asked[key]
        return {"tags": asked.tags, "ttl": asked.ttl, "policy": self.block.site.policy}

    def batch_options(self, missing: Sequence[str]) -> dict[str, Any]:
        """How a batch is loaded."""
        asked = self.asked
        return self.options(missing[0]) | {"tags": lambda key: asked[key].tags}

    def done(self, text: object) -> str:
        """As `Block.done`; notes whether the block read from the cache."""
        load = enclosing_load()
        if load is not None:
            self.block.site.reads_inside = bool(load.gathered or load.late)
        return self.block.done(text)

    def text(self, found: dict[Any, Any]) -> str:
        """All items in their order."""
        return "".join([found[key] for key in self.order])


def render_many(site: Site, context: Context, outer: Any, *, items: Any, caller: Caller) -> str:
    """The texts of all items, in their order."""
    many = Many(Block(site, context, outer, caller, site.reached(context, outer, caller)))
    cache: Any = site.cache
    for item in items:
        asked = Asked()
        caller(None, asked.parts, item)
        many.add(item, asked.key)
    found = many.at_hand()
    if rest := many.missing(found):
        found |= cache.get_many(rest)
    missing = many.missing(found)
    for key in missing:
        asked = many.asked[key] = Asked()
        caller(asked.options, None, many.items[key])

    def load(key: Any) -> str:
        return many.done(caller(None, None, many.items[key]))

    def load_many(keys: list[Any]) -> dict[Any, str]:
        return {key: load(key) for key in keys}

    if missing and many.together(missing):
        options = many.batch_options(missing)
        return many.text(found | cache.get_or_load_many(missing, load_many, **options))
    for key in missing:
        found[key] = cache.get_or_load(key, lambda key=key: load(key), **many.options(key))
    return many.text(found)


async def render_many_async(
    site: Site, context: Context, outer: Any, *, items: Any, caller: Caller
) -> str:
    """The same for asyncio; items may come from an asynchronous iterable."""
    many = Many(Block(site, context, outer, caller, site.reached(context, outer, caller)))
    cache: Any = site.cache
    for item in [it async for it in items] if hasattr(items, "__aiter__") else items:
        asked = Asked()
        await caller(None, asked.parts, item)
        many.add(item, asked.key)
    found = many.at_hand()
    if rest := many.missing(found):
        found |= await cache.get_many(rest)
    missing = many.missing(found)
    for key in missing:
        asked = many.asked[key] = Asked()
        await caller(asked.options, None, many.items[key])

    async def load(key: Any) -> str:
        return many.done(await caller(None, None, many.items[key]))

    async def load_many(keys: list[Any]) -> dict[Any, str]:
        return {key: await load(key) for key in keys}

    if missing and many.together(missing):
        options = many.batch_options(missing)
        return many.text(found | await cache.get_or_load_many(missing, load_many, **options))
    for key in missing:
        found[key] = await cache.get_or_load(key, lambda key=key: load(key), **many.options(key))
    return many.text(found)
