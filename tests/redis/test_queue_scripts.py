"""Enqueue, take, move, settle, muster: every branch, on every server."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
import redis

from rig.scripts import CHANNEL, RANDOM, Room

HEAD = b"0" * 16 + b":" + b"0" * 12
ENTRY = b"head." + HEAD + b":" + RANDOM.encode() + b".tail"
PLACE = ["s", "pending", "parked"]
pack = msgspec.msgpack.encode


def change(
    kind: int = 1, data: bytes = ENTRY, *, ttl: int = 5000, key: bytes = b"key", place: int = 0
) -> bytes:
    at = data.find(HEAD) + 1
    return struct.pack("<HQI", place, ttl, at) + queued_as(kind, data, key=key)


def queued_as(kind: int = 1, data: bytes = ENTRY, *, key: bytes = b"key") -> bytes:
    """A change as the queue has it."""
    texts = b"".join(struct.pack("<I", len(it)) + it for it in (key, b"id", data))
    return bytes([kind]) + texts


def enqueue_all(
    room: Room, changes: bytes, names: list[str], *, limit: int = 9, places: list[str] = PLACE
) -> Any:
    """`names`: of each change the entry, the lease, and the stamps of key and row."""
    told = (room.name(CHANNEL), b"message")
    marks = [name for n, name in enumerate(names) if n % 4]
    keys = ["seq", *places, "table", *marks, *names[::4]]
    return room.run("enqueue", keys, changes, len(places) // 3, limit, RANDOM, 60_000, *told)


def enqueue(
    room: Room, kind: int = 1, data: bytes = ENTRY, *, ttl: int = 5000, limit: int = 9
) -> tuple[Any, bytes]:
    """The stream id (1 or 0 for a full partition), and the head of the stamps if an entry was stored."""
    names = ["e", "l", "k", "row"]
    head, found = enqueue_all(room, change(kind, data, ttl=ttl), names, limit=limit)
    return (found[0], head) if isinstance(found, list) else (found, b"")


def records(room: Room) -> list[tuple[bytes, int, bytes]]:
    """The overlay's log of the key: (stream id, kind, bytes)."""
    log, found = room.client.hget(room.name("pending"), "key") or b"", []
    while log:
        ms, seq, kind, size = struct.unpack_from("<QIBI", log)
        found.append((f"{ms}-{seq}".encode(), kind, log[17 : 17 + size]))
        log = log[17 + size :]
    return found


def stream(room: Room, name: str = "s") -> list[tuple[bytes, dict[bytes, bytes]]]:
    return room.client.xrange(room.name(name))


# -------------------------------------------------------------------- enqueue


def test_a_put_is_queued_pending_cached_and_told(room: Room) -> None:
    room.put("l", "lease")
    room.put("k", "stamp")
    room.put("table", "stamp")
    entry_id, head = enqueue(room)
    assert stream(room) == [(entry_id, {b"v": queued_as()})]
    assert records(room) == [(entry_id, 1, ENTRY)]
    assert len(head) == len(HEAD)
    assert room.get("e") == ENTRY.replace(HEAD, head)
    assert 4_000 < room.left("e") <= 5_000
    assert room.get("row") == head + b":" + RANDOM.encode()
    assert room.get("l") is None
    assert room.get("k") is None
    assert room.get("table") is None
    assert room.heard() == [(CHANNEL, b"message")]


def test_the_stamp_of_a_row_is_younger_than_the_sequence_before_it(room: Room) -> None:
    room.put("seq", "41:abcdefabcdef")
    assert enqueue(room)[1] == b"%016d:abcdefabcdef" % 42
    assert room.get("seq") == b"42:abcdefabcdef"


def test_several_changes_go_in_together_and_those_that_are_not_cached_drop_what_was(
    room: Room,
) -> None:
    names = [f"{name}{n}" for n in range(3) for name in ("e", "l", "k", "row")]
    for name in names:
        room.put(name, "old")
    changes = [change(key=b"k0"), change(2, b"fields", ttl=0, key=b"k1"), change(3, key=b"k2")]
    head, *found = enqueue_all(room, b"".join(changes), names)
    assert [type(each) for each in found] == [list, bytes, list], "the entries of two were stored"
    assert [fields for _, fields in stream(room)] == [
        {b"v": queued_as(key=b"k0")},
        {b"v": queued_as(2, b"fields", key=b"k1")},
        {b"v": queued_as(3, key=b"k2")},
    ]
    assert sorted(room.client.hkeys(room.name("pending"))) == [b"k0", b"k1", b"k2"]
    assert room.get("e0") == room.get("e2") == ENTRY.replace(HEAD, head)
    left = {name: room.get(name) for name in names if room.get(name) is not None}
    assert set(left) == {"e0", "row0", "e2", "row2"}
    assert len(room.heard()) == 1


def test_what_does_not_fit_is_refused_and_what_fits_is_taken(room: Room) -> None:
    names = [f"{name}{n}" for n in range(3) for name in ("e", "l", "k", "row")]
    room.put("e2", "old")
    changes = b"".join(change(key=key) for key in (b"k0", b"k1", b"k2"))
    _, *found = enqueue_all(room, changes, names, limit=2)
    assert [type(each) for each in found] == [list, list, int]
    assert room.get("e2") == b"old"
    assert len(stream(room)) == 2


def test_one_call_fills_several_partitions_and_each_refuses_for_itself(room: Room) -> None:
    places = [f"{name}{n}" for n in range(2) for name in PLACE]
    names = [f"{name}{n}" for n in range(4) for name in ("e", "l", "k", "row")]
    for name in names:
        room.put(name, "old")
    where = {b"k0": 0, b"k1": 1, b"k2": 0, b"k3": 1}
    room.client.xadd(room.name("parked0"), {"k": "other"})
    changes = b"".join(change(key=key, place=n) for key, n in where.items())
    head, *found = enqueue_all(room, changes, names, limit=2, places=places)
    assert [type(each) for each in found] == [list, list, int, list]
    held_by = [stream(room, name) for name in ("s0", "s1")]
    assert [[fields for _, fields in one] for one in held_by] == [
        [{b"v": queued_as(key=b"k0")}],
        [{b"v": queued_as(key=b"k1")}, {b"v": queued_as(key=b"k3")}],
    ]
    assert [set(room.client.hkeys(room.name(f"pending{n}"))) for n in (0, 1)] == [
        {b"k0"},
        {b"k1", b"k3"},
    ]
    cached = ENTRY.replace(HEAD, head)
    assert [room.get(f"e{n}") for n in range(4)] == [cached, cached, b"old", cached]
    assert [room.get(f"l{n}") for n in range(4)] == [None, None, b"old", None]
    assert [room.get(f"k{n}") for n in range(4)] == [None, None, b"old", None]
    rows = [room.get(f"row{n}") for n in range(4)]
    assert rows[2] == b"old"
    assert {rows[0], rows[1], rows[3]} == {head + b":" + RANDOM.encode()}
    assert len(room.heard()) == 1


@pytest.mark.parametrize("marked", ["l2", "k2", "row2"])
def test_a_writer_s_mark_keeps_its_own_row_from_being_cached_and_no_other(
    room: Room, marked: str
) -> None:
    """The first change is refused, so that places among the changes and among those taken differ."""
    places = [f"{name}{n}" for n in range(2) for name in PLACE]
    names = [f"{name}{n}" for n in range(4) for name in ("e", "l", "k", "row")]
    room.mark(marked, "writer")
    for n in range(2):
        room.client.xadd(room.name("parked0"), {"k": str(n)})
    changes = b"".join(change(key=b"k%d" % n, place=min(n, 1)) for n in range(4))
    _, *found = enqueue_all(room, changes, names, limit=2, places=places)
    assert [type(each) for each in found] == [int, list, bytes, int]
    assert room.get("e1") is not None
    assert room.get("e2") is None
    assert room.get(marked).startswith(b"!~writer")


def test_a_put_replaces_what_was_pending_and_a_patch_is_added(room: Room) -> None:
    enqueue(room, 1, b"a" + ENTRY)
    second, _ = enqueue(room, 1, b"b" + ENTRY)
    patch, _ = enqueue(room, 2, b"fields", ttl=0)
    assert records(room) == [(second, 1, b"b" + ENTRY), (patch, 2, b"fields")]
    assert room.get("e") is None
    deletion, _ = enqueue(room, 3)
    assert records(room) == [(deletion, 3, ENTRY)]
    assert len(stream(room)) == 4


def test_a_full_partition_takes_nothing_and_says_whether_the_key_waits(room: Room) -> None:
    enqueue(room, limit=1)
    room.heard()
    before = stream(room), records(room), room.get("e"), room.get("seq")
    assert enqueue(room, limit=1) == (1, b"")
    assert (stream(room), records(room), room.get("e"), room.get("seq")) == before
    assert room.heard() == []
    room.client.delete(room.name("pending"))
    assert enqueue(room, limit=1) == (0, b"")


def test_parked_changes_count_as_well(room: Room) -> None:
    room.client.xadd(room.name("parked"), {"k": "other"})
    assert enqueue(room, limit=1) == (0, b"")


@pytest.mark.parametrize("marked", ["l", "k", "row"])
def test_under_a_writer_s_mark_a_put_is_queued_and_not_cached(room: Room, marked: str) -> None:
    room.put("e", "old")
    room.mark(marked, "writer")
    assert enqueue(room)[1] == b""
    assert room.get("e") is None
    assert [token.lstrip("~") for token in room.writers(marked) or []] == ["writer"]
    assert room.get(marked).startswith(b"!~"), "its writer may fill nothing with what it wrote"


def test_a_writer_s_mark_on_the_table_stays_and_keeps_no_row_from_being_cached(room: Room) -> None:
    room.mark("table", "writer")
    assert enqueue(room)[1] != b""
    assert room.get("table").startswith(b"!~writer")


def test_a_write_that_comes_too_late_changes_nothing(room: Room) -> None:
    room.deadline = room.now_us() - 1
    with pytest.raises(redis.ResponseError, match="LATE"):
        enqueue(room)
    assert stream(room) == []
    assert records(room) == []


# -------------------------------------------------------------------- take


def take(room: Room, how: str = "new", *, token: str = "me", count: int = 10) -> Any:
    return room.run("take", ["s", "holder"], token, "g", token, count, how)


@pytest.fixture
def held(room: Room) -> Room:
    room.put("holder", "me")
    room.client.xgroup_create(room.name("s"), "g", "0", mkstream=True)
    return room


def test_take_hands_out_each_entry_once_and_again_what_was_not_settled(held: Room) -> None:
    ids = [enqueue(held)[0] for _ in range(3)]
    assert [entry[0] for entry in take(held, count=2)] == ids[:2]
    assert [entry[0] for entry in take(held)] == ids[2:]
    assert take(held) == []
    assert [entry[0] for entry in take(held, "again")] == ids
    held.put("holder", "other")
    assert [entry[0] for entry in take(held, "again", token="other")] == ids


def test_take_passes_over_entries_that_are_gone(held: Room) -> None:
    first, second = enqueue(held)[0], enqueue(held)[0]
    take(held)
    held.client.xdel(held.name("s"), first)
    assert [entry[0] for entry in take(held, "again")] == [second]


@pytest.mark.parametrize("how", ["new", "again"])
def test_take_refuses_who_does_not_hold_the_partition(held: Room, how: str) -> None:
    enqueue(held)
    with pytest.raises(redis.ResponseError, match="LOST"):
        take(held, how, token="late")
    held.client.delete(held.name("holder"))
    with pytest.raises(redis.ResponseError, match="LOST"):
        take(held, how)


# -------------------------------------------------------------------- settle


def settle(room: Room, group: str = "", *, keys: Any = (), ids: Any = ()) -> Any:
    return room.run("settle", ["s", "pending"], group, pack(list(keys)), pack(list(ids)))


def split(entry_id: bytes) -> tuple[int, int]:
    ms, _, seq = entry_id.decode().partition("-")
    return int(ms), int(seq)


def test_settle_leaves_what_came_later(room: Room) -> None:
    first = enqueue(room)[0]
    second = enqueue(room, 2, b"fields", ttl=0)[0]
    assert settle(room, keys=["key", *split(first), "absent", 1, 0]) == 0
    assert records(room) == [(second, 2, b"fields")]
    assert settle(room, keys=["key", *split(first)]) == 0
    assert settle(room, keys=["key", *split(second)]) == 1
    assert records(room) == []


def test_settle_tells_versions_of_one_millisecond_apart(room: Room) -> None:
    log = struct.pack("<QIBI", 1_700_000_000_000, 7, 1, 1) + b"a"
    room.client.hset(room.name("pending"), "key", log)
    assert settle(room, keys=["key", 1_700_000_000_000, 6]) == 0
    assert settle(room, keys=["key", 1_700_000_000_000, 7]) == 1


def test_settle_acknowledges_and_removes(held: Room) -> None:
    ids = [enqueue(held)[0] for _ in range(2)]
    take(held)
    settle(held, "g", ids=[ids[0].decode()])
    assert [entry[0] for entry in stream(held)] == ids[1:]
    assert held.client.xpending(held.name("s"), "g")["pending"] == 1
    settle(held, ids=[ids[1].decode()])
    assert stream(held) == []


# -------------------------------------------------------------------- move


def move(
    room: Room,
    ids: list[bytes],
    *,
    token: str = "me",
    group: str = "g",
    cause: str = "",
    origin: str = "s",
) -> Any:
    target = "dead" if origin == "s" else "s2"
    texts = pack([entry_id.decode() for entry_id in ids])
    return room.run("move", [origin, target, "holder"], token, group, cause, 3, texts)


def test_move_keeps_everything_and_the_first_id(held: Room) -> None:
    ids = [enqueue(held)[0] for _ in range(3)]
    take(held)
    moved = move(held, [ids[0], ids[2]], cause="why")
    assert [entry[0] for entry in stream(held)] == [ids[1]]
    assert held.client.xpending(held.name("s"), "g")["pending"] == 1
    found = stream(held, "dead")
    assert [entry[0] for entry in found] == moved
    expected = {b"v": queued_as(), b"c": b"why", b"n": b"3"}
    assert [entry[1] for entry in found] == [{**expected, b"o": ids[0]}, {**expected, b"o": ids[2]}]
    again = move(held, moved, origin="dead", group="")
    assert [entry[1][b"o"] for entry in stream(held, "s2")] == [ids[0], ids[2]]
    assert len(again) == 2
    assert stream(held, "dead") == []


def test_move_passes_over_what_is_gone(held: Room) -> None:
    entry_id = enqueue(held)[0]
    assert len(move(held, [b"1-1", entry_id])) == 1
    assert move(held, [entry_id]) == []


def test_move_refuses_who_does_not_hold_the_partition_and_lets_operators(held: Room) -> None:
    entry_id = enqueue(held)[0]
    with pytest.raises(redis.ResponseError, match="LOST"):
        move(held, [entry_id], token="late")
    assert len(stream(held)) == 1
    assert len(move(held, [entry_id], token="")) == 1


# -------------------------------------------------------------------- muster


def test_muster_counts_those_that_live(room: Room) -> None:
    assert room.run("muster", ["w"], "a", 60_000) == 1
    assert room.run("muster", ["w"], "b", 60_000) == 2
    assert room.run("muster", ["w"], "a", 60_000) == 2
    assert room.run("muster", ["w"], "a", 0) == 1
    room.client.zadd(room.name("w"), {"dead": 1})
    assert room.run("muster", ["w"], "b", 60_000) == 1
    assert 0 < room.left("w") <= 600_000
