"""One place in a template where a fragment is cached: its keys, its hits, and what vouches for what it renders.

Invariants kept here (tests/integrations/test_jinja2_sources.py would catch their loss):
- a key names all code that the block can render; what was rendered by other code is returned and not stored;
- a remembered key is the one that would be spelled for the same parts: only parts of exactly `str` and `int` are
  remembered, since True, 1 and 1.0 are equal to a table and have three keys.

What must not be here: loading (`rendering`), parsing (`extension`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, NamedTuple

from jinja2 import Environment
from jinja2.runtime import Context, Macro, Undefined

from cachewright import AsyncCache, Cache
from cachewright.core.keys import as_key
from cachewright.core.loading import enclosing_load
from cachewright.core.wrappers import remember
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.integrations.hot import AnyCache, foreground, hits
from cachewright.integrations.jinja2.compiled import Root, name_of, root_of
from cachewright.integrations.jinja2.reach import Reach, reach
from cachewright.integrations.jinja2.sight import behind, bound, called, function_of, in_closure
from cachewright.integrations.jinja2.vary import Getter, getters

_PLAIN = frozenset({str, int})
_MOST = 64
"""How many combinations of templates a place remembers, each by its own digest."""


class Spec(NamedTuple):
    """What the compiled template says of the place, as one constant."""

    name: str
    body: str
    """A digest of the block itself, which tells it from others of its name in the template."""
    blocks: bool
    """Whether it renders blocks that other templates may override."""
    calls: tuple[str, ...]
    """The names that stand in its calls, whose values may be macros."""
    in_macro: bool
    """Whether it is in a macro, whose context may outlive many pages."""
    templates: tuple[str, ...] | None
    vary: tuple[str, ...] | None


class Site:
    """A place of one compiled template, for one cache."""

    def __init__(self, spec: Spec, environment: Environment, root: Root, cache: AnyCache) -> None:
        self.cache: AnyCache = cache
        self.policy = foreground(cache.policy)
        self.hit = hits(cache)
        self.name = spec.name
        self.vary_declared = vars(environment).get("fragment_vary", ())
        """To notice that it was declared anew."""
        self._spec = spec
        self._environment = environment
        self._root = root
        self._vary: tuple[Getter, ...] = getters(
            environment, self.vary_declared if spec.vary is None else spec.vary
        )
        # All places of a template share what they reach, so that a page asks once for all of them.
        self._reaches: dict[Any, Reach] = vars(root).setdefault("cachewright_reaches", {})
        self._keys: dict[tuple[str, str], dict[Any, str]] = {}
        self._most = cache.engine.memory.max_entries
        # Of a block that reaches its own template only, whose digest never changes: by its parts.
        self._escaped: dict[Any, str] = {}
        self._raw: dict[Any, str] = {}
        self.quick = self._quickly()
        """The text of a hit, by context and parts, where they alone say it; else None."""
        self.reads_inside = True
        """Whether what it renders may read from the cache; learnt from what it did."""

    # ---------------------------------------------------------------- keys

    def key(self, context: Context, reached: Reach, parts: Sequence[Any]) -> str:
        """The key of the fragment with these parts. Raises `InvalidKey` for a part that has no spelling."""
        varied = [get(context) for get in self._vary]
        escapes = "e" if context.eval_ctx.autoescape else "r"
        short = (*varied, *parts)
        if not _PLAIN.issuperset(map(type, short)):
            return self._spell(reached, escapes, varied, parts)
        keys = self._known(reached, escapes)
        key = keys.get(short)
        if key is None:
            key = self._spell(reached, escapes, varied, parts)
            remember(keys, short, key, most=self._most)
        return key

    def _known(self, reached: Reach, escapes: str) -> dict[Any, str]:
        """The keys that were spelled, by what varies and the parts."""
        if reached.is_fixed:
            return self._escaped if escapes == "e" else self._raw
        found = self._keys.get((reached.digest, escapes))
        if found is None:
            if len(self._keys) >= _MOST:
                self._keys.clear()
            found = self._keys[reached.digest, escapes] = {}
        return found

    def _quickly(self) -> Callable[[Context, tuple[Any, ...], Any], Any]:
        escaped, raw, hit = self._escaped, self._raw, self.hit
        calls, own = self._spec.calls, self._root
        if self._vary or self._spec.blocks:
            return lambda context, parts, caller: None

        def quick(context: Context, parts: tuple[Any, ...], caller: Any) -> Any:
            try:
                key = (escaped if context.eval_ctx.autoescape else raw)[parts]
            except (KeyError, TypeError):
                return None
            if not _PLAIN.issuperset(map(type, parts)):
                return None
            if calls and (called(context, calls, own) or bound(caller, calls, own)[1]):
                return None
            return hit(key)

        return quick

    def _spell(
        self, reached: Reach, escapes: str, varied: Sequence[Any], parts: Sequence[Any]
    ) -> str:
        for n, part in enumerate(parts, 1):
            if isinstance(part, Undefined):
                raise InvalidKey(f"fragment {self.name!r}: key part {n} is undefined")
        template = f"{reached.digest}.{self._spec.body}.{escapes}"
        try:
            return as_key(("fragment", self.name, template, tuple(varied), *parts))
        except InvalidKey as error:
            raise InvalidKey(f"fragment {self.name!r}: {error}") from None

    # ---------------------------------------------------------------- templates

    def reached(self, context: Context, outer: Any, caller: Any) -> Reach:
        """What the block can render now."""
        roots, codes = self._sight(context, outer, caller)
        found = self._reaches.get((self._spec.templates, roots, codes))
        if found is None or (found.templates and not self._has_checked(context, found)):
            declared = self._spec.templates
            found = reach(
                self._environment, self._root, whole=roots, codes=codes, declared=declared
            )
            found.is_fixed = not (roots or codes or found.templates)
            if len(self._reaches) >= _MOST:
                self._reaches.clear()
            self._reaches[declared, roots, codes] = found
            if not self._spec.in_macro:
                _checked_by(context).add(found)
        return found

    def _has_checked(self, context: Context, found: Reach) -> bool:
        """Whether the templates are the present ones: asked once for each page, or each time where no page is known."""
        if self._spec.in_macro:
            return found.is_current()
        checked = _checked_by(context)
        if found in checked:
            return True
        if not found.is_current():
            return False
        checked.add(found)
        return True

    def _sight(
        self, context: Context, outer: Any, caller: Any
    ) -> tuple[tuple[Root, ...], tuple[CodeType, ...]]:
        """What it may render of other templates in this page: whole templates, and which parts of them."""
        spec = self._spec
        codes: tuple[CodeType, ...] = ()
        roots: tuple[Root, ...] = ()
        if spec.calls:
            roots, codes = bound(caller, spec.calls, self._root)
            roots += called(context, spec.calls, self._root)
        if spec.blocks:
            functions = (it for each in context.blocks.values() for it in each)
            roots += tuple(root for root in map(root_of, functions) if root is not None)
        if outer is not None:
            more, pieces = behind(outer)
            roots, codes = roots + more, codes + pieces
        return tuple(dict.fromkeys(roots)), codes

    def vouch(self, outer: Any, caller: Any, reached: Reach) -> None:
        """After rendering: unless all of it came from the code that the key names, it must not be stored."""
        load = enclosing_load()
        if load is None:
            return
        known = all(
            macro is outer or self._is_known(macro, reached)
            for macro in in_closure(function_of(caller))
        )
        if not (known and reached.is_current()):
            load.gather(None)

    def _is_known(self, macro: Macro, reached: Reach) -> bool:
        """Whether the key tells that macro from others. The call blocks of a template have no names."""
        function = function_of(macro)
        if function is not None and function.__code__ in reached.codes:
            return True
        root = root_of(function)
        if root is None or root is self._root:
            return root is None or getattr(macro, "name", None) is not None
        name = name_of(root)
        return root in reached.whole or (name is not None and reached.templates.get(name) is root)


def _checked_by(context: Context) -> set[Reach]:
    found: set[Reach] = vars(context).setdefault("_cachewright_checked", set())
    return found


def cache_of(environment: Environment) -> AnyCache:
    """The cache that was given to an environment. Raises `ConfigurationError`."""
    cache = vars(environment).get("fragment_cache")
    if not isinstance(cache, AsyncCache if environment.is_async else Cache):
        wanted = "AsyncCache" if environment.is_async else "Cache"
        raise ConfigurationError(
            f"an environment {'with' if environment.is_async else 'without'} enable_async caches fragments in "
            f"{'an' if environment.is_async else 'a'} {wanted}: set env.fragment_cache to one, not {cache!r}"
        )
    return cache
