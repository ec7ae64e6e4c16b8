# Generated from _async/test_write_behind.py by tools/unasync.py. Do not edit.
"""Write-behind from the outside: acknowledged writes, reads of what is pending, patches, deletions, a full queue."""

from __future__ import annotations

from typing import Any

import pytest
from patterns._sync.desk import Opened, People, person

from cachewright.errors import CodecError
from cachewright.patterns._sync import write_behind
from cachewright.patterns._sync.write_behind import WriteBehind
from cachewright.patterns.identities import parts_of


def forget(writes: WriteBehind, *, also_at: Any = None) -> None:
    """L1 is emptied, and with a client of the server all cached values are evicted there."""
    writes.cache.engine.memory.clear()
    if also_at is not None:
        for name in also_at.scan_iter(f"{writes.cache.namespace}:{{people:*}}"):
            also_at.delete(name)


# -------------------------------------------------------------------- reading


def test_what_was_written_is_read_before_it_is_in_the_source(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people) as writes:
        writes.put(person(1, "Ada", 36))
        assert writes.get(1) == person(1, "Ada", 36)
        assert writes.get("1") == person(1, "Ada", 36)
        assert people.rows() == []
        assert people.loads == 0


@pytest.mark.parametrize(
    "identities", [[1, -2, 0], ["a:b", "1"], [7], [(1, "x"), (1, "y")], [1, "1"]]
)
def test_rows_of_one_call_have_the_keys_that_reads_ask_for(
    valkey: Any, namespace: str, people: People, *, identities: list[Any]
) -> None:
    with Opened(valkey, namespace, people, cached={"scope": "tenant"}) as writes:
        with writes.cache.reads.scope.entered("7"):
            expected = [writes.cache.reads.name(("people", *parts_of(it))) for it in identities]
            assert writes._names(identities) == expected
            assert len(set(expected)) == len(identities)


def test_another_process_reads_it_too(
    valkey: Any, namespace: str, people: People
) -> None:
    with (
        Opened(valkey, namespace, people) as writes,
        Opened(valkey, namespace, people) as other,
    ):
        writes.put(person(1, "Ada"))
        assert other.get(1) == person(1, "Ada")
        writes.put(person(1, "Grace"))
        writes.put(person(2, "Joan"))
        assert writes.get_many([1, 2]) == {1: person(1, "Grace"), 2: person(2, "Joan")}


def test_defect_33_a_value_that_was_evicted_is_read_from_what_is_pending(
    valkey: Any, raw: Any, namespace: str, people: People
) -> None:
    people.save(person(1, "old"))
    with Opened(valkey, namespace, people) as writes:
        assert writes.get(1) == person(1, "old")
        writes.put(person(1, "new"))
        forget(writes, also_at=raw(valkey))
        assert writes.get(1) == person(1, "new")
        forget(writes, also_at=raw(valkey))
        assert writes.get_many([1, 2]) == {1: person(1, "new")}


def test_without_the_overlay_an_evicted_value_would_come_back_old(
    valkey: Any, raw: Any, namespace: str, *, people: People, monkeypatch: Any
) -> None:
    """The control of the test above."""

    def nothing(*_: Any) -> dict[str, Any]:
        return {}

    people.save(person(1, "old"))
    with Opened(valkey, namespace, people) as writes:
        writes.put(person(1, "new"))
        monkeypatch.setattr(writes.queue, "pending", nothing)
        forget(writes, also_at=raw(valkey))
        assert writes.get(1) == person(1, "old")


def test_a_load_that_a_write_overtakes_is_not_kept(
    valkey: Any, namespace: str, people: People
) -> None:
    """The load has looked at the overlay and read the row; then a write is acknowledged."""
    people.save(person(1, "old"))
    with (
        Opened(valkey, namespace, people) as writes,
        Opened(valkey, namespace, people) as other,
    ):

        def overtake() -> None:
            other.put(person(1, "new"))

        people.after_load = overtake
        assert (writes.get(1))["name"] in ("old", "new")
        assert writes.get(1) == person(1, "new")
        assert other.get(1) == person(1, "new")


def test_after_the_flush_reads_see_what_the_source_made_of_it(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people, worker=True) as writes:
        writes.put(person(1, "Ada"))
        assert writes.flush(10)
        people.save(person(1, "by a trigger"))
        writes.cache.invalidate(tags=["row:people:1"])
        assert writes.get(1) == person(1, "by a trigger")


def test_what_was_made_from_a_row_is_made_anew_after_a_write(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people) as writes:
        writes.put(person(1, "Ada"))

        def page() -> str:
            return f"<b>{(writes.get(1))['name']}</b>"

        assert writes.cache.get_or_load("page", page) == "<b>Ada</b>"
        writes.put(person(1, "Grace"))
        assert writes.cache.get_or_load("page", page) == "<b>Grace</b>"


def test_what_was_made_from_the_table_is_made_anew_after_the_write_and_after_the_flush(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people) as writes:

        def count() -> int:
            return len(people.rows())

        def cached() -> Any:
            return writes.cache.get_or_load("count", count, tags=["table:people"])

        assert cached() == 0
        writes.put_many([person(n) for n in range(3)])
        assert cached() == 0  # as SQL sees it
        writes.worker.start()
        assert writes.flush(10)
        assert cached() == 3


# -------------------------------------------------------------------- patches and deletions


def test_defect_30_a_patch_of_what_is_not_cached_leaves_the_row_whole(
    valkey: Any, namespace: str, people: People
) -> None:
    people.save(person(1, "Ada", 36))
    with Opened(valkey, namespace, people) as writes:
        writes.patch(1, {"age": 37})
        assert writes.get(1) == person(1, "Ada", 37)
        writes.patch(1, {"name": "Ada King"})
        assert writes.get_many([1]) == {1: person(1, "Ada King", 37)}
        assert people.row(1) == {**person(1, "Ada", 36), "writes": 1}


def test_defect_30_what_the_caller_does_with_the_value_afterwards_is_not_written(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people) as writes:
        value = person(1, "Ada")
        writes.put(value)
        value["name"] = "changed later"
        writes.worker.start()
        assert writes.flush(10)
        assert people.row(1) == {**person(1, "Ada"), "writes": 1}


def test_defect_29_patches_of_two_writers_are_both_there(
    valkey: Any, namespace: str, people: People
) -> None:
    people.save(person(1, "Ada", 36))
    with (
        Opened(valkey, namespace, people) as writes,
        Opened(valkey, namespace, people) as other,
    ):
        assert writes.get(1) == other.get(1)
        writes.patch(1, {"age": 37})
        other.patch(1, {"name": "Ada King"})
        assert writes.get(1) == person(1, "Ada King", 37)
        writes.worker.start()
        assert writes.flush(10)
        assert people.row(1) == {**person(1, "Ada King", 37), "writes": 2}


def test_a_patch_of_what_does_not_exist_makes_nothing(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people, worker=True) as writes:
        writes.patch(7, {"age": 1})
        assert writes.get(7, None) is None
        assert writes.flush(10)
        assert people.rows() == []


def test_a_patch_in_the_place_of_a_value_is_refused(
    valkey: Any, namespace: str, people: People
) -> None:
    """Whoever can write to the server could else make the fields of a patch look like a row."""
    with Opened(valkey, namespace, people) as writes:
        writes.patch(1, {"age": 1})
        name = writes.cache.reads.name(("people", 1))
        record = (writes.queue.pending([name]))[name][0]
        with pytest.raises(CodecError):
            writes.cache.engine.packer.open(name, record.data)


def read_while_a_patch_passes(writes: WriteBehind, people: People) -> Any:
    """Between the look at the overlay and the row, a newer patch is acknowledged and reaches the source."""

    def patch() -> None:
        writes.patch(1, {"name": "c", "age": 3})
        people.save(person(1, "c", 3))

    people.save(person(1, "a", 1))
    writes.patch(1, {"name": "b"})
    people.before_load = patch
    return writes.get(1)


def test_a_row_is_not_read_between_two_states_of_its_patches(
    valkey: Any, namespace: str, people: People
) -> None:
    with Opened(valkey, namespace, people) as writes:
        assert read_while_a_patch_passes(writes, people) == person(1, "c", 3)


def test_with_one_look_at_the_patches_a_row_is_read_between_two_states(
    valkey: Any, namespace: str, people: People, monkeypatch: Any
) -> None:
    """The control: the name of the older patch with the age of the newer."""
    monkeypatch.setattr(write_behind, "_newest", lambda log: "")
    with Opened(valkey, namespace, people) as writes:
        assert read_while_a_patch_passes(writes, people) == person(1, "b", 3)


def test_defect_37_a_deleted_row_is_absent_at_once_and_gone_after_the_flush(
    valkey: Any, raw: Any, namespace: str, people: People
) -> None:
    people.save_many([person(1, "Ada"), person(2, "Grace")])
    with Opened(valkey, namespace, people) as writes:
        assert writes.get(1) == person(1, "Ada")
        writes.delete(1)
        assert writes.get(1, "none") == "none"
        forget(writes, also_at=raw(valkey))
        assert writes.get(1, "none") == "none"
        assert writes.get_many([1, 2]) == {2: person(2, "Grace")}
        writes.worker.start()
        assert writes.flush(10)
        assert people.row(1) is None
        writes.put(person(1, "again"))
        assert writes.get(1) == person(1, "again")


def test_defect_34_no_id_is_invented(
    valkey: Any, namespace: str, people: People
) -> None:
    """Ids come from the caller or the source: a counter that is lost would give one id to two people."""
    with Opened(valkey, namespace, people) as writes:
        with pytest.raises(KeyError):
            writes.put({"name": "nobody"})
        assert sum(each.entries for each in writes.backlog()) == 0
