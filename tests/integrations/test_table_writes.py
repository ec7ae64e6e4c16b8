"""A write returns the stored row, with defaults and triggers; compare-and-set tells who came too late."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from integrations.shop import Airport, Article, Leg, Parcel, Shown
from integrations.stores import Store, now

from cachewright import ABSENT
from cachewright.errors import InvalidKey
from cachewright.patterns.sources import Conflict, Unsavable


async def test_defect_21_the_stored_row_comes_back_with_defaults_and_what_triggers_made(
    store: Store,
) -> None:
    source = store.source(Article, into=dict)
    given = {"id": 1, "label": "Green TEA"}
    stored = await now(source.save(given))
    assert (stored["slug"], stored["price"], stored["stock"]) == ("green tea", Decimal("9.50"), 3)
    assert stored["created"] is not None
    assert given == {"id": 1, "label": "Green TEA"}
    stored = await now(source.save({"id": 1, "label": "Black TEA"}))
    assert (stored["slug"], stored["stock"]) == ("black tea", 3)
    assert stored == await now(source.load(1))


async def test_defect_24_what_is_returned_was_read_in_the_transaction_that_wrote_it(
    store: Store,
) -> None:
    """Not by a second connection, which might be a replica's: the writer is not even committed yet."""
    source = store.source(Article, into=Shown)
    async with store.connected() as connection:
        stored = await now(source.save({"id": 1, "label": "Tea"}, connection=connection))
        assert stored.slug == "tea"
    assert await now(source.load(1)) is ABSENT


async def test_many_rows_are_stored_at_once_and_come_back_in_their_order(store: Store) -> None:
    source = store.source(Article, into=dict)
    await now(source.save({"id": 4, "label": "Old", "stock": 8}))
    with store.statements() as sent:
        values = [{"id": n, "label": f"T{n}"} for n in (5, 4, 3)]
        stored = await now(source.save_many(values))
    assert [(row["id"], row["slug"], row["stock"]) for row in stored] == [
        (5, "t5", 3),
        (4, "t4", 8),
        (3, "t3", 3),
    ]
    assert len(sent) <= 2


async def test_of_one_key_twice_in_a_batch_the_later_fields_win(store: Store) -> None:
    source = store.source(Article, into=dict)
    both = [{"id": 1, "label": "A", "stock": 5}, {"id": "1", "label": "B"}]
    stored = await now(source.save_many(both))
    assert [(row["label"], row["stock"]) for row in stored] == [("B", 5), ("B", 5)]


async def test_a_row_without_a_key_gets_one_from_the_database(store: Store) -> None:
    source = store.source(Article, into=dict)
    stored = await now(source.save_many([{"label": "A"}, {"id": 50, "label": "B"}, {"label": "C"}]))
    assert [row["label"] for row in stored] == ["A", "B", "C"]
    assert len({row["id"] for row in stored}) == 3
    made = await now(store.source(Parcel).save(Parcel(place="Kiel")))
    assert (await now(store.source(Parcel).load(str(made.id)))).place == "Kiel"
    with pytest.raises(InvalidKey):
        source.key_of({"label": "A"})


async def test_dataclasses_and_instances_can_be_saved(store: Store) -> None:
    shown = store.source(Article, into=Shown)
    assert await now(shown.save(Shown(1, "Tea"))) == Shown(1, "Tea", "tea", 1)
    whole = store.source(Article)
    stored = await now(whole.save(Article(id=1, label="Milk")))
    assert (stored.slug, stored.stock) == ("milk", 3)


@pytest.mark.parametrize("value", [{"id": 1, "lable": "Tea"}, 7, "text", Shown])
async def test_what_is_no_row_is_refused(store: Store, value: Any) -> None:
    with pytest.raises(Unsavable):
        await now(store.source(Article, into=dict).save(value))


async def test_a_patch_changes_its_fields_alone_and_returns_the_whole_row(store: Store) -> None:
    source = store.source(Article, into=dict)
    await now(source.save({"id": 1, "label": "Tea", "stock": 5}))
    patched = await now(source.patch("1", {"label": "MILK"}))
    assert (patched["label"], patched["slug"], patched["stock"]) == ("MILK", "milk", 5)
    assert await now(source.patch(2, {"label": "x"})) is ABSENT
    with pytest.raises(Unsavable):
        await now(source.patch(1, {"id": 2}))


async def test_delete_says_whether_there_was_a_row(store: Store) -> None:
    source = store.source(Leg, into=dict)
    key = ("A", date(2026, 1, 1))
    await now(source.save({"flight": "A", "day": key[1]}))
    assert await now(source.delete(key)) is True
    assert await now(source.delete(key)) is False
    await now(source.save_many([{"flight": f, "day": key[1]} for f in "ABC"]))
    with store.statements() as sent:
        assert await now(source.delete_many([("A", key[1]), ("B", key[1]), ("X", key[1])])) == 2
    assert len(sent) == 1


async def test_every_write_moves_an_integer_version(store: Store) -> None:
    source = store.source(Article, into=dict, version="version")
    versions = [(await now(source.save({"id": 1, "label": text})))["version"] for text in "abc"]
    assert versions == [1, 2, 3]
    stored = await now(source.load(1))
    assert (await now(source.save(stored)))["version"] == 4
    assert (await now(source.patch(1, {"label": "d"})))["version"] == 5


async def test_compare_and_set_lets_the_first_writer_win_and_tells_the_second(store: Store) -> None:
    source = store.source(Article, into=dict, version="version")
    read = await now(source.save({"id": 1, "label": "a"}, expected=ABSENT))
    mine = await now(source.save({**read, "label": "mine"}, expected=read["version"]))
    assert mine["version"] == read["version"] + 1
    with pytest.raises(Conflict) as caught:
        await now(source.save({**read, "label": "late"}, expected=read["version"]))
    assert (caught.value.key, caught.value.expected, caught.value.found) == (1, 1, 2)
    assert (await now(source.load(1)))["label"] == "mine"
    with pytest.raises(Conflict):
        await now(source.patch(1, {"label": "late"}, expected=1))
    with pytest.raises(Conflict):
        await now(source.save({"id": 1, "label": "late"}, expected=ABSENT))
    with pytest.raises(Conflict) as caught:
        await now(source.save({"id": 2, "label": "gone"}, expected=1))
    assert caught.value.found is ABSENT
    assert (await now(source.load(1)))["label"] == "mine"


async def test_without_expected_the_late_writer_wins_which_the_comparison_prevents(
    store: Store,
) -> None:
    """The control of the test above."""
    source = store.source(Article, into=dict, version="version")
    read = await now(source.save({"id": 1, "label": "a"}))
    await now(source.save({**read, "label": "mine"}))
    await now(source.save({**read, "label": "late"}))
    assert (await now(source.load(1)))["label"] == "late"


async def test_an_upsert_sets_what_an_update_sets_by_itself(store: Store) -> None:
    source = store.source(Parcel, into=dict)
    first = await now(source.save({"place": "Kiel"}))
    assert first["moves"] is None
    again = await now(source.save({"id": first["id"], "place": "Bonn"}))
    assert again["moves"] == "moved"


async def test_another_unique_column_never_lets_a_save_overwrite_another_row(store: Store) -> None:
    source = store.source(Airport, into=dict)
    await now(source.save({"code": "KEL", "city": "Kiel"}))
    with pytest.raises((sa.exc.IntegrityError, Unsavable)):
        await now(source.save({"code": "XXX", "city": "Kiel"}))
    assert await store.sql("SELECT code, city FROM airport") in (
        [("KEL ", "Kiel")],
        [("KEL", "Kiel")],
    )


async def test_a_failing_batch_stores_nothing(store: Store) -> None:
    source = store.source(Airport, into=dict)
    with pytest.raises((sa.exc.IntegrityError, Unsavable)):
        await now(source.save_many([{"code": "A", "city": "Kiel"}, {"code": "B", "city": "Kiel"}]))
    assert await store.sql("SELECT code FROM airport") == []


async def test_text_that_would_be_sql_is_text(store: Store) -> None:
    source = store.source(Leg, into=dict)
    text = "'); DROP --"
    await now(source.save({"flight": text, "day": date(2026, 1, 1)}))
    assert list(await now(source.load_many([(text, date(2026, 1, 1))]))) == [
        (text, date(2026, 1, 1))
    ]


async def test_an_id_longer_than_the_column_is_never_cut_down_to_the_id_of_another_row(
    store: Store,
) -> None:
    """PostgreSQL would do so: `'ABCDEFGH'::CHAR(4)` is `'ABCD'`."""
    precise = sa.Table(
        "precise",
        sa.MetaData(),
        sa.Column("id", sa.Numeric(10, 2), primary_key=True),
        sa.Column("n", sa.Integer),
    )
    await store.run(lambda connection: precise.drop(connection, checkfirst=True))
    await store.run(precise.create)
    day = date(2026, 1, 1)
    for source, row, wrong in [
        (store.source(Airport, into=dict), {"code": "ABCD", "city": "x"}, "ABCDEFGH"),
        (store.source(Leg, into=dict), {"flight": "x" * 20, "day": day}, ("x" * 25, day)),
        (store.source(precise), {"id": Decimal("1.00"), "n": 1}, Decimal("1.004")),
        (store.source(Article, into=dict), {"id": 1, "label": "a"}, 2**40),
    ]:
        await now(source.save(row))
        assert await now(source.load(wrong)) is ABSENT
        assert await now(source.patch(wrong, {})) is ABSENT
        assert await now(source.delete(wrong)) is False
        assert await now(source.load(source.key_of(row))) is not ABSENT
