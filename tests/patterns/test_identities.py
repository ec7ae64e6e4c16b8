"""One row has one id, whatever its caller writes; what cannot be an id is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from cachewright.errors import InvalidKey
from cachewright.patterns.identities import canonical, canonical_key, distinct, parts_of

ONE = UUID(int=1)


class Number(IntEnum):
    """An enum whose members are ints."""

    SEVEN = 7


class Text(StrEnum):
    """An enum whose members are text."""

    KIEL = "KEL"


class Plain(Enum):
    """An enum whose members are neither."""

    A = 1


@pytest.mark.parametrize(
    ("part", "kind", "form"),
    [
        (1, int, 1),
        ("1", int, 1),
        ("-007", int, -7),
        (Number.SEVEN, int, 7),
        (2**63 - 1, int, 2**63 - 1),
        ("1", str, "1"),
        (Text.KIEL, str, "KEL"),
        (ONE, UUID, ONE),
        (str(ONE), UUID, ONE),
        (ONE.hex.upper(), UUID, ONE),
        ("2026-01-02", date, date(2026, 1, 2)),
        (
            datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))),
            datetime,
            datetime(2026, 1, 2, 2, tzinfo=UTC),
        ),
        ("1.50", Decimal, Decimal("1.5")),
        (2, Decimal, Decimal(2)),
        (bytearray(b"x"), bytes, b"x"),
        (Plain.A, Plain, Plain.A),
        ("1", object, "1"),
        (1, object, 1),
        (ONE, object, ONE),
    ],
)
def test_defect_41_every_spelling_of_an_id_has_one_form(part: Any, kind: type, form: Any) -> None:
    found = canonical(part, kind)
    assert found == form
    assert type(found) is type(form)
    assert repr(found) == repr(form)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        *[
            (part, int)
            for part in (
                True,
                1.0,
                None,
                "",
                " 1",
                "1 ",
                "+1",
                "1_000",
                "١",
                "0x1",
                2**63,
                -(2**63) - 1,
            )
        ],
        *[(part, str) for part in (1, ONE, None, b"x", "a\0b", "\ud800")],
        *[(part, UUID) for part in (1, "x", None, b"x" * 16)],
        *[(part, date) for part in (datetime(2026, 1, 1), "2026-13-01", 5)],  # noqa: DTZ001 - refused
        *[(part, Decimal) for part in (1.5, True, "x", "NaN", "Infinity")],
        *[(part, bytes) for part in ("x", 3)],
        *[(part, object) for part in (None, True, 1.5, [1], {"a": 1})],
        (1, Plain),
    ],
)
def test_defect_41_what_cannot_be_an_id_is_refused(part: Any, kind: type) -> None:
    with pytest.raises(InvalidKey):
        canonical(part, kind)


def test_a_composite_key_is_a_tuple_in_the_order_of_its_columns() -> None:
    assert canonical_key(["A", "2026-01-02"], (str, date)) == ("A", date(2026, 1, 2))
    assert canonical_key(("1",), (int,)) == 1
    for wrong in ("A", ("A",), ("A", "2026-01-02", 3), {"a": 1}):
        with pytest.raises(InvalidKey):
            canonical_key(wrong, (str, date))


def test_ids_are_kept_once_and_in_order() -> None:
    assert distinct(["2", 1, 2, "1"], lambda key: canonical(key, int)) == [2, 1]
    assert parts_of(("A", 1)) == ("A", 1)
    assert parts_of(7) == (7,)


def test_a_driver_s_own_uuid_is_a_uuid() -> None:
    class Own(UUID):
        pass

    assert type(canonical(Own(int=7), UUID)) is UUID
    assert type(canonical(Own(int=7), object)) is UUID
