"""Write-through in a transaction of Django: marked with the write, filled at the commit, dropped at a rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.db import connections, models, transaction

from cachewright import MISSING, Cache
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteError
from cachewright.integrations.django import transactions
from cachewright.integrations.django.source import ModelSource
from cachewright.integrations.django.transactions import DjangoTransaction
from cachewright.patterns._sync.write_through import WriteThrough
from rig.proxy import FaultProxy

if not settings.configured:
    settings.configure()
if not django.apps.apps.ready:
    django.setup()

USING = "write_through"


class Guest(models.Model):
    """A row with a default."""

    name = models.CharField(max_length=50)
    stars = models.IntegerField(db_default=3)

    class Meta:
        """Belongs to no installed application."""

        app_label = "write_through"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    """A SQLite file with the table."""
    engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "guests.db")}
    connections.settings[USING] = connections.configure_settings({"default": {}, USING: engine})[
        USING
    ]
    with connections[USING].schema_editor() as editor:
        editor.create_model(Guest)
    yield connections[USING]
    connections[USING].close()
    del connections.settings[USING]
    del connections[USING]


Guests = Callable[..., tuple[WriteThrough, Cache]]


@pytest.fixture
def guests(database: Any, namespace: str) -> Iterator[Guests]:
    """A door to the guests; row 1 is there and cached."""
    made: list[Cache] = []

    def make(url: str | None, **options: Any) -> tuple[WriteThrough, Cache]:
        cache = Cache(url, namespace=namespace)
        made.append(cache)
        door = WriteThrough(cache, ModelSource(Guest, USING, into=dict), **options)
        door.source.save({"id": 1, "name": "Old"})
        assert door.get(1)["name"] == "Old"
        return door, cache

    yield make
    for cache in made:
        cache.close()


@pytest.fixture(params=["memory", "valkey"])
def url(request: pytest.FixtureRequest, valkey: EmbeddedServer) -> str | None:
    return None if request.param == "memory" else valkey.url


def put(door: WriteThrough, number: int, name: str) -> Any:
    return door.put({"id": number, "name": name}, session=DjangoTransaction(USING))


def test_what_a_block_commits_is_cached_from_then_on(url: str | None, guests: Guests) -> None:
    door, cache = guests(url)
    with transaction.atomic(using=USING):
        assert put(door, 1, "New") == {"id": 1, "name": "New", "stars": 3}
        put(door, 2, "Second")
        assert cache.get(door.key(1)) is MISSING, "marked from here on, and not yet filled"
    assert cache.get(door.key(1)) == {"id": 1, "name": "New", "stars": 3}
    assert cache.get(door.key(2))["name"] == "Second"


def test_what_is_cached_is_what_was_committed_and_not_what_was_put(
    url: str | None, guests: Guests
) -> None:
    door, cache = guests(url)
    with transaction.atomic(using=USING):
        put(door, 1, "put")
        Guest.objects.using(USING).filter(pk=1).update(name="Later")
    assert cache.get(door.key(1))["name"] == "Later"


def test_a_block_that_is_rolled_back_leaves_nothing_and_no_mark(
    url: str | None, guests: Guests
) -> None:
    door, cache = guests(url)

    def broken() -> None:
        with transaction.atomic(using=USING):
            put(door, 1, "New")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert cache.get(door.key(1)) is MISSING
    assert door.get(1)["name"] == "Old"
    assert cache.get(door.key(1))["name"] == "Old", "it could be filled: no mark was left"


def test_a_savepoint_that_is_rolled_back_takes_its_rows_with_it(
    url: str | None, guests: Guests
) -> None:
    door, cache = guests(url)
    with transaction.atomic(using=USING):
        put(door, 2, "outside")
        savepoint = transaction.savepoint(using=USING)
        put(door, 3, "inside")
        transaction.savepoint_rollback(savepoint, using=USING)
    assert cache.get(door.key(2))["name"] == "outside"
    assert cache.get(door.key(3)) is MISSING
    assert door.get(3) is MISSING


def test_a_row_that_is_written_twice_in_a_block_is_cached_as_it_was_last(
    url: str | None, guests: Guests
) -> None:
    door, cache = guests(url)
    with transaction.atomic(using=USING):
        put(door, 1, "First")
        put(door, 2, "Between")
        put(door, 1, "Last")
        door.put_many(
            [{"id": 2, "name": "Again"}, {"id": 3, "name": "New"}], session=DjangoTransaction(USING)
        )
        assert cache.get(door.key(1)) is MISSING
    assert [cache.get(door.key(n))["name"] for n in (1, 2, 3)] == ["Last", "Again", "New"]


def test_with_a_mark_for_each_write_of_the_row_nothing_would_be_cached(
    url: str | None, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: each stands in the way of the other."""
    monkeypatch.setattr(transactions, "_marks_of", lambda _, *write: [transactions._Marks(*write)])
    door, cache = guests(url)
    with transaction.atomic(using=USING):
        put(door, 1, "First")
        put(door, 1, "Last")
    assert cache.get(door.key(1)) is MISSING


def test_a_second_write_that_is_rolled_back_leaves_the_first_to_be_cached(
    url: str | None, guests: Guests
) -> None:
    door, cache = guests(url)
    with transaction.atomic(using=USING):
        put(door, 1, "kept")
        savepoint = transaction.savepoint(using=USING)
        put(door, 1, "rolled back")
        transaction.savepoint_rollback(savepoint, using=USING)
    assert cache.get(door.key(1))["name"] == "kept"


def test_a_block_that_wrote_twice_and_is_rolled_back_leaves_no_mark(
    url: str | None, guests: Guests
) -> None:
    door, cache = guests(url)
    with transaction.atomic(using=USING):
        put(door, 1, "First")
        put(door, 1, "Last")
        transaction.set_rollback(True, using=USING)
    assert door.get(1)["name"] == "Old"
    assert cache.get(door.key(1))["name"] == "Old", "it could be filled: no mark was left"


def test_a_write_that_another_process_commits_in_between_is_not_covered_up(
    valkey: EmbeddedServer, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It marks the row after us and is done before we have told what we read: its row is newer than that."""
    door, cache = guests(valkey.url)
    other, _ = guests(valkey.url)
    load_many = door.source.load_many

    def overtaken(identities: Any) -> Any:
        found = load_many(identities)
        monkeypatch.undo()
        other.put({"id": 1, "name": "Newer"})
        return found

    with transaction.atomic(using=USING):
        put(door, 1, "First")
        put(door, 1, "Last")
        monkeypatch.setattr(door.source, "load_many", overtaken)
    assert Guest.objects.using(USING).get(pk=1).name == "Newer"
    assert cache.get(door.key(1), {"name": "Newer"})["name"] == "Newer"
    assert other.get(1)["name"] == "Newer"


def test_without_a_block_each_write_commits_by_itself(url: str | None, guests: Guests) -> None:
    door, cache = guests(url)
    put(door, 1, "New")
    assert cache.get(door.key(1))["name"] == "New"
    assert door.delete(1, session=DjangoTransaction(USING))
    assert door.get(1) is MISSING


def test_a_strict_write_is_refused_with_its_statement(
    valkey: EmbeddedServer, guests: Guests
) -> None:
    with FaultProxy(valkey.url) as proxy:
        door, _ = guests(proxy.url, consistency="strict")
        proxy.refuse()
        proxy.cut()

        def write() -> None:
            with transaction.atomic(using=USING):
                put(door, 1, "New")

        with pytest.raises(RemoteError):
            write()
        assert Guest.objects.using(USING).get(pk=1).name == "Old"
        proxy.heal()


def test_an_error_of_the_source_after_the_commit_is_none_of_the_write(
    url: str | None, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, cache = guests(url)

    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(door.source, "load_many", broken)
        put(door, 1, "New")
    assert cache.get(door.key(1)) is MISSING
    assert door.get(1)["name"] == "New"


def test_a_door_that_does_not_know_of_the_block_leaves_a_phantom(
    valkey: EmbeddedServer, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(ModelSource, "ambient", None, raising=False)
    door, cache = guests(valkey.url)
    with transaction.atomic(using=USING):
        door.put({"id": 1, "name": "phantom"})
        transaction.set_rollback(True, using=USING)
    assert cache.get(door.key(1))["name"] == "phantom"
    assert Guest.objects.using(USING).get(pk=1).name == "Old"
