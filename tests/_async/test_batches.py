# Many keys, each with a fate of its own.
"""Batches at a server: what one key of them suffers, the others do not, and what they share is said once."""

from __future__ import annotations

from typing import Any

import pytest
from _async.mutants import weaken_script
from _async.steps import AsyncSource, AsyncStep, until

from cachewright import AsyncCache
from cachewright.embedded import EmbeddedServer
from cachewright.testing import RecordingListener

pytestmark = pytest.mark.usefixtures("patient")


async def mixed_batch(server: EmbeddedServer, namespace: str) -> tuple[list[list[str]], int]:
    """What a batch of a free key, one that another process loads and one being written asks its loader for, and fills."""
    source, asked = AsyncSource("theirs"), []
    source.gate.clear()

    def load_many(keys: list[str]) -> dict[str, str]:
        asked.append(sorted(keys))
        return dict.fromkeys(keys, "ours")

    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        holder = AsyncStep(a.get_or_load, "held", source.load)
        await until(lambda: source.loads == 1)
        async with a.writing(keys=["marked"]):
            batch = AsyncStep(b.get_or_load_many, ["free", "held", "marked"], load_many)
            await until(lambda: asked != [])
            source.gate.set()
            found = await batch.result()
        assert (found["free"], found["marked"]) == ("ours", "ours")
        assert await holder.result() == "theirs"
        return asked, b.stats().fills


async def test_a_batch_loads_what_is_free_keeps_nothing_of_what_is_written_and_waits_for_the_rest(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await mixed_batch(server, namespace) == ([["free", "marked"]], 1)


async def test_without_the_lease_a_batch_would_load_and_fill_everything(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    assert await mixed_batch(valkey, namespace) == ([["free", "held", "marked"]], 3)


async def test_the_rows_of_a_batch_that_cannot_be_stored_cost_one_invalidation_and_no_other_row(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    rows = {"a": object(), "b": 2, "c": object()}
    async with AsyncCache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        assert await cache.get_or_load_many(rows, lambda keys: {k: rows[k] for k in keys}) == rows
        seen = cache.stats()
        assert (seen.invalidations, seen.fills, seen.fills_refused) == (1, 1, 2)
        assert await cache.get_many(rows) == {"b": 2}
    assert [event.key for event in events.of("unstorable")] == ["a", "c"]


async def test_the_stamps_of_every_row_of_a_batch_outlast_its_entry(
    valkey: Any, namespace: str, raw: Any
) -> None:
    """They are made before anybody knows how long the rows will live."""
    days = 10 * 86_400
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await cache.get_or_load_many(
            "abc", lambda keys: dict.fromkeys(keys, 1), tags=lambda key: [key], ttl=days
        )
        names = [cache.engine.keys.tag(tag) for tag in ("t:a", "t:b", "t:c", "n:")]
    client = raw(valkey)
    assert [name for name in names if client.pttl(name) < days * 1000] == []
