"""Rows are loaded by canonical id, in one statement, as dicts, dataclasses or instances, and by an allow-list."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import sqlalchemy as sa
from integrations.shop import Airport, Article, Leg, Parcel, Shown
from integrations.stores import Store, now, pages

from cachewright import ABSENT
from cachewright.errors import ConfigurationError, InvalidKey


class Card(msgspec.Struct):
    """A value that is a Struct."""

    id: int
    label: str
    price: Decimal


async def fill(store: Store, count: int = 3) -> None:
    """Articles 1 to `count`."""
    table = Article.__table__

    def work(connection: sa.Connection) -> None:
        rows = [{"id": n, "title": f"Title {n}", "password": "secret"} for n in range(1, count + 1)]
        connection.execute(sa.insert(table), rows)

    await store.run(work)


async def test_a_row_is_loaded_and_what_is_not_there_is_absent(store: Store) -> None:
    await fill(store)
    source = store.source(Article.__table__)
    assert (await now(source.load(2)))["title"] == "Title 2"
    assert await now(source.load(9)) is ABSENT


async def test_defect_40_many_rows_come_with_one_statement_and_none_with_no_statement(
    store: Store,
) -> None:
    await fill(store, 200)
    source = store.source(Article, into=Shown)
    with store.statements() as sent:
        found = await now(source.load_many(list(range(1, 300))))
    assert len(sent) == 1
    assert [found[n].id for n in range(1, 201)] == list(range(1, 201))
    assert len(found) == 200
    with store.statements() as sent:
        assert await now(source.load_many([])) == {}
    assert sent == []


async def test_defect_41_text_and_number_are_one_id_and_duplicates_are_asked_for_once(
    store: Store,
) -> None:
    await fill(store)
    source = store.source(Article, into=Shown)
    found = await now(source.load_many(["1", 1, "02", 2, 7]))
    assert {key: value.id for key, value in found.items()} == {1: 1, 2: 2}
    assert source.identity("1") == source.identity(1) == 1
    assert source.key_of(found[1]) == 1
    assert (await now(source.load("3"))).id == 3


@pytest.mark.parametrize(
    "key", [True, False, 1.0, "1.0", " 1", "x", "", None, (1, 2), b"1", 2**63, "9" * 99]
)
async def test_defect_41_what_cannot_be_an_id_of_the_column_is_refused(
    store: Store, key: Any
) -> None:
    source = store.source(Article)
    for verb in (source.load, source.delete, lambda k: source.load_many([k])):
        with pytest.raises(InvalidKey):
            await now(verb(key))


async def test_defect_41_a_uuid_and_its_text_are_one_id(store: Store) -> None:
    source = store.source(Parcel, into=dict)
    one = uuid4()
    await now(source.save({"id": str(one), "place": "Kiel"}))
    assert source.identity(str(one).upper()) == one
    found = await now(source.load_many([str(one), one, one.hex]))
    assert list(found) == [one]
    assert found[one]["id"] == one


async def test_composite_keys_are_loaded_with_one_statement_in_the_order_of_the_key(
    store: Store,
) -> None:
    source = store.source(Leg, into=dict)
    legs = [{"flight": f, "day": date(2026, 1, d), "seats": d} for f in ("A", "B") for d in (1, 2)]
    await now(source.save_many(legs))
    wanted = [("A", date(2026, 1, 1)), ("B", "2026-01-02"), ("A", date(2026, 1, 3))]
    with store.statements() as sent:
        found = await now(source.load_many(wanted))
    assert len(sent) == 1
    assert found == {
        ("A", date(2026, 1, 1)): legs[0],
        ("B", date(2026, 1, 2)): legs[3],
    }
    with pytest.raises(InvalidKey):
        await now(source.load("A"))


async def test_more_keys_than_a_statement_may_have_parameters_are_divided(store: Store) -> None:
    source = store.source(Leg, into=dict)
    await now(source.save({"flight": "A", "day": date(2026, 1, 1), "seats": 1}))
    limit = store.plain.dialect.insertmanyvalues_max_parameters
    wanted = [("A", date.fromordinal(700_000 + n)) for n in range(limit // 2)]
    with store.statements() as sent:
        found = await now(source.load_many([*wanted, ("A", date(2026, 1, 1))]))
    assert list(found) == [("A", date(2026, 1, 1))]
    assert len(sent) == (1 if store.dialect == "postgresql" else 2)  # there a key is two arrays


async def test_values_are_dicts_dataclasses_structs_or_instances(store: Store) -> None:
    await fill(store)
    assert (await now(store.source(Article, into=dict).load(1)))["label"] == "Title 1"
    assert await now(store.source(Article, into=Shown).load(1)) == Shown(1, "Title 1", "title 1", 1)
    card = await now(store.source(Article, into=Card).load(1))
    assert card == Card(1, "Title 1", Decimal("9.50"))
    article = await now(store.source(Article).load(1))
    assert isinstance(article, Article)
    assert (article.label, article.slug, article.stock) == ("Title 1", "title 1", 3)
    assert sa.inspect(article).detached


async def test_defect_21_only_columns_of_the_allow_list_leave_the_database(store: Store) -> None:
    source = store.source(Article, into=dict, columns=["label"])
    with store.statements() as sent:
        stored = await now(source.save({"id": 1, "label": "Tea", "password": "secret"}))
        loaded = await now(source.load(1))
    assert stored == loaded == {"id": 1, "label": "Tea"}
    assert await store.sql("SELECT password FROM article") == [("secret",)]
    assert not any("password" in text for text in sent if "SELECT" in text)
    article = await now(store.source(Article, columns=["label"]).load(1))
    with pytest.raises(sa.orm.exc.DetachedInstanceError):
        _ = article.password


async def test_a_padded_text_key_is_one_id_with_and_without_its_padding(store: Store) -> None:
    source = store.source(Airport, into=dict)
    await now(source.save({"code": "KEL", "city": "Kiel"}))
    assert list(await now(source.load_many(["KEL", "KEL "]))) == ["KEL"]


async def test_keys_come_in_pages_and_go_on_behind_any_of_them(store: Store) -> None:
    await fill(store, 5)
    source = store.source(Article)
    assert await pages(source.keys(page=2)) == [[1, 2], [3, 4], [5]]
    assert await pages(source.keys(page=2, after="3")) == [[4, 5]]
    legs = store.source(Leg, into=dict)
    days = [("A", date(2026, 1, 2)), ("B", date(2026, 1, 1)), ("B", date(2026, 1, 3))]
    await now(legs.save_many([{"flight": f, "day": d} for f, d in reversed(days)]))
    assert await pages(legs.keys(page=2)) == [days[:2], days[2:]]


async def test_what_cannot_be_a_source_is_refused_at_construction(store: Store) -> None:
    keyless = sa.Table("keyless", sa.MetaData(), sa.Column("x", sa.Integer))
    for of, options in [
        (keyless, {}),
        (int, {}),
        (Article, {"columns": ["nothing"]}),
        (Article, {"version": "nothing"}),
        (Article, {"into": int}),
        (Article, {"into": Card, "columns": ["label"]}),
        (Leg, {"key_types": int}),
    ]:
        with pytest.raises(ConfigurationError):
            store.source(of, **options)


async def test_a_source_is_named_after_its_table_and_takes_another_name(store: Store) -> None:
    assert store.source(Article).name == "article"
    assert store.source(Article, name="things").name == "things"
    assert UUID(int=1) == store.source(Parcel).identity(UUID(int=1))
