"""Count, touch, slide, discard: every branch, on every server."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import redis

from cachewright.core import envelope as env
from cachewright.core.envelope import Kind
from rig.scripts import CHANNEL, FILL, OTHER_FILL, Room, entry

# -------------------------------------------------------------------- count


def count(
    room: Room, delta: int = 1, *, begin: int = 1, now: float = 500.0, ttl: int = 5_000
) -> Any:
    data = entry(Kind.COUNTER, payload=b"%d" % begin)
    meta = data[48 : -len(b"%d" % begin)]
    names = ["e", "l", "s"]
    arguments = (delta, data, ttl, meta, repr(now), OTHER_FILL, room.name(CHANNEL), b"m")
    return room.run("count", names, *arguments)


def test_count_begins_where_there_is_nothing(room: Room) -> None:
    assert count(room, begin=5) == [1, b"5"]
    assert 4_000 < room.left("e") <= 5_000
    assert room.heard() == [(CHANNEL, b"m")]


def test_count_goes_on_keeps_the_life_and_moves_the_fill_id(room: Room) -> None:
    room.put("e", entry(Kind.COUNTER, payload=b"41"), px=90_000)
    room.put("l", "tok1")
    room.put("s", "stamp")
    assert count(room, 1) == [1, b"42"]
    assert room.left("e") > 80_000
    stored = env.unpack(room.get("e"))
    assert (stored.payload, stored.fill, stored.usable_until) == (b"42", OTHER_FILL, 1000.0)
    assert (room.get("l"), room.get("s")) == (None, None)
    assert room.heard() == [(CHANNEL, b"m")]
    assert count(room, -100) == [1, b"-58"]


def test_count_under_a_mark_is_refused(room: Room) -> None:
    room.mark("l", "writer")
    assert count(room) == [0, b"marked"]
    assert room.get("e") is None


def test_count_of_a_value_is_refused(room: Room) -> None:
    room.put("e", entry())
    assert count(room) == [0, b"type"]
    assert room.get("e") == entry()


@pytest.mark.parametrize(
    "old",
    [
        b"short",
        b"\x02" + entry(Kind.COUNTER, payload=b"41")[1:],
        entry(Kind.COUNTER, payload=b"41", usable_until=499.0, fresh_until=0.0),
        entry(Kind.COUNTER, payload=b"41", stamps={"n:": b"another"}),
        None,
    ],
    ids=["short", "another version", "too old", "another stamp", "a list"],
)
def test_count_begins_anew_over_what_is_none_of_its_own(room: Room, old: bytes | None) -> None:
    if old is None:
        room.client.rpush(room.name("e"), "x")
    else:
        room.put("e", old)
    assert count(room, begin=1) == [1, b"1"]


@pytest.mark.parametrize("digits", [b"", b"x", b"nan", b"inf", b"0x10"])
def test_count_begins_anew_over_a_counter_that_is_no_number(room: Room, digits: bytes) -> None:
    """A damaged counter may cost its count, and must not fail for ever."""
    room.put("e", entry(Kind.COUNTER, payload=digits))
    assert count(room, begin=1) == [1, b"1"]


@pytest.mark.parametrize(("old", "delta"), [(2**53, 1), (2**53 - 1, 2), (-(2**53), -1), (5, 2**60)])
def test_count_beyond_what_a_double_counts_exactly_is_refused(
    room: Room, old: int, delta: int
) -> None:
    kept = entry(Kind.COUNTER, payload=b"%d" % old)
    room.put("e", kept)
    assert count(room, delta) == [0, b"range"]
    assert room.get("e") == kept


@pytest.mark.parametrize(("old", "delta"), [(2**53 - 2, 1), (-(2**53) + 2, -1), (10**15, 10**14)])
def test_count_is_exact_up_to_there(room: Room, old: int, delta: int) -> None:
    room.put("e", entry(Kind.COUNTER, payload=b"%d" % old))
    assert count(room, delta) == [1, b"%d" % (old + delta)]


# -------------------------------------------------------------------- touch, slide, discard


def touch(room: Room, now: float = 500.0) -> Any:
    times, lifetime = struct.pack("<dd", 600, 700), struct.pack("<f", 100)
    return room.run("touch", ["e"], repr(now), times, lifetime, 200_000, room.name(CHANNEL), b"m")


def test_touch_gives_another_life_and_moves_no_value(room: Room) -> None:
    room.put("e", entry(), px=1_000)
    assert touch(room) == 1
    touched = env.unpack(room.get("e"))
    assert (touched.fresh_until, touched.usable_until, touched.lifetime) == (600, 700, 100)
    assert (touched.payload, touched.fill) == (b"payload", FILL)
    assert room.left("e") > 190_000
    assert room.heard() == [(CHANNEL, b"m")]


@pytest.mark.parametrize("old", ["nothing", "list", "short", "version", "dead"])
def test_touch_of_nothing_living_changes_nothing(room: Room, old: str) -> None:
    bytes_of = {"short": b"\x01short", "version": b"\x02" + entry()[1:], "dead": entry()}
    if old == "list":
        room.client.rpush(room.name("e"), "x")
    elif old in bytes_of:
        room.put("e", bytes_of[old], px=1_000_000)
    assert touch(room, now=1000.0 if old == "dead" else 500.0) == 0
    if old in bytes_of:
        assert room.get("e") == bytes_of[old]
    assert room.heard() == []


def slide(room: Room, now: float) -> Any:
    return room.run("slide", ["e"], repr(now))


def test_defect_49_slide_reads_and_extends_in_one_step(room: Room) -> None:
    data = entry(Kind.SLIDING, window=60.0)
    room.put("e", data, px=1_000)
    assert slide(room, 500.0) == data
    assert 59_000 < room.left("e") <= 60_000


def test_defect_49_slide_never_goes_beyond_the_age_limit(room: Room) -> None:
    room.put("e", entry(Kind.SLIDING, window=60.0), px=1_000)
    slide(room, 990.0)
    assert 9_000 < room.left("e") <= 10_000


def test_slide_past_the_age_limit_extends_nothing(room: Room) -> None:
    room.put("e", entry(Kind.SLIDING, window=60.0), px=1_000)
    slide(room, 1001.0)
    assert room.left("e") <= 1_000


@pytest.mark.parametrize(
    "old", [None, b"short", entry(), b"\x02" + entry(Kind.SLIDING, window=60.0)[1:]]
)
def test_slide_of_what_does_not_slide_is_a_plain_read(room: Room, old: bytes | None) -> None:
    if old is not None:
        room.put("e", old, px=1_000)
    assert slide(room, 500.0) == old
    assert room.left("e") <= 1_000


def test_slide_of_what_is_not_a_string_says_wrongtype(room: Room) -> None:
    room.client.rpush(room.name("e"), "x")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        slide(room, 500.0)


def test_security_11_discard_removes_what_was_read_and_nothing_newer(room: Room) -> None:
    room.put("e", b"broken" * 20)
    assert room.run("discard", ["e"], (b"another" * 20)[:64]) == 0
    assert room.run("discard", ["e"], b"") == 0
    assert room.get("e") == b"broken" * 20
    assert room.run("discard", ["e"], (b"broken" * 20)[:64]) == 1
    assert room.get("e") is None


def test_discard_of_what_is_not_a_string(room: Room) -> None:
    room.client.rpush(room.name("e"), "x")
    assert room.run("discard", ["e"], b"bytes", "") == 0
    assert room.run("discard", ["e"], b"", "") == 0
    assert room.run("discard", ["e"], b"", "other") == 1
    assert not room.client.exists(room.name("e"))


def test_discard_of_nothing(room: Room) -> None:
    assert room.run("discard", ["e"], b"") == 0
