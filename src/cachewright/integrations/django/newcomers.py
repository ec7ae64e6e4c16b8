"""New rows whose keys the database gives: no statement names them, but `save()` and `bulk_create()` know them in the end.

An entry may say that there is no row 8; the insert that makes row 8 must find it. Until somebody names the new row, it is
owed: if anything else happens on the connection first, every row of the table is taken to be wrong.
What must not be here: statements, marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cachewright.core.tags import row_tag, rows_tag, table_name
from cachewright.integrations.django.ledger import MAX_TAGS


def family(model: Any) -> list[Any]:
    """A model and those whose tables hold a part of its rows."""
    return [model._meta.concrete_model, *model._meta.all_parents]


def name_of(model: Any) -> str:
    """What tags call the table of a model."""
    return str(table_name(model._meta.db_table))


def key_of(model: Any, instance: Any) -> list[Any]:
    """The primary key of the part of an instance that is in the table of `model`, as tags have it."""
    return [getattr(instance, field.attname) for field in model._meta.pk_fields]


class Newcomers:
    """What is owed on one connection."""

    __slots__ = ("expected", "owed")

    def __init__(self) -> None:
        self.expected: set[str] = set()
        """Tables into which somebody inserts who will name the row."""
        self.owed: set[str] = set()

    def expect(self, models: Iterable[Any]) -> None:
        """A `save()` begins."""
        self.expected = {name_of(model) for model in models}

    def inserted(self, table: str) -> None:
        """A row without a name went into one of the expected tables."""
        self.owed.add(table)

    def named(self, models: Sequence[Any], instances: Sequence[Any]) -> list[str]:
        """The tags that settle what is owed for these instances."""
        self.expected.clear()
        tags: list[str] = []
        for model in models:
            name = name_of(model)
            if name in self.owed:
                self.owed.discard(name)
                tags += self._tags(model, instances)
        return tags

    @staticmethod
    def _tags(model: Any, instances: Sequence[Any]) -> list[str]:
        name = name_of(model)
        keys = [key_of(model, each) for each in instances[: MAX_TAGS + 1]]
        if len(keys) > MAX_TAGS or any(_is_unsure(part) for key in keys for part in key):
            return [rows_tag(name)]
        return [row_tag(name, *key) for key in keys]

    def unnamed(self) -> list[str]:
        """The tags that settle all that is owed, since nobody has named it."""
        owed, self.owed = self.owed, set()
        return [rows_tag(table) for table in owed]


def _is_unsure(part: Any) -> bool:
    """Whether the database may have another key than the instance: it gave one, or stored a text without blanks at its end."""
    return part is None or (isinstance(part, str) and part[-1:] == " ")
