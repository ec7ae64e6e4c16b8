"""Where Django's fragments are cached, what they vary by, and how their keys are spelled: `CACHEWRIGHT_FRAGMENTS`.

    CACHEWRIGHT_FRAGMENTS = {"cache": "shop.caches.pages", "vary": ["request.user.pk"]}

What must not be here: tags, templates (`reach`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.template import Context, Variable, VariableDoesNotExist
from django.utils.module_loading import import_string
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from cachewright import Cache, Policy
from cachewright.core.keys import as_key
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.integrations.hot import foreground, hits

_NAMES = {"cache", "vary"}


class Fragments:
    """The cache of fragments that the settings name."""

    def __init__(self, said: dict[str, Any]) -> None:
        if unknown := sorted(set(said) - _NAMES):
            raise ConfigurationError(
                f"CACHEWRIGHT_FRAGMENTS has cache and vary, not {', '.join(unknown)}"
            )
        cache = said.get("cache")
        self.said = said
        self.cache: Any = import_string(cache) if isinstance(cache, str) else cache
        if not isinstance(self.cache, Cache):
            raise ConfigurationError(
                f'CACHEWRIGHT_FRAGMENTS["cache"] must be a Cache or its dotted name, not {cache!r}'
            )
        self.policy: Policy = foreground(self.cache.policy)
        self.hit = hits(self.cache)
        self.vary = getters(said.get("vary", ()))

    def varied(self, context: Context, vary: Sequence[Callable[[Context], Any]] | None) -> Any:
        """What a fragment of this page varies by: what is declared, and the language and zone that are in use."""
        values = [get(context) for get in (self.vary if vary is None else vary)]
        language = get_language() if settings.USE_I18N else None
        zone = get_current_timezone_name() if settings.USE_TZ else None
        return language, zone, *values


def key_of(name: str, template: str, varied: Any, *, parts: Sequence[Any]) -> str:
    """The key of a fragment. Raises `InvalidKey` for a part that has no spelling."""
    try:
        return as_key(("fragment", name, template, tuple(varied), *parts))
    except InvalidKey as error:
        raise InvalidKey(f"fragment {name!r}: {error}") from None


_made: list[Fragments] = []


def fragments() -> Fragments:
    """The cache of fragments. Raises `ConfigurationError` where the settings name none."""
    said = getattr(settings, "CACHEWRIGHT_FRAGMENTS", None)
    if _made and _made[0].said is said:
        return _made[0]
    if not isinstance(said, dict):
        raise ConfigurationError(
            'fragments need CACHEWRIGHT_FRAGMENTS = {"cache": "shop.caches.pages"} in the settings, '
            "the dotted name of a Cache"
        )
    _made[:] = [Fragments(said)]
    return _made[0]


def getters(vary: Iterable[Any]) -> tuple[Callable[[Context], Any], ...]:
    """One function of the context for each that is declared. Raises `ConfigurationError`."""
    if isinstance(vary, str):
        raise ConfigurationError(f"vary must be a list of names of variables, not {vary!r}")
    return tuple(_getter(each) for each in vary)


def _getter(each: Any) -> Callable[[Context], Any]:
    if isinstance(each, str):
        return _variable(each)
    if callable(each):
        found: Callable[[Context], Any] = each
        return found
    raise ConfigurationError(
        f"vary holds {each!r}: give the name of a variable or a function of the context"
    )


def _variable(path: str) -> Callable[[Context], Any]:
    variable = Variable(path)

    def get(context: Context) -> Any:
        try:
            return variable.resolve(context)
        except VariableDoesNotExist:
            raise ConfigurationError(
                f"fragments vary by {path!r}, which this page's context does not have: give it to every page that "
                "caches, or declare a function of the context instead"
            ) from None

    return get
