"""What the analysis of statements must know of a database: what that says of itself, and what models say of columns.

What must not be here: questions to the database (`inspecting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from django.apps import apps

from cachewright.core.tags import table_name
from cachewright.sql import Catalogue, Relation, Table
from cachewright.sql.relations import Verb

VERBS: tuple[Verb, ...] = ("insert", "update", "delete")
_EXACT: Sequence[tuple[str, type]] = (
    ("bigint", int),
    ("integer", int),
    ("int", int),
    ("smallint", int),
    ("serial", int),
    ("bigserial", int),
    ("smallserial", int),
    ("bool", bool),
    ("boolean", bool),
    ("uuid", UUID),
    ("date", date),
)
_TEXT = ("varchar", "character varying", "text")
_TEXT_IS_EXACT = ("postgresql", "sqlite")
"""Where text is compared by its characters unless a column has a collation of its own; MySQL folds case."""


class ModelCatalogue:
    """The tables of all models, as one database alias has them, and what else that database holds.

    `seen`: what the database says of its relations. Its views, triggers and cascades hold; models know their columns
    better. `writes`: table → tables that a write to it also writes, where only the application knows.
    """

    def __init__(
        self, connection: Any, seen: Catalogue, writes: Mapping[str, Iterable[str]]
    ) -> None:
        self.version = 0
        self._vendor = connection.vendor
        self._connection = connection
        self._seen = seen
        self._writes = {name.lower(): list(also) for name, also in writes.items()}
        self._models: dict[str, Any] = {}
        self._known: set[Any] = set()

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        """A table with what its model knows, or what the database says of the name."""
        found = self._seen.relation(name, schema)
        if not isinstance(found, Table):
            return found
        model = self._model(found.name)
        return self._declared(found if model is None else self._with_model(found, model))

    def writes_nothing(self, function: str) -> bool:
        """Functions that the database holds to that."""
        return self._seen.writes_nothing(function)

    def _model(self, name: str) -> Any:
        """The model of a table, also one of no installed application."""
        if name not in self._models:
            for app in list(apps.all_models.values()):
                for model in set(app.values()) - self._known:
                    self._known.add(model)
                    if not model._meta.proxy:
                        self._models.setdefault(table_name(model._meta.db_table), model)
        return self._models.get(name)

    def _with_model(self, table: Table, model: Any) -> Table:
        meta = model._meta
        kinds = {f.column: self._kind(f) for f in meta.local_concrete_fields if f.column}
        known = {name: kind or kinds.get(name) for name, kind in table.columns.items()}
        tracked = dict.fromkeys([*map(tuple, table.tracked), *tracked_sets(meta)])
        return replace(table, columns=known, tracked=list(tracked))

    def _declared(self, table: Table) -> Table:
        others = self._writes.get(table.name, ())
        if not others:
            return table
        more = [(verb, table_name(other)) for other in others for verb in VERBS]
        return replace(table, also={verb: [*(table.also.get(verb) or ()), *more] for verb in VERBS})

    def _kind(self, field: Any) -> type | None:
        """The Python type of a column with exact equality."""
        if getattr(field, "generated", False):
            return None
        declared = (field.db_type(self._connection) or "").lower()
        if field.get_internal_type() == "UUIDField":
            return UUID  # where the database has no such type, Django writes 32 hexadecimal digits
        if declared.startswith(_TEXT):
            exact = self._vendor in _TEXT_IS_EXACT and not getattr(field, "db_collation", None)
            return str if exact else None
        kind = declared.split("(")[0].split(" ")[0]
        return dict(_EXACT).get(kind)


def tracked_sets(meta: Any) -> list[tuple[str, ...]]:
    """The sets of columns whose equalities get tags of their own: foreign keys, unique ones, indexes."""
    local = meta.local_concrete_fields
    single = [(f.column,) for f in local if f.unique or f.db_index or f.remote_field is not None]
    named = [tuple(names) for names in meta.unique_together]
    named += [
        tuple(name.lstrip("-") for name in each.fields)
        for each in (*meta.indexes, *meta.constraints)
        if getattr(each, "fields", ()) and not getattr(each, "condition", None)
    ]
    columns = (tuple(meta.get_field(name).column for name in names) for names in named)
    return [*single, *(names for names in columns if all(names))]
