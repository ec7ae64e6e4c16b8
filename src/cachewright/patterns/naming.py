"""How the patterns spell what they keep: the key and the tags of a row, and names of their own on the server. Pure.

What must not be here: what an identity is (`identities`), and anything that waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cachewright.core.keys import KeySpace
from cachewright.core.tags import row_tag, rows_tag, table_tag
from cachewright.errors import ConfigurationError
from cachewright.patterns.identities import parts_of


def row_key(name: str, identity: Any) -> tuple[Any, ...]:
    """The cache key of one row of the source `name`."""
    return (str.__str__(name), *parts_of(identity))


def row_tags(name: str, identity: Any) -> list[str | tuple[Any, ...]]:
    """The tags of a cached row: its own, and one for writes that name no rows."""
    table = str.__str__(name)
    return [row_tag(table, *parts_of(identity)), rows_tag(table)]


def dirty_tags(name: str, identities: Iterable[Any]) -> list[str | tuple[Any, ...]]:
    """What a write of these rows makes wrong: what was made from one of them, and what was made from the table."""
    table = str.__str__(name)
    return [*(row_tag(table, *parts_of(it)) for it in identities), table_tag(table)]


def server_name(keys: KeySpace, kind: str, name: str) -> str:
    """A name on the server that no entry, lease, stamp or tag of the namespace spells: `shop:in-use:{users}`."""
    return f"{keys.namespace}:{kind}{keys.entry(name)[len(keys.namespace) :]}"


def checked_name(name: object) -> str:
    """`name` if a source may be called so. Raises `ConfigurationError`."""
    if not isinstance(name, str) or not name:
        raise ConfigurationError(
            f"a source needs a name, such as that of its table, not {name!r}: keys and tags begin with it"
        )
    return str.__str__(name)  # of a string of some product's own, its text
