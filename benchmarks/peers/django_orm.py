"""Django's queries in four processes: ours, django-cacheops, django-cachalot and no cache, over the same models and rows.

Each peer changes Django when it is set up, so each has a process of its own, which answers lines of `verb count` with
nanoseconds an operation. What must not be here: rows of the table.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle
from typing import Any

AUTHORS = 20
BOOKS = 2_000
TTL = 600
OURS = ("cachewright", "one-phase")


def settings_of(which: str, url: str, path: str) -> dict[str, Any]:
    """The settings of Django for one competitor."""
    engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": path}
    apps = ["benchmarks.peers.bookshop.apps.Bookshop"]
    common: dict[str, Any] = {"DATABASES": {"default": engine}, "USE_TZ": True}
    if which in OURS:
        apps.append("cachewright.integrations.django")
        common["CACHEWRIGHT"] = {
            "server": url,
            "models": {"bookshop.*": TTL},
            "options": {"namespace": "bench-django"},
            "crash_safe": which != "one-phase",
        }
    if which == "cacheops":
        apps.append("cacheops")
        common["CACHEOPS_REDIS"] = url
        common["CACHEOPS"] = {"bookshop.*": {"ops": "all", "timeout": TTL}}
    if which == "cachalot":
        apps.append("cachalot")
        common["CACHALOT_TIMEOUT"] = TTL
        common["CACHES"] = {
            "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}
        }
    return common | {"INSTALLED_APPS": apps}


class Shop:
    """What is timed, in the process of one competitor."""

    def __init__(self, which: str) -> None:
        from benchmarks.peers.bookshop.models import Author, Book

        self.author, self.book = Author, Book
        self._by_key: Callable[[int], Any] = lambda key: Book.objects.get(pk=key)
        if which in OURS:
            from cachewright.integrations.django import ModelCache

            self._by_key = ModelCache(Book, TTL).get
        self._fresh = count(1)
        self._keys = cycle(range(1, 101))
        self._authors = cycle(range(1, AUTHORS + 1))
        self._stock = count(1)
        self._kept = [Book.objects.get(pk=key) for key in range(1, 101)]

    def get(self) -> None:
        """One row by its key, again and again of a hundred."""
        self.book.objects.get(pk=next(self._keys))

    def rows(self) -> None:
        """A hundred rows with what they point to."""
        author = next(self._authors)
        list(self.book.objects.select_related("author").filter(author_id=author))

    def many(self) -> None:
        """How many rows of an author there are."""
        self.book.objects.filter(author_id=next(self._authors)).count()

    def by_key(self) -> None:
        """The quickest door to one row: for the peers, the same query."""
        self._by_key(next(self._keys))

    def miss(self) -> None:
        """A query that nobody has asked before."""
        list(
            self.book.objects.filter(
                pk=1 + next(self._fresh) % BOOKS, stock__lt=10**9 + next(self._stock)
            )
        )

    def save(self) -> None:
        """A row that is cached is saved."""
        book = self._kept[next(self._keys) - 1]
        book.stock = next(self._stock)
        book.save()

    def save_and_get(self) -> None:
        """A row is saved and read again."""
        key = next(self._keys)
        book = self._kept[key - 1]
        book.stock = next(self._stock)
        book.save()
        if self.book.objects.get(pk=key).stock != book.stock:
            raise RuntimeError("an old row")


def timed(operation: Callable[[], None], times: int) -> float:
    """Nanoseconds an operation."""
    gc.collect(0)
    gc.disable()
    begin = time.perf_counter_ns()
    for _ in range(times):
        operation()
    took = time.perf_counter_ns() - begin
    gc.enable()
    return took / times


def _set_up(which: str, url: str, path: str) -> Shop:
    import django
    from django.conf import settings

    settings.configure(**settings_of(which, url, path))
    django.setup()
    from django.db import connection

    from benchmarks.peers.bookshop import models

    author: Any = models.Author
    book: Any = models.Book
    with connection.schema_editor() as editor:
        editor.create_model(author)
        editor.create_model(book)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = OFF")
    author.objects.bulk_create([author(name=f"Author {n}") for n in range(AUTHORS)])
    book.objects.bulk_create(
        [
            book(title=f"Book {n}", author_id=1 + n % AUTHORS, stock=n, pages=n % 500)
            for n in range(BOOKS)
        ]
    )
    return Shop(which)


def _commands() -> Iterator[tuple[str, int]]:
    for line in sys.stdin:
        verb, times = line.split()
        yield verb, int(times)


def main() -> None:
    """`python -m benchmarks.peers.django_orm WHICH URL PATH`, then commands on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a peer prints is no answer
    try:
        shop = _set_up(*sys.argv[1:4])
    except ImportError as error:
        print(f"missing: {error}", file=answers, flush=True)
        return
    print("ready", file=answers, flush=True)
    for verb, times in _commands():
        print(timed(getattr(shop, verb), times), file=answers, flush=True)


if __name__ == "__main__":
    main()
