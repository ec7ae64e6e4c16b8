"""How the patterns spell what they keep: the key and the tags of a row, and names of their own on the server. Pure.

What must not be here: what an identity is (`identities`), and anything that waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cachewright.core.keys import KeySpace
from cachewright.core.policy import Policy
from cachewright.core.reads import Read, Reads
from cachewright.core.tags import matches_tag, row_tag, rows_tag, table_tag
from cachewright.errors import ConfigurationError
from cachewright.patterns.identities import parts_of


def row_key(name: str, identity: Any) -> tuple[Any, ...]:
    """The cache key of one row of the source `name`."""
    return (str.__str__(name), *parts_of(identity))


def row_tags(name: str, identity: Any) -> list[str | tuple[Any, ...]]:
    """The tags of a cached row: its own, and one for writes that name no rows."""
    table = str.__str__(name)
    return [row_tag(table, *parts_of(identity)), rows_tag(table)]


def row_reads(
    reads: Reads, name: str, identities: Iterable[Any], *, table: str, policy: Policy
) -> dict[Any, Read]:
    """A read of each row, by identity: with the key and the tags that it has everywhere. `table` is what tags call it."""
    wanted = list(dict.fromkeys(identities))
    if len(wanted) > 1 and reads.alike and all(type(it) is int for it in wanted):
        return _numbered(reads.read(row_key(name, 0), row_tags(table, 0), policy=policy), wanted)
    return {it: reads.read(row_key(name, it), row_tags(table, it), policy=policy) for it in wanted}


def _numbered(first: Read, identities: list[int]) -> dict[Any, Read]:
    """They differ in their last part alone, and a number is spelled as itself; `first` is the read of row 0."""
    key, (*own, row, rows) = first.key[:-1], first.tags
    row = row[:-1]
    return {it: Read(f"{key}{it}", [*own, f"{row}{it}", rows], first.policy) for it in identities}


def dirty_tags(name: str, identities: Iterable[Any]) -> list[str | tuple[Any, ...]]:
    """What a write of these rows makes wrong: what was made from one of them, from the table, or from rows with a value.

    The last because the writer knows what it writes and not what the row was before.
    """
    table = str.__str__(name)
    rows = [row_tag(table, *parts_of(it)) for it in identities]
    return [*rows, matches_tag(table), table_tag(table)]


def table_of(source: Any) -> str:
    """What tags call the table of a source: its `table_name`, where it says so, else its name."""
    return str.__str__(getattr(source, "table_name", None) or source.name)


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
