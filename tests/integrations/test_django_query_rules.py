"""Rules, keys and refusals of Django's cached queries: who is served what, and what is never cached."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import MultipleObjectsReturned
from django.db import connection, connections, models
from django.test.utils import CaptureQueriesContext
from integrations import django_site
from integrations.library.models import Author, Book, Copy
from integrations.shelves import statements

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.errors import ConfigurationError
from cachewright.integrations.django import ModelCache, QueryCache, cached
from cachewright.integrations.django.checking import check_rules
from cachewright.integrations.django.configuring import from_settings

PATIENT = Policy(timeouts=Timeouts(call=5, connect=5))


def test_a_rule_caches_the_queries_of_its_model(queries: QueryCache) -> None:
    def ask() -> Any:
        return Author.objects.get(pk=1).name

    assert [statements(ask) for _ in range(2)] == [("Ann", 1), ("Ann", 0)]
    assert statements(lambda: Author.objects.uncached().get(pk=1).name) == ("Ann", 1)
    assert statements(lambda: Book.objects.get(pk=1).title)[1] == 1
    assert statements(lambda: Book.objects.get(pk=1).title)[1] == 1, "it has no rule"


def test_what_belongs_to_a_write_is_read_from_the_database(queries: QueryCache) -> None:
    Author.objects.get(pk=1)
    _, asked = statements(lambda: Author.objects.get_or_create(pk=1))
    assert asked == 1


def test_related_objects_follow_the_rule_of_their_model(queries: QueryCache) -> None:
    book = Book.objects.get(pk=1)
    assert statements(lambda: book.author.name) == ("Ann", 1)
    book = Book.objects.get(pk=1)
    assert statements(lambda: book.author.name) == ("Ann", 0)


def test_a_queryset_with_a_manager_of_another_kind_can_be_cached(queries: QueryCache) -> None:
    Copy.objects.create(book_id=1)

    def ask() -> Any:
        return len(cached(Copy.objects.filter(book=1), 60))

    assert [statements(ask)[1] for _ in range(2)] == [1, 0]


def test_a_time_to_live_and_tags_of_ones_own(queries: QueryCache) -> None:
    def ask() -> Any:
        return Book.objects.cached(60, tags=["front page"]).count()

    ask()
    assert statements(ask)[1] == 0
    queries.cache.invalidate(tags=["front page"])
    assert statements(ask)[1] == 1
    assert statements(lambda: Book.objects.cached(0).count())[1] == 1, "it asks the database"


def test_each_caller_has_instances_of_its_own(queries: QueryCache) -> None:
    Book.objects.filter(pk=1).update(details={"pages": [1]})
    for ask in (lambda: Book.objects.cached().get(pk=1), lambda: ModelCache(Book).get(1)):
        first = ask()
        first.title = "scribbled on"
        first.details["pages"].append(2)
        first.author_id = 9
        second = ask()
        assert (second.title, second.details, second.author_id) == ("One", {"pages": [1]}, 1)
        assert second._state.db == "default"
        assert not second._state.adding
        second.title = "Saved"
        second.save()
        assert ask().title == "Saved"
        Book.objects.filter(pk=1).update(title="One")


def test_errors_are_those_of_django(queries: QueryCache) -> None:
    Book.objects.create(title="One")
    for _ in range(2):
        with pytest.raises(Book.DoesNotExist):
            Book.objects.cached().get(pk=99)
        with pytest.raises(Book.DoesNotExist):
            ModelCache(Book).get(99)
        with pytest.raises(MultipleObjectsReturned):
            Book.objects.cached().get(title="One")
    assert ModelCache(Book).get("no number", None) is None
    assert ModelCache(Book).get("1").pk == 1


def test_an_empty_queryset_asks_nobody(queries: QueryCache) -> None:
    assert statements(lambda: list(Book.objects.cached().none())) == ([], 0)
    assert statements(lambda: Book.objects.cached().filter(pk__in=[]).count()) == (0, 0)


def test_listeners_and_overrides_of_a_model_are_respected(queries: QueryCache) -> None:
    made: list[Any] = []

    def listen(instance: Any, **_: Any) -> None:
        made.append(instance.pk)

    Book.objects.cached().get(pk=1)
    models.signals.post_init.connect(listen, sender=Book)
    try:
        Book.objects.cached().get(pk=1)
    finally:
        models.signals.post_init.disconnect(listen, sender=Book)
    assert made == [1]


async def test_asynchronous_views_are_served_from_the_cache(queries: QueryCache) -> None:
    """Django runs the queries of all views in one thread of its own."""

    async def view() -> Any:
        books = Book.objects.cached(60)
        return (
            (await books.aget(pk=1)).title,
            [book.pk async for book in books.order_by("pk")],
            await books.acount(),
            await books.aexists(),
            (await books.aaggregate(n=models.Count("pk")))["n"],
            (await ModelCache(Book).aget(1)).title,
        )

    try:
        await view()
        captured = await sync_to_async(lambda: CaptureQueriesContext(connection).__enter__())()
        found = await asyncio.gather(*(view() for _ in range(3)))
        assert found == [("One", [1], 1, True, 1, "One")] * 3
        await sync_to_async(captured.__exit__)(None, None, None)
        assert len(captured) == 0
        await Book.objects.filter(pk=1).aupdate(title="New")
        assert (await view())[0] == "New"
    finally:
        await sync_to_async(django_site.forget)("default")


# -------------------------------------------------------------------- settings


def test_settings_describe_a_query_cache(
    library: Any, valkey: EmbeddedServer, namespace: str
) -> None:
    said = {
        "server": valkey.url,
        "options": {"namespace": namespace},
        "models": {"library.Author": {"ttl": 60, "tags": ["all authors"]}, "library.*": 5},
        "exact": ["library.Book"],
    }
    with from_settings(said) as queries:
        assert queries.rules.find("library.author").ttl == 60
        assert queries.rules.find("library.book").ttl == 5
        assert queries.rules.find("auth.user") is None
        Author.objects.create(pk=1, name="Ann")
        Author.objects.get(pk=1)
        assert statements(lambda: Author.objects.get(pk=1))[1] == 0
        queries.cache.invalidate(tags=["all authors"])
        assert statements(lambda: Author.objects.get(pk=1))[1] == 1
        queries.cache.close()


@pytest.mark.parametrize(
    "said",
    [
        {"servers": "redis://x"},
        {"models": {"Book": 60}},
        {"models": {"library.Book": -1}},
        {"models": {"library.Book": {"time": 60}}},
        {"models": {"library.Book": {"limit": 0}}},
    ],
)
def test_settings_that_cannot_work_are_refused(said: Any) -> None:
    with pytest.raises(ConfigurationError):
        from_settings(said)


def test_a_check_tells_of_rules_without_effect(library: Any) -> None:
    assert check_rules() == []
    rules = {"library.Author": 1, "library.Copy": 1, "library.Nothing": 1}
    with Cache() as cache, QueryCache(cache, models=rules):
        assert sorted(message.id for message in check_rules()) == [
            "cachewright.E001",
            "cachewright.W001",
        ]


def test_without_a_query_cache_querysets_are_plain_and_cached_is_refused(library: Any) -> None:
    Author.objects.create(pk=1, name="Ann")
    assert statements(lambda: Author.objects.get(pk=1))[1] == 1
    with pytest.raises(ConfigurationError, match="attach"):
        Author.objects.cached(60)
    with pytest.raises(ConfigurationError, match="attach"):
        ModelCache(Author).get(1)


def test_two_query_caches_cannot_be_attached(queries: QueryCache) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        QueryCache(queries.cache).attach()


def test_threads_have_results_of_their_own(queries: QueryCache) -> None:
    found: list[Any] = []

    def ask() -> None:
        found.append(Book.objects.cached().get(pk=1))
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(each) for each in found}) == 8
    assert {each.title for each in found} == {"One"}
