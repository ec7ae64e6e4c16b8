"""Write-through inside a transaction of Django: marked with the write, filled by `transaction.on_commit`.

Django says nothing before a commit, so the marks are set when the row has been written and is locked, and renewed until
the transaction ends. Nor does it say that one was rolled back, also to a savepoint: but it drops the callbacks, and with
ours the marks end.
What must not be here: models, queries, and what a mark is.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from cachewright.patterns.joining import enlist


class DjangoTransaction:
    """The transaction that is under way on one database; where there is none, each statement commits by itself.

    `users.put(user, session=DjangoTransaction())`. `using`: the alias of the database.
    """

    verb_options: dict[str, Any] = {}  # noqa: RUF012 - read only
    """What the verbs of a source are given to run in it: Django's connection is the thread's own."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self.using = using


class _Marks:
    """The marks of some rows in one transaction, shared by all of its writes of them.

    A mark for each write would stand in the way of the others: whoever ends first may not fill beside them, and lets
    nobody fill after it. So the last of the writes that Django did not drop ends them, and fills.
    """

    def __init__(self, door: Any, identities: Sequence[Any], tags: Sequence[Any]) -> None:
        self.door = door
        self.identities = frozenset(identities)
        self.ended = False
        self._commit = door.commit_of(identities, tags)
        self._commit.begin()
        self._writes: weakref.WeakSet[_OnCommit] = weakref.WeakSet()
        # Where all were dropped, nothing but the end of the marks.
        self._dropped = weakref.finalize(self, self._commit.end)
        self._dropped.atexit = False

    def shared_by(self, write: _OnCommit) -> None:
        """One write more."""
        self._writes.add(write)

    def committed(self, write: _OnCommit) -> None:
        """That write was committed. With the last of them: read what the rows are now, after the marks, and fill it."""
        self._writes.discard(write)
        if self._writes or self.ended:
            return
        self.ended = True
        self._dropped.detach()
        try:
            self._commit.committed(dict(self.door.source.load_many(list(self.identities))))
        except Exception as error:  # noqa: BLE001 - the write has succeeded, whatever a read says now
            self.door.cache.engine.tell("load_failed", detail="after a commit", error=error)
        finally:
            self._commit.end()


class _OnCommit:
    """What happens at the commit for one write. Where Django drops it, its marks are no longer its own."""

    def __init__(self, marks: Sequence[_Marks]) -> None:
        self._marks = marks
        for each in marks:
            each.shared_by(self)

    def __call__(self) -> None:
        for each in self._marks:
            each.committed(self)


_standing: weakref.WeakKeyDictionary[Any, weakref.WeakSet[_Marks]] = weakref.WeakKeyDictionary()
"""By connection, which is a thread's own: the marks that its transaction holds up."""


def _marks_of(
    connection: Any, door: Any, identities: Sequence[Any], tags: Sequence[Any]
) -> list[_Marks]:
    """Those that stand already, and new ones for the other rows."""
    standing = _standing.setdefault(connection, weakref.WeakSet())
    rows = frozenset(identities)
    marks = [m for m in standing if m.door is door and not m.ended and m.identities & rows]
    known = frozenset().union(*(m.identities for m in marks))
    missing = [identity for identity in identities if identity not in known]
    if missing or tags or not marks:
        marks.append(_Marks(door, missing, tags))
        standing.add(marks[-1])
    return marks


@enlist.register
def enlist_django(
    session: DjangoTransaction, door: Any, identities: Sequence[Any], tags: Sequence[Any] = ()
) -> None:
    """Mark now, and act when the transaction commits. Raises `RemoteError` for a strict door that cannot mark."""
    marks = _marks_of(connections[session.using], door, identities, tags)
    transaction.on_commit(_OnCommit(marks), using=session.using)
