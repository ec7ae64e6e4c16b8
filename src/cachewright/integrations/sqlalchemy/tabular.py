"""What a table's source is in both worlds: its options, its name, its ids. What must not be here: whatever waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypedDict, TypeVar

import sqlalchemy as sa

from cachewright.core.tags import DEFAULT_SCHEMAS, table_name
from cachewright.errors import InvalidKey
from cachewright.integrations.sqlalchemy.table import Described, describe
from cachewright.integrations.sqlalchemy.verbs import Verbs
from cachewright.patterns.identities import Identity
from cachewright.types import ABSENT, Absent

V = TypeVar("V")


class Options(TypedDict, total=False):
    """Options of a source beside `into`."""

    columns: Sequence[str] | None
    """The fields that may be read, and so be cached; the key and the version always may. Others can still be written."""
    version: str | None
    """The field that `expected=` is compared with; of a mapped class by default its `version_id_col`. An integer is
    counted up by the source with every write; any other type is left to the database or the writer."""
    name: str | None
    """What keys and tags are spelled with; by default the table's name, with its schema if it has one."""
    key_types: type | Sequence[type] | None
    """What ids are in Python, where the columns do not say, as with a TypeDecorator."""
    reread: bool | None
    """Whether written rows are read again in the transaction; None: where RETURNING would not show what triggers did."""
    autocommit_reads: bool
    """On PostgreSQL, loads run without BEGIN and ROLLBACK, which saves two round trips. False where a listener of the
    engine sets something for each transaction, such as a tenant for row-level security."""


class Tabular(Generic[V]):
    """A description, its verbs, and the ids of its values."""

    name: str
    table_name: str
    """What tags call the table, also where `name` is another."""

    def __init__(self, dialect: sa.Dialect, of: Any, *, into: Any = None, **options: Any) -> None:
        told = {name: options.get(name) for name in ("columns", "version", "key_types")}
        self._described: Described = describe(of, into=into, **told)
        self._verbs: Verbs[V] = Verbs(self._described, dialect, reread=options.get("reread"))
        self._without_transaction = (
            options.get("autocommit_reads", True) and dialect.name == "postgresql"
        )
        table = self._described.table
        self.name = options.get("name") or str.__str__(table.fullname)
        schema = table.schema or None
        self.table_name = table_name(
            str.__str__(table.name), schema, default=DEFAULT_SCHEMAS.get(dialect.name)
        )
        unknown = options.keys() - Options.__annotations__.keys()
        if unknown:
            raise TypeError(f"unknown options: {sorted(unknown)}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def identity(self, key: Any) -> Identity:
        """The one form of a key: "1" and 1 are one id of an integer column. `InvalidKey` for what cannot be an id."""
        return self._described.identity(key)

    def key_of(self, value: Any) -> Identity:
        """The identity of a value; `InvalidKey` if it has none yet."""
        described = self._described
        identity = described.identity_of(value)
        if identity is None:
            raise InvalidKey(f"the value has no {' and '.join(described.key)} yet: save it first")
        return identity

    def allowed(self, value: V) -> V:
        """What may be cached of a value that somebody handed in: without the fields outside `columns`."""
        kept: V = self._described.allowed(value)
        return kept

    def _touched(self, stored: V | Absent) -> Iterable[Identity]:
        return [] if stored is ABSENT else [self.key_of(stored)]

    def _touched_many(self, stored: Sequence[V]) -> Iterable[Identity]:
        return [self.key_of(value) for value in stored]
