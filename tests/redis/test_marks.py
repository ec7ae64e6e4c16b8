"""What a mark remembers for the fill after a write: flags; and what phase 2 stores. On every server.

Marks as such are in test_invalidating_scripts.py.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest

from cachewright.redis.scripts import script
from rig.scripts import CHANNEL, RANDOM, Room, entry

TTL = 5_000
BEFORE, HEAD = b"before ", b"%029d" % 0
NAMES = ["e0", "l0", "s0", "t0", "seq"]


def mark(room: Room, token: str, *, ms: int = 30_000, how: str = "") -> int:
    channel = room.name(CHANNEL)
    arguments = (1, 1, RANDOM, 60_000, token, channel, b"m", ms, how)
    return int(room.run("mark", NAMES, *arguments))


def written(*, embeds: bool = False, ttl: int = TTL) -> bytes:
    """What the writer of one key asks to be stored. `embeds`: the stamp of the tag, whose beginning the server adds."""
    data = BEFORE + (HEAD + b":" + RANDOM.encode() if embeds else b"") + b" after"
    places = struct.pack("<HI", 1, len(BEFORE) + 1) if embeds else b""
    return struct.pack("<QH", ttl, embeds) + places + struct.pack("<I", len(data)) + data


def end(room: Room, token: str, *, source: bytes | None = None, **how: Any) -> tuple[bool, bool]:
    """Phase 2 with what was written: whether it was stored, and whether there is a stamp to embed."""
    what = written(**how)
    arguments = (1, 1, RANDOM, 60_000, token, room.name(CHANNEL), b"m", what)
    if source is not None:
        keys = [room.name(name) for name in NAMES]
        reply: Any = room.client.eval(source.decode(), len(keys), *keys, *arguments)
    else:
        reply = room.run("invalidate", NAMES, *arguments)
    stored, stamp = reply
    assert stored == (room.get("e0") is not None)
    assert stamp in (b"", room.get("t0"))
    return bool(stored), bool(stamp)


def invalidate(room: Room, token: str = "") -> None:
    arguments = (1, 1, RANDOM, 60_000, token, room.name(CHANNEL), b"m")
    assert room.run("invalidate", NAMES, *arguments) == 1


def store(room: Room) -> int:
    names = ["e0", "l0", "s0"]
    return int(room.run("store", names, entry(), 5_000, b"*", room.name(CHANNEL), b"m"))


CAN, CANNOT = (True, True), (False, False)


def test_what_a_writer_that_was_alone_has_written_is_stored_with_its_own_stamp(room: Room) -> None:
    mark(room, "a")
    assert end(room, "a", embeds=True) == CAN
    stamp = room.get("t0")
    assert room.get("e0") == BEFORE + stamp + b" after"
    assert 0 < room.left("e0") <= TTL
    assert (room.get("l0"), room.get("s0")) == (None, None)
    number, lineage, random = stamp.split(b":")
    assert (b"%d:%b" % (int(number), lineage), random) == (room.get("seq"), RANDOM.encode())


def test_what_embeds_a_stamp_that_others_mark_is_not_stored(room: Room) -> None:
    mark(room, "a")
    room.mark("t0", "b")
    assert end(room, "a", embeds=True) == CANNOT
    mark(room, "a")
    room.mark("t0", "b")
    assert end(room, "a") == (True, False), "what does not embed it is"


def test_a_ttl_of_nothing_stores_nothing(room: Room) -> None:
    mark(room, "a")
    assert end(room, "a", ttl=0) == (False, True)


def test_a_mark_destroys_what_was_stored(room: Room) -> None:
    mark(room, "a")
    assert end(room, "a") == CAN
    mark(room, "b")
    assert room.get("e0") is None


def test_each_of_many_keys_is_judged_for_itself(room: Room) -> None:
    names = ["e0", "l0", "s0", "e1", "l1", "s1", "t0", "seq"]
    channel = room.name(CHANNEL)
    room.run("mark", names, 2, 1, RANDOM, 60_000, "a", channel, b"m", 30_000, "")
    room.client.delete(room.name("l0"))
    both = written(embeds=True) + written()
    reply = room.run("invalidate", names, 2, 1, RANDOM, 60_000, "a", channel, b"m", both)
    assert reply == [0, 1, room.get("t0")]
    assert (room.get("e0"), room.get("e1")) == (None, BEFORE + b" after")


def test_the_first_of_two_to_end_fills_nothing_and_flags_the_other(room: Room) -> None:
    mark(room, "a")
    mark(room, "b")
    assert end(room, "a") == CANNOT
    assert room.flagged("l0") == room.flagged("t0") == ["b"]
    assert end(room, "b") == CANNOT
    assert room.get("l0") is None
    assert room.get("t0").endswith(RANDOM.encode()), "the tag has its fresh stamp all the same"


def test_without_the_flag_the_last_of_two_would_fill(room: Room) -> None:
    """The mutant of the test above."""
    weak = script("invalidate").source.replace(b"'!' .. flagged(left)", b"'!' .. left")
    mark(room, "a")
    mark(room, "b")
    assert end(room, "a", source=weak) == CANNOT
    assert end(room, "b", source=weak) == CAN


def test_an_invalidation_of_somebody_who_marked_nothing_flags_all(room: Room) -> None:
    mark(room, "a")
    invalidate(room)
    assert room.flagged("l0") == room.flagged("t0") == ["a"]
    assert end(room, "a") == CANNOT


def test_the_end_of_a_writer_that_wants_no_fill_flags_as_well(room: Room) -> None:
    mark(room, "a")
    mark(room, "b")
    invalidate(room, "b")
    assert end(room, "a") == CANNOT


def test_an_end_that_comes_late_after_its_repair_stores_nothing(room: Room) -> None:
    mark(room, "a")
    invalidate(room, "a")
    assert end(room, "a") == CANNOT
    mark(room, "b")
    assert end(room, "a") == CANNOT
    assert room.flagged("l0") == room.flagged("t0") == ["b"]


def test_a_refused_store_flags_the_key(room: Room) -> None:
    mark(room, "a")
    left = room.left("l0")
    assert store(room) == -1
    assert room.flagged("l0") == ["a"]
    assert 0 < room.left("l0") <= left
    assert end(room, "a") == (False, True)


def test_a_flag_stays_whatever_is_renewed_or_marked(room: Room) -> None:
    mark(room, "a")
    invalidate(room)
    mark(room, "a", how="renew")
    mark(room, "b")
    mark(room, "a")
    assert room.flagged("l0") == room.flagged("t0") == ["a"]
    assert room.writers("l0") == ["b", "a"]
    invalidate(room, "b")
    invalidate(room, "c")
    assert room.get("l0").count(b"~") == 1
    assert end(room, "a") == CANNOT


def test_a_token_that_runs_out_without_an_end_flags_those_that_stand(room: Room) -> None:
    """Its writer may have died after its commit, and nothing but this tells."""
    for name in ("l0", "s0", "t0"):
        room.mark(name, "dead", ms=-1)
    mark(room, "a")
    assert end(room, "a") == CAN, "who had died before is no matter"
    for again in ("renew", "", "end"):
        ends = room.now_us() // 1000
        for name in ("l0", "s0", "t0"):
            room.put(name, f"!dead@{ends - 1},a@{ends + 30_000},", px=60_000)
        if again != "end":
            assert mark(room, "a", how=again) == 0
            assert room.writers("l0") == ["a"]
            assert room.flagged("l0") == room.flagged("t0") == ["a"]
        assert end(room, "a") == CANNOT


def test_if_who_ran_out_left_no_flag_the_other_would_fill(room: Room) -> None:
    """The mutant of the test above."""
    weak = script("invalidate").source.replace(b"ran_out = true", b"ran_out = false")
    ends = room.now_us() // 1000
    for name in ("l0", "s0", "t0"):
        room.put(name, f"!dead@{ends - 1},a@{ends + 30_000},", px=60_000)
    assert end(room, "a", source=weak) == CAN


@pytest.mark.parametrize("there", [None, "x", "b's lease", "list", "run out"])
def test_who_finds_its_token_gone_fills_nothing(room: Room, there: str | None) -> None:
    for name in ("l0", "t0"):
        if there == "list":
            room.client.rpush(room.name(name), "a")
        elif there == "run out":
            room.mark(name, "a", ms=-1)
        elif there is not None:
            room.put(name, there)
    assert end(room, "a") == CANNOT
    assert room.get("l0") is None
    assert room.get("t0").endswith(RANDOM.encode())


def test_a_token_that_ran_out_and_is_re_asserted_is_flagged(room: Room) -> None:
    for name in ("l0", "s0", "t0"):
        room.mark(name, "a", ms=-1)
    mark(room, "a")
    assert end(room, "a") == CANNOT


def test_key_and_tag_are_judged_each_for_itself(room: Room) -> None:
    mark(room, "a")
    room.put("t0", "5:lineage:stamp")
    assert end(room, "a") == (True, False)
    mark(room, "a")
    room.client.delete(room.name("l0"))
    assert end(room, "a") == (False, True)
