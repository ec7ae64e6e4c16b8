"""Rows of a model by primary key: `ModelCache(Book).get(7)`. The quickest door, since a hit compiles no query.

What is cached are the columns of the row as the driver gave them; each caller gets an instance of its own.
What must not be here: other queries (`queryset`), transactions (`queries`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections, router

from cachewright.core.policy import Seconds
from cachewright.core.reads import Tags
from cachewright.core.tags import row_tag, rows_tag, table_tag
from cachewright.errors import ConfigurationError
from cachewright.integrations.django.databases import Databases
from cachewright.integrations.django.instances import maker_of
from cachewright.integrations.django.keys import head_of, plain
from cachewright.integrations.django.queries import QueryCache, Standing, attached
from cachewright.integrations.django.queryset import cached
from cachewright.integrations.django.replay import CONVERTED, Value, as_value, converted, rows_in
from cachewright.integrations.django.rules import Rule, call_rule
from cachewright.sql import COARSE
from cachewright.types import ABSENT, MISSING

CHUNK = 500
"""Keys that one statement asks for."""


class Columns:
    """How rows of one model in one database are asked for, and made into instances."""

    def __init__(self, model: Any, alias: str, databases: Databases) -> None:
        connection = connections[alias]
        self.model = model
        self.alias = alias
        self.table = databases.table(alias, model)
        self.rows = model._base_manager.using(alias)
        query = self.rows.all().query
        compiler = query.get_compiler(using=alias)
        compiler.as_sql()
        selected = [each[0] for each in compiler.select]
        self.names = [column.target.attname for column in selected]
        self._converters = compiler.get_converters(selected)
        self._maker = maker_of(model)
        self.pk = model._meta.pk
        self._place = self.names.index(self.pk.attname)
        kinds = [str(each.target.db_type(connection)) for each in selected]
        # The columns are in it, so that rows of another version of the model are none of this one.
        self.head = head_of(*databases.where(alias), model._meta.db_table, *self.names, *kinds)

    def fetch(self, keys: Sequence[Any]) -> dict[Any, Value]:
        """The rows there are, by key."""
        found: dict[Any, Value] = {}
        connection = connections[self.alias]
        for at in range(0, len(keys), CHUNK):
            chosen = self.rows.filter(pk__in=keys[at : at + CHUNK])
            sql, params = chosen.query.get_compiler(using=self.alias).as_sql()
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                rows = cursor.fetchall()
            for row in rows:
                value = as_value([row], self._converters, connection)
                found[self._values(value)[self._place]] = value
        return found

    def instance(self, value: Value) -> Any:
        """An instance of its own for each caller."""
        return self._maker.from_db(self.alias, self.names, self._values(value))

    def _values(self, value: Value) -> Sequence[Any]:
        width, flat, how = value
        if how == CONVERTED:
            own: list[Any] = flat
            return own
        (row,) = rows_in(value)
        return converted(row, width, self._converters, connections[self.alias])

    def tags(self, key: Any) -> list[str]:
        """What a row is made from; by the whole table where its key has no one form."""
        name = self.model._meta.db_table
        canonical = COARSE if self.table is None else self.table.canonical(self.pk.column, key)
        if self.table is None or canonical is COARSE or not self.table.usable_key:
            return [table_tag(self.table.name if self.table else name)]
        return [row_tag(self.table.name, canonical), rows_tag(self.table.name)]


class ModelCache:
    """The rows of a model by primary key, cached for `ttl` seconds (default: the policy of the cache).

    `using`: the database alias; by default what the router says for reads. `tags`: beside those of the row.
    """

    def __init__(
        self,
        model: Any,
        ttl: Seconds | None = None,
        *,
        using: str | None = None,
        tags: Tags = (),
    ) -> None:
        self._model = model
        self._rule: Rule = call_rule(ttl, tags)
        self._using = using
        self._columns: dict[str, Columns] = {}
        # A row in several tables, or with a key of several columns, is a query like any other.
        self._plain = not (model._meta.parents or len(model._meta.pk_fields) > 1)

    def __repr__(self) -> str:
        return f"ModelCache({self._model._meta.label})"

    def get(self, pk: Any, default: Any = MISSING) -> Any:
        """The instance with this key, its own for each caller. Without one, `default`, or raises `DoesNotExist`."""
        found = self._get(pk)
        if found is not None:
            return found
        if default is not MISSING:
            return default
        raise self._model.DoesNotExist(
            f"{self._model._meta.object_name} matching query does not exist."
        )

    def get_many(self, pks: Iterable[Any]) -> dict[Any, Any]:
        """The instances there are, by key; those that are not cached are asked for together."""
        cache, alias = self._here()
        keys = list(dict.fromkeys(key for key in map(self._key, pks) if key is not None))
        standing = cache.standing(alias)
        if standing is Standing.AROUND or not self._plain:
            return {each.pk: each for each in self._queryset(alias).filter(pk__in=keys)}
        columns = self._of(cache, alias)
        names = {self._name(cache, columns, key): key for key in keys}
        if standing is Standing.SNAPSHOT:
            return self._in_snapshot(cache, columns, names)
        found = cache.cache.get_or_load_many(
            names,
            lambda missing: self._loaded(columns, names, missing),
            tags=lambda name: [*columns.tags(names[str(name)]), *self._rule.tags],
            default=None,
            policy=cache.policy(self._rule),
        )
        return {names[str(n)]: columns.instance(v) for n, v in found.items() if v is not None}

    async def aget(self, pk: Any, default: Any = MISSING) -> Any:
        """`get` in an asynchronous view, in the thread that Django keeps for its database."""
        from asgiref.sync import sync_to_async

        return await sync_to_async(self.get)(pk, default)

    # ---------------------------------------------------------------- one row

    def _get(self, pk: Any) -> Any:
        cache, alias = self._here()
        key = self._key(pk)
        if key is None:
            return None
        standing = cache.standing(alias)
        if not self._plain or standing is Standing.AROUND:
            return self._queryset(alias).filter(pk=key).first()
        columns = self._of(cache, alias)
        name = self._name(cache, columns, key)

        def load() -> Any:
            return columns.fetch([key]).get(key, ABSENT)

        if standing is Standing.SNAPSHOT:
            value = cache.served(name, load)
        else:
            tags = _Later(lambda: [*columns.tags(key), *self._rule.tags])
            value = cache.load(name, load, tags, cache.policy(self._rule))
        return None if value is MISSING or value is ABSENT else columns.instance(value)

    # ---------------------------------------------------------------- what all of it needs

    def _here(self) -> tuple[QueryCache, str]:
        cache = attached()
        if cache is None:
            raise ConfigurationError(
                "no query cache: attach() a QueryCache, or configure one in the settings"
            )
        return cache, self._using or router.db_for_read(self._model)

    def _key(self, pk: Any) -> Any:
        """A key in the one form that its field has; None for what no row can have."""
        if type(pk) is int or not self._plain:
            return pk
        field = self._model._meta.pk
        while field.remote_field is not None:
            field = field.target_field
        try:
            return plain(field.to_python(pk))
        except ValidationError:
            return None

    def _of(self, cache: QueryCache, alias: str) -> Columns:
        columns = self._columns.get(alias)
        if columns is None:
            columns = self._columns[alias] = Columns(self._model, alias, cache.databases)
        return columns

    @staticmethod
    def _name(cache: QueryCache, columns: Columns, key: Any) -> str:
        return cache.key("row", columns.head, columns.alias, (key,))

    def _queryset(self, alias: str) -> Any:
        return cached(self._model._base_manager.using(alias), self._rule.ttl, tags=self._rule.tags)

    @staticmethod
    def _loaded(columns: Columns, names: dict[str, Any], missing: Sequence[Any]) -> dict[Any, Any]:
        rows = columns.fetch([names[name] for name in missing])
        return {name: rows[names[name]] for name in missing if names[name] in rows}

    def _in_snapshot(
        self, cache: QueryCache, columns: Columns, names: dict[str, Any]
    ) -> dict[Any, Any]:
        found = cache.cache.get_many(list(names))
        rest = [key for name, key in names.items() if name not in found]
        rows = {names[str(name)]: value for name, value in found.items()}
        if rest:
            rows |= cache.around(lambda: columns.fetch(rest))
        return {key: columns.instance(value) for key, value in rows.items()}


class _Later:
    """Tags that are spelled when somebody asks."""

    __slots__ = ("_tags",)

    def __init__(self, tags: Callable[[], list[Any]]) -> None:
        self._tags = tags

    def __iter__(self) -> Any:
        return iter(self._tags())
