# What a writer and a reader see.
"""Write-behind from the outside: acknowledged writes, reads of what is pending, patches, deletions, a full queue."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._async.desk import AsyncOpened, AsyncPeople, person

from cachewright.errors import CodecError
from cachewright.patterns._async import write_behind
from cachewright.patterns._async.write_behind import AsyncWriteBehind
from cachewright.patterns.identities import parts_of


def forget(writes: AsyncWriteBehind, *, also_at: Any = None) -> None:
    """L1 is emptied, and with a client of the server all cached values are evicted there."""
    writes.cache.engine.memory.clear()
    if also_at is not None:
        for name in also_at.scan_iter(f"{writes.cache.namespace}:{{people:*}}"):
            also_at.delete(name)


# -------------------------------------------------------------------- reading


async def test_what_was_written_is_read_before_it_is_in_the_source(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people) as writes:
        await writes.put(person(1, "Ada", 36))
        assert await writes.get(1) == person(1, "Ada", 36)
        assert await writes.get("1") == person(1, "Ada", 36)
        assert people.rows() == []
        assert people.loads == 0


@pytest.mark.parametrize(
    "identities", [[1, -2, 0], ["a:b", "1"], [7], [(1, "x"), (1, "y")], [1, "1"]]
)
async def test_rows_of_one_call_have_the_keys_that_reads_ask_for(
    valkey: Any, namespace: str, people: AsyncPeople, *, identities: list[Any]
) -> None:
    async with AsyncOpened(valkey, namespace, people, cached={"scope": "tenant"}) as writes:
        with writes.cache.reads.scope.entered("7"):
            expected = [writes.cache.reads.name(("people", *parts_of(it))) for it in identities]
            assert writes._names(identities) == expected
            assert len(set(expected)) == len(identities)


async def test_another_process_reads_it_too(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with (
        AsyncOpened(valkey, namespace, people) as writes,
        AsyncOpened(valkey, namespace, people) as other,
    ):
        await writes.put(person(1, "Ada"))
        assert await other.get(1) == person(1, "Ada")
        await writes.put(person(1, "Grace"))
        await writes.put(person(2, "Joan"))
        assert await writes.get_many([1, 2]) == {1: person(1, "Grace"), 2: person(2, "Joan")}


async def test_defect_33_a_value_that_was_evicted_is_read_from_what_is_pending(
    valkey: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    await people.save(person(1, "old"))
    async with AsyncOpened(valkey, namespace, people) as writes:
        assert await writes.get(1) == person(1, "old")
        await writes.put(person(1, "new"))
        forget(writes, also_at=raw(valkey))
        assert await writes.get(1) == person(1, "new")
        forget(writes, also_at=raw(valkey))
        assert await writes.get_many([1, 2]) == {1: person(1, "new")}


async def test_without_the_overlay_an_evicted_value_would_come_back_old(
    valkey: Any, raw: Any, namespace: str, *, people: AsyncPeople, monkeypatch: Any
) -> None:
    """The control of the test above."""

    async def nothing(*_: Any) -> dict[str, Any]:
        return {}

    await people.save(person(1, "old"))
    async with AsyncOpened(valkey, namespace, people) as writes:
        await writes.put(person(1, "new"))
        monkeypatch.setattr(writes.queue, "pending", nothing)
        forget(writes, also_at=raw(valkey))
        assert await writes.get(1) == person(1, "old")


async def test_a_load_that_a_write_overtakes_is_not_kept(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    """The load has looked at the overlay and read the row; then a write is acknowledged."""
    await people.save(person(1, "old"))
    async with (
        AsyncOpened(valkey, namespace, people) as writes,
        AsyncOpened(valkey, namespace, people) as other,
    ):

        async def overtake() -> None:
            await other.put(person(1, "new"))

        people.after_load = overtake
        assert (await writes.get(1))["name"] in ("old", "new")
        assert await writes.get(1) == person(1, "new")
        assert await other.get(1) == person(1, "new")


async def test_after_the_flush_reads_see_what_the_source_made_of_it(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people, worker=True) as writes:
        await writes.put(person(1, "Ada"))
        assert await writes.flush(10)
        await people.save(person(1, "by a trigger"))
        await writes.cache.invalidate(tags=["row:people:1"])
        assert await writes.get(1) == person(1, "by a trigger")


async def test_what_was_made_from_a_row_is_made_anew_after_a_write(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people) as writes:
        await writes.put(person(1, "Ada"))

        async def page() -> str:
            return f"<b>{(await writes.get(1))['name']}</b>"

        assert await writes.cache.get_or_load("page", page) == "<b>Ada</b>"
        await writes.put(person(1, "Grace"))
        assert await writes.cache.get_or_load("page", page) == "<b>Grace</b>"


async def test_what_was_made_from_the_table_is_made_anew_after_the_write_and_after_the_flush(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people) as writes:

        async def count() -> int:
            return len(people.rows())

        async def cached() -> Any:
            return await writes.cache.get_or_load("count", count, tags=["table:people"])

        assert await cached() == 0
        await writes.put_many([person(n) for n in range(3)])
        assert await cached() == 0  # as SQL sees it
        writes.worker.start()
        assert await writes.flush(10)
        assert await cached() == 3


# -------------------------------------------------------------------- patches and deletions


async def test_defect_30_a_patch_of_what_is_not_cached_leaves_the_row_whole(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    await people.save(person(1, "Ada", 36))
    async with AsyncOpened(valkey, namespace, people) as writes:
        await writes.patch(1, {"age": 37})
        assert await writes.get(1) == person(1, "Ada", 37)
        await writes.patch(1, {"name": "Ada King"})
        assert await writes.get_many([1]) == {1: person(1, "Ada King", 37)}
        assert people.row(1) == {**person(1, "Ada", 36), "writes": 1}


async def test_defect_30_what_the_caller_does_with_the_value_afterwards_is_not_written(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people) as writes:
        value = person(1, "Ada")
        await writes.put(value)
        value["name"] = "changed later"
        writes.worker.start()
        assert await writes.flush(10)
        assert people.row(1) == {**person(1, "Ada"), "writes": 1}


async def test_defect_29_patches_of_two_writers_are_both_there(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    await people.save(person(1, "Ada", 36))
    async with (
        AsyncOpened(valkey, namespace, people) as writes,
        AsyncOpened(valkey, namespace, people) as other,
    ):
        assert await writes.get(1) == await other.get(1)
        await writes.patch(1, {"age": 37})
        await other.patch(1, {"name": "Ada King"})
        assert await writes.get(1) == person(1, "Ada King", 37)
        writes.worker.start()
        assert await writes.flush(10)
        assert people.row(1) == {**person(1, "Ada King", 37), "writes": 2}


async def test_a_patch_of_what_does_not_exist_makes_nothing(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people, worker=True) as writes:
        await writes.patch(7, {"age": 1})
        assert await writes.get(7, None) is None
        assert await writes.flush(10)
        assert people.rows() == []


async def test_a_patch_in_the_place_of_a_value_is_refused(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    """Whoever can write to the server could else make the fields of a patch look like a row."""
    async with AsyncOpened(valkey, namespace, people) as writes:
        await writes.patch(1, {"age": 1})
        name = writes.cache.reads.name(("people", 1))
        record = (await writes.queue.pending([name]))[name][0]
        with pytest.raises(CodecError):
            writes.cache.engine.packer.open(name, record.data)


async def read_while_a_patch_passes(writes: AsyncWriteBehind, people: AsyncPeople) -> Any:
    """Between the look at the overlay and the row, a newer patch is acknowledged and reaches the source."""

    async def patch() -> None:
        await writes.patch(1, {"name": "c", "age": 3})
        await people.save(person(1, "c", 3))

    await people.save(person(1, "a", 1))
    await writes.patch(1, {"name": "b"})
    people.before_load = patch
    return await writes.get(1)


async def test_a_row_is_not_read_between_two_states_of_its_patches(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people) as writes:
        assert await read_while_a_patch_passes(writes, people) == person(1, "c", 3)


async def test_with_one_look_at_the_patches_a_row_is_read_between_two_states(
    valkey: Any, namespace: str, people: AsyncPeople, monkeypatch: Any
) -> None:
    """The control: the name of the older patch with the age of the newer."""
    monkeypatch.setattr(write_behind, "_newest", lambda log: "")
    async with AsyncOpened(valkey, namespace, people) as writes:
        assert await read_while_a_patch_passes(writes, people) == person(1, "b", 3)


async def test_defect_37_a_deleted_row_is_absent_at_once_and_gone_after_the_flush(
    valkey: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    await people.save_many([person(1, "Ada"), person(2, "Grace")])
    async with AsyncOpened(valkey, namespace, people) as writes:
        assert await writes.get(1) == person(1, "Ada")
        await writes.delete(1)
        assert await writes.get(1, "none") == "none"
        forget(writes, also_at=raw(valkey))
        assert await writes.get(1, "none") == "none"
        assert await writes.get_many([1, 2]) == {2: person(2, "Grace")}
        writes.worker.start()
        assert await writes.flush(10)
        assert people.row(1) is None
        await writes.put(person(1, "again"))
        assert await writes.get(1) == person(1, "again")


async def test_defect_34_no_id_is_invented(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    """Ids come from the caller or the source: a counter that is lost would give one id to two people."""
    async with AsyncOpened(valkey, namespace, people) as writes:
        with pytest.raises(KeyError):
            await writes.put({"name": "nobody"})
        assert sum(each.entries for each in await writes.backlog()) == 0
