# Generated from _async/test_filling.py by tools/unasync.py. Do not edit.
"""The fill after a write against everything that can come in between, in every order, and each rule taken out.

A step is what a writer cannot be interrupted in: mark, commit, end. What is cached at rest is what the source holds, or
nothing. tests/redis/test_marks.py has the scripts, tests/protocol the model.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import Step, until
from patterns._sync import weakened_fills
from patterns._sync.meeting import Pair, Writer, orders

from cachewright import Cache
from cachewright._sync.filling import FillingWrite
from cachewright._sync.flights import Flights
from cachewright._waits import threads
from cachewright.core.tags import TagClock
from cachewright.embedded import EmbeddedServer
from rig.servers import Raw

Patch = pytest.MonkeyPatch


TWO_WRITERS = orders(3, 3)
NAMES = [("Ada", "Eve"), ("Ada", None), (None, "Eve")]


def two_writers(url: str | None, namespace: str, order: str, names: Any) -> Pair:
    """Both write the row, a step at a time in this order; None deletes it."""
    with Pair(url, namespace) as pair:
        actors = {n: Writer(pair, i, names[i]) for i, n in enumerate("AB")}
        for each in order:
            next(actors[each].steps)()
        pair.found_wrong = pair.wrong()
        return pair


@pytest.mark.parametrize("names", NAMES, ids=["puts", "put and delete", "delete and put"])
def test_defect_19_whatever_the_order_of_two_writers_the_older_row_does_not_land(
    server: EmbeddedServer, namespace: str, names: Any
) -> None:
    filled = 0
    for place, order in enumerate(TWO_WRITERS):
        pair = two_writers(server.url, f"{namespace}{place}", order, names)
        assert not pair.found_wrong, order
        filled += sum(cache.stats().fills for cache in pair.caches)
    assert filled >= 4, "who does not overlap does fill"


@pytest.mark.parametrize("names", NAMES, ids=["puts", "put and delete", "delete and put"])
def test_defect_19_nor_without_a_server(namespace: str, names: Any) -> None:
    for order in TWO_WRITERS:
        pair = two_writers(None, namespace, order, names)
        assert not pair.found_wrong, order


def broken_orders(server: EmbeddedServer, namespace: str) -> int:
    found = 0
    for place, order in enumerate(TWO_WRITERS):
        pair = two_writers(server.url, f"{namespace}{place}", order, NAMES[0])
        found += pair.found_wrong
    return found


def test_without_the_flag_an_older_row_lands(
    valkey: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    weakened_fills.flags_nobody(monkeypatch)
    assert broken_orders(valkey, namespace) > 0


def after_the_second_has_died(pair: Pair) -> bool:
    """Two have marked; one commits and ends, the other commits and dies."""
    first, second = Writer(pair, 0, "Ada"), Writer(pair, 1, "Eve")
    for step in (first.mark, second.mark, first.commit, first.end, second.commit):
        step()
    wrong = pair.wrong()
    second.end()
    return wrong


def test_who_is_not_alone_fills_nothing_since_the_other_may_die_after_its_commit(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server.url, namespace) as pair:
        assert not after_the_second_has_died(pair)


def test_if_who_is_not_alone_filled_an_older_row_would_stay(
    valkey: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    weakened_fills.fills_beside_others(monkeypatch)
    with Pair(valkey.url, namespace) as pair:
        assert after_the_second_has_died(pair)


# -------------------------------------------------------------------- somebody who marks nothing


def by_key(pair: Pair) -> None:
    pair.caches[1].invalidate(pair.doors[1].key(1))


def by_tag(pair: Pair) -> None:
    pair.caches[1].invalidate(tags=["row:users:1"])


def by_table(pair: Pair) -> None:
    pair.caches[1].invalidate(tags=["rows:users"])


def by_clearing(pair: Pair) -> None:
    pair.caches[1].clear()


def by_setting(pair: Pair) -> None:
    pair.caches[1].set(pair.doors[1].key(1), pair.source.rows[1], tags=["row:users:1"])


def by_setting_without_tags(pair: Pair) -> None:
    pair.caches[1].set(pair.doors[1].key(1), pair.source.rows[1])


WAYS = [by_key, by_tag, by_table, by_clearing, by_setting, by_setting_without_tags]


def writer_and_stranger(url: str | None, namespace: str, tell: Any) -> list[str]:
    """The orders after which something wrong is cached. The stranger commits, and then tells the cache in his way."""
    broken = []
    for place, order in enumerate(orders(3, 2)):
        with Pair(url, f"{namespace}{place}") as pair:

            def commit(pair: Pair = pair) -> None:
                pair.source.save({"id": 1, "name": "by hand"})

            def told(pair: Pair = pair) -> None:
                tell(pair)

            steps = {"A": Writer(pair, 0, "Ada").steps, "B": iter((commit, told))}
            for each in order:
                next(steps[each])()
            if pair.wrong():
                broken.append(order)
    return broken


@pytest.mark.parametrize("tell", WAYS)
def test_what_was_committed_by_others_and_told_in_any_way_is_not_overwritten(
    server: EmbeddedServer, namespace: str, tell: Any
) -> None:
    assert writer_and_stranger(server.url, namespace, tell) == []


@pytest.mark.parametrize("tell", WAYS[:4])
def test_nor_is_it_without_a_server(namespace: str, tell: Any) -> None:
    assert writer_and_stranger(None, namespace, tell) == []


@pytest.mark.parametrize("tell", [by_key, by_tag])
def test_without_the_flag_it_is(
    valkey: EmbeddedServer, namespace: str, monkeypatch: Patch, tell: Any
) -> None:
    weakened_fills.flags_nobody(monkeypatch)
    assert writer_and_stranger(valkey.url, namespace, tell)


def test_without_the_flag_of_a_refused_store_it_is(
    valkey: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    weakened_fills.refused_stores_flag_nobody(monkeypatch)
    assert writer_and_stranger(valkey.url, namespace, by_setting_without_tags)


@pytest.mark.parametrize("tell", [by_table, by_clearing])
def test_if_the_carried_stamps_were_read_at_the_end_it_is(
    valkey: EmbeddedServer, namespace: str, monkeypatch: Patch, tell: Any
) -> None:
    weakened_fills.rereads_the_carried_stamps(monkeypatch)
    assert writer_and_stranger(valkey.url, namespace, tell)


# -------------------------------------------------------------------- between phase 2 and memory


class Paused:
    """Writers stop between their phase 2 at the server and their own memory until the gate is open."""

    def __init__(self, patch: Patch) -> None:
        self.gate, self.reached = threads.Event(), threads.Event()
        paused, end_at = self, FillingWrite._end_at

        def wait(write: FillingWrite, *about: Any) -> Any:
            ended = end_at(write, *about)
            if write._values:
                paused.reached.set()
                assert paused.gate.wait(20.0)
            return ended

        patch.setattr(FillingWrite, "_end_at", wait)


def another_writer(pair: Pair) -> None:
    other = Writer(pair, 1, "Eve")
    other.mark()
    other.commit()
    assert other._commit is not None
    other._commit._write._values.clear()  # its own fill would wait as well
    other.end()


def _names(writer: Writer) -> tuple[Any, Any]:
    assert writer._commit is not None
    write = writer._commit._write
    return write._keys, write._tags


def by_hand_then(tell: Any, pair: Pair) -> None:
    pair.source.save({"id": 1, "name": "by hand"})
    tell(pair)


@pytest.mark.parametrize("tell", [None, *WAYS], ids=lambda it: getattr(it, "__name__", "writer"))
def test_what_happens_between_the_end_and_its_own_memory_wins(
    server: EmbeddedServer, namespace: str, monkeypatch: Patch, tell: Any
) -> None:
    with Pair(server.url, namespace) as pair:
        paused = Paused(monkeypatch)
        put = Step(pair.doors[0].put, {"id": 1, "name": "Ada"})
        until(paused.reached.is_set)
        (another_writer(pair) if tell is None else by_hand_then(tell, pair))
        paused.gate.set()
        put.result()
        assert not pair.wrong()


def test_if_what_is_doomed_landed_the_older_row_would_stay_in_memory(
    valkey: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    """The control."""
    monkeypatch.setattr(Flights, "_doom", staticmethod(lambda flight: None))
    monkeypatch.setattr(TagClock, "matches", lambda clock, stamps: True)
    monkeypatch.setattr(TagClock, "renew", lambda clock, entry: True)
    with Pair(valkey.url, namespace) as pair:
        paused = Paused(monkeypatch)
        put = Step(pair.doors[0].put, {"id": 1, "name": "Ada"})
        until(paused.reached.is_set)
        heard = pair.caches[0].stats().heard
        by_hand_then(by_tag, pair)
        until(lambda: pair.caches[0].stats().heard > heard)
        paused.gate.set()
        put.result()
        assert pair.caches[0].get(pair.doors[0].key(1)) != pair.source.rows[1]


def test_nobody_finds_nothing_after_the_end(
    server: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    """The step that ends the mark stores the row: a reader elsewhere has it before the writer has heard so."""
    with Pair(server.url, namespace) as pair:
        paused = Paused(monkeypatch)
        put = Step(pair.doors[0].put, {"id": 1, "name": "Ada"})
        until(paused.reached.is_set)
        assert pair.doors[1].get(1) == pair.source.rows[1]
        paused.gate.set()
        assert put.result() == pair.doors[0].get(1) == pair.source.rows[1]
        assert "load" not in pair.source.log


def test_a_load_that_began_before_the_write_does_not_replace_what_was_filled(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server.url, namespace) as pair:
        gate, began, source = threads.Event(), threads.Event(), pair.source

        def slow() -> Any:
            row = dict(source.rows[1])
            began.set()
            assert gate.wait(20.0)
            return row

        for cache in pair.caches:
            began.clear()
            key = pair.doors[0].key(1)
            read = Step(load_as_the_door_does, cache, key, slow)
            until(began.is_set)
            row = pair.doors[0].put({"id": 1, "name": "Ada"})
            gate.set()
            assert (read.result())["version"] == row["version"] - 1
            assert not pair.wrong()
            assert pair.caches[0].get(key) == row
            gate.clear()
            cache.invalidate(key)
            pair.settle()


def load_as_the_door_does(cache: Cache, key: Any, load: Any) -> Any:
    return cache.get_or_load(key, load, tags=["row:users:1", "rows:users"])


# -------------------------------------------------------------------- marks that do not hold


def after_the_death_of_another(pair: Pair) -> bool:
    """Another marks, commits and dies while a slow writer, who committed before, has not ended; what is cached then."""
    slow = Writer(pair, 0, "Ada")
    slow.mark()
    slow.commit()
    store = pair.caches[1].engine.store
    assert store is not None
    assert store.mark(*_names(slow), "dead", lasting=0.05)
    pair.source.save({"id": 1, "name": "Eve"})
    threads.wall_sleep(0.06)
    slow.end()
    return pair.wrong()


def test_a_writer_that_died_after_its_commit_is_not_forgotten_with_its_mark(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server.url, namespace) as pair:
        assert not after_the_death_of_another(pair)


def test_without_the_flag_of_who_ran_out_the_older_row_lands(
    valkey: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    weakened_fills.forgets_who_ran_out(monkeypatch)
    with Pair(valkey.url, namespace) as pair:
        assert after_the_death_of_another(pair)


def after_a_gap(pair: Pair, raw: Any) -> bool:
    """The marks are lost after the commit, another writes in the gap, and they are made again."""
    slow, quick = Writer(pair, 0, "Ada"), Writer(pair, 1, "Eve")
    slow.mark()
    slow.commit()
    keys = pair.caches[0].engine.keys
    names = [keys.lease("users:1"), keys.tag("k:users:1"), keys.tag("t:row:users:1")]
    assert raw.delete(*names) == 3
    for step in quick.steps:
        step()
    assert slow._commit is not None
    slow._commit._write.before_commit()
    slow.end()
    return pair.wrong()


def test_a_mark_that_was_made_again_fills_nothing(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Pair(server.url, namespace) as pair:
        assert not after_a_gap(pair, raw(server))


def test_if_the_gap_went_unnoticed_the_older_row_would_land(
    valkey: EmbeddedServer, namespace: str, raw: Raw, monkeypatch: Patch
) -> None:
    weakened_fills.overlooks_gaps(monkeypatch)
    with Pair(valkey.url, namespace) as pair:
        assert after_a_gap(pair, raw(valkey))
