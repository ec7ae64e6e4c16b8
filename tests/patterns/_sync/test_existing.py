# Generated from _async/test_existing.py by tools/unasync.py. Do not edit.
"""Existing: what the filter rules out asks nobody; additions from anywhere reach it; rebuilds leave no gap; doubt asks."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from _sync.steps import until
from patterns._sync.existing_process import Process
from patterns._sync.recording import Recording, people

from cachewright import MISSING, Cache, ConfigurationError
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteUnavailable
from cachewright.patterns import bloom
from cachewright.patterns._sync.additions import Additions
from cachewright.patterns._sync.existing import Existing
from cachewright.patterns._sync.read_through import ReadThrough
from cachewright.patterns._sync.write_through import WriteThrough

pytestmark = pytest.mark.usefixtures("patient")
pytest.importorskip("rbloom")


def test_what_is_ruled_out_asks_neither_the_source_nor_the_cache(
    server: EmbeddedServer, namespace: str
) -> None:
    source = Recording(people(*range(1, 6)))
    with Process(server.url, namespace, source) as one:
        assert one.existing.rebuild() == 5
        before = one.cache.stats()
        asked = range(1000, 1500)
        assert one.users.get_many(asked) == {}
        misses = len(source.statements[0]) if source.statements else 0
        assert misses < 25, "one in a hundred"
        assert one.cache.stats().misses - before.misses == misses
        assert one.users.get("3") == source.rows[3]


def test_without_a_filter_each_absent_id_is_asked_for_once() -> None:
    source = Recording(people(1))
    with Cache() as cache:
        users = ReadThrough(cache, source)
        for number in range(1000, 1100):
            assert users.get(number) is MISSING
        assert len(source.statements) == 100


@pytest.mark.parametrize("wanted", [0.1, 0.01, 0.001])
def test_the_filter_is_sized_for_its_share_of_false_positives(wanted: float) -> None:
    source = Recording(dict.fromkeys(range(20_000)))
    with Process(None, "n", source, false_positives=wanted, page=7000) as one:
        one.existing.rebuild()
        assert source.pages == 3
        assert not any([one.existing.rules_out(key) for key in range(0, 20_000, 7)])
        absent = range(10**6, 10**6 + 20_000)
        passed = 20_000 - sum([one.existing.rules_out(key) for key in absent])
        assert passed < 20_000 * wanted * 1.3
        # 1.44 log2(1/p) bits a row (Bloom 1970), with a quarter to grow and 1,000 rows more.
        assert one.existing.bytes < 26_500 * 1.45 * -math.log2(wanted) / 8


def test_before_the_first_build_nothing_is_ruled_out_and_one_begins() -> None:
    source = Recording(people(1))
    with Process(None, "n", source) as one:
        assert one.users.get(1) == source.rows[1]
        until(lambda: one.existing.builds == 1)
        assert one.existing.rules_out(99)
        assert one.existing.age == 0


def test_reads_that_find_no_filter_begin_one_build_together() -> None:
    source = Recording(people(1))
    source.gate.clear()
    with Process(None, "n", source) as one:
        for number in range(20):
            assert not one.existing.rules_out(number)
        until(lambda: source.pages == 1)
        source.gate.set()
        until(lambda: one.existing.builds == 1 and not one.existing._wanted)
        assert source.pages == 1


def test_options_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Listless:
        name = "users"

    for source, options in (
        (Listless(), {}),
        (Recording(), {"false_positives": 0}),
        (Recording(), {"false_positives": 1}),
        (Recording(), {"max_age": 0}),
        (Recording(name=""), {}),
    ):
        with pytest.raises(ConfigurationError):
            Existing(Cache(), source, **options)
    monkeypatch.setitem(sys.modules, "rbloom", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'cachewright\[bloom\]'"):
        bloom.require()


# -------------------------------------------------------------------- additions


def test_a_row_that_is_added_here_is_found_at_once() -> None:
    source = Recording(people(1))
    with Process(None, "n", source) as one:
        one.existing.rebuild()
        assert one.users.get(2) is MISSING
        one.existing.add("2")
        source.rows |= people(2)
        assert one.users.get(2) == source.rows[2]


def test_a_row_that_another_process_adds_is_found(
    server: EmbeddedServer, namespace: str
) -> None:
    assert row_added_elsewhere(server, namespace) == people(2)[2]


def test_a_filter_that_hears_no_news_does_not_find_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(self: Existing, built: Any) -> bool:
        return True

    monkeypatch.setattr(Existing, "_is_current", deaf)
    assert row_added_elsewhere(valkey, namespace) is MISSING


def row_added_elsewhere(server: EmbeddedServer, namespace: str) -> Any:
    source = Recording(people(1))
    with (
        Process(server.url, namespace, source) as here,
        Process(server.url, namespace, source) as there,
    ):
        here.existing.rebuild()
        there.existing.rebuild()
        assert here.users.get(2) is MISSING
        heard = here.cache.stats().heard
        there.existing.add(2)
        source.rows |= people(2)
        until(lambda: here.cache.stats().heard > heard)
        return here.users.get(2)


def test_news_that_are_read_once_cost_nothing_afterwards(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    since = Additions.since

    def counted(self: Additions, *args: Any, **options: Any) -> Any:
        reads.append(1)
        return since(self, *args, **options)

    source = Recording(people(1))
    with Process(server.url, namespace, source) as one:
        one.existing.rebuild()
        one.existing.add(2)
        monkeypatch.setattr(Additions, "since", counted)
        for number in range(100, 150):
            one.existing.rules_out(number)
        assert len(reads) == 1


def test_an_addition_is_known_before_its_commit_so_a_reader_in_between_hides_nothing(
    server: EmbeddedServer, namespace: str
) -> None:
    source = Recording(people(1))
    with Process(server.url, namespace, source) as one:
        one.existing.rebuild()
        one.existing.add(2)
        assert one.users.get(2) is MISSING, "not committed yet, and remembered as absent"
        source.rows |= people(2)
        one.users.invalidate(2)
        assert one.users.get(2) == source.rows[2]


# -------------------------------------------------------------------- doubt


def test_where_the_log_has_a_gap_the_filter_is_not_believed_and_built_anew(
    server: EmbeddedServer, namespace: str
) -> None:
    assert row_behind_a_gap(server, namespace) == people(2)[2]


def test_a_filter_that_sees_no_gap_hides_the_row(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = Additions.since

    def trusting(self: Additions, store: Any, mark: Any, **options: Any) -> Any:
        return since(self, store, mark, **options) or ([], mark)

    monkeypatch.setattr(Additions, "since", trusting)
    assert row_behind_a_gap(valkey, namespace) is MISSING


def row_behind_a_gap(server: EmbeddedServer, namespace: str) -> Any:
    """The server has lost the log, as by a failover, and with it an addition."""
    source = Recording(people(1))
    with (
        Process(server.url, namespace, source) as here,
        Process(server.url, namespace, source) as there,
    ):
        here.existing.rebuild()
        heard = here.cache.stats().heard
        there.existing.add(2)
        source.rows |= people(2)
        until(lambda: here.cache.stats().heard > heard)
        store = here.cache.engine.store
        assert store is not None
        store.one(("UNLINK", here.existing._log._stream))
        found = here.users.get(2)
        until(lambda: not here.existing._building)
        return found


def test_while_the_link_is_down_nothing_is_ruled_out_unasked(
    server: EmbeddedServer, namespace: str
) -> None:
    source = Recording(people(1))
    with (
        Process(server.url, namespace, source) as here,
        Process(server.url, namespace, source) as there,
    ):
        here.existing.rebuild()
        here.cache.engine.flights.forget_all(linked=False)
        assert here.existing.rules_out(2), "the server says that nothing was added"
        bus, here.cache.engine.bus = here.cache.engine.bus, None  # hears nothing
        there.existing.add(2)
        assert not here.existing.rules_out(2), "it is asked each time"
        here.cache.engine.bus = bus


def test_where_the_server_does_not_answer_nothing_is_ruled_out(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Recording(people(1))
    with Process(server.url, namespace, source) as one:
        one.existing.rebuild()
        assert one.existing.rules_out(2)

        def silent(*_: Any, **__: Any) -> Any:
            raise RemoteUnavailable("nobody there")

        monkeypatch.setattr(Additions, "since", silent)
        one.cache.engine.flights.forget_all(linked=True)
        assert not one.existing.rules_out(2)
        monkeypatch.undo()
        assert one.existing.rules_out(2)


def test_what_the_server_could_not_be_told_is_told_later(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Recording(people(1))
    with (
        Process(server.url, namespace, source) as here,
        Process(server.url, namespace, source) as there,
    ):
        here.existing.rebuild()

        def silent(*_: Any, **__: Any) -> Any:
            raise RemoteUnavailable("nobody there")

        with monkeypatch.context() as broken:
            broken.setattr(Additions, "append", silent)
            there.existing.add(2)
        assert there.events.of("remote_error")
        heard = here.cache.stats().heard
        there.existing.add(3)
        until(lambda: here.cache.stats().heard > heard)
        assert not here.existing.rules_out(2)
        assert not here.existing.rules_out(3)


def row_inserted_through_the_door(server: EmbeddedServer, namespace: str, **how: Any) -> Any:
    """What another process reads of a row that write-through inserts, after both have built their filters."""
    source = Recording(people(1))
    with (
        Process(server.url, namespace, source) as here,
        Process(server.url, namespace, source) as there,
    ):
        here.existing.rebuild()
        there.existing.rebuild()
        assert there.users.get(2, "nobody") == "nobody"
        announced = {"existing": here.existing} if how.get("announced", True) else {}
        door = WriteThrough(here.cache, source, **announced)
        heard = there.cache.stats().heard
        door.put(people(2)[2])
        until(lambda: there.cache.stats().heard > heard)
        return there.users.get(2, "nobody")


def test_a_row_that_write_through_inserts_is_announced_to_every_filter(
    server: EmbeddedServer, namespace: str
) -> None:
    assert row_inserted_through_the_door(server, namespace) == people(2)[2]


def test_one_that_nobody_announces_would_be_ruled_out(
    server: EmbeddedServer, namespace: str
) -> None:
    assert row_inserted_through_the_door(server, namespace, announced=False) == "nobody"
