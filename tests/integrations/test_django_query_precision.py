"""A write takes what it makes wrong and leaves the rest: rows by key, queries by foreign keys and indexed columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from django.db import connection, transaction
from integrations.library.models import Atlas, Author, Book, Label, Leg, Member
from integrations.shelves import statements

from cachewright import Cache
from cachewright.integrations.django import ModelCache, QueryCache


@pytest.fixture
def queries(library: Any) -> Iterator[QueryCache]:
    """A query cache that reads the images of books; two authors with two books each."""
    with Cache() as cache, QueryCache(cache, exact=["library.Book"]) as attached:
        for number, name in ((1, "Ann"), (2, "Bob"), (3, "Cid")):
            Author.objects.create(pk=number, name=name)
        for number in range(1, 5):
            Book.objects.create(pk=number, title=f"Book {number}", author_id=1 + number % 2)
        yield attached


def by_author(number: int) -> Callable[[], Any]:
    return lambda: list(
        Book.objects.cached(60).filter(author=number).order_by("pk").values_list("pk", flat=True)
    )


def by_key(number: int) -> Callable[[], Any]:
    return lambda: Book.objects.cached(60).get(pk=number).title


def asked(*asks: Callable[[], Any]) -> list[int]:
    """How many statements each takes now; afterwards all are cached."""
    return [statements(ask)[1] for ask in asks]


KEYS = [by_key(number) for number in (1, 2, 3, 4)]
AUTHORS = [by_author(number) for number in (1, 2, 3)]


def test_a_write_of_one_row_leaves_the_others(queries: QueryCache) -> None:
    asked(*KEYS)
    Book.objects.filter(pk=2).update(title="New")
    assert asked(*KEYS) == [0, 1, 0, 0]
    book = Book.objects.get(pk=3)
    book.save()
    assert asked(*KEYS) == [0, 0, 1, 0]
    Book.objects.create(pk=9, title="Another")
    assert asked(*KEYS) == [0, 0, 0, 0]
    Book.objects.get(pk=4).labels.add(Label.objects.create(name="red"))
    assert asked(*KEYS) == [0, 0, 0, 0]


def test_queries_by_a_foreign_key_fall_only_where_the_row_was_or_is(queries: QueryCache) -> None:
    asked(*AUTHORS)
    Book.objects.filter(pk=1).update(author=3)  # from the second to the third
    assert asked(*AUTHORS) == [0, 1, 1]
    assert [ask() for ask in AUTHORS] == [[2, 4], [3], [1]]
    Book.objects.filter(pk=1).update(stock=7)  # the row of the third alone
    assert asked(*AUTHORS) == [0, 0, 1]
    Book.objects.create(pk=50, title="More", author_id=1)
    assert asked(*AUTHORS) == [1, 0, 0]
    Book.objects.get(pk=2).delete()
    assert asked(*AUTHORS) == [1, 0, 0]


def test_in_a_block_both_images_count(queries: QueryCache) -> None:
    asked(*AUTHORS)
    with transaction.atomic():
        Book.objects.filter(pk=1).update(author=3)
        Book.objects.filter(pk=1).update(author=1)
    assert asked(*AUTHORS) == [1, 1, 1], "there were three images"


def test_a_write_of_rows_that_are_not_named_takes_all_of_the_table(queries: QueryCache) -> None:
    asked(*KEYS, *AUTHORS)
    Book.objects.filter(stock=0).update(stock=1)
    assert asked(*KEYS, *AUTHORS) == [1] * 7


def test_without_the_images_a_write_takes_all_queries_by_other_columns(library: Any) -> None:
    """The control of precision; nothing is stale."""
    with Cache() as cache, QueryCache(cache):
        for number in (1, 2, 3):
            Author.objects.create(pk=number, name=str(number))
        Book.objects.create(pk=1, title="One", author_id=2)
        asked(*AUTHORS)
        Book.objects.filter(pk=1).update(author=3)
        assert asked(*AUTHORS) == [1, 1, 1]


def test_an_instance_that_is_behind_moves_where_the_row_really_was(queries: QueryCache) -> None:
    """Its old author is not what the instance says: somebody else has moved the row since."""
    behind = Book.objects.get(pk=1)
    Book.objects.filter(pk=1).update(author=3)
    asked(*AUTHORS)
    behind.author_id = 1
    behind.save()
    assert [ask() for ask in AUTHORS] == [[1, 2, 4], [3], []]


def test_keys_that_are_no_numbers_name_their_rows(queries: QueryCache) -> None:
    first, second = (Member.objects.create(name=name) for name in ("a", "b"))
    door = ModelCache(Member, 60)
    asks = [lambda: door.get(str(first.pk)), lambda: door.get(second.pk)]
    asked(*asks)
    Member.objects.filter(pk=first.pk).update(name="c")
    assert asked(*asks) == [1, 0]
    assert door.get(first.pk).name == "c"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE library_member SET name = 'd'")
    assert asked(*asks) == [1, 1]


def test_tables_that_a_query_does_not_read_are_nothing_to_it(queries: QueryCache) -> None:
    asked(*KEYS, *AUTHORS)
    Author.objects.filter(pk=1).update(name="Anna")
    Label.objects.create(name="blue")
    assert asked(*KEYS, *AUTHORS) == [0] * 7


def test_keys_of_several_columns_name_their_rows(queries: QueryCache) -> None:
    day = date(2020, 1, 2)
    Leg.objects.bulk_create([Leg(flight=name, day=day, seats=1) for name in "AB"])
    door = ModelCache(Leg, 60)
    asks = [lambda name=name: door.get((name, day)).seats for name in "AB"]
    more = [
        lambda: door.get_many([("A", day), ("C", day)]).keys(),
        lambda: list(Leg.objects.cached().values_list("pk", "seats")),
    ]
    asked(*asks, *more)
    assert asked(*asks, *more) == [0, 0, 0, 0]
    assert more[0]() == {("A", day)}
    assert more[1]()[0] == (("A", day), 1)
    Leg.objects.filter(pk=("A", day)).update(seats=5)
    # PostgreSQL is asked for (flight, day) = (…, …), which counts as a query of the table.
    assert asked(*asks) == [1, 1 if connection.vendor == "postgresql" else 0]
    assert asks[0]() == 5


def test_rows_in_several_tables_are_rows_by_key_too(queries: QueryCache) -> None:
    atlas = Atlas.objects.create(pk=60, title="World", scale=1000)
    door = ModelCache(Atlas, 60)

    def ask() -> tuple[str, int]:
        found = door.get(atlas.pk)
        assert door.get_many([atlas.pk])[atlas.pk].title == found.title
        return found.title, found.scale

    assert [statements(ask)[1] for _ in range(2)] == [2, 0]
    Book.objects.filter(pk=atlas.pk).update(title="Sea")
    assert ask() == ("Sea", 1000)
    atlas.refresh_from_db()
    atlas.scale = 5
    atlas.save()
    assert ask() == ("Sea", 5)
