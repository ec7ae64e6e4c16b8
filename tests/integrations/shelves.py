"""What tests of Django's queries ask of the library, and what they write to it. What must not be here: tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.db import connection, connections, models, transaction
from django.test.utils import CaptureQueriesContext
from integrations.library.models import Atlas, Author, Book, Copy, Label


def fill() -> None:
    """Two authors, three books with labels and copies, one atlas."""
    ann, bob = Author.objects.create(name="Ann"), Author.objects.create(name="Bob")
    red, blue = Label.objects.create(name="red"), Label.objects.create(name="blue")
    first = Book.objects.create(
        author=ann, title="First", stock=3, price=Decimal("3.50"), details={"pages": [1, 2]}
    )
    second = Book.objects.create(author=ann, title="Second", stock=5)
    third = Book.objects.create(author=bob, title="Third", stock=0)
    Atlas.objects.create(author=bob, title="World", scale=1000)
    first.labels.set([red, blue])
    second.labels.set([red])
    for book in (first, second, third):
        Copy.objects.create(book=book)


def kept(model: Any) -> Any:
    """All of a model, cached."""
    return model.objects.order_by("pk").cached(60)


def plain(model: Any) -> Any:
    """All of a model, from the database."""
    return model.objects.order_by("pk").uncached()


def shown(found: Any) -> Any:
    """What is compared of a result: of instances their columns and what was loaded with them."""
    if isinstance(found, models.Model):
        related = {name: _columns(each) for name, each in found._state.fields_cache.items()}
        prefetched = {
            name: [_columns(each) for each in all_]
            for name, all_ in getattr(found, "_prefetched_objects_cache", {}).items()
        }
        return _columns(found), related, prefetched
    if isinstance(found, dict):
        return {key: shown(value) for key, value in found.items()}
    if isinstance(found, list):
        return [shown(each) for each in found]
    return found


def _columns(one: Any) -> Any:
    if one is None:
        return None
    hidden = ("_state", "_prefetched_objects_cache")
    columns = {name: value for name, value in vars(one).items() if name not in hidden}
    return type(one), one._state.db, one._state.adding, columns


QUERIES: Mapping[str, Callable[[Any], Any]] = {
    "iteration": lambda of: list(of(Book)),
    "get": lambda of: of(Book).get(title="First"),
    "get by key": lambda of: of(Book).filter(title__startswith="F").first(),
    "last": lambda of: of(Book).last(),
    "count": lambda of: of(Book).filter(stock__gt=0).count(),
    "count of a slice": lambda of: of(Book)[:2].count(),
    "exists": lambda of: of(Book).filter(title="Third").exists(),
    "no such row": lambda of: of(Book).filter(title="None").exists(),
    "sum": lambda of: of(Book).aggregate(total=models.Sum("stock"), most=models.Max("price")),
    "sum over a join": lambda of: of(Book).aggregate(models.Count("labels")),
    "sum of sums": lambda of: (
        of(Book).annotate(n=models.Count("labels")).aggregate(models.Max("n"))
    ),
    "values": lambda of: list(of(Book).values("title", "author__name")),
    "values_list": lambda of: list(of(Book).values_list("pk", "price", "changed")),
    "flat": lambda of: list(of(Book).values_list("stock", flat=True)),
    "named": lambda of: [tuple(each) for each in of(Book).values_list("pk", "title", named=True)],
    "in_bulk": lambda of: of(Book).in_bulk(),
    "slice": lambda of: list(of(Book)[1:3]),
    "one of a slice": lambda of: of(Book)[1],
    "select_related": lambda of: list(of(Book).select_related("author")),
    "prefetch of many": lambda of: list(of(Book).prefetch_related("labels", "copy_set")),
    "prefetch of one": lambda of: list(of(Book).prefetch_related("author")),
    "only": lambda of: list(of(Book).only("title")),
    "defer": lambda of: list(of(Book).defer("details")),
    "annotation": lambda of: list(of(Book).annotate(copies=models.Count("copy"))),
    "subquery": lambda of: list(
        of(Book).filter(pk__in=Copy.objects.filter(book__stock__gt=1).values("book"))
    ),
    "json": lambda of: [each.details for each in of(Book)],
    "union": lambda of: [
        each.title
        for each in of(Book).order_by().filter(stock=3).union(of(Book).order_by().filter(stock=5))
    ],
    "dates": lambda of: list(of(Book).dates("printed", "year")),
    "across": lambda of: list(of(Book).filter(labels__name="red", author__name="Ann")),
    "by author": lambda of: list(of(Book).filter(author=1).values_list("title", flat=True)),
    "distinct": lambda of: list(
        of(Book).order_by().values_list("author_id").distinct().order_by("author_id")
    ),
    "parents": lambda of: list(of(Atlas)),
    "authors": lambda of: list(of(Author).annotate(n=models.Count("book"))),
}

WRITES: Mapping[str, Callable[[], Any]] = {
    "save": lambda: _first(title="Changed").save(),
    "save of some fields": lambda: _first(stock=9).save(update_fields=["stock"]),
    "create": lambda: Book.objects.create(title="New", author_id=1, stock=1),
    "delete": lambda: _first().delete(),
    "delete with what goes with it": lambda: Author.objects.get(name="Ann").delete(),
    "delete of many": lambda: Book.objects.filter(stock__lt=4).delete(),
    "update": lambda: Book.objects.filter(stock__gt=0).update(stock=models.F("stock") + 1),
    "update of one": lambda: Book.objects.filter(title="First").update(title="Zeroth"),
    "update over a join": lambda: Book.objects.filter(author__name="Ann").update(price=7),
    "bulk_create": lambda: Book.objects.bulk_create(
        [Book(title=f"B{n}", author_id=1) for n in range(3)]
    ),
    "bulk_create of known keys": lambda: Book.objects.bulk_create([Book(pk=77, title="Known")]),
    "bulk_create or update": lambda: Book.objects.bulk_create(
        [Book(pk=1, title="Upserted", author_id=1)],
        update_conflicts=True,
        update_fields=["title"],
        unique_fields=["id"],
    ),
    "bulk_update": lambda: Book.objects.bulk_update([_first(stock=4)], ["stock"]),
    "get_or_create": lambda: Book.objects.get_or_create(title="Got", defaults={"author_id": 1}),
    "update_or_create": lambda: Book.objects.update_or_create(title="First", defaults={"stock": 8}),
    "add to many": lambda: Book.objects.get(title="Third").labels.add(
        Label.objects.get(name="red")
    ),
    "remove from many": lambda: _first().labels.remove(Label.objects.get(name="red")),
    "clear many": lambda: _first().labels.clear() or None,
    "set many": lambda: _first().labels.set([Label.objects.create(name="green")]),
    "add from the other end": lambda: Label.objects.get(name="blue").book_set.add(
        *Book.objects.all()
    ),
    "set of a reverse key": lambda: Author.objects.get(name="Bob").book_set.add(_first()),
    "save of a child": lambda: _saved_atlas(scale=500),
    "rename of a related row": lambda: Author.objects.filter(name="Ann").update(name="Anna"),
    "raw SQL": lambda: _raw("UPDATE library_book SET title = 'Raw' WHERE id = %s", [1]),
    "raw SQL without parameters": lambda: _raw("UPDATE library_book SET stock = stock + 1"),
    "raw insert": lambda: _raw(
        "INSERT INTO library_book (title, author_id, stock, price, changed) VALUES ('R', 1, 1, 1, '2020-01-01')"
    ),
    "raw delete": lambda: _raw("DELETE FROM library_book_labels"),
    "executemany": lambda: _raw_many(
        "UPDATE library_book SET stock = %s WHERE id = %s", [(6, 1), (7, 2)]
    ),
    "in a block": lambda: _in_a_block("Second"),
}


def _first(**changes: Any) -> Any:
    book = Book.objects.get(title="First")
    for name, value in changes.items():
        setattr(book, name, value)
    return book


def _saved_atlas(scale: int) -> None:
    atlas = Atlas.objects.get()
    atlas.title, atlas.scale = "Sea", scale
    atlas.save()


def _raw(sql: str, params: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def _raw_many(sql: str, every: Any) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, every)


def _in_a_block(title: str) -> None:
    with transaction.atomic():
        _first(title="Blocked").save()
        with transaction.atomic():
            Book.objects.filter(title=title).delete()


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What it gives in another thread, with connections of its own."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            found.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def statements(ask: Callable[[], Any]) -> tuple[Any, int]:
    """What it gives, and how many statements that took."""
    with CaptureQueriesContext(connection) as captured:
        found = ask()
    return found, len(captured)
