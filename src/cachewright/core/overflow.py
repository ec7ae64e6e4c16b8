"""Entries with more tags than are allowed: rows and matches are replaced by their tables. Pure.

A whole made of ten thousand rows would carry ten thousand stamps. Beyond the limit, those of one table become that
table's tag, which every write to it moves; the tables with most of them first, so that as few as possible lose their
precision. What must not be here: how it is known that the stamps which go were still those of the server.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cachewright.core.entry import Stamps

_KINDS = {"t:row:": "t:rows:", "t:match:": "t:matches:"}
"""What a tag begins with, and what its companion on the same entry does, for writes that do not name it."""


def table_of(tag: str) -> str | None:
    """The spelled table of a row's or a match's tag, None for any other."""
    for start in _KINDS:
        if tag.startswith(start):
            return tag[len(start) :].partition(":")[0] or None
    return None


def groups(tags: Collection[str]) -> dict[str, list[str]]:
    """Tags that a table's can stand for, by the tag of that table.

    Only where the companion is there as well: without it the tag is no tag of ours, and nobody moves its table's.
    """
    found: dict[str, list[str]] = {}
    for tag in tags:
        table = table_of(tag)
        if table is not None and _companion(tag, table) in tags:
            found.setdefault(f"t:table:{table}", []).append(tag)
    return found


def _companion(tag: str, table: str) -> str:
    return next(other for start, other in _KINDS.items() if tag.startswith(start)) + table


def to_collapse(tags: Collection[str], limit: int) -> dict[str, list[str]] | None:
    """The groups that have to go for at most `limit` tags to be left; None if that is not enough."""
    chosen: dict[str, list[str]] = {}
    left = len(tags)
    for table, members in sorted(groups(tags).items(), key=lambda group: -len(group[1])):
        if left <= limit:
            break
        chosen[table] = members
        left += (table not in tags) - len(members)
    return chosen if left <= limit else None


def collapsed(
    stamps: Stamps, gone: Mapping[str, Collection[str]], tables: Mapping[str, bytes]
) -> Stamps | None:
    """The stamps with those of `tables` in the place of the groups `gone`; None if a table's differs from what is there."""
    dead = {tag for members in gone.values() for tag in members}
    kept = {tag: stamp for tag, stamp in stamps.items() if tag not in dead}
    for table in gone:
        if kept.setdefault(table, tables[table]) != tables[table]:
            return None
    return kept
