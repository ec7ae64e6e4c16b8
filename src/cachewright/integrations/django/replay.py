"""A compiled query, the plain rows it brings, and how Django makes of such rows what it would have made of the database's.

What is cached are the values as the driver gave them, flat: no instance and no pickle. Django's own iterables then run
over them with the query's own compiler, so that instances, `select_related`, annotations, `values()` and named tuples are
made by Django in its way, anew for each caller. Nothing of Django is replaced: the iterables are given a stand-in for
their queryset, whose compiler answers with rows instead of asking.
What must not be here: keys, tags, and whether anything is cached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connections

from cachewright.integrations.django.instances import with_makers

Value = list[Any]
"""`[columns, [value, value, …], how]`: plain, and quick to encode. `how` is one of the following."""

AS_READ = 0
"""As the driver gave them; what a field makes of its column is made for each caller."""
CHANGEABLE = 1
"""The same, and some of it could be changed by who gets it."""
CONVERTED = 2
"""As fields make them of their columns, which nobody can change."""

_CHANGEABLE = (list, dict, set, bytearray)
_CONSTANT = frozenset(
    {int, str, float, bool, bytes, type(None), Decimal, datetime, date, time, timedelta, UUID}
)


class Compiled:
    """One query for one database, as text and parameters."""

    __slots__ = ("alias", "compiler", "params", "sql", "width")

    def __init__(self, query: Any, alias: str) -> None:
        """Raises `EmptyResultSet` for a query that Django answers without the database."""
        self.alias = alias
        self.compiler = query.get_compiler(using=alias)
        self.sql, self.params = self.compiler.as_sql()
        if not self.sql:
            raise EmptyResultSet
        # Columns that only the ordering needs are behind those that were asked for.
        self.width = self.compiler.col_count if self.compiler.has_extra_select else None

    def fetch(self) -> Value:
        """What the database says now."""
        connection = connections[self.alias]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, self.params)
            rows = cursor.fetchall()
        if not rows:
            return [0, [], CONVERTED]
        if self.width is not None:
            rows = [row[: self.width] for row in rows]
        columns = [each[0] for each in self.compiler.select[: self.compiler.col_count]]
        return as_value(rows, self.compiler.get_converters(columns), connection)


Converters = Mapping[int, tuple[Sequence[Any], Any]]


def as_value(rows: Sequence[Sequence[Any]], converters: Converters, connection: Any) -> Value:
    """Rows as what is cached."""
    flat = [item for row in rows for item in row]
    if memoryview in set(map(type, flat)):
        flat = [bytes(item) if type(item) is memoryview else item for item in flat]
    width = len(rows[0])
    made = converted(flat, width, converters, connection)
    if set(map(type, made)) <= _CONSTANT:
        return [width, made, CONVERTED]
    return [width, flat, CHANGEABLE if changeable(flat) else AS_READ]


def converted(
    flat: Sequence[Any], width: int, converters: Converters, connection: Any
) -> list[Any]:
    """What the fields make of their columns."""
    made = list(flat)
    for place, (functions, expression) in converters.items():
        column = flat[place::width]
        for convert in functions:
            column = [convert(value, expression, connection) for value in column]
        made[place::width] = column
    return made


def changeable(values: Iterable[Any]) -> bool:
    """Whether one of them could be changed by who gets it, so that each caller needs a copy."""
    return any(issubclass(kind, _CHANGEABLE) for kind in set(map(type, values)))


def rows_in(value: Value) -> Iterable[tuple[Any, ...]]:
    """The rows of what was cached, which nobody else holds."""
    width, flat, how = value
    if not flat:
        return ()
    if how == CHANGEABLE:
        flat = deepcopy(flat)
    return zip(*[iter(flat)] * width, strict=True)


class _Compiler:
    """A compiler that has its rows."""

    def __init__(self, compiled: Compiled, value: Value) -> None:
        self._compiler = compiled.compiler
        self._value = value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiler, name)

    @property
    def klass_info(self) -> Any:
        return with_makers(self._compiler.klass_info)

    def execute_sql(self, *_: Any, **__: Any) -> Any:
        return [rows_in(self._value)]

    def results_iter(
        self, results: Any = None, tuple_expected: bool = False, **_: Any
    ) -> Iterator[Any]:
        compiler = self._compiler
        if self._value[2] != CONVERTED:
            results = self.execute_sql() if results is None else results
            found: Iterator[Any] = compiler.results_iter(results, tuple_expected=tuple_expected)
            return found
        rows = iter(rows_in(self._value))
        fields = [each[0] for each in compiler.select[: compiler.col_count]]
        if compiler.has_composite_fields(fields):
            rows = compiler.composite_fields_to_tuples(rows, fields)
            return map(tuple, rows) if tuple_expected else rows
        return rows


class _Query:
    """A query whose compiler has its rows."""

    def __init__(self, query: Any, compiler: _Compiler) -> None:
        self._query = query
        self._compiler = compiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._query, name)

    def get_compiler(self, *_: Any, **__: Any) -> _Compiler:
        return self._compiler


class _QuerySet:
    """What an iterable of Django is given for its queryset."""

    def __init__(self, queryset: Any, alias: str, query: _Query) -> None:
        self._queryset = queryset
        self.db = alias
        self.query = query

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queryset, name)


def replayed(queryset: Any, compiled: Compiled, value: Value) -> list[Any]:
    """What the queryset would have given, had the database answered with these rows."""
    query = _Query(queryset.query, _Compiler(compiled, value))
    stand_in = _QuerySet(queryset, compiled.alias, query)
    return list(queryset._iterable_class(stand_in))
