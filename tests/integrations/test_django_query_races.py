"""Threads, processes and snapshots beside each other: no cached query of Django is older than a write that was done."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from integrations.library.models import Author, Book
from integrations.shelves import in_a_thread, statements

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.integrations.django import QueryCache, replay
from cachewright.integrations.django.queries import Standing
from rig.proxy import FaultProxy
from rig.waiting import eventually

PATIENT = Policy(timeouts=Timeouts(call=5, connect=5))


@pytest.fixture(params=["memory", "valkey"])
def queries(
    request: pytest.FixtureRequest, library: Any, valkey: EmbeddedServer, namespace: str
) -> Iterator[QueryCache]:
    """A query cache with and without a server, and one book."""
    cache = Cache(
        None if request.param == "memory" else valkey.url, namespace=namespace, policy=PATIENT
    )
    with cache, QueryCache(cache) as attached:
        Book.objects.create(title="Old")
        yield attached


def title() -> str:
    return str(Book.objects.cached(60).get(pk=1).title)


def retitle(text: str) -> None:
    Book.objects.filter(pk=1).update(title=text)


def test_nobody_reads_what_is_older_than_a_write_that_was_done(queries: QueryCache) -> None:
    """Threads that read a counter, and one that commits it; each read is at least what was committed before it began."""
    assert _too_old(lambda: Book.objects.cached(60).get(pk=1).stock) == 0


def test_a_cache_that_forgets_after_the_write_is_too_old_at_times(
    queries: QueryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: look, load, store; and delete when a write is done, with a reader caught between load and store."""
    kept: dict[str, int] = {}
    queries.detach()
    loaded, written = threading.Event(), threading.Event()

    def read() -> int:
        if "stock" not in kept:
            found = Book.objects.get(pk=1).stock
            loaded.set()
            written.wait(5)
            kept["stock"] = found
        return kept["stock"]

    reader = threading.Thread(target=lambda: in_a_thread(read))
    reader.start()
    loaded.wait(5)
    Book.objects.filter(pk=1).update(stock=1)
    kept.pop("stock", None)
    written.set()
    reader.join()
    assert read() == 0


def _too_old(read: Callable[[], int]) -> int:
    committed, stop, wrong = [0], threading.Event(), []

    def reading() -> None:
        while not stop.is_set():
            least = committed[0]
            if read() < least:
                wrong.append(least)

    readers = [threading.Thread(target=lambda: in_a_thread(reading)) for _ in range(3)]
    for each in readers:
        each.start()
    for number in range(1, 60):
        if number % 3:
            Book.objects.filter(pk=1).update(stock=number)
        else:
            with transaction.atomic():
                Book.objects.filter(pk=1).update(stock=number)
        committed[0] = number
    stop.set()
    for each in readers:
        each.join()
    return len(wrong)


def test_a_reader_caught_between_load_and_store_stores_nothing(
    queries: QueryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, written = threading.Event(), threading.Event()
    fetch = replay.Compiled.fetch

    def slow(self: Any) -> Any:
        found = fetch(self)
        if threading.current_thread() is not threading.main_thread():
            loaded.set()
            written.wait(10)
        return found

    monkeypatch.setattr(replay.Compiled, "fetch", slow)
    caught: list[str] = []
    reader = threading.Thread(target=lambda: caught.append(in_a_thread(title)))
    reader.start()
    loaded.wait(10)
    retitle("New")
    written.set()
    reader.join()
    assert caught == ["Old"], "it began before the write"
    assert title() == "New"


def test_an_old_snapshot_fills_nothing(queries: QueryCache) -> None:
    assert _after_an_old_snapshot() == "New"


def test_an_old_snapshot_that_may_fill_leaves_an_old_value(
    queries: QueryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(QueryCache, "standing", lambda self, alias: Standing.FREE)
    assert _after_an_old_snapshot() == "Old"


def _after_an_old_snapshot() -> str:
    """A transaction begins to read, another commits, the first reads a title for the first time."""
    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["transaction_mode"] = "DEFERRED"
        connection.close()
        connection.transaction_mode = None
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert Author.objects.count() == 0
            in_a_thread(lambda: retitle("New"))
            assert title() == "Old", "as its snapshot has it"
    finally:
        connection.settings_dict["OPTIONS"].pop("transaction_mode", None)
    return title()


def test_the_watcher_stays_when_another_wrapper_is_taken_away(queries: QueryCache) -> None:
    def other(execute: Any, *rest: Any) -> Any:
        return execute(*rest)

    connection.close()

    def work() -> str:
        with connection.execute_wrapper(other):
            title()  # the connection is made in here
        retitle("New")
        return title()

    assert in_a_thread(work) == "New"


def test_a_process_that_dies_after_its_commit_leaves_nothing_old(
    library: Any, valkey: EmbeddedServer, namespace: str
) -> None:
    assert _after_a_crash(valkey.url, namespace, crash_safe=True) == "New"


def test_in_one_phase_a_process_that_dies_after_its_commit_leaves_an_old_result(
    library: Any, valkey: EmbeddedServer, namespace: str
) -> None:
    """The control, and what the option says."""
    assert _after_a_crash(valkey.url, namespace, crash_safe=False) == "Old"


def _after_a_crash(url: str, namespace: str, *, crash_safe: bool) -> str:
    """A writer commits and is heard of no more; another process reads."""
    with Cache(url, namespace=namespace, policy=PATIENT) as cache:
        Book.objects.create(title="Old")
        with Cache(url, namespace=namespace, policy=PATIENT) as writing:
            with QueryCache(cache):
                assert title() == "Old"
            with QueryCache(writing, crash_safe=crash_safe):
                died = QueryCache(writing).cache.engine
                died.invalidate = lambda *_, **__: None  # what comes after the commit does not come
                retitle("New")
        with QueryCache(cache):
            return title()


WRITER = """
import sys
from integrations import django_site
django_site.set_up()
from django.db import connections
from cachewright import Cache
from cachewright.integrations.django import QueryCache
from integrations.library.models import Book
engine, url, namespace, watched = {given!r}
django_site.forget("default")
connections.settings["default"] = connections.configure_settings({{"default": engine}})["default"]
with Cache(url, namespace=namespace) as cache:
    queries = QueryCache(cache)
    if watched:
        queries.attach()
    Book.objects.filter(pk=1).update(title="New")
"""


def _another_process_writes(valkey: EmbeddedServer, namespace: str, *, watched: bool) -> None:
    settings = connection.settings_dict
    names = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
    engine = {name: settings[name] for name in names if settings.get(name)}
    code = WRITER.format(given=(engine, valkey.url, namespace, watched))
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=environ,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "control"])
def test_a_write_of_another_process_is_heard_of_here(
    library: Any, valkey: EmbeddedServer, namespace: str, watched: bool
) -> None:
    """The control writes without a query cache: what is cached here stays as it was."""
    with Cache(valkey.url, namespace=namespace, policy=PATIENT) as cache, QueryCache(cache):
        Book.objects.create(title="Old")
        assert title() == "Old"
        _another_process_writes(valkey, namespace, watched=watched)
        if watched:
            assert eventually(lambda: title() == "New")
        assert title() == ("New" if watched else "Old")


@pytest.mark.parametrize("crash_safe", [True, False])
def test_a_server_that_is_away_stops_neither_reads_nor_writes_and_leaves_nothing_old(
    library: Any, valkey: EmbeddedServer, namespace: str, crash_safe: bool
) -> None:
    with FaultProxy(valkey.url) as proxy:
        cache = Cache(proxy.url, namespace=namespace)
        with cache, QueryCache(cache, crash_safe=crash_safe):
            Book.objects.create(title="Old")
            assert title() == "Old"
            proxy.refuse()
            proxy.cut()
            retitle("New")
            assert title() == "New"
            with transaction.atomic():
                retitle("Newer")
            assert title() == "Newer"
            proxy.heal()
            for _ in range(20):
                assert title() == "Newer"
            assert eventually(lambda: statements(title)[1] == 0, within=15)
            assert title() == "Newer"
