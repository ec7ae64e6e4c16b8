# Functions whose results are parts of pages.
"""`fragment`: a function that returns a part of a page, cached under a name and all of its arguments.

Beside `cached`, it keeps what makes text HTML: what came as Markup goes out as Markup, and nothing else does.
What must not be here: keys of arguments (`core.calls`), safe text (`core.html`), templates (`integrations`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cachewright._async.decorating import (
    AsyncCachedFunction,
    Decoration,
    P,
    R,
    cached,
    decorate,
)
from cachewright.core.calls import FragmentKeys
from cachewright.core.html import giving, keeping
from cachewright.core.policy import Policy, Ttl
from cachewright.core.storable import refuse_generator_function
from cachewright.types import MISSING

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache


def fragment(
    self: AsyncCache,
    name: str,
    /,
    *,
    tags: Iterable[str] = (),
    ttl: Ttl | None = None,
    policy: Policy | None = None,
    ignore: Iterable[str] = (),
    version: str | int | None = None,
) -> Callable[[Callable[P, R]], AsyncCachedFunction[P, R]]:
    """Cache a part of a page that a function renders: `@cache.fragment("sidebar", ttl=60, tags=["menu:{language}"])`.

    The key is made of `name`, the function, `version` and all arguments but those in `ignore`, defaults included. `tags`
    are templates over the arguments, `ttl` is in seconds. The function returns text; what has `__html__` comes back as
    Markup, all other text as `str`, which a template escapes. It gets `invalidate`, `refresh` and `key`, which take its
    arguments. Raises `ConfigurationError` for what cannot work, `Unstorable` for a result that is no text.
    """
    chosen, _ = self.reads.lives.choose(policy or self.policy, ttl, None, None)
    how = Decoration(policy=chosen, default=MISSING, verify=False)

    def around(function: Callable[..., Any]) -> Any:
        refuse_generator_function(function)
        keys = FragmentKeys(name, function, tags=tags, ignore=ignore, version=version)
        cached: Any = decorate(self, keeping(function), keys, how)
        fragment: Any = giving(cached)
        fragment.refresh = giving(cached.refresh)
        return fragment

    return around


class AsyncDecorating:
    """What `AsyncCache` has of decorators."""

    cached = cached
    fragment = fragment
