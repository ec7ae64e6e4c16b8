"""What every fragment of an environment varies by: `env.fragment_vary`, declared once. Nothing about caching.

Whatever cannot be found fails: a fragment that is silently not varied shows one user's page to another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Environment
from jinja2.runtime import Context, Undefined

from cachewright.errors import ConfigurationError

Vary = Iterable[str | Callable[[Context], Any]]
Getter = Callable[[Context], Any]


def getters(environment: Environment, vary: Vary) -> tuple[Getter, ...]:
    """One function of the context for each that is declared. Raises `ConfigurationError`."""
    if isinstance(vary, str) or not isinstance(vary, Iterable):
        raise ConfigurationError(
            f"fragment_vary must be a list of names of variables or functions, not {vary!r}"
        )
    return tuple(_getter(environment, each) for each in vary)


def _getter(environment: Environment, each: object) -> Getter:
    if isinstance(each, str) and all(part.isidentifier() for part in each.split(".")):
        return _variable(environment, each)
    if callable(each):
        return each
    raise ConfigurationError(
        f"fragment_vary holds {each!r}: give the name of a variable, such as 'locale' or 'user.id', "
        "or a function of the context"
    )


def _variable(environment: Environment, path: str) -> Getter:
    name, *attributes = path.split(".")

    def get(context: Context) -> Any:
        value = context.resolve(name)
        for attribute in attributes:
            value = environment.getattr(value, attribute)
        if isinstance(value, Undefined):
            raise ConfigurationError(
                f"fragments vary by {path!r}, which is undefined in {context.name or 'this template'!r}: give it "
                "to every template that caches (a macro sees it if it is imported 'with context'), or declare a "
                "function of the context instead"
            )
        return value

    return get
