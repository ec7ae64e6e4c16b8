"""What a mark remembers for the fill after a write: flags, and the lease that phase 2 may leave. On every server.

Marks as such are in test_invalidating_scripts.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from cachewright.redis.scripts import script
from rig.scripts import CHANNEL, RANDOM, Room, entry

LEASE = 900
NAMES = ["e0", "l0", "s0", "t0", "seq"]


def mark(room: Room, token: str, *, ms: int = 30_000, how: str = "") -> int:
    channel = room.name(CHANNEL)
    arguments = (1, 1, RANDOM, 60_000, token, channel, b"m", ms, how)
    return int(room.run("mark", NAMES, *arguments))


def end(room: Room, token: str, *, source: bytes | None = None) -> tuple[bool, bool]:
    """Phase 2 with the wish to fill: whether the key is leased, and whether there is a stamp to embed."""
    arguments = (1, 1, RANDOM, 60_000, token, room.name(CHANNEL), b"m", LEASE)
    if source is not None:
        keys = [room.name(name) for name in NAMES]
        reply: Any = room.client.eval(source.decode(), len(keys), *keys, *arguments)
    else:
        reply = room.run("invalidate", NAMES, *arguments)
    lease, stamp = reply
    assert lease in (b"", token.encode())
    assert stamp in (b"", room.get("t0"))
    return bool(lease), bool(stamp)


def invalidate(room: Room, token: str = "") -> None:
    arguments = (1, 1, RANDOM, 60_000, token, room.name(CHANNEL), b"m")
    assert room.run("invalidate", NAMES, *arguments) == 1


def store(room: Room) -> int:
    names = ["e0", "l0", "s0"]
    return int(room.run("store", names, entry(), 5_000, b"*", room.name(CHANNEL), b"m"))


CAN, CANNOT = (True, True), (False, False)


def test_a_writer_that_was_alone_gets_a_lease_and_its_own_stamp(room: Room) -> None:
    mark(room, "a")
    assert end(room, "a") == CAN
    assert room.get("l0") == b"a"
    assert 0 < room.left("l0") <= LEASE
    assert room.get("t0") == room.get("seq") + b":" + RANDOM.encode()
    assert room.get("s0") is None


def test_its_lease_is_one_that_a_fill_accepts_and_a_mark_revokes(room: Room) -> None:
    for revoked in (False, True):
        mark(room, "a")
        assert end(room, "a") == CAN
        if revoked:
            mark(room, "b")
        filled = room.run("fill", ["e0", "l0"], room.name("wake:"), "a", b"data", 5_000, b"m")
        assert filled == [not revoked]
        assert (room.get("e0") is None) == revoked


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
