# In which order a change leaves the queue.
"""The order of the steps between the queue and the source: whoever dies between two of them, nothing is lost or stays behind."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._async import weakened_drains
from patterns._async.desk import AsyncHand, AsyncPeople, Crash, crash, one, person, waiting

from cachewright.patterns._async.partitions import AsyncPartitions
from cachewright.patterns._async.shards import AsyncShard
from cachewright.patterns._async.write_behind import AsyncWriteBehind

Patch = pytest.MonkeyPatch


async def dies_at(writes: AsyncWriteBehind, patch: Patch, *step: Any) -> None:
    """A worker dies at that step, and another one takes over."""
    with patch.context() as patched:
        patched.setattr(*step, crash)
        with pytest.raises(Crash):
            await (await AsyncHand.take(writes)).drain()
    await (await AsyncHand.take(writes)).drain()


# -------------------------------------------------------------------- parking


async def death_at_parking(
    server: Any, namespace: str, people: AsyncPeople, patch: Patch
) -> tuple[Any, Any]:
    """What is queued, parked and dead, and the read of a refused change, when its worker has died before parking it."""
    async with one(server, namespace, people) as writes:
        await writes.put_many([person(1, "poison"), person(2), person(3)])
        await dies_at(writes, patch, AsyncPartitions, "move")
        assert [row["id"] for row in people.rows()] == [2, 3]
        return await waiting(writes), await writes.get(1, None)


async def test_who_dies_before_a_refused_change_is_parked_loses_nothing(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: Patch
) -> None:
    found = await death_at_parking(valkey, namespace, people, monkeypatch)
    assert found == ((0, 1, 0), person(1, "poison"))


async def test_if_the_position_moved_past_it_first_the_change_would_be_lost(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: Patch
) -> None:
    """The control: the successor takes it for applied."""
    weakened_drains.parks_behind_the_position(monkeypatch)
    found = await death_at_parking(valkey, namespace, people, monkeypatch)
    assert found == ((0, 0, 0), None)


# -------------------------------------------------------------------- settling


async def death_at_uncovering(
    server: Any, namespace: str, people: AsyncPeople, patch: Patch
) -> tuple[Any, Any]:
    """What is still queued, and how a row reads that somebody else has changed since, when a worker died while settling."""
    async with one(server, namespace, people) as writes:
        await writes.put(person(1, "queued"))
        await dies_at(writes, patch, AsyncPartitions, "uncover")
        await people.save(person(1, "by hand"))
        await writes.cache.clear()
        return await waiting(writes), (await writes.get(1))["name"]


async def test_who_dies_while_settling_leaves_nothing_pending(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: Patch
) -> None:
    found = await death_at_uncovering(valkey, namespace, people, monkeypatch)
    assert found == ((0, 0, 0), "by hand")
    assert people.applied_twice() == 0


async def test_if_the_entry_went_first_the_change_would_be_pending_for_ever(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: Patch
) -> None:
    """The control: nobody is left who would take it out of the overlay."""
    weakened_drains.removes_the_entry_first(monkeypatch)
    found = await death_at_uncovering(valkey, namespace, people, monkeypatch)
    assert found == ((0, 0, 0), "queued")


def reads_between_the_steps(patch: Patch, writes: AsyncWriteBehind) -> None:
    """Row 1 is read when the first of two steps is done: what is pending goes, what is cached goes."""
    done: list[str] = []

    def read_after(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        async def step(self: Any, *args: Any) -> None:
            await real(self, *args)
            done.append(name)
            if len(done) == 1:
                await writes.get(1)

        patch.setattr(owner, name, step)

    read_after(AsyncPartitions, "uncover")
    read_after(AsyncShard, "_forget")


async def read_while_settling(
    server: Any, namespace: str, people: AsyncPeople, patch: Patch
) -> list[str]:
    """How a row reads that a trigger has changed as it was applied, when it was read in the middle of that: here, elsewhere."""
    people.on_insert("UPDATE people SET name = 'by a trigger' WHERE id = NEW.id")
    async with (
        one(server, namespace, people) as writes,
        one(server, namespace, people) as elsewhere,
    ):
        reads_between_the_steps(patch, writes)
        await writes.put(person(1, "queued"))
        await (await AsyncHand.take(writes)).drain()
        return [(await door.get(1))["name"] for door in (writes, elsewhere)]


async def test_who_reads_while_a_change_is_settled_keeps_no_old_row(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: Patch
) -> None:
    found = await read_while_settling(valkey, namespace, people, monkeypatch)
    assert found == ["by a trigger", "by a trigger"]


async def test_if_what_is_cached_went_first_the_queued_row_would_be_cached_again(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: Patch
) -> None:
    """The control: it is still pending when it is read."""
    weakened_drains.forgets_before_it_uncovers(monkeypatch)
    found = await read_while_settling(valkey, namespace, people, monkeypatch)
    assert found == ["queued", "queued"]
