"""What one execution of a statement brings beside its text: sets of parameters, and the keys that the database gives out.

What must not be here: what a statement means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from cachewright.sql import Writes


def sets_of(parameters: Any) -> Sequence[Any]:
    """The parameters of each run of a statement."""
    if isinstance(parameters, list) and all(
        isinstance(each, (dict, tuple, list)) for each in parameters
    ):
        return parameters
    return [parameters]


def in_batches(context: Any) -> bool:
    """Whether SQLAlchemy sends an INSERT of many rows in statements of its own making."""
    compiled = getattr(context, "compiled", None)
    style = getattr(context, "execute_style", None)
    return compiled is not None and getattr(style, "name", "") == "INSERTMANYVALUES"


def own_sets(context: Any) -> Sequence[Any]:
    """The parameters of such an INSERT, as the text of a single row takes them."""
    order = context.compiled.positiontup
    sets: Sequence[Any] = context.compiled_parameters
    return sets if order is None else [tuple([each[name] for name in order]) for each in sets]


def gives_out_keys(meaning: Writes, context: Any) -> bool:
    """Whether an INSERT has plain values, but not all of the key."""
    if getattr(context, "compiled", None) is None or not getattr(context, "isinsert", False):
        return False
    if len(meaning.changes) != 1 or meaning.effects or meaning.everything is not None:
        return False
    change = meaning.changes[0]
    return bool(change.images) and any(
        name not in image for image in change.images for name in change.table.key
    )


def given_out(result: Any) -> Sequence[Sequence[Any]]:
    """The keys of the rows that an INSERT made, as far as its result shows them."""
    try:
        rows = result.inserted_primary_key_rows
    except sa.exc.InvalidRequestError:
        return ()
    return [tuple(row) for row in rows if row is not None]
