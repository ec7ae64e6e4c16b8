"""What the analysis of statements must know of a database: what that says of itself, and what models say of keys.

What must not be here: questions to the database (`inspecting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.apps import apps

from cachewright.core.tags import table_name
from cachewright.sql import Catalogue, Relation, Table
from cachewright.sql.relations import Verb

VERBS: tuple[Verb, ...] = ("insert", "update", "delete")


class ModelCatalogue:
    """The tables of all models, as one database alias has them, and what else that database holds.

    `seen`: what the database says of its relations, which holds, so that all processes and doors tell rows and matches
    apart alike; models only say which keys are UUIDs that the database keeps as text. `writes`: table → tables that a write to
    it also writes, where only the application knows.
    """

    def __init__(self, seen: Catalogue, writes: Mapping[str, Iterable[str]]) -> None:
        self.version = 0
        self._seen = seen
        self._writes = {name.lower(): list(also) for name, also in writes.items()}
        self._models: dict[str, Any] = {}
        self._known: set[Any] = set()

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        """A table with what its model knows of its key, or what the database says of the name."""
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
        """Keys that hold UUIDs: in whatever type the database keeps them, their text has one form.

        Whoever does not have the model takes such a column for something else: no set with it may count.
        """
        local = {field.column: field for field in model._meta.local_concrete_fields}
        keys = [n for n in table.key if n in local and table.columns.get(n) is None]
        own = {name for name in keys if _kind(local[name]) is UUID}
        complete = table.complete and not any(own & set(names) for names in table.tracked)
        return replace(
            table, columns={**table.columns, **dict.fromkeys(own, UUID)}, complete=complete
        )

    def _declared(self, table: Table) -> Table:
        others = self._writes.get(table.name, ())
        if not others:
            return table
        more = [(verb, table_name(other)) for other in others for verb in VERBS]
        return replace(table, also={verb: [*(table.also.get(verb) or ()), *more] for verb in VERBS})


def _kind(field: Any) -> type | None:
    """What the key of a model holds, as far as that is known of the field."""
    while field.remote_field is not None:
        field = field.target_field
    return UUID if field.get_internal_type() == "UUIDField" else None
