# Generated from _async/test_settling.py by tools/unasync.py. Do not edit.
"""The order of the steps between the queue and the source: whoever dies between two of them, nothing is lost or stays behind."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._sync import weakened_drains
from patterns._sync.desk import Hand, People, Crash, crash, one, person, waiting

from cachewright.patterns._sync.partitions import Partitions
from cachewright.patterns._sync.shards import Shard
from cachewright.patterns._sync.write_behind import WriteBehind

Patch = pytest.MonkeyPatch


def dies_at(writes: WriteBehind, patch: Patch, *step: Any) -> None:
    """A worker dies at that step, and another one takes over."""
    with patch.context() as patched:
        patched.setattr(*step, crash)
        with pytest.raises(Crash):
            (Hand.take(writes)).drain()
    (Hand.take(writes)).drain()


# -------------------------------------------------------------------- parking


def death_at_parking(
    server: Any, namespace: str, people: People, patch: Patch
) -> tuple[Any, Any]:
    """What is queued, parked and dead, and the read of a refused change, when its worker has died before parking it."""
    with one(server, namespace, people) as writes:
        writes.put_many([person(1, "poison"), person(2), person(3)])
        dies_at(writes, patch, Partitions, "move")
        assert [row["id"] for row in people.rows()] == [2, 3]
        return waiting(writes), writes.get(1, None)


def test_who_dies_before_a_refused_change_is_parked_loses_nothing(
    valkey: Any, namespace: str, people: People, monkeypatch: Patch
) -> None:
    found = death_at_parking(valkey, namespace, people, monkeypatch)
    assert found == ((0, 1, 0), person(1, "poison"))


def test_if_the_position_moved_past_it_first_the_change_would_be_lost(
    valkey: Any, namespace: str, people: People, monkeypatch: Patch
) -> None:
    """The control: the successor takes it for applied."""
    weakened_drains.parks_behind_the_position(monkeypatch)
    found = death_at_parking(valkey, namespace, people, monkeypatch)
    assert found == ((0, 0, 0), None)


# -------------------------------------------------------------------- settling


def death_at_uncovering(
    server: Any, namespace: str, people: People, patch: Patch
) -> tuple[Any, Any]:
    """What is still queued, and how a row reads that somebody else has changed since, when a worker died while settling."""
    with one(server, namespace, people) as writes:
        writes.put(person(1, "queued"))
        dies_at(writes, patch, Partitions, "uncover")
        people.save(person(1, "by hand"))
        writes.cache.clear()
        return waiting(writes), (writes.get(1))["name"]


def test_who_dies_while_settling_leaves_nothing_pending(
    valkey: Any, namespace: str, people: People, monkeypatch: Patch
) -> None:
    found = death_at_uncovering(valkey, namespace, people, monkeypatch)
    assert found == ((0, 0, 0), "by hand")
    assert people.applied_twice() == 0


def test_if_the_entry_went_first_the_change_would_be_pending_for_ever(
    valkey: Any, namespace: str, people: People, monkeypatch: Patch
) -> None:
    """The control: nobody is left who would take it out of the overlay."""
    weakened_drains.removes_the_entry_first(monkeypatch)
    found = death_at_uncovering(valkey, namespace, people, monkeypatch)
    assert found == ((0, 0, 0), "queued")


def reads_between_the_steps(patch: Patch, writes: WriteBehind) -> None:
    """Row 1 is read when the first of two steps is done: what is pending goes, what is cached goes."""
    done: list[str] = []

    def read_after(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step(self: Any, *args: Any) -> None:
            real(self, *args)
            done.append(name)
            if len(done) == 1:
                writes.get(1)

        patch.setattr(owner, name, step)

    read_after(Partitions, "uncover")
    read_after(Shard, "_forget")


def read_while_settling(
    server: Any, namespace: str, people: People, patch: Patch
) -> list[str]:
    """How a row reads that a trigger has changed as it was applied, when it was read in the middle of that: here, elsewhere."""
    people.on_insert("UPDATE people SET name = 'by a trigger' WHERE id = NEW.id")
    with (
        one(server, namespace, people) as writes,
        one(server, namespace, people) as elsewhere,
    ):
        reads_between_the_steps(patch, writes)
        writes.put(person(1, "queued"))
        (Hand.take(writes)).drain()
        return [(door.get(1))["name"] for door in (writes, elsewhere)]


def test_who_reads_while_a_change_is_settled_keeps_no_old_row(
    valkey: Any, namespace: str, people: People, monkeypatch: Patch
) -> None:
    found = read_while_settling(valkey, namespace, people, monkeypatch)
    assert found == ["by a trigger", "by a trigger"]


def test_if_what_is_cached_went_first_the_queued_row_would_be_cached_again(
    valkey: Any, namespace: str, people: People, monkeypatch: Patch
) -> None:
    """The control: it is still pending when it is read."""
    weakened_drains.forgets_before_it_uncovers(monkeypatch)
    found = read_while_settling(valkey, namespace, people, monkeypatch)
    assert found == ["queued", "queued"]
