"""From the arguments of a call to a key. Pure.

Positional and keyword spellings of one call give one key, and defaults count as given. `inspect.Signature.bind` does
that at 2.5 µs a call, so the signature is compiled once, as `collections.namedtuple` does with its fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from inspect import Parameter
from typing import Any

from cachewright.core.keys import Template, spell
from cachewright.errors import ConfigurationError, InvalidKey

_STARS: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


class CallKeys:
    """The keys and tags of one function's calls.

    `key`: a template over the parameters, or None for module, qualified name, `version` and all arguments but those
    in `ignore`. `tags`: templates. Raises `ConfigurationError` for names that are no parameters.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        key: str | None,
        tags: Iterable[str],
        ignore: Iterable[str],
        version: str | int | None,
    ) -> None:
        if isinstance(tags, str):
            raise ConfigurationError(
                f"tags must be a sequence of templates, not the one string {tags!r}"
            )
        self.parameters = list(inspect.signature(function).parameters.values())
        self._where = f"{function.__module__}.{function.__qualname__}"
        self._name = spell(self._where)
        self._ignored = frozenset([ignore] if isinstance(ignore, str) else ignore)
        self._key = None if key is None else Template(key)
        self._tags = [Template(tag) for tag in tags]
        self._version = [] if version is None else [spell(version)]
        self._check()
        self.arguments = _compile(self.parameters)
        """The arguments of a call by parameter name, as the function would get them."""

    def _check(self) -> None:
        names = {parameter.name for parameter in self.parameters}
        wanted: list[tuple[str, AbstractSet[str]]] = [("ignore", self._ignored)]
        wanted += [(repr(t.text), t.names) for t in (self._key, *self._tags) if t is not None]
        for where, used in wanted:
            if unknown := used - names:
                raise ConfigurationError(
                    f"{self._where}: {where} names {sorted(unknown)}, which is no parameter"
                )
        first = self.parameters[0].name if self.parameters else ""
        if self._key is None and first in ("self", "cls") and first not in self._ignored:
            raise ConfigurationError(
                f"{self._where}: say what {first} means for the key: ignore=('{first}',) if all instances "
                f"are alike, or key='…:{{{first}.id}}:…'"
            )

    @property
    def names(self) -> AbstractSet[str]:
        """The parameters that a key is made of."""
        if self._key is not None:
            return self._key.names
        return {parameter.name for parameter in self.parameters} - self._ignored

    def key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the call with these arguments. Raises `InvalidKey`, and TypeError as the function would."""
        arguments = self.arguments(*args, **kwargs)
        return self._listed(arguments) if self._key is None else self._key.fill(arguments)

    def _listed(self, arguments: dict[str, Any]) -> str:
        """Module, qualified name and version, then the arguments."""
        parts = [self._name, *self._version]
        for name, value in arguments.items():
            if name not in self._ignored:
                try:
                    parts.append(spell(value))
                except InvalidKey as error:
                    raise InvalidKey(f"{self._where}, argument {name}: {error}") from None
        return ":".join(parts)

    def tags(self, *args: Any, **kwargs: Any) -> list[str]:
        """The tags of the call with these arguments."""
        if not self._tags:
            return []
        arguments = self.arguments(*args, **kwargs)
        return [template.fill(arguments) for template in self._tags]


class FragmentKeys(CallKeys):
    """The keys of a function that renders a part of a page: its fragment's name, then all arguments."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        tags: Iterable[str],
        ignore: Iterable[str],
        version: str | int | None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(
                f"a fragment needs a name, as in fragment('sidebar'), not {name!r}"
            )
        super().__init__(function, key=None, tags=tags, ignore=ignore, version=version)
        self._prefix = f"fragment:{spell(name)}:"

    def key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the call with these arguments."""
        return self._prefix + super().key(*args, **kwargs)


def _compile(parameters: list[Parameter]) -> Callable[..., dict[str, Any]]:
    """A function with the same parameters that returns them by name."""
    defaults = {f"default_{n}": p.default for n, p in enumerate(parameters)}
    signature = ", ".join(spelled(parameters))
    result = ", ".join(f"{p.name!r}: {p.name}" for p in parameters)
    # Only names of parameters, which Python has checked, go into this source.
    function: Callable[..., dict[str, Any]] = eval(f"lambda {signature}: {{{result}}}", defaults)  # noqa: S307
    return function


def spelled(parameters: list[Parameter]) -> Iterable[str]:
    """The parts of a signature as source, with `default_0`, `default_1`, … for the defaults by position."""
    previous: Any = None
    for n, parameter in enumerate(parameters):
        kind = parameter.kind
        if previous is Parameter.POSITIONAL_ONLY and kind is not previous:
            yield "/"
        if kind is Parameter.KEYWORD_ONLY and previous not in (kind, Parameter.VAR_POSITIONAL):
            yield "*"
        stars = _STARS.get(kind, "")
        default = "" if parameter.default is Parameter.empty else f"=default_{n}"
        yield f"{stars}{parameter.name}{default}"
        previous = kind
    if previous is Parameter.POSITIONAL_ONLY:
        yield "/"
