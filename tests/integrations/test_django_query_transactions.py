"""What a transaction of Django does to cached queries: nothing until it commits, everything from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError
from integrations.library.models import Author, Book, Label
from integrations.shelves import in_a_thread, statements

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.django import ModelCache, QueryCache
from cachewright.integrations.django.ledger import Ledger
from cachewright.integrations.django.queries import Standing

PATIENT = Policy(timeouts=Timeouts(call=5, connect=5))


@pytest.fixture(params=["memory", "valkey", "valkey in one phase"])
def queries(
    request: pytest.FixtureRequest, library: Any, valkey: EmbeddedServer, namespace: str
) -> Iterator[QueryCache]:
    """A query cache with and without a server, and one book."""
    url = None if request.param == "memory" else valkey.url
    cache = Cache(url, namespace=namespace, policy=PATIENT)
    with cache, QueryCache(cache, crash_safe="one phase" not in request.param) as attached:
        Book.objects.create(title="Old")
        yield attached


def title() -> str:
    return str(Book.objects.cached(60).get(pk=1).title)


def retitle(text: str) -> None:
    Book.objects.filter(pk=1).update(title=text)


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_a_block_sees_what_it_wrote_and_others_do_not_before_it_commits(
    queries: QueryCache,
) -> None:
    assert title() == "Old"
    with transaction.atomic():
        retitle("New")
        assert title() == "New"
        assert in_a_thread(title) == "Old"
    assert title() == "New"
    assert in_a_thread(title) == "New"


def test_what_was_read_while_a_block_was_open_is_not_kept_after_it(queries: QueryCache) -> None:
    with transaction.atomic():
        retitle("New")
        for _ in range(3):
            assert in_a_thread(title) == "Old"
    assert title() == "New"


def test_a_block_that_is_rolled_back_leaves_nothing(queries: QueryCache) -> None:
    with rolled_back():
        retitle("Phantom")
        assert title() == "Phantom"
    assert title() == "Old"
    assert statements(title) == ("Old", 0), "no mark was left: it could be filled"


def test_without_regard_for_transactions_a_phantom_stays(
    queries: QueryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a cache that is told of each statement, as of a commit."""
    monkeypatch.setattr(QueryCache, "standing", lambda self, alias: Standing.FREE)
    monkeypatch.setattr(
        Ledger,
        "wrote",
        lambda self, connection, tags: self._writes._cache.engine.invalidate([], tags),
    )
    with rolled_back():
        retitle("Phantom")
        assert title() == "Phantom"
    assert title() == "Phantom"


def test_without_marks_what_was_read_before_the_commit_stays(
    queries: QueryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: as above, but reads go around the cache."""
    monkeypatch.setattr(
        Ledger,
        "wrote",
        lambda self, connection, tags: self._writes._cache.engine.invalidate([], tags),
    )
    with transaction.atomic():
        retitle("New")
        assert in_a_thread(title) == "Old"
    assert title() == "Old"


def test_a_savepoint_that_is_rolled_back_takes_its_writes_with_it(queries: QueryCache) -> None:
    Book.objects.create(pk=2, title="Second")
    second = Book.objects.cached(60).filter(pk=2).values_list("title", flat=True)
    with transaction.atomic():
        retitle("Outside")
        with rolled_back():
            Book.objects.filter(pk=2).update(title="Inside")
        assert list(second.all()) == ["Second"]
    assert title() == "Outside"
    assert list(second.all()) == ["Second"]
    assert statements(lambda: list(second.all())) == (["Second"], 0)


def test_what_a_savepoint_repeats_is_still_wrong_after_its_rollback(queries: QueryCache) -> None:
    title()
    with transaction.atomic():
        with rolled_back():
            retitle("Inside")
        retitle("Outside")
        assert in_a_thread(title) == "Old"
    assert title() == "Outside"


def test_a_released_savepoint_commits_with_its_block(queries: QueryCache) -> None:
    title()
    with transaction.atomic():
        with transaction.atomic():
            retitle("Inside")
        assert in_a_thread(title) == "Old"
    assert title() == "Inside"


def test_an_error_in_a_block_leaves_what_was_there(queries: QueryCache) -> None:
    Label.objects.create(name="red")
    title()

    def broken() -> None:
        with transaction.atomic():
            retitle("New")
            Label.objects.create(name="red")

    with pytest.raises(IntegrityError):
        broken()
    assert title() == "Old"
    assert statements(title) == ("Old", 0)


def test_a_block_that_only_reads_is_served(queries: QueryCache) -> None:
    title()
    with transaction.atomic():
        title()  # the first of a connection asks how isolated its transactions are
    with transaction.atomic():
        _, asked = statements(title)
    assert asked == 0


def test_a_block_that_locks_reads_for_itself_from_then_on(queries: QueryCache) -> None:
    title()
    if not connection.features.has_select_for_update:
        pytest.skip("this database locks no rows")
    with transaction.atomic():
        Book.objects.select_for_update().get(pk=1)
        _, asked = statements(title)
    assert asked == 1


def test_a_long_block_marks_by_the_table(queries: QueryCache) -> None:
    Book.objects.bulk_create([Book(pk=n, title="Old") for n in range(2, 400)])
    door = ModelCache(Book, 60)
    assert {each.title for each in door.get_many(range(1, 400)).values()} == {"Old"}
    with transaction.atomic():
        for number in range(1, 400):
            Book.objects.filter(pk=number).update(title="New")
        assert in_a_thread(lambda: door.get(399).title) == "Old"
    assert {each.title for each in door.get_many(range(1, 400)).values()} == {"New"}


def test_commits_by_hand_are_right_while_they_last_and_afterwards(queries: QueryCache) -> None:
    title()
    transaction.set_autocommit(False)
    try:
        retitle("New")
        assert title() == "New"
        transaction.commit()
        assert in_a_thread(title) == "New"
    finally:
        transaction.set_autocommit(True)
    assert title() == "New"
    assert statements(title) == ("New", 0)


def test_a_connection_that_is_lost_in_a_block_leaves_nothing(queries: QueryCache) -> None:
    with transaction.atomic():
        retitle("Phantom")
        connection.close()
    assert title() == "Old"
    assert statements(title) == ("Old", 0)


def test_a_row_that_was_not_there_is_found_once_it_is(queries: QueryCache) -> None:
    door = ModelCache(Author, 60)
    made: list[Callable[[int], Any]] = [
        lambda n: Author.objects.create(name="saved"),
        lambda n: Author.objects.bulk_create([Author(name="bulk")]),
        lambda n: Author.objects.bulk_create([Author(pk=n, name="bulk with a key")]),
        lambda n: connection.cursor().execute("INSERT INTO library_author (name) VALUES ('raw')"),
        lambda n: Author(pk=n, name="with a key").save(),
    ]
    for make in made[:2] + made[3:4]:
        number = max([0, *Author.objects.values_list("pk", flat=True)]) + 1
        assert door.get(number, None) is None
        assert not Author.objects.cached(60).filter(pk=number).exists()
        make(number)
        assert door.get(number).pk == number
        assert Author.objects.cached(60).filter(pk=number).exists()
    for make in (made[2], made[4]):
        number = 1000 + made.index(make)
        assert door.get(number, None) is None
        make(number)
        assert door.get(number).pk == number


def test_what_is_made_from_cached_queries_falls_with_them(queries: QueryCache) -> None:
    def page() -> str:
        made = queries.cache.get_or_load(
            "page", lambda: f"{title()} {ModelCache(Book).get(1).title}"
        )
        return str(made)

    assert page() == "Old Old"
    assert statements(page) == ("Old Old", 0)
    retitle("New")
    assert page() == "New New"


def test_what_is_made_in_a_block_that_has_written_is_not_kept(queries: QueryCache) -> None:
    def page() -> str:
        return str(queries.cache.get_or_load("page", title))

    with rolled_back():
        retitle("Phantom")
        assert page() == "Phantom"
    assert page() == "Old"


def test_copies_of_a_queryset_are_cached_as_it_is(queries: QueryCache) -> None:
    never, kept = Book.objects.uncached().filter(pk=1), Book.objects.cached(60).filter(pk=1)
    by_rule = Book.objects.filter(pk=1)
    kept.get()
    asks = [lambda each=each: deepcopy(each).get() for each in (never, by_rule, kept)]
    assert [statements(ask)[1] for ask in asks] == [1, 1, 0]
    assert [statements(ask)[1] for ask in asks] == [1, 1, 0]
