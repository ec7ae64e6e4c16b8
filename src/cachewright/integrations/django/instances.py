"""Instances of a model from plain rows, as `Model.from_db` makes them, without what `__init__` costs where that is the same.

Pickled instances come back in this way too: made empty, with their state set. It is taken only where nobody can tell: no
`from_db`, `__init__` or `__new__` of the model's own, nobody who listens to its init signals, no field that does more than
keep its value. What must not be here: queries, rows of the database.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

Make = Callable[[str, Sequence[str], Sequence[Any]], Any]
_KEEP_THEIR_VALUE = (DeferredAttribute, ForeignKeyDeferredAttribute)


def is_plain(model: Any) -> bool:
    """Whether an instance is its columns and nothing else."""
    return (
        model.from_db.__func__ is Model.from_db.__func__
        and model.__init__ is Model.__init__
        and model.__new__ is object.__new__
        and all(
            type(inspect.getattr_static(model, field.attname, None)) in _KEEP_THEIR_VALUE
            for field in model._meta.concrete_fields
        )
    )


class Maker:
    """Makes the instances of one model; in all else it is the model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._plain = is_plain(model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def from_db(self, db: str, names: Sequence[str], values: Sequence[Any]) -> Any:
        """As `Model.from_db`."""
        return self.making()(db, names, values)

    def making(self) -> Make:
        """How they are made now: signals may have got listeners."""
        model = self.model
        if self._plain and not (pre_init.has_listeners(model) or post_init.has_listeners(model)):
            return self._quickly
        found: Make = model.from_db
        return found

    def _quickly(self, db: str, names: Sequence[str], values: Sequence[Any]) -> Any:
        made = object.__new__(self.model)
        state = ModelState()
        state.adding = False
        state.db = db
        own = made.__dict__
        own["_state"] = state
        own.update(zip(names, values, strict=True))
        return made


_makers: dict[Any, Maker] = {}


def maker_of(model: Any) -> Maker:
    """The one maker of a model."""
    found = _makers.get(model)
    if found is None:
        found = _makers[model] = Maker(model)
    return found


def with_makers(klass_info: Any) -> Any:
    """What a compiler says of the models of its columns, with makers in the place of models."""
    if klass_info is None:
        return None
    related = klass_info.get("related_klass_infos")
    made = {**klass_info, "model": _Here(maker_of(klass_info["model"]))}
    if related:
        made["related_klass_infos"] = [with_makers(each) for each in related]
    return made


class _Here:
    """A maker for one result, whose signals are asked about once."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self.from_db = maker.making()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._maker.model, name)
