# The end of a write, and what it leaves.
"""What the end of a write leaves where something goes wrong at it, and where it is of many rows.

Who meets whom is in test_filling.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from patterns._async.meeting import AsyncPair, AsyncWriter

from cachewright import MISSING
from cachewright._async.filling import AsyncFillingWrite
from cachewright.core.tags import rows_tag
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteTimeout

Patch = pytest.MonkeyPatch


async def test_what_was_marked_at_another_node_is_nobodys_at_this_one(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncPair(server.url, namespace) as pair:
        writer = AsyncWriter(pair, 0, "Ada")
        await writer.mark()
        await writer.commit()
        assert writer._commit is not None
        writer._commit._write._node = b"failed over from"
        await writer.end()
        assert await pair.cached() == [MISSING] * 4


async def test_a_writer_that_dies_before_its_end_costs_misses_only(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncPair(server.url, namespace) as pair:
        writer = AsyncWriter(pair, 0, "Ada")
        await writer.mark()
        await writer.commit()
        assert await pair.doors[1].get(1) == pair.source.rows[1]
        assert await pair.cached() == [MISSING] * 4


async def test_an_end_whose_reply_is_lost_leaves_the_row_or_nothing_and_is_repaired(
    server: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    async with AsyncPair(server.url, namespace) as pair:
        end_at = AsyncFillingWrite._end_at

        async def unheard(*about: Any) -> Any:
            await end_at(*about)
            raise RemoteTimeout("the reply is lost")

        monkeypatch.setattr(AsyncFillingWrite, "_end_at", unheard)
        row = await pair.doors[0].put({"id": 1, "name": "Ada"})
        assert pair.caches[0].stats().pending_repairs > 0
        assert await pair.caches[1].get(pair.doors[1].key(1), verify=True) in (row, MISSING)
        await pair.source.save({"id": 1, "name": "by hand"})
        await pair.caches[1].invalidate(pair.doors[1].key(1))
        assert not await pair.wrong()
        assert pair.caches[0].stats().pending_repairs == 0


async def test_a_life_that_cannot_be_told_ends_the_write_and_reaches_the_caller(
    server: EmbeddedServer, namespace: str
) -> None:
    """The policy's own function raises, when the source has committed: the marks must not stay."""

    def no_life(_: Any) -> float:
        raise LookupError("whose life?")

    async with AsyncPair(server.url, namespace) as pair:
        pair.doors[0].policy = pair.caches[0].policy.but(ttl=no_life)
        with pytest.raises(LookupError):
            await pair.doors[0].put({"id": 1, "name": "Ada"})
        assert await pair.doors[1].get(1) == pair.source.rows[1]
        assert await pair.caches[1].get(pair.doors[1].key(1)) == pair.source.rows[1], "no mark"


@pytest.mark.parametrize("count", [3, 240, 600])
async def test_many_rows_are_filled_whatever_their_number(
    server: EmbeddedServer, namespace: str, count: int
) -> None:
    """In several calls of the script, each with the tags that its entries embed."""
    async with AsyncPair(server.url, namespace) as pair:
        ids = range(1, count + 1)
        rows = await pair.doors[0].put_many([{"id": n, "name": f"row {n}"} for n in ids])
        assert pair.caches[0].stats().fills == count
        keys = [pair.doors[1].key(n) for n in ids]
        assert await pair.caches[1].get_many(keys) == dict(zip(keys, rows, strict=True))


@pytest.mark.usefixtures("patient")
async def test_a_tag_that_all_rows_embed_moves_once_for_many_of_them(
    server: EmbeddedServer, namespace: str
) -> None:
    """Moved for each portion, it would make wrong what the portion before has stored, and the clock believe in that."""
    async with AsyncPair(server.url, namespace) as pair:
        here, there = pair.doors
        tag = rows_tag(pair.source.name)
        rows = [{"id": n, "name": "Ada"} for n in range(1, 400)]
        await here.put_many(rows, tags=[tag])
        engine = pair.caches[0].engine
        assert engine.store is not None
        assert (
            engine.tags.known["t:" + tag] == (await engine.store.stamps(["t:" + tag]))["t:" + tag]
        )
        await there.get_many(range(1, 400))
        assert pair.caches[1].stats().l2_hits == pair.caches[0].stats().fills > 0
