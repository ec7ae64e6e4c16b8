"""What each database alias says of statements: an analyser for each, over the models' tables. Made when first needed.

What must not be here: keys, marks, and how a statement is analysed (`sql`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.db import connections

from cachewright.integrations.django.catalogue import ModelCatalogue
from cachewright.integrations.django.effects import READ, Effect, Effects
from cachewright.integrations.django.inspecting import schema_of, seen
from cachewright.sql import Analyser, Reads, Refused, Table, table_name

_DIALECTS = {"postgresql": "postgres", "sqlite": "sqlite", "mysql": "mysql"}
_ISOLATION = {
    "postgresql": "SHOW transaction_isolation",
    "mysql": "SELECT @@transaction_isolation",
}

_OF_SQLITE = """
    django_date_extract django_date_trunc django_datetime_cast_date django_datetime_cast_time django_datetime_extract
    django_datetime_trunc django_time_extract django_time_trunc django_time_diff django_timestamp_diff django_format_dtdelta
    regexp bitxor lpad rpad repeat reverse md5 sha1 sha224 sha256 sha384 sha512 sign any_value stddev_pop stddev_samp var_pop
    var_samp acos asin atan atan2 ceiling cos cot degrees exp floor ln log mod pi power radians sin sqrt tan
"""
_PURE = {"sqlite": frozenset(_OF_SQLITE.split())}
"""What Django itself defines in SQLite, and gives the same for the same arguments."""


_TOLD = ("options", "service", "assume_role", "init_command", "sql_mode")
"""Options of a database by which the results of a query may differ. Of the others, such as time limits, they do not."""

STRUCTURE = 300.0
"""Seconds after which a database is asked once more what it holds: other processes may have changed that."""


@dataclass(slots=True)
class _Known:
    """One alias."""

    analyser: Analyser
    effects: Effects
    schema: Any
    until: float


class Databases:
    """All aliases. `writes`: see `QueryCache`."""

    def __init__(self, writes: Mapping[str, Iterable[str]]) -> None:
        self._writes = writes
        self._known: dict[str, _Known] = {}
        self.structure = 0
        """Moves when some database holds other relations than before."""

    def reads(self, alias: str, sql: str) -> Reads | str:
        """What a query reads; or why it must not be cached."""
        known = self._of(connections[alias])
        if known is None:
            return f"SQL of {connections[alias].vendor} is not understood"
        found = known.analyser(sql)
        if isinstance(found, Reads):
            return found
        return found.reason if isinstance(found, Refused) else "it writes"

    def where(self, alias: str) -> tuple[str, ...]:
        """What tells the database of an alias from others as its connections see it: its place, who asks, what they are told."""
        settings = connections[alias].settings_dict
        options = settings.get("OPTIONS") or {}
        known = self._of(connections[alias])
        place = [settings.get(name) for name in ("NAME", "HOST", "PORT", "USER", "TIME_ZONE")]
        told = [options.get(name) for name in _TOLD]
        path = [] if known is None else known.schema["path"]
        return (
            alias,
            connections[alias].vendor,
            *(str(part or "") for part in (*place, *told)),
            *path,
        )

    def table(self, alias: str, model: Any) -> Table | None:
        """What tags call the table of a model, and of which columns equality is exact."""
        known = self._of(connections[alias])
        name = table_name(model._meta.db_table)
        found = None if known is None else known.analyser.catalogue.relation(name)
        return found if isinstance(found, Table) else None

    def effect(self, connection: Any, sql: str) -> Effect:
        """What running a statement on this connection does."""
        known = self._of(connection)
        return READ if known is None else known.effects.of(sql)  # nothing of that alias is cached

    def changed(self, connection: Any) -> None:
        """The structure of the database may have changed."""
        if connection.alias in self._known:
            self._known[connection.alias].until = 0.0

    def _of(self, connection: Any) -> _Known | None:
        known = self._known.get(connection.alias)
        if known is not None and monotonic() < known.until:
            return known
        dialect = _DIALECTS.get(connection.vendor)
        if dialect is None:
            return None
        schema = schema_of(connection, dialect)
        if known is not None and known.schema == schema:
            known.until = monotonic() + STRUCTURE
            return known
        self.structure += 1
        known = self._known[connection.alias] = self._new(dialect, schema)
        return known

    def _new(self, dialect: str, schema: Any) -> _Known:
        catalogue = ModelCatalogue(seen(schema, dialect, self._writes), self._writes)
        pure = _PURE.get(dialect, frozenset())
        # Django writes every dialect's parameters so, and turns them into the driver's own afterwards.
        analyser = Analyser(dialect, catalogue, paramstyle="format", pure=pure)
        return _Known(analyser, Effects(analyser, pure), schema, monotonic() + STRUCTURE)

    @staticmethod
    def isolation(connection: Any, known: Any) -> str:
        """How isolated the transactions of a connection are, asked once: "read committed" is what matters."""
        if known.isolation is None:
            ask = _ISOLATION.get(connection.vendor)
            if ask is None:
                known.isolation = "serializable"
            else:
                with connection.cursor() as cursor:
                    cursor.execute(ask)
                    known.isolation = str(cursor.fetchone()[0]).lower().replace("-", " ")
        return str(known.isolation)
