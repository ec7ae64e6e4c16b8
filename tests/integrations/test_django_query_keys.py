"""Keys, refusals and dependencies of Django's cached queries: who is served what, and what is never cached."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, models
from django.db.models.functions import Now
from django.test.utils import override_settings
from integrations import django_site
from integrations.library.models import Author, Book, Member, Titled
from integrations.shelves import statements

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.django import ModelCache, QueryCache, cached

PATIENT = Policy(timeouts=Timeouts(call=5, connect=5))


# -------------------------------------------------------------------- keys


@pytest.fixture
def other(library: Any, tmp_path: Path) -> Iterator[Any]:
    """A second database."""
    with django_site.databases.use(django_site.sqlite(tmp_path / "other.db"), "other") as made:
        yield made


def test_databases_are_kept_apart_and_a_write_reaches_both(queries: QueryCache, other: Any) -> None:
    def title(using: str) -> str:
        return str(Book.objects.using(using).cached().get(pk=1).title)

    Book.objects.using("other").create(pk=1, title="There")
    assert [title("default"), title("other")] == ["One", "There"]
    book = Book.objects.using("other").cached().get(pk=1)
    assert book._state.db == "other"
    Book.objects.using("other").filter(pk=1).update(title="New there")
    assert [title("default"), title("other")] == ["One", "New there"]
    assert ModelCache(Book, using="other").get(1).title == "New there"
    assert ModelCache(Book).get(1).title == "One"


def test_a_replica_that_lags_fills_nothing(library: Any, other: Any) -> None:
    def title() -> str:
        return str(Book.objects.cached().get(pk=1).title)

    routed = override_settings(DATABASE_ROUTERS=["integrations.django_site.ToTheReplica"])
    with routed, Cache() as cache, QueryCache(cache, replicas=["other"]):
        Book.objects.using("other").create(pk=1, title="Old")
        assert title() == "Old"
        Book.objects.using("default").create(pk=1, title="New")
        assert title() == "Old", "the replica has not heard of it"
        with other.cursor() as cursor:
            cursor.cursor.execute("UPDATE library_book SET title = 'New' WHERE id = 1")
        assert title() == "New", "replicated, unseen by this process: nothing old was kept"


def test_defect_82_parameters_of_all_types_have_a_key_and_no_two_share_one(
    queries: QueryCache,
) -> None:
    Book.objects.create(pk=2, title="1", price=Decimal("2.50"), printed=date(2020, 1, 2))
    asks = [
        lambda: Book.objects.cached().filter(price=Decimal("2.50")),
        lambda: Book.objects.cached().filter(printed=date(2020, 1, 2)),
        lambda: Book.objects.cached().filter(changed__gt=datetime(2020, 1, 1, tzinfo=UTC)),
        lambda: Book.objects.cached().filter(title="1"),
        lambda: Book.objects.cached().filter(title="a:b", stock=0),
        lambda: Book.objects.cached().filter(title="a", stock=0),
        lambda: Book.objects.cached().filter(title="", stock=0),
        lambda: Book.objects.cached().filter(title__in=["a,b", "c"]),
        lambda: Book.objects.cached().filter(title__in=["a", "b,c"]),
        lambda: Member.objects.cached().filter(code="12345678-1234-5678-1234-567812345678"),
    ]
    found = [(list(ask()), statements(lambda ask=ask: list(ask()))[1]) for ask in asks]
    assert [asked for _, asked in found] == [0] * len(asks)
    assert [sorted(each.pk for each in rows) for rows, _ in found] == [
        [2],
        [2],
        [1, 2],
        [2],
        [],
        [],
        [],
        [],
        [],
        [],
    ]


def test_defect_83_a_session_with_settings_of_its_own_is_not_served_from_the_cache(
    queries: QueryCache,
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("sessions of this database have no schemas and roles")

    def titles() -> list[str]:
        return list(Book.objects.cached().values_list("title", flat=True))

    assert titles() == ["One"]
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA tenant CREATE TABLE library_book (LIKE public.library_book)")
        cursor.execute("SET search_path = tenant")
        try:
            assert titles() == []
        finally:
            cursor.execute("DROP SCHEMA tenant CASCADE")
    connection.close()
    assert titles() == ["One"]


@contextmanager
def told_more(options: dict[str, Any]) -> Iterator[None]:
    """As in a process whose settings give the same database these options too."""
    before = connections.settings["default"]
    django_site.databases.reset("default", {**before, "OPTIONS": {**before["OPTIONS"], **options}})
    try:
        yield
    finally:
        django_site.databases.reset("default", before)


@pytest.mark.parametrize("by", ["the options of the alias", "the role"])
def test_processes_with_another_search_path_are_kept_apart(library: Any, by: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("sessions of this database have no schemas and roles")
    Book.objects.create(pk=1, title="One")

    def shown() -> Any:
        return [each.title for each in Book.objects.cached()], ModelCache(Book).get(1, None) is None

    def run(sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    run("CREATE SCHEMA tenant CREATE TABLE library_book (LIKE public.library_book)")
    options = {"options": "-c search_path=tenant,public"} if by != "the role" else {}
    try:
        with Cache() as cache:
            with QueryCache(cache):
                assert shown() == (["One"], False)
            if not options:
                run("ALTER ROLE CURRENT_USER SET search_path = tenant, public")
            with told_more(options), QueryCache(cache):
                assert shown() == ([], True)
    finally:
        run("ALTER ROLE CURRENT_USER RESET search_path")
        run("DROP SCHEMA tenant CASCADE")


def test_a_scope_keeps_tenants_apart_in_one_cache(library: Any) -> None:
    tenant = ["a"]
    with Cache() as cache, QueryCache(cache, scope=lambda _: tenant[0]):
        Book.objects.create(pk=1, title="One")

        def ask() -> Any:
            return Book.objects.cached().get(pk=1).title, ModelCache(Book).get(1).title

        assert [statements(ask)[1] for _ in range(2)] == [2, 0]
        tenant[0] = "b"
        assert [statements(ask)[1] for _ in range(2)] == [2, 0]


# -------------------------------------------------------------------- what is never cached


def test_defect_88_what_is_volatile_or_locks_is_never_cached(
    queries: QueryCache, told: list[str]
) -> None:
    volatile = [
        lambda: list(Book.objects.cached().order_by("?")),
        lambda: list(Book.objects.cached().annotate(now=Now())),
        lambda: list(Book.objects.cached().filter(changed__lt=Now())),
    ]
    for ask in volatile:
        assert [statements(ask)[1] for _ in range(2)] == [1, 1]
    assert len(told) == 6
    assert any("now" in why or "timestamp" in why.lower() for why in told)


def test_a_result_that_is_too_large_is_returned_and_not_kept(queries: QueryCache) -> None:
    from cachewright.integrations.django.rules import Rule

    Book.objects.bulk_create([Book(title=str(n)) for n in range(50)])
    queries.detach()
    with Cache() as cache, QueryCache(cache, models={"library.Book": Rule(60, limit=100)}):
        assert [statements(lambda: len(Book.objects.all()))[1] for _ in range(2)] == [1, 1]
        assert [statements(lambda: len(Book.objects.all()[:3]))[1] for _ in range(2)] == [1, 0]


def test_an_iterator_reads_around_the_cache(queries: QueryCache) -> None:
    asks = [statements(lambda: list(Book.objects.cached().iterator()))[1] for _ in range(2)]
    assert asks == [1, 1]


def test_defect_81_nothing_is_pickled(
    library: Any, valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a pickle")

    Book.objects.create(pk=1, title="One")
    for name in ("dumps", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    for _ in range(2):
        with Cache(valkey.url, namespace=namespace, policy=PATIENT) as cache, QueryCache(cache):
            assert Book.objects.cached().get(pk=1).title == "One"
            assert ModelCache(Book).get(1).title == "One"
    with Cache(valkey.url, namespace=namespace, policy=PATIENT) as cache, QueryCache(cache):
        assert (
            statements(lambda: (Book.objects.cached().get(pk=1), ModelCache(Book).get(1)))[1] == 0
        )


# -------------------------------------------------------------------- dependencies


@contextmanager
def made(*texts: str, undo: tuple[str, ...]) -> Iterator[None]:
    """What the database holds beside the models' tables."""
    with connection.cursor() as cursor:
        for text in texts:
            cursor.execute(text)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for text in undo:
                cursor.execute(text)


def test_defect_84_a_view_depends_on_what_it_selects(queries: QueryCache) -> None:
    view = "CREATE VIEW library_titled AS SELECT id, title FROM library_book WHERE stock = 0"
    with made(view, undo=("DROP VIEW library_titled",)):

        def ask() -> list[str]:
            return [each.title for each in cached(Titled.objects.all(), 60)]

        assert [statements(ask) for _ in range(2)] == [(["One"], 1), (["One"], 0)]
        Book.objects.filter(pk=1).update(title="New")
        assert ask() == ["New"]


def test_defect_84_what_a_trigger_writes_is_seen(queries: QueryCache) -> None:
    undo: tuple[str, ...]
    if connection.vendor == "sqlite":
        texts: tuple[str, ...] = (
            "CREATE TRIGGER renamed AFTER UPDATE ON library_book BEGIN UPDATE library_author SET name = NEW.title; END",
        )
        undo = ("DROP TRIGGER renamed",)
    else:
        body = "BEGIN UPDATE library_author SET name = NEW.title; RETURN NEW; END"
        texts = (
            f"CREATE FUNCTION rename() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
            "CREATE TRIGGER renamed AFTER UPDATE ON library_book FOR EACH ROW EXECUTE FUNCTION rename()",
        )
        undo = ("DROP TRIGGER renamed ON library_book", "DROP FUNCTION rename()")
    with made(*texts, undo=undo):
        assert Author.objects.get(pk=1).name == "Ann"
        Book.objects.filter(pk=1).update(title="By trigger")
        assert Author.objects.get(pk=1).name == "By trigger"


def test_what_only_the_application_knows_can_be_declared(library: Any) -> None:
    with Cache() as cache, QueryCache(cache, writes={"library_label": ["library_book"]}):
        Book.objects.create(pk=1, title="One")
        from integrations.library.models import Label

        def ask() -> Any:
            return Book.objects.cached().get(pk=1)

        ask()
        assert statements(ask)[1] == 0
        Label.objects.create(name="red")
        assert statements(ask)[1] == 1


def test_a_statement_that_nobody_can_read_takes_everything_and_is_told(
    library: Any,
) -> None:
    told: list[str] = []

    with Cache(listeners=[lambda event: told.append(event.kind)]) as cache, QueryCache(cache):
        Book.objects.create(pk=1, title="One")
        Book.objects.cached().get(pk=1)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE library_aside (id integer)")
            cursor.execute("DROP TABLE library_aside")
        assert "everything_invalidated" in told
        assert statements(lambda: Book.objects.cached().get(pk=1))[1] == 1


def test_defect_85_an_entry_of_any_age_falls(library: Any) -> None:
    from cachewright.testing import FakeClock

    clock = FakeClock()
    with Cache(clock=clock) as cache, QueryCache(cache):
        Book.objects.create(pk=1, title="One")

        def ask() -> str:
            return str(Book.objects.cached(86_400).filter(stock=0).first().title)

        assert ask() == "One"
        clock.advance(80_000)
        assert statements(ask)[1] == 0
        Book.objects.filter(pk=1).update(title="New")
        assert ask() == "New"


def test_defect_86_a_count_falls_with_the_rows_that_it_counts(queries: QueryCache) -> None:
    def ask() -> int:
        return int(Book.objects.cached().filter(stock__gt=2).count())

    assert ask() == 0
    Book.objects.filter(pk=1).update(stock=3)
    assert ask() == 1


def test_defect_89_a_cached_queryset_is_a_queryset_of_django(queries: QueryCache) -> None:
    books = Book.objects.cached(60).filter(title__startswith="O").exclude(stock=9)
    assert isinstance(books, models.QuerySet)
    assert [statements(lambda: [b.title for b in books.all()]) for _ in range(2)] == [
        (["One"], 1),
        (["One"], 0),
    ]
    assert list(books | books.none()) == list(books)
    assert Book.objects.filter(pk__in=books).update(title="Another") == 1
    assert list(books.all()) == []
