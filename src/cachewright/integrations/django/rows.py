"""The rows of a model on the database of a source: read, updated, inserted, and what is stored afterwards.

What must not be here: transactions, batches, what a source promises.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from django.db import IntegrityError, connections, transaction
from django.db.models import F, IntegerField, Q

from cachewright.errors import ConfigurationError
from cachewright.integrations.django.model import Described, Row
from cachewright.patterns.identities import Identity
from cachewright.patterns.sources import Conflict, Unsavable
from cachewright.types import ABSENT, MISSING

V = TypeVar("V")
Rows = dict[Identity, Row]


class ModelRows(Generic[V]):
    """The rows of a described model in the database `using`."""

    def __init__(self, described: Described, using: str) -> None:
        self.described = described
        self.using = using

    def all(self) -> Any:
        """All rows there are, also those that a manager of the model would hide."""
        return self.described.model._base_manager.using(self.using)

    def read(self, identities: Sequence[Identity]) -> dict[Identity, V]:
        """The values there are of identities, each given once."""
        found: dict[Identity, V] = {}
        described = self.described
        for some in self.chunks(identities):
            rows = self.all().filter(pk__in=some)
            if described.into is described.model:
                for instance in rows.only(*described.read):
                    found[self.described.identity(instance.pk)] = instance
            else:
                for row in rows.values(*described.read):
                    identity = self.described.identity(tuple(row[name] for name in described.key))
                    found[identity] = described.value(row)
        return found

    def chunks(self, identities: Sequence[Identity]) -> Iterator[Sequence[Identity]]:
        """All of them, unless there are more than a statement may have."""
        most = connections[self.using].features.max_query_params
        size = most // len(self.described.key) if most else len(identities) or 1
        for start in range(0, len(identities), size):
            yield identities[start : start + size]

    def behind(self, identity: Any) -> Any:
        """Keys that follow: (a, b) > (x, y) is a > x, or a = x and b > y."""
        condition, equal = Q(), Q()
        for name, part in self.described.key_fields(identity).items():
            condition |= equal & Q(**{f"{name}__gt": part})
            equal &= Q(**{name: part})
        return condition

    def write(self, rows: Rows) -> None:
        """Upsert rows: one statement for all that set the same fields, or row by row to count their version."""
        if self._counts():
            for identity in rows:
                self._update_or_insert(identity, rows[identity])
            return
        groups: dict[tuple[str, ...], list[Any]] = defaultdict(list)
        for identity, row in sorted(rows.items(), key=lambda item: repr(item[0])):
            whole = {**row, **self.described.key_fields(identity)}
            groups[tuple(sorted(whole))].append(self.described.model(**whole))
        for names, instances in groups.items():
            self._upsert(names, instances)

    def _upsert(self, names: Sequence[str], instances: list[Any]) -> None:
        known, key = self.described.fields, self.described.key
        changed = [
            n for n in names if n not in key and not getattr(known[n], "auto_now_add", False)
        ]
        moving = [n for n, field in known.items() if getattr(field, "auto_now", False)]
        fields = [known[name].name for name in dict.fromkeys([*changed, *moving])]
        targeted = connections[self.using].features.supports_update_conflicts_with_target
        options: dict[str, Any] = {"ignore_conflicts": True}
        if fields:
            unique = [known[name].name for name in key] if targeted else None
            options = {"update_conflicts": True, "update_fields": fields, "unique_fields": unique}
        self.all().bulk_create(instances, **options)

    def _update_or_insert(self, identity: Identity, row: Row) -> None:
        """With a version that is counted: it must be counted in the statement that writes."""
        while not (self.update(identity, row, MISSING) or self.insert(identity, row)):
            pass  # inserted or deleted by somebody else between the two

    def update(self, identity: Identity, row: Row, expected: Any) -> bool:
        """Update one row; whether there was one. `Conflict` if it is not at the version expected."""
        described = self.described
        if expected is not MISSING and described.version is None:
            raise ConfigurationError(
                "expected= needs a field to compare: pass version= to the source"
            )
        rows = self.all().filter(**described.key_fields(identity))
        if expected is not MISSING:
            rows = rows.filter(**{str(described.version): expected})
        changes = {name: item for name, item in row.items() if name not in described.key}
        for name, field in described.fields.items():
            if getattr(field, "auto_now", False):
                changes[name] = field.pre_save(described.model(), False)
        if self._counts():
            changes[str(described.version)] = F(str(described.version)) + 1
        changed = rows.update(**changes) if changes else rows.count()
        if expected is not MISSING and not changed:
            raise Conflict(identity, expected=expected, found=self.version(identity))
        return bool(changed)

    def insert(self, identity: Identity, row: Row) -> bool:
        """Insert one row; False if there is one of that id."""
        whole = {**row, **self.described.key_fields(identity)}
        if self._counts():
            whole.setdefault(str(self.described.version), 1)
        try:
            with transaction.atomic(using=self.using):
                self.all().bulk_create([self.described.model(**whole)])
        except IntegrityError:
            if not self.all().filter(**self.described.key_fields(identity)).exists():
                raise
            return False
        return True

    def insert_new(self, row: Row) -> Identity:
        """Insert a row whose key the database gives, or the default of its field."""
        given = dict(row)
        if self._counts():
            given.setdefault(str(self.described.version), 1)
        made = self.all().create(**given)
        return self.described.identity(made.pk)

    def _counts(self) -> bool:
        version = self.described.version
        return version is not None and isinstance(self.described.fields[version], IntegerField)

    def version(self, identity: Identity) -> Any:
        """The version that a row has now, or `ABSENT`."""
        rows = self.all().filter(**self.described.key_fields(identity))
        if self.described.version is None:
            return None if rows.exists() else ABSENT
        return next(iter(rows.values_list(self.described.version, flat=True)), ABSENT)

    def stored(self, identities: Sequence[Identity]) -> dict[Identity, V]:
        """What the database holds of rows that were just written; `Unsavable` if one is not there."""
        found = self.read(identities)
        if len(found) < len(identities):
            raise Unsavable(
                "the database did not keep a row under its key: a trigger refused it, or "
                "another unique field matched another row"
            )
        return found
