"""A site of a few templates that can be edited, rendered in threads or in asyncio, with a cache for its fragments.

What must not be here: servers, tests.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import Any

import jinja2

from cachewright import AsyncCache, Cache, Policy, Timeouts

EXTENSION = "cachewright.integrations.jinja2.CacheExtension"
PATIENT = Policy(timeouts=Timeouts(call=5.0, connect=5.0))


class Pages:
    """`templates` is the site's own dict: who changes it edits a template. `rendered` counts what blocks were rendered."""

    def __init__(
        self,
        templates: dict[str, str],
        *,
        asynchronous: bool,
        environment: type[jinja2.Environment] = jinja2.Environment,
        place: str | None = None,
        jinja: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.templates = templates
        self.rendered: Counter[str] = Counter()
        self.asynchronous = asynchronous
        settings = {"autoescape": True, "loader": jinja2.DictLoader(templates), **(jinja or {})}
        self.env: Any = environment(extensions=[EXTENSION], enable_async=asynchronous, **settings)
        self.env.globals["mark"] = self._mark
        options = {"policy": PATIENT, **options}
        self.cache: Any = (AsyncCache if asynchronous else Cache)(place, **options)
        self.env.fragment_cache = self.cache

    def _mark(self, name: Any) -> str:
        """What a block calls to say that it is rendered."""
        self.rendered[str(name)] += 1
        return ""

    async def render(self, template: str = "page", **variables: Any) -> str:
        """The page."""
        found = self.env.get_template(template)
        if self.asynchronous:
            text: str = await found.render_async(**variables)
            return text
        return str(found.render(**variables))

    async def call(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """A verb of the cache."""
        result = getattr(self.cache, verb)(*args, **kwargs)
        return await result if self.asynchronous else result

    async def invalidate(self, *tags: str) -> None:
        """What a write does."""
        await self.call("invalidate", tags=tags)

    @contextmanager
    def scoped(self, scope: Any) -> Any:
        """Inside, fragments belong to somebody."""
        with self.cache.scoped(scope):
            yield

    async def close(self) -> None:
        """Close the cache."""
        if self.asynchronous:
            await self.cache.aclose()
        else:
            self.cache.close()
