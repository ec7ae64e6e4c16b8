# Generated from _async/test_existing_behind.py by tools/unasync.py. Do not edit.
"""Write-behind and a filter of existing rows: what is put is found by who asks the filter, pending or applied, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pytest
from _sync.steps import until
from patterns._sync.desk import Hand, People, door, new_cache, person

from cachewright import MISSING
from cachewright.patterns._sync.applying import Applier
from cachewright.patterns._sync.existing import Existing
from cachewright.patterns._sync.read_through import ReadThrough
from cachewright.patterns._sync.write_behind import WriteBehind
from cachewright.patterns.sources import Change

pytest.importorskip("rbloom")


class Shop:
    """One process that writes behind, and one that reads through a filter. `telling` False: the writer knows of none."""

    def __init__(self, server: Any, namespace: str, people: People, *, telling: bool) -> None:
        self.caches = [new_cache(server, namespace) for _ in range(2)]
        writer, reader = self.caches
        # No grace: only what is told after a build began is in it, unless the source has it.
        filters = [Existing(cache, people, grace=0) for cache in self.caches]
        self.existing = filters[1]
        own = filters[0] if telling else None
        self.writes: WriteBehind = door(
            writer, people, partitions=1, worker=False, existing=own
        )
        self.rows = ReadThrough(reader, people, existing=self.existing)

    def __enter__(self) -> Self:
        for cache in self.caches:
            cache.__enter__()
        self.existing.rebuild()
        self.writes.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.writes.close()
        for cache in self.caches:
            cache.close()

    def heard(self, act: Any) -> None:
        """Do something, and wait until the reader has heard of it."""
        reader = self.caches[1]
        before = reader.stats().heard
        act()
        until(lambda: reader.stats().heard > before)

    def drain(self) -> None:
        (Hand.take(self.writes)).drain()


def row_put_behind(shop: Shop) -> list[Any]:
    """What a reader with a filter finds of a new row: pending, and applied."""

    def put() -> None:
        shop.writes.put(person(7))

    assert shop.rows.get(7) is MISSING
    shop.heard(put)
    pending = shop.rows.get(7)
    shop.heard(shop.drain)
    return [pending, shop.rows.get(7)]


def test_a_new_row_is_found_by_a_reader_with_a_filter(
    valkey: Any, namespace: str, people: People
) -> None:
    with Shop(valkey, namespace, people, telling=True) as shop:
        assert row_put_behind(shop) == [person(7), person(7)]


def test_by_a_door_that_tells_nobody_it_would_be_hidden(
    valkey: Any, namespace: str, people: People
) -> None:
    """The control."""
    with Shop(valkey, namespace, people, telling=False) as shop:
        assert row_put_behind(shop) == [MISSING, MISSING]


def row_applied_after_a_build(shop: Shop) -> Any:
    """The reader's filter is built while the row is pending, long after it was put."""
    shop.writes.put(person(7))
    shop.existing.rebuild()
    shop.heard(shop.drain)
    return shop.rows.get(7)


def test_a_row_that_is_applied_after_a_filter_was_built_is_found(
    valkey: Any, namespace: str, people: People
) -> None:
    with Shop(valkey, namespace, people, telling=True) as shop:
        assert row_applied_after_a_build(shop) == person(7)


def test_unless_workers_tell_as_well_it_would_be_hidden(
    valkey: Any, namespace: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: told only when it was queued."""
    hand_over = Applier.hand_over

    def silently(self: Applier, changes: Sequence[Change], position: Any) -> bool:
        self._existing = None
        return bool(hand_over(self, changes, position))

    monkeypatch.setattr(Applier, "hand_over", silently)
    with Shop(valkey, namespace, people, telling=True) as shop:
        assert row_applied_after_a_build(shop) is MISSING
