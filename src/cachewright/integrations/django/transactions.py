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

from django.db import DEFAULT_DB_ALIAS, transaction

from cachewright.patterns.joining import enlist


class DjangoTransaction:
    """The transaction that is under way on one database; where there is none, each statement commits by itself.

    `users.put(user, session=DjangoTransaction())`. `using`: the alias of the database.
    """

    verb_options: dict[str, Any] = {}  # noqa: RUF012 - read only
    """What the verbs of a source are given to run in it: Django's connection is the thread's own."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self.using = using


class _OnCommit:
    """What happens at the commit; where Django drops it instead, nothing but the end of the marks."""

    def __init__(self, door: Any, commit: Any, identities: Sequence[Any]) -> None:
        self._door = door
        self._commit = commit
        self._identities = identities
        self._dropped = weakref.finalize(self, commit.end)
        self._dropped.atexit = False

    def __call__(self) -> None:
        """Read what was committed, after the marks and so nothing older than them, and fill it."""
        self._dropped.detach()
        try:
            self._commit.committed(dict(self._door.source.load_many(self._identities)))
        except Exception as error:  # noqa: BLE001 - the write has succeeded, whatever a read says now
            self._door.cache.engine.tell("load_failed", detail="after a commit", error=error)
        finally:
            self._commit.end()


@enlist.register
def enlist_django(
    session: DjangoTransaction, door: Any, identities: Sequence[Any], tags: Sequence[Any] = ()
) -> None:
    """Mark now, and act when the transaction commits. Raises `RemoteError` for a strict door that cannot mark."""
    commit = door.commit_of(identities, tags)
    commit.begin()
    transaction.on_commit(_OnCommit(door, commit, list(identities)), using=session.using)
