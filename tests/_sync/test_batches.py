# Generated from _async/test_batches.py by tools/unasync.py. Do not edit.
"""Batches at a server: what one key of them suffers, the others do not, and what they share is said once."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.mutants import weaken_script
from _sync.steps import Source, Step, until

from cachewright import Cache
from cachewright._sync.batches import Batches
from cachewright._waits import threads
from cachewright.embedded import EmbeddedServer
from cachewright.testing import RecordingListener

pytestmark = pytest.mark.usefixtures("patient")


def mixed_batch(server: EmbeddedServer, namespace: str) -> tuple[list[list[str]], int]:
    """What a batch of a free key, one that another process loads and one being written asks its loader for, and fills."""
    source, asked = Source("theirs"), []
    source.gate.clear()

    def load_many(keys: list[str]) -> dict[str, str]:
        asked.append(sorted(keys))
        return dict.fromkeys(keys, "ours")

    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        holder = Step(a.get_or_load, "held", source.load)
        until(lambda: source.loads == 1)
        with a.writing(keys=["marked"]):
            batch = Step(b.get_or_load_many, ["free", "held", "marked"], load_many)
            until(lambda: asked != [])
            source.gate.set()
            found = batch.result()
        assert (found["free"], found["marked"]) == ("ours", "ours")
        assert holder.result() == "theirs"
        return asked, b.stats().fills


def test_a_batch_loads_what_is_free_keeps_nothing_of_what_is_written_and_waits_for_the_rest(
    server: EmbeddedServer, namespace: str
) -> None:
    assert mixed_batch(server, namespace) == ([["free", "marked"]], 1)


def test_without_the_lease_a_batch_would_load_and_fill_everything(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    assert mixed_batch(valkey, namespace) == ([["free", "held", "marked"]], 3)


def test_the_rows_of_a_batch_that_cannot_be_stored_cost_one_invalidation_and_no_other_row(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    rows = {"a": object(), "b": 2, "c": object()}
    with Cache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        assert cache.get_or_load_many(rows, lambda keys: {k: rows[k] for k in keys}) == rows
        seen = cache.stats()
        assert (seen.invalidations, seen.fills, seen.fills_refused) == (1, 1, 2)
        assert cache.get_many(rows) == {"b": 2}
    assert [event.key for event in events.of("unstorable")] == ["a", "c"]


def test_the_stamps_of_every_row_of_a_batch_outlast_its_entry(
    valkey: Any, namespace: str, raw: Any
) -> None:
    """They are made before anybody knows how long the rows will live."""
    days = 10 * 86_400
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.get_or_load_many(
            "abc", lambda keys: dict.fromkeys(keys, 1), tags=lambda key: [key], ttl=days
        )
        names = [cache.engine.keys.tag(tag) for tag in ("t:a", "t:b", "t:c", "n:")]
    client = raw(valkey)
    assert [name for name in names if client.pttl(name) < days * 1000] == []


MANY = [f"row:{n}" for n in range(100)]


def trips_of_the_second(
    server: EmbeddedServer, namespace: str, patch: pytest.MonkeyPatch
) -> int:
    """How often a process asks the server for a hundred keys that another process is loading."""
    gate, began = threads.Event(), threads.Event()
    trips = 0

    def slow(keys: list[str]) -> dict[str, int]:
        began.set()
        assert gate.wait(20.0)
        return dict.fromkeys(keys, 1)

    def never(keys: list[str]) -> dict[str, int]:
        raise AssertionError(keys)

    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        store = b.engine.store
        assert store is not None
        call = store.pipe.call

        def counted(*about: Any) -> Any:
            nonlocal trips
            trips += 1
            return call(*about)

        patch.setattr(store.pipe, "call", counted)
        first = Step(a.get_or_load_many, MANY, slow)
        until(began.is_set)
        second = Step(b.get_or_load_many, MANY, never)
        until(lambda: any(f.woken for f in b.engine.flights._flying.get(MANY[0], ())))
        gate.set()
        assert first.result() == second.result() == dict.fromkeys(MANY, 1)
    return trips


def test_what_another_process_loads_together_is_fetched_together(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trips_of_the_second(server, namespace, monkeypatch) < 10


def test_one_after_the_other_they_would_be_as_many_trips_as_keys(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_by_one(batches: Batches, reads: Any) -> dict[str, Any]:
        return {read.key: batches._reader.get_or_load(read) for read in reads}

    monkeypatch.setattr(Batches, "_from_elsewhere", one_by_one)
    assert trips_of_the_second(valkey, namespace, monkeypatch) > len(MANY)
