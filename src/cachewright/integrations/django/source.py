"""A Django model as a source, for threads. In async views call the doors over it through `sync_to_async`.

What must not be here: what is read off a model (`model`), the table of positions (`positions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from django.db import transaction

from cachewright.core.tags import table_name
from cachewright.errors import InvalidKey
from cachewright.integrations.django import positions
from cachewright.integrations.django.model import Described, describe
from cachewright.integrations.django.rows import ModelRows, Rows
from cachewright.integrations.django.transactions import DjangoTransaction
from cachewright.patterns.identities import Identity, distinct
from cachewright.patterns.sources import Change, Conflict, Position, Unsavable
from cachewright.types import ABSENT, MISSING, Absent

V = TypeVar("V")


class ModelSource(Generic[V]):
    """The rows of a model, by primary key (a composite one too), in the database `using` and in no replica.

    `into` is what values are: the model itself, `dict` or a dataclass. `columns` are the fields that may be read, and so
    be cached; the key and the version always may. `version` is the field that `expected=` is compared with; an integer is
    counted up with every write. Each write is an `atomic` block, and so part of a transaction that is under way. As with
    `bulk_create`, neither `save()` nor signals of the model run.
    """

    def __init__(
        self,
        model: Any,
        using: str = "default",
        *,
        into: type[V] | None = None,
        columns: Sequence[str] | None = None,
        version: str | None = None,
        name: str | None = None,
        key_types: type | Sequence[type] | None = None,
    ) -> None:
        self._described: Described = describe(
            model, into=into, columns=columns, version=version, key_types=key_types
        )
        self._using = using
        self._rows: ModelRows[V] = ModelRows(self._described, using)
        self.name = name or str(model._meta.db_table)
        self.table_name = table_name(str(model._meta.db_table))
        """What tags call the table, also where `name` is another."""

    def __repr__(self) -> str:
        return f"ModelSource({self.name!r})"

    def identity(self, key: Any) -> Identity:
        """The one form of a key: "1" and 1 are one id of an integer field. `InvalidKey` for what cannot be an id."""
        return self._described.identity(key)

    def key_of(self, value: Any) -> Identity:
        """The identity of a value; `InvalidKey` if it has none yet."""
        identity = self._described.identity_in(self._described.row(value))
        if identity is None:
            raise InvalidKey("the value has no id yet: save it first")
        return identity

    def allowed(self, value: V) -> V:
        """What may be cached of a value that somebody handed in: without the fields outside `columns`."""
        kept: V = self._described.allowed(value)
        return kept

    def load(self, key: Any) -> V | Absent:
        """The value of a row, or `ABSENT`."""
        identity = self.identity(key)
        return self._rows.read([identity]).get(identity, ABSENT)

    def load_many(self, keys: Sequence[Any]) -> Mapping[Identity, V]:
        """The values there are, by identity: one statement, unless there are more keys than one may have."""
        return self._rows.read(distinct(keys, self.identity))

    def keys(self, *, page: int = 1000, after: Any = None) -> Iterator[Sequence[Identity]]:
        """The identities in the order of the key, `page` at a time, from behind `after`."""
        names = self._described.key
        rows = self._rows.all().order_by(*names).values_list(*names)
        last = None if after is None else self.identity(after)
        while True:
            behind = rows if last is None else rows.filter(self._rows.behind(last))
            found = [self.identity(row) for row in behind[:page]]
            if found:
                yield found
                last = found[-1]
            if len(found) < page:
                return

    def save(self, value: V, *, expected: Any = MISSING) -> V:
        """Insert or update. Returns the stored row, with defaults and with what triggers made of it.

        With `expected`, only if the row is still at that version (`ABSENT`: if there is no row); else `Conflict`.
        """
        if expected is MISSING:
            return self.save_many([value])[0]
        row = self._described.row(value)
        identity = self._described.identity_in(row)
        if identity is None:
            raise Unsavable("a row without a key has no version to be compared with")
        with transaction.atomic(using=self._using):
            if expected is not ABSENT:
                self._rows.update(identity, row, expected)
            elif not self._rows.insert(identity, row):
                raise Conflict(identity, expected=ABSENT, found=self._rows.version(identity))
            return self._rows.stored([identity])[identity]

    def save_many(self, values: Sequence[V]) -> Sequence[V]:
        """The same for many, in one transaction; the stored values in the order of the given ones."""
        rows: Rows = {}
        places: list[Identity] = []
        with transaction.atomic(using=self._using):
            for value in values:
                row = self._described.row(value)
                identity = self._described.identity_in(row)
                if identity is None:
                    identity = self._rows.insert_new(row)
                else:
                    rows[identity] = {**rows.get(identity, {}), **row}
                places.append(identity)
            self._rows.write(rows)
            stored = self._rows.stored(list(dict.fromkeys(places)))
        return [stored[identity] for identity in places]

    def patch(self, key: Any, changes: Mapping[str, Any], *, expected: Any = MISSING) -> V | Absent:
        """Change some fields of a row. Returns the whole stored row, or `ABSENT` if there is none."""
        identity = self.identity(key)
        with transaction.atomic(using=self._using):
            if not self._rows.update(identity, self._described.patch(identity, changes), expected):
                return ABSENT
            return self._rows.stored([identity])[identity]

    def delete(self, key: Any) -> bool:
        """Whether there was a row to delete. The database's own cascades run, Django's do not."""
        return self.delete_many([key]) > 0

    def delete_many(self, keys: Sequence[Any]) -> int:
        """How many of these rows there were."""
        found = 0
        with transaction.atomic(using=self._using):
            for some in self._rows.chunks(distinct(keys, self.identity)):
                rows = self._rows.all().filter(pk__in=some)
                found += rows._raw_delete(self._using)
        return found

    def apply(self, changes: Sequence[Change], position: Position) -> bool:
        """Apply a batch and record its position, in one transaction. False, with nothing changed, if the recorded
        position is not `position.expected`: another worker was there first. Needs `create_tables()`.
        """
        with transaction.atomic(using=self._using):
            if not positions.advance(self._using, position):
                return False
            deleted = [self.identity(c.key) for c in changes if c.kind == "delete"]
            rows = {self.identity(c.key): c for c in changes if c.kind != "delete"}
            if len({*deleted, *rows}) != len(changes):
                raise ValueError("a batch holds at most one change a key: merge them first")
            self.delete_many(deleted)  # first: what they were unique in may be taken by a put
            for identity, change in rows.items():
                if change.kind == "patch":
                    self._rows.update(
                        identity, self._described.patch(identity, change.value), MISSING
                    )
            puts = {i: self._described.put(i, c.value) for i, c in rows.items() if c.kind == "put"}
            self._rows.write(puts)
            self._rows.stored(list(puts))
        return True

    def position(self, queue: str, partition: int) -> str | None:
        """The recorded position of a partition; None before its first batch."""
        return positions.read(self._using, queue, partition)

    def ambient(self) -> DjangoTransaction:
        """The transaction that is under way, which every verb runs in and a door has to join."""
        return DjangoTransaction(self._using)

    def create_tables(self) -> None:
        """Make the table of positions, `cachewright_positions`, if there is none."""
        positions.create(self._using)
