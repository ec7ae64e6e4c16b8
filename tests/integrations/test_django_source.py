"""A Django model is a source with the same contract as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import django
import pytest
from django.conf import settings
from django.db import connections, models, transaction
from django.db.utils import IntegrityError
from django.test.utils import CaptureQueriesContext

from cachewright import ABSENT
from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.integrations.django import ModelSource
from cachewright.patterns.sources import Change, Conflict, Position, Unsavable

if not settings.configured:
    settings.configure()
if not django.apps.apps.ready:
    django.setup()


class Article(models.Model):
    """`slug` is made by a trigger, `stock` and `origin` by defaults."""

    label = models.CharField(max_length=100)
    slug = models.CharField(max_length=100, null=True)
    stock = models.IntegerField(default=3)
    origin = models.CharField(max_length=10, db_default="Assam")
    changed = models.DateTimeField(auto_now=True)
    made = models.DateTimeField(auto_now_add=True)
    password = models.CharField(max_length=20, null=True)
    version = models.IntegerField(default=1)

    class Meta:
        """Belongs to no installed application."""

        app_label = "integrations"


class Leg(models.Model):
    """A composite key."""

    pk = models.CompositePrimaryKey("flight", "day")
    flight = models.CharField(max_length=20)
    day = models.DateField()
    seats = models.IntegerField(null=True)

    class Meta:
        """Belongs to no installed application."""

        app_label = "integrations"


class Parcel(models.Model):
    """A UUID key, and a unique field beside it."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    place = models.CharField(max_length=20, unique=True)

    class Meta:
        """Belongs to no installed application."""

        app_label = "integrations"


@dataclass(frozen=True)
class Shown:
    """What a page shows of an article."""

    id: int
    label: str
    slug: str | None = None


TRIGGERS = {
    "postgresql": [
        """CREATE OR REPLACE FUNCTION make_slug2() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN NEW.slug := lower(NEW.label); RETURN NEW; END $$""",
        """CREATE TRIGGER slug BEFORE INSERT OR UPDATE ON integrations_article
           FOR EACH ROW EXECUTE FUNCTION make_slug2()""",
    ],
    "sqlite": [
        f"""CREATE TRIGGER slug_{verb[0]} AFTER {verb} ON integrations_article
           BEGIN UPDATE integrations_article SET slug = lower(NEW.label) WHERE id = NEW.id; END"""
        for verb in ("INSERT", "UPDATE OF label")
    ],
}


def _settings(request: pytest.FixtureRequest, path: Path) -> dict[str, Any]:
    if request.param == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path / "django.db")}
    from psycopg.conninfo import conninfo_to_dict

    address = request.getfixturevalue("postgresql").replace("+psycopg", "")
    told = conninfo_to_dict(address)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": told["dbname"],
        "USER": told["user"],
        "HOST": told["host"],
    }


@pytest.fixture(params=["sqlite", "postgresql"])
def using(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The alias of a database with empty tables."""
    alias = f"source_{request.param}"
    before = connections.settings
    connections.settings = connections.configure_settings(
        {**before, alias: _settings(request, tmp_path)}
    )
    connection = connections[alias]
    kinds = [Article, Leg, Parcel]
    try:
        with connection.schema_editor() as editor:
            for model in kinds:
                editor.create_model(model)
        with connection.cursor() as cursor:
            for statement in TRIGGERS[connection.vendor]:
                cursor.execute(statement)
        yield alias
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS cachewright_positions")
        with connection.schema_editor() as editor:
            for model in kinds:
                editor.delete_model(model)
        connection.close()
        del connections[alias]
        connections.settings = before


def at(last: str, expected: str | None = None) -> Position:
    """A move of the position of queue `q`."""
    return Position("q", 0, last, expected)


def test_defect_21_the_stored_row_comes_back_with_defaults_and_what_triggers_made(
    using: str,
) -> None:
    source = ModelSource(Article, using, into=dict)
    stored = source.save({"id": 1, "label": "Green TEA"})
    assert (stored["slug"], stored["stock"], stored["origin"]) == ("green tea", 3, "Assam")
    again = source.save({"id": 1, "label": "Black TEA"})
    assert (again["slug"], again["made"]) == ("black tea", stored["made"])
    assert again["changed"] > stored["changed"]
    assert again == source.load(1)


def test_defect_21_only_columns_of_the_allow_list_leave_the_database(using: str) -> None:
    source = ModelSource(Article, using, into=dict, columns=["label"])
    assert source.save({"id": 1, "label": "Tea", "password": "x"}) == {"id": 1, "label": "Tea"}
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT password FROM integrations_article")
        assert cursor.fetchall() == [("x",)]
    found = ModelSource(Article, using, columns=["label"]).load(1)
    assert "password" in found.get_deferred_fields()


def test_defect_40_many_rows_come_with_one_statement_and_none_with_no_statement(using: str) -> None:
    source = ModelSource(Article, using, into=Shown)
    source.save_many([{"id": n, "label": f"T{n}"} for n in range(1, 101)])
    with CaptureQueriesContext(connections[using]) as sent:
        found = source.load_many(list(range(1, 120)))
    assert len(sent) == 1
    assert found[7] == Shown(7, "T7", "t7")
    assert len(found) == 100
    with CaptureQueriesContext(connections[using]) as sent:
        assert source.load_many([]) == {}
    assert len(sent) == 0


def test_defect_41_text_and_number_are_one_id_and_what_cannot_be_one_is_refused(using: str) -> None:
    source = ModelSource(Article, using)
    source.save({"id": 1, "label": "Tea"})
    found = source.load_many(["1", 1, 9])
    assert list(found) == [1]
    assert isinstance(found[1], Article)
    assert source.load("9") is ABSENT
    for key in (True, 1.0, "x", None, 2**63):
        with pytest.raises(InvalidKey):
            source.load(key)
    one = UUID(int=1)
    assert ModelSource(Parcel, using).identity(str(one)) == one


def test_rows_are_saved_in_order_as_dicts_dataclasses_and_instances(using: str) -> None:
    source = ModelSource(Article, using, into=dict)
    given = [{"label": "A"}, {"id": 50, "label": "B"}, Article(label="C"), Shown(51, "D")]
    stored = source.save_many(given)
    assert [row["label"] for row in stored] == ["A", "B", "C", "D"]
    assert len({row["id"] for row in stored}) == 4
    both = source.save_many([{"id": 50, "label": "E", "stock": 5}, {"id": "50", "label": "F"}])
    assert [(row["label"], row["stock"]) for row in both] == [("F", 5), ("F", 5)]


def test_composite_keys_are_saved_loaded_listed_and_deleted(using: str) -> None:
    source = ModelSource(Leg, using, into=dict)
    days = [("A", date(2026, 1, 2)), ("B", date(2026, 1, 1)), ("B", date(2026, 1, 3))]
    source.save_many([{"flight": f, "day": d, "seats": 1} for f, d in reversed(days)])
    source.save({"flight": "A", "day": days[0][1], "seats": 2})
    with CaptureQueriesContext(connections[using]) as sent:
        found = source.load_many([("A", "2026-01-02"), days[2], ("X", days[0][1])])
    assert len(sent) == 1
    assert {key: row["seats"] for key, row in found.items()} == {days[0]: 2, days[2]: 1}
    assert list(source.keys(page=2)) == [days[:2], days[2:]]
    assert list(source.keys(page=2, after=days[1])) == [days[2:]]
    assert source.delete(days[0]) is True
    assert source.delete(days[0]) is False


def test_a_patch_changes_its_fields_alone(using: str) -> None:
    source = ModelSource(Article, using, into=dict)
    source.save({"id": 1, "label": "Tea", "stock": 5})
    patched = source.patch("1", {"label": "MILK"})
    assert (patched["slug"], patched["stock"]) == ("milk", 5)
    assert source.patch(2, {"label": "x"}) is ABSENT
    with pytest.raises(Unsavable):
        source.patch(1, {"id": 2})
    with pytest.raises(Unsavable):
        source.patch(1, {"lable": "x"})


def test_compare_and_set_lets_the_first_writer_win_and_tells_the_second(using: str) -> None:
    source = ModelSource(Article, using, into=dict, version="version")
    read = source.save({"id": 1, "label": "a"}, expected=ABSENT)
    mine = source.save({**read, "label": "mine"}, expected=1)
    assert mine["version"] == 2
    with pytest.raises(Conflict) as caught:
        source.save({**read, "label": "late"}, expected=1)
    assert caught.value.found == 2
    for late in (
        lambda: source.save({"id": 1, "label": "late"}, expected=ABSENT),
        lambda: source.patch(1, {"label": "late"}, expected=1),
        lambda: source.save({"id": 2, "label": "late"}, expected=1),
    ):
        with pytest.raises(Conflict):
            late()
    assert source.load(1)["label"] == "mine"
    assert source.save({**read, "label": "without"})["version"] == 3


def test_a_write_is_part_of_the_transaction_that_is_under_way(using: str) -> None:
    source = ModelSource(Article, using, into=dict)
    with transaction.atomic(using=using):
        source.save({"id": 1, "label": "a"})
        assert source.load(1)["slug"] == "a"
        transaction.set_rollback(True, using=using)
    assert source.load(1) is ABSENT


def test_another_unique_field_never_lets_a_save_overwrite_another_row(using: str) -> None:
    source = ModelSource(Parcel, using, into=dict)
    first = source.save({"place": "Kiel"})
    with pytest.raises((IntegrityError, Unsavable)):
        source.save({"id": uuid4(), "place": "Kiel"})
    assert source.load(first["id"]) == first


def test_defect_32_a_batch_and_its_position_are_one_transaction(using: str) -> None:
    source = ModelSource(Article, using, into=dict, version="version")
    source.create_tables()
    source.create_tables()
    source.save_many([{"id": n, "label": f"t{n}"} for n in (1, 2, 3)])
    batch = [
        Change(1, "put", {"id": 1, "label": "PUT"}),
        Change("2", "patch", {"label": "PATCHED"}),
        Change(3, "delete"),
        Change(4, "put", {"label": "NEW"}),
    ]
    assert source.position("q", 0) is None
    assert source.apply(batch, at("1-0")) is True
    assert source.apply(batch, at("1-0")) is False
    assert source.apply(batch, at("3-0", "2-0")) is False
    rows = source.load_many([1, 2, 3, 4])
    assert {key: (row["slug"], row["version"]) for key, row in rows.items()} == {
        1: ("put", 2),
        2: ("patched", 2),
        4: ("new", 1),
    }
    with pytest.raises(Unsavable):
        source.apply(
            [Change(5, "put", {"label": "x"}), Change(6, "put", {"x": 1})], at("2-0", "1-0")
        )
    with pytest.raises(ValueError, match="one change a key"):
        source.apply([Change(5, "delete"), Change("5", "put", {"label": "x"})], at("2-0", "1-0"))
    assert source.position("q", 0) == "1-0"
    assert source.load(5) is ABSENT
    assert source.apply([], at("1-0!1", "1-0")) is True
    assert source.apply([Change(5, "put", {"label": "late"})], at("2-0", "1-0")) is False


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (int, {}),
        (Article, {"columns": ["nothing"]}),
        (Article, {"version": "nothing"}),
        (Article, {"into": int}),
        (Article, {"into": Shown, "columns": ["slug"]}),
        (Leg, {"key_types": int}),
    ],
)
def test_what_cannot_be_a_source_is_refused_at_construction(model: Any, options: Any) -> None:
    with pytest.raises(ConfigurationError):
        ModelSource(model, **options)
