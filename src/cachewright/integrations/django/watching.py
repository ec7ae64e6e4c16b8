"""Sees every statement of every connection of Django, and so every write, whoever makes it: ORM, raw SQL, cascades.

The hook is the connection's list of execute wrappers, ours first, so that it sees what was asked for. A write in
autocommit is marked before it and done with after it; one in a transaction is noted in the connection's ledger.
Signals add only what no statement says: the keys that the database gave to new rows.
What must not be here: what a statement does (`effects`), what a transaction holds (`ledger`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.signals import connection_created
from django.db.models.signals import post_save, pre_save

from cachewright.core.reads import spell_tags
from cachewright.integrations.django.databases import Databases
from cachewright.integrations.django.effects import Effect, Kind, spelled
from cachewright.integrations.django.images import Exact, around, exact_rows
from cachewright.integrations.django.ledger import MAX_TAGS, Ledger, Writes
from cachewright.integrations.django.newcomers import Newcomers, family


class Connected:
    """What is known of one connection. Its own thread's, as the connection is."""

    __slots__ = ("isolation", "ledger", "newcomers", "settings")

    def __init__(self, writes: Writes) -> None:
        self.ledger = Ledger(writes)
        self.newcomers = Newcomers()
        self.settings = False
        """Whether a statement has set something for the session, such as a role or a search path."""
        self.isolation: str | None = None


class Watcher:
    """The wrapper on every connection, for one cache. `exact`: tables of which both images of each row are read."""

    def __init__(
        self,
        cache: Any,
        databases: Databases,
        exact: Callable[[], frozenset[str]] = frozenset,
        *,
        crash_safe: bool = True,
    ) -> None:
        self._cache = cache
        self._writes = Writes(cache, crash_safe=crash_safe)
        self._exact_tables = exact
        self._exact: frozenset[str] = frozenset()
        self._databases = databases
        self._connected: WeakKeyDictionary[Any, Connected] = WeakKeyDictionary()
        self._watching = False

    # ---------------------------------------------------------------- installing

    def start(self) -> None:
        """Watch the connections there are in this thread, and all that are made from now on."""
        self._exact = self._exact_tables()
        self._watching = True
        connection_created.connect(self._created, weak=False, dispatch_uid=id(self))
        pre_save.connect(self._before_save, weak=False, dispatch_uid=id(self))
        post_save.connect(self._saved, weak=False, dispatch_uid=id(self))
        for connection in connections.all(initialized_only=True):
            self.of(connection)

    def stop(self) -> None:
        """Watch no more."""
        self._watching = False
        connection_created.disconnect(dispatch_uid=id(self))
        pre_save.disconnect(dispatch_uid=id(self))
        post_save.disconnect(dispatch_uid=id(self))

    def of(self, connection: Any) -> Connected:
        """What is known of a connection, which is watched from now on."""
        known = self._connected.get(connection)
        if known is None:
            known = self._connected[connection] = Connected(self._writes)
        if self._watching and self not in connection.execute_wrappers:
            # In front of the others: who adds one for a while takes the last away again.
            connection.execute_wrappers.insert(0, self)
        return known

    def _created(self, connection: Any, **_: Any) -> None:
        known = self.of(connection)
        known.settings, known.isolation = False, None

    # ---------------------------------------------------------------- each statement

    def __call__(self, execute: Callable[..., Any], sql: Any, *how: Any) -> Any:
        """Run one statement, with what that takes."""
        params, many, context = how
        connection = context["connection"]
        if not self._watching:
            return execute(sql, *how)
        known = self.settled(connection)
        effect = self._databases.effect(
            connection, sql if isinstance(sql, str) else _text(sql, context)
        )
        if effect.kind is Kind.READ:
            return execute(sql, *how)
        if effect.kind is Kind.WRITE:
            with self._writing(connection, effect, params if many else [params]):
                return execute(sql, *how)
        if effect.kind is Kind.SETTING:
            known.settings = True
        else:
            known.ledger.begun(connection)
        return execute(sql, *how)

    @contextmanager
    def _writing(self, connection: Any, effect: Effect, every: Sequence[Any]) -> Iterator[None]:
        newcomers = self._connected[connection].newcomers
        if self._exact and (rows := exact_rows(effect, every, self._exact)):
            with self._exactly(connection, Exact(connection, *rows)):
                yield
            return
        tags = effect.tags(every)
        named_later = tags is not None and effect.inserts in newcomers.expected
        if tags is None:
            self._cache.engine.tell("everything_invalidated", detail=effect.why)
        elif named_later:
            tags = effect.without_new_rows(tags)
        with self._covered(connection, effect, tags):
            yield
        if named_later:
            newcomers.inserted(str(effect.inserts))
        if effect.structure:
            self._databases.changed(connection)

    @contextmanager
    def _covered(self, connection: Any, effect: Effect, tags: list[str] | None) -> Iterator[None]:
        ledger = self._connected[connection].ledger
        if by_itself(connection):
            ledger.settle()
            with self._writes.of(spelled(tags)):
                yield
            return
        yield
        if tags is not None and ledger.size(connection) + len(tags) > MAX_TAGS:
            tags = effect.coarse()
        ledger.wrote(connection, spelled(tags))

    @contextmanager
    def _exactly(self, connection: Any, exact: Exact) -> Iterator[None]:
        """A write whose images are read, in a transaction of its own if it is in none."""
        if by_itself(connection):
            with transaction.atomic(using=connection.alias), self._exactly(connection, exact):
                yield
            return
        with around(exact):
            yield
        self.invalidate(connection, exact.tags())

    def invalidate(self, connection: Any, tags: Sequence[Any]) -> None:
        """Tags that are wrong beside a statement: now, or from the commit on."""
        if not tags:
            return
        if by_itself(connection):
            self._cache.invalidate(tags=tags)
        else:
            self.of(connection).ledger.wrote(connection, spell_tags(tags))

    # ---------------------------------------------------------------- keys that the database gave

    def settled(self, connection: Any) -> Connected:
        """What is known of a connection on which something happens now, with no new row left without a name."""
        known = self.of(connection)
        if known.newcomers.owed:
            self.invalidate(connection, known.newcomers.unnamed())
        return known

    def _before_save(self, sender: Any, using: str, **_: Any) -> None:
        self.settled(connections[using]).newcomers.expect(family(sender))

    def _saved(self, sender: Any, instance: Any, using: str, **_: Any) -> None:
        connection = connections[using]
        self.invalidate(connection, self.of(connection).newcomers.named(family(sender), [instance]))

    @contextmanager
    def naming(self, model: Any, using: str, instances: Sequence[Any]) -> Iterator[None]:
        """Around a bulk insert of instances that have their keys at its end, if the database can tell them."""
        connection = connections[using]
        newcomers = self.settled(connection).newcomers
        newcomers.expect([model])
        try:
            yield
        finally:
            newcomers.expected.clear()
        self.invalidate(connection, newcomers.named([model], instances))


def by_itself(connection: Any) -> bool:
    """Whether each statement is a transaction of its own."""
    return not connection.in_atomic_block and connection.get_autocommit()


def _text(sql: Any, context: Any) -> str:
    """The text of a statement that was composed with psycopg."""
    compose = getattr(sql, "as_string", None)
    return str(compose(context["cursor"].cursor) if compose is not None else sql)
