"""What an entry was made of, as data: its times, its tags with whether they still hold, and its parts. Pure.

What must not be here: how any of it is read, and how it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cachewright.core.tags import NAMESPACE

Holds = Literal["same", "moved", "missing", "written"]
"""Of a stamp: as in the entry; another one; none any more; a write to it is under way."""

State = Literal["fresh", "stale", "ended", "invalid", "absent", "unreadable"]
"""Of an entry: served; served while it is refreshed; past its life; a stamp differs; not there; no entry of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One tag of an entry."""

    tag: str
    """As it is known everywhere below the public verbs: with its kind."""
    holds: Holds

    @property
    def name(self) -> str:
        """As its owner spells it."""
        return self.tag.partition(":")[2] or self.tag

    @property
    def moved_by(self) -> str:
        """What invalidates the entry by it, in words."""
        return meaning(self.tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One entry. Times are seconds; None where they make no sense.

    `age`: since it was stored, or last touched. `fresh`, `usable`: how long it remains so, negative when it has ended.
    `cost`: how long its load took. `size`: bytes at the server. `parts`: the cached values that were read in its load,
    and not in that of another part.
    """

    key: str
    state: State
    kind: str = "value"
    age: float | None = None
    fresh: float | None = None
    usable: float | None = None
    cost: float | None = None
    size: int | None = None
    dependencies: tuple[Dependency, ...] = ()
    parts: tuple[Explained, ...] = field(default=())

    def walk(self) -> Iterator[Explained]:
        """This entry and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


def meaning(tag: str) -> str:
    """What moves a tag's stamp, in words."""
    if tag == NAMESPACE:
        return "clear()"
    kind, _, name = tag.partition(":")
    if kind == "k":
        return f"invalidate({name!r}), and every set, count or write of that key"
    if kind == "p":
        return f"invalidate(prefix={name!r})"
    if kind == "s":
        return f"invalidate(scope=...) of {name!r}"
    return _meaning_of_a_users(name)


def _meaning_of_a_users(name: str) -> str:
    what, _, rest = name.partition(":")
    table, _, row = rest.partition(":")
    if what == "row" and row:
        return f"a write of row {row} of {table}"
    if what == "match" and row:
        return f"a write of a row of {table} that has, or had, {row.replace(':', ' and ')}"
    if what == "table" and table and not row:
        return f"any write to {table}"
    if what == "rows" and table and not row:
        return f"a write to {table} that does not say of which rows"
    if what == "matches" and table and not row:
        return f"a write to {table} that does not say what its rows were and are"
    return f"invalidate(tags=[{name!r}])"


def own_parts(key: str, made_of: Mapping[str, frozenset[str]]) -> list[str]:
    """The keys that the load of `key` has read itself, of all that its entry names.

    A whole names the keys of its parts and of theirs. `made_of`: for each entry that is there, the keys it names. What
    a load has read both itself and through a part is taken for the part's.
    """
    named = made_of.get(key, frozenset()) - {key}
    through = {below for part in named for below in made_of.get(part, frozenset()) - {part}}
    return sorted(named - through) or sorted(named)
