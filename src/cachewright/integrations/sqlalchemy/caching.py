"""What is said of one statement: that it is cached, for how long, and by what it falls. Pure.

What must not be here: how that is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy.orm.interfaces import UserDefinedOption

from cachewright.core.policy import Seconds, seconds
from cachewright.core.reads import listed
from cachewright.errors import ConfigurationError

OPTION = "cache"
"""The execution option that says so."""


@dataclass(frozen=True, slots=True)
class Caching:
    """How a statement is cached. Times in seconds.

    `ttl`: None for the cache's own. `tags`: what else it falls by. `reads`: the tables that it reads, where the statement
    cannot be analysed or calls functions that are known to be pure; None to let it be analysed. `delay`: it may fall so
    late after a write, and until then costs nothing. `max_rows`: larger results are not kept.
    """

    ttl: float | None = None
    tags: tuple[Any, ...] = ()
    reads: tuple[str, ...] | None = None
    delay: float | None = None
    max_rows: int | None = None


def caching(
    ttl: Seconds | None = None,
    *,
    tags: Iterable[Any] = (),
    reads: Iterable[str] | None = None,
    delay: Seconds | None = None,
    max_rows: int | None = None,
) -> Caching:
    """A `Caching`, checked. Raises `ConfigurationError`."""
    if isinstance(reads, str):
        raise ConfigurationError("reads= is a list of names of tables")
    return Caching(
        None if ttl is None else seconds("ttl", ttl, zero=False),
        tuple(listed(tags)),
        None if reads is None else tuple(reads),
        None if delay is None else seconds("delay", delay, zero=False),
        max_rows,
    )


class cached(UserDefinedOption):  # noqa: N801 - reads as the other options of a statement do
    """`select(User).options(cached(60, tags=["team:7"]))`: keep the result for 60 seconds. See `Caching`."""

    __slots__ = ()
    inherit_cache = True
    propagate_to_loaders = False

    def __init__(
        self,
        ttl: Seconds | None = None,
        *,
        tags: Iterable[Any] = (),
        reads: Iterable[str] | None = None,
        delay: Seconds | None = None,
        max_rows: int | None = None,
    ) -> None:
        super().__init__(caching(ttl, tags=tags, reads=reads, delay=delay, max_rows=max_rows))


Said: TypeAlias = Any
"""What a user may say: a `Caching`, a `cached(...)`, seconds, True for the cache's own ttl, None or False for not at all."""


def understood(said: Said) -> Caching | None:
    """What was meant. Raises `ConfigurationError`."""
    if said is None or said is False:
        return None
    if said is True:
        return Caching()
    if isinstance(said, Caching):
        return said
    if isinstance(said, cached):
        payload: Any = said.payload
        return payload if isinstance(payload, Caching) else None
    return _of_seconds(said)


def _of_seconds(said: Any) -> Caching | None:
    ttl = seconds(OPTION, said)
    return Caching(ttl) if ttl else None
