"""Invalidate, mark, stamps: every branch, on every server."""

from __future__ import annotations

from typing import Any

import pytest

from rig.scripts import CHANNEL, RANDOM, Room

# -------------------------------------------------------------------- invalidate


def invalidate(
    room: Room, keys: int = 1, tags: int = 0, *, token: str = "", message: bytes = b"m"
) -> Any:
    names = [f"{kind}{n}" for n in range(keys) for kind in "els"]
    names += [*(f"t{n}" for n in range(tags)), "seq"]
    channel = room.name(CHANNEL)
    return room.run("invalidate", names, keys, tags, RANDOM, 60_000, token, channel, message)


def test_invalidate_drops_entries_leases_and_their_stamps_and_tells(room: Room) -> None:
    for name in ("e0", "l0", "s0", "e1", "l1", "s1"):
        room.put(name, "x")
    assert invalidate(room, 2) == 1
    assert [room.get(n) for n in ("e0", "l0", "s0", "e1", "l1", "s1", "seq")] == [None] * 7
    assert room.heard() == [(CHANNEL, b"m")]


def test_invalidate_gives_each_tag_a_new_stamp_that_carries_the_sequence(room: Room) -> None:
    room.put("t0", "1:old:stamp")
    assert invalidate(room, 0, 2) == 1
    assert room.get("seq") == b"1:" + RANDOM[:12].encode()
    assert room.get("t0") == room.get("t1") == room.get("seq") + b":" + RANDOM.encode()
    assert 59_000 < room.left("t0") <= 60_000
    assert 59_000 < room.left("seq") <= 60_000


def test_invalidate_counts_on_in_the_lineage_that_it_finds(room: Room) -> None:
    room.put("seq", "41:lineage")
    invalidate(room, 0, 1)
    assert room.get("seq") == b"42:lineage"
    assert room.get("t0") == f"42:lineage:{RANDOM}".encode()


@pytest.mark.parametrize("lost", ["x", "list"])
def test_invalidate_starts_another_lineage_where_the_sequence_makes_no_sense(
    room: Room, lost: str
) -> None:
    if lost == "list":
        room.client.rpush(room.name("seq"), "41:lineage")
    else:
        room.put("seq", lost)
    invalidate(room, 0, 1)
    assert room.get("seq") == b"1:" + RANDOM[:12].encode()


def test_invalidate_leaves_the_marks_of_other_writers(room: Room) -> None:
    room.mark("l0", "a", "b")
    room.mark("t0", "a", "b")
    room.put("e0", "x")
    invalidate(room, 1, 1, token="a")
    assert room.writers("l0") == room.writers("t0") == ["b"]
    assert 40_000 < room.left("l0") <= 50_000
    assert 40_000 < room.left("t0") <= 50_000
    assert room.get("e0") is None


def test_invalidate_by_a_stranger_leaves_every_mark(room: Room) -> None:
    room.mark("l0", "a")
    room.mark("t0", "a")
    invalidate(room, 1, 1)
    assert room.writers("l0") == room.writers("t0") == ["a"]


def test_invalidate_by_the_last_writer_ends_the_mark(room: Room) -> None:
    room.mark("l0", "a")
    room.mark("t0", "a")
    invalidate(room, 1, 1, token="a")
    assert room.get("l0") is None
    assert room.get("t0").endswith(RANDOM.encode())


def test_invalidate_drops_the_tokens_of_writers_that_died(room: Room) -> None:
    room.mark("l0", "gone", ms=-1)
    room.mark("t0", "gone", ms=-1)
    invalidate(room, 1, 1)
    assert room.get("l0") is None
    assert room.get("t0").endswith(RANDOM.encode())


def test_invalidate_of_what_is_not_a_string(room: Room) -> None:
    for name in ("e0", "l0", "s0", "t0"):
        room.client.rpush(room.name(name), "x")
    assert invalidate(room, 1, 1) == 1
    assert [room.get(name) for name in ("e0", "l0", "s0")] == [None] * 3
    assert room.get("t0").endswith(RANDOM.encode())


def test_invalidate_with_no_message_tells_nobody(room: Room) -> None:
    invalidate(room, message=b"")
    assert room.heard() == []


def test_invalidate_without_a_sequence_stamps_in_no_lineage(room: Room) -> None:
    """Where tags may lie on several nodes."""
    room.run("invalidate", ["t0"], 0, 1, RANDOM, 60_000, "", room.name(CHANNEL), b"m")
    assert room.get("t0") == f"0:none:{RANDOM}".encode()


# -------------------------------------------------------------------- mark


def mark(
    room: Room,
    token: str = "a",
    *,
    ttl: int = 30_000,
    keys: int = 1,
    tags: int = 1,
    how: str = "",
) -> Any:
    names = [f"{kind}{n}" for n in range(keys) for kind in "els"]
    names += [*(f"t{n}" for n in range(tags)), "seq"]
    arguments = (keys, tags, RANDOM, 60_000, token, room.name(CHANNEL), b"m", ttl, how)
    return room.run("mark", names, *arguments)


def test_mark_destroys_the_entry_and_stands_in_for_lease_and_stamps(room: Room) -> None:
    for name in ("e0", "l0", "s0"):
        room.put(name, "x")
    room.put("t0", "1:old:stamp")
    assert mark(room) == 2
    assert room.get("e0") is None
    assert room.writers("s0") == room.writers("l0"), "nor may what is made from the key be kept"
    assert room.writers("l0") == room.writers("t0") == ["a"]
    assert 29_000 < room.left("l0") <= 30_000
    assert 29_000 < room.left("t0") <= 30_000
    assert room.get("seq") == b"1:" + RANDOM[:12].encode()
    assert room.heard() == [(CHANNEL, b"m")]


def test_mark_again_prolongs_it_in_silence(room: Room) -> None:
    mark(room, ttl=1_000)
    room.heard()
    assert mark(room, ttl=30_000) == 0
    assert room.writers("l0") == ["a"]
    assert room.left("l0") > 29_000
    assert room.heard() == []


def test_mark_found_missing_is_made_and_published_again(room: Room) -> None:
    mark(room)
    room.heard()
    room.client.delete(room.name("t0"))
    assert mark(room) == 1
    assert room.writers("t0") == ["a"]
    assert room.heard() == [(CHANNEL, b"m")]


def test_mark_of_a_second_writer_joins_and_lasts_as_long_as_the_most_patient(room: Room) -> None:
    mark(room, "a", ttl=50_000)
    assert mark(room, "b", ttl=10_000) == 2
    assert room.writers("l0") == room.writers("t0") == ["a", "b"]
    assert room.left("l0") > 40_000
    assert mark(room, "c", ttl=90_000) == 2
    assert room.left("l0") > 80_000


def test_mark_drops_the_tokens_of_writers_that_died(room: Room) -> None:
    room.mark("l0", "gone", ms=-1)
    room.mark("t0", "gone", ms=-1)
    assert mark(room, "a") == 2
    assert room.writers("l0") == room.writers("t0") == ["a"]
    assert room.left("l0") <= 50_000


def test_mark_by_a_renewal_makes_none_that_is_gone_and_drops_no_entry(room: Room) -> None:
    """After the end of the write a late renewal must not mark for ever."""
    room.put("e0", "entry")
    assert mark(room, how="renew") == 0
    assert (room.writers("l0"), room.writers("t0")) == (None, None)
    assert room.get("e0") == b"entry"
    mark(room, ttl=1_000)
    assert mark(room, how="renew") == 0
    assert room.left("l0") > 29_000


def test_mark_counts_the_sequence_on_and_repairs_a_lost_one(room: Room) -> None:
    room.put("seq", "7:lineage")
    mark(room)
    assert room.get("seq") == b"8:lineage"
    room.client.delete(room.name("seq"))
    mark(room, "b")
    assert room.get("seq") == b"1:" + RANDOM[:12].encode()


def test_mark_of_keys_alone_leaves_the_sequence(room: Room) -> None:
    mark(room, tags=0)
    assert room.get("seq") is None


def test_mark_replaces_what_is_not_a_string(room: Room) -> None:
    room.client.rpush(room.name("l0"), "x")
    room.client.rpush(room.name("t0"), "x")
    assert mark(room) == 2
    assert room.writers("l0") == room.writers("t0") == ["a"]


# -------------------------------------------------------------------- stamps


def stamps(room: Room, *tags: str, sequence: bool = True, ttl: int = 60_000) -> Any:
    names = [*tags, *(["seq"] if sequence else [])]
    return room.run("stamps", names, len(tags), RANDOM, ttl)


def test_stamps_makes_the_missing_and_reads_the_others(room: Room) -> None:
    room.put("seq", "5:lineage")
    room.put("t0", "3:lineage:abc", px=1_000)
    made = f"5:lineage:{RANDOM}".encode()
    assert stamps(room, "t0", "t1") == [b"5:lineage", b"3:lineage:abc", made]
    assert room.get("t1") == made
    assert room.left("t0") > 59_000, "what is read lives on"
    assert room.left("t1") > 59_000
    assert room.left("seq") < 0 or room.left("seq") > 59_000


def test_stamps_never_shortens_a_life(room: Room) -> None:
    room.put("seq", "5:lineage", px=90_000)
    room.put("t0", "3:lineage:abc", px=90_000)
    stamps(room, "t0")
    assert room.left("t0") > 80_000
    assert room.left("seq") > 80_000


def test_stamps_gives_everything_that_it_keeps_an_end(room: Room) -> None:
    """Rule 8: every key expires; a stamp without one is an old bug's or another's."""
    room.put("t0", "3:lineage:abc")
    room.put("seq", "5:lineage")
    stamps(room, "t0")
    assert room.left("t0") > 59_000
    assert room.left("seq") > 59_000


def test_stamps_lost_sequence_starts_another_lineage(room: Room) -> None:
    room.client.rpush(room.name("seq"), "x")
    assert stamps(room)[0] == b"0:" + RANDOM[:12].encode()
    room.client.delete(room.name("seq"))
    assert stamps(room)[0] == b"0:" + RANDOM[:12].encode()


def test_stamps_shows_marks_and_does_not_renew_them(room: Room) -> None:
    room.mark("t0", "writer")
    assert stamps(room, "t0")[1] == room.get("t0")
    assert room.left("t0") <= 50_000


def test_stamps_replaces_what_is_not_a_string(room: Room) -> None:
    room.client.rpush(room.name("t0"), "x")
    assert stamps(room, "t0")[1].endswith(RANDOM.encode())


def test_stamps_without_a_sequence_has_no_lineage(room: Room) -> None:
    assert stamps(room, "t0", sequence=False) == [b"0:none", f"0:none:{RANDOM}".encode()]
