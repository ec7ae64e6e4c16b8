"""What is known of a statement after its first execution: how its results are made, and what its keys begin with.

What must not be here: executing, the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from time import monotonic
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from cachewright.core.keys import spell
from cachewright.errors import InvalidKey
from cachewright.integrations.sqlalchemy.describing import (
    Unspeakable,
    cache_key_of,
    describe_statement,
    fingerprint,
    metadata_of,
    stable_text,
)
from cachewright.integrations.sqlalchemy.thawing import Thawing

MOST_PLANS = 4096
_LEFT_FOR = 60.0
"""Seconds for which a result that could not be kept is not tried again."""


class Plan:
    """Of all statements that SQLAlchemy takes for one, and so compiles once."""

    def __init__(self, statement: Any, key: Any, prefix: str, dialect: sa.Dialect) -> None:
        described = describe_statement(statement)
        self.described = described
        self.thawing = Thawing(described)
        self.unique = False
        """Whether rows have to be made unique before they can be fetched: joined eager loads of collections."""
        try:
            text = stable_text(key)
        except Unspeakable:
            text = (
                uuid4().hex
            )  # no other process can know it by its text: entries are of use here alone
        whole = "\0".join(
            [prefix, text, str(statement.compile(dialect=dialect)), fingerprint(described.mappers)]
        )
        self.digest = blake2b(whole.encode(), digest_size=20).hexdigest()
        self._left: dict[str, float] = {}

    def key(self, scope: str, values: Sequence[Any]) -> str:
        """The cache key for these parameters. Raises `InvalidKey` for one that has no spelling."""
        if not values:
            return f"q:{self.digest}:{scope}"
        return f"q:{self.digest}:{scope}:{':'.join(map(spell, values))}"

    def is_left_alone(self, key: str) -> bool:
        """Whether the result for the key lately could not be kept."""
        until = self._left.get(key)
        return until is not None and monotonic() < until

    def leave_alone(self, key: str) -> None:
        """Remember that it was."""
        if len(self._left) > 1000:
            self._left.clear()
        self._left[key] = monotonic() + _LEFT_FOR


class Plans:
    """The plans of one database. `prefix`: what tells it from others."""

    def __init__(
        self, prefix: str, dialect: sa.Dialect, know: Callable[[sa.MetaData], None]
    ) -> None:
        self._know = know
        self._prefix = prefix
        self._dialect = dialect
        self._plans: dict[Any, Plan] = {}

    def find(
        self, statement: Any, parameters: Mapping[str, Any] | None, schemas: Any
    ) -> tuple[Plan, list[Any]] | str:
        """(the plan of a statement, the values of its parameters in their order), or why it has none."""
        found = cache_key_of(statement)
        if found is None:
            return "SQLAlchemy has no cache key for a part of it"
        own: Any = found.key
        if schemas:
            own = (own, tuple(sorted(schemas.items(), key=repr)))
        plan = self._plans.get(own)
        if plan is None:
            plan = self._made(statement, own)
        if not parameters:
            return plan, [bind.effective_value for bind in found.bindparams]
        rest = dict(parameters)
        values = [
            rest.pop(bind.key) if bind.key in rest else bind.effective_value
            for bind in found.bindparams
        ]
        return plan, [*values, *(part for item in sorted(rest.items()) for part in item)]

    def _made(self, statement: Any, own: Any) -> Plan:
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        for metadata in metadata_of(statement):
            self._know(metadata)
        plan = self._plans[own] = Plan(statement, own, self._prefix, self._dialect)
        return plan


def identity_of(engine: sa.Engine, name: str | None) -> str:
    """What tells a database from others: the name that was given, or where it is and who asks."""
    dialect = engine.dialect.name
    if name is not None:
        return f"{dialect} {name}"
    url = engine.url
    if dialect == "sqlite" and (
        url.database in (None, "", ":memory:") or "mode=memory" in str(url)
    ):
        return f"{dialect} {uuid4().hex}"  # of this engine alone
    where = [url.host, url.port, url.database, url.username, *sorted(url.query.items())]
    return f"{dialect} {where!r}"


__all__ = ["InvalidKey", "Plan", "Plans", "identity_of"]
