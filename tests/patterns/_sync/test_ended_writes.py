# Generated from _async/test_ended_writes.py by tools/unasync.py. Do not edit.
"""What the end of a write leaves where something goes wrong at it, and where it is of many rows.

Who meets whom is in test_filling.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from patterns._sync.meeting import Pair, Writer

from cachewright import MISSING
from cachewright._sync.filling import FillingWrite
from cachewright.core.tags import rows_tag
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteTimeout

Patch = pytest.MonkeyPatch


def test_what_was_marked_at_another_node_is_nobodys_at_this_one(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server.url, namespace) as pair:
        writer = Writer(pair, 0, "Ada")
        writer.mark()
        writer.commit()
        assert writer._commit is not None
        writer._commit._write._node = b"failed over from"
        writer.end()
        assert pair.cached() == [MISSING] * 4


def test_a_writer_that_dies_before_its_end_costs_misses_only(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server.url, namespace) as pair:
        writer = Writer(pair, 0, "Ada")
        writer.mark()
        writer.commit()
        assert pair.doors[1].get(1) == pair.source.rows[1]
        assert pair.cached() == [MISSING] * 4


def test_an_end_whose_reply_is_lost_leaves_the_row_or_nothing_and_is_repaired(
    server: EmbeddedServer, namespace: str, monkeypatch: Patch
) -> None:
    with Pair(server.url, namespace) as pair:
        end_at = FillingWrite._end_at

        def unheard(*about: Any) -> Any:
            end_at(*about)
            raise RemoteTimeout("the reply is lost")

        monkeypatch.setattr(FillingWrite, "_end_at", unheard)
        row = pair.doors[0].put({"id": 1, "name": "Ada"})
        assert pair.caches[0].stats().pending_repairs > 0
        assert pair.caches[1].get(pair.doors[1].key(1), verify=True) in (row, MISSING)
        pair.source.save({"id": 1, "name": "by hand"})
        pair.caches[1].invalidate(pair.doors[1].key(1))
        assert not pair.wrong()
        assert pair.caches[0].stats().pending_repairs == 0


def test_a_life_that_cannot_be_told_ends_the_write_and_reaches_the_caller(
    server: EmbeddedServer, namespace: str
) -> None:
    """The policy's own function raises, when the source has committed: the marks must not stay."""

    def no_life(_: Any) -> float:
        raise LookupError("whose life?")

    with Pair(server.url, namespace) as pair:
        pair.doors[0].policy = pair.caches[0].policy.but(ttl=no_life)
        with pytest.raises(LookupError):
            pair.doors[0].put({"id": 1, "name": "Ada"})
        assert pair.doors[1].get(1) == pair.source.rows[1]
        assert pair.caches[1].get(pair.doors[1].key(1)) == pair.source.rows[1], "no mark"


@pytest.mark.parametrize("count", [3, 240, 600])
def test_many_rows_are_filled_whatever_their_number(
    server: EmbeddedServer, namespace: str, count: int
) -> None:
    """In several calls of the script, each with the tags that its entries embed."""
    with Pair(server.url, namespace) as pair:
        ids = range(1, count + 1)
        rows = pair.doors[0].put_many([{"id": n, "name": f"row {n}"} for n in ids])
        assert pair.caches[0].stats().fills == count
        keys = [pair.doors[1].key(n) for n in ids]
        assert pair.caches[1].get_many(keys) == dict(zip(keys, rows, strict=True))


@pytest.mark.usefixtures("patient")
def test_a_tag_that_all_rows_embed_moves_once_for_many_of_them(
    server: EmbeddedServer, namespace: str
) -> None:
    """Moved for each portion, it would make wrong what the portion before has stored, and the clock believe in that."""
    with Pair(server.url, namespace) as pair:
        here, there = pair.doors
        tag = rows_tag(pair.source.name)
        rows = [{"id": n, "name": "Ada"} for n in range(1, 400)]
        here.put_many(rows, tags=[tag])
        engine = pair.caches[0].engine
        assert engine.store is not None
        assert (
            engine.tags.known["t:" + tag] == (engine.store.stamps(["t:" + tag]))["t:" + tag]
        )
        there.get_many(range(1, 400))
        assert pair.caches[1].stats().l2_hits == pair.caches[0].stats().fills > 0
