"""From what a caller wrote to what the engine reads: keys, tags, policies and lifetimes of a call. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cachewright.core.entry import CachedError, Entry
from cachewright.core.keys import as_key
from cachewright.core.lives import Lives
from cachewright.core.overflow import table_of
from cachewright.core.policy import Lifetime, Policy
from cachewright.core.scopes import Scope
from cachewright.core.tags import NAMESPACE, prefix_tag, prefix_tags, user_tag
from cachewright.errors import ConfigurationError, InvalidKey, RemoteError
from cachewright.types import ABSENT, Key

Tags = Iterable[str | tuple[Any, ...]]


@dataclass(slots=True)
class Glance:
    """What one GET brought, before anybody has judged it; or why it brought nothing."""

    epoch: int
    """The clock's, before the GET was sent."""
    data: bytes | None = None
    node: bytes = b""
    error: RemoteError | None = None


@dataclass(slots=True)
class Read:
    """What one read was asked for. `tags` carry their kinds and include the namespace's."""

    key: str
    tags: list[str]
    policy: Policy
    load: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    verify: bool = False
    life: Callable[[Any], Lifetime] | None = None
    """Overrides the policy's lifetime, for calls that gave `expires_at=`."""
    force: bool = False
    """Load, whatever is cached."""
    glance: Glance | None = None
    """What the server has just said of the key, at the epoch that is noted there."""


class Reads:
    """Makes the reads of one cache."""

    def __init__(self, policy: Policy, scope: Scope, lives: Lives, *, hierarchy: bool) -> None:
        self.policy = policy
        self.scope = scope
        self.lives = lives
        self._hierarchy = hierarchy

    @property
    def alike(self) -> bool:
        """Whether all keys carry the same tags by themselves: no prefixes of their own."""
        return not self._hierarchy

    def name(self, key: Key) -> str:
        """The key as it is known everywhere below the public verbs."""
        return self.scope.prefix() + as_key(key)

    def own_tags(self, name: str) -> list[str]:
        """The tags that an entry carries by itself: the namespace's, its prefixes, its scope's."""
        prefixes = prefix_tags(name) if self._hierarchy else []
        return [NAMESPACE, *prefixes, *self.scope.tags()]

    def read(
        self,
        key: Key,
        tags: Tags = (),
        *,
        policy: Policy | None = None,
        verify: bool = False,
        glance: Glance | None = None,
    ) -> Read:
        """A read of `key`."""
        name = self.name(key)
        spelled = dict.fromkeys([*self.own_tags(name), *spell_tags(tags)])
        return Read(name, list(spelled), policy or self.policy, verify=verify, glance=glance)

    def prefix_tag(self, name: str) -> str:
        """What every key at or below `name` carries."""
        if not self._hierarchy:
            raise ConfigurationError("invalidate(prefix=...) needs a cache with hierarchy=True")
        return prefix_tag(name)

    @staticmethod
    def value(entry: Entry, default: Any, policy: Policy) -> Any:
        """What the caller gets of an entry. Raises the loader's exception where that was cached."""
        value = entry.value
        if value is ABSENT:
            return default
        if isinstance(value, CachedError):
            raise value.error.with_traceback(None)
        return deepcopy(value) if policy.copy else value


def listed(tags: Tags) -> Sequence[str | tuple[Any, ...]]:
    """Tags as a list; refuses the one string that would be taken for many tags of a letter each."""
    if isinstance(tags, str):
        raise ConfigurationError(f"tags must be a sequence of tags, not the one string {tags!r}")
    return list(tags)


def spell_tags(tags: Tags) -> list[str]:
    """The user's tags with their kind."""
    return [user_tag(tag) for tag in listed(tags)]


def dead_tags(tags: Tags) -> list[str]:
    """What an invalidation of these tags moves: they, and behind them the tables of those that are rows' or matches'.

    A row that was written is a table that was written, and in an entry with too many tags the table's may stand for
    the row's (`core.overflow`), whoever invalidates.
    """
    spelled = spell_tags(tags)
    tables = [f"t:table:{table}" for tag in spelled if (table := table_of(tag)) is not None]
    return list(dict.fromkeys([*spelled, *tables])) if tables else spelled


def not_a_key(key: object) -> InvalidKey:
    """The error for a key that cannot even be looked up."""
    return InvalidKey(f"a {type(key).__name__} is no key: write it as a string or a tuple")


def distinct(keys: Iterable[Key]) -> dict[Key, None]:
    """The keys in their order, each once. Raises `InvalidKey` for one that cannot even be compared."""
    found: dict[Key, None] = {}
    for key in keys:
        try:
            found[key] = None
        except TypeError:
            raise not_a_key(key) from None
    return found


def refuse_no_int(**numbers: object) -> None:
    """Raises `ConfigurationError` for an argument that is no int."""
    for name, number in numbers.items():
        if type(number) is not int:
            raise ConfigurationError(f"{name} must be an int, not {number!r}")
