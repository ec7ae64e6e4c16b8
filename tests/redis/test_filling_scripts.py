"""Acquire, fill, renew, store: every branch, on every server."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from cachewright.core.envelope import Kind
from cachewright.redis.scripts import FENCED, QUEUE, script
from rig.scripts import CHANNEL, FILL, OTHER_FILL, Room, entry

# -------------------------------------------------------------------- acquire


def acquire(room: Room, token: str = "tok1", *, seen: bytes = b"", waiter: str = "") -> Any:
    (reply,) = room.run("acquire", ["e", "l"], 10_000, waiter, token, seen)
    return reply


def test_acquire_gives_a_lease_that_runs_out(room: Room) -> None:
    assert acquire(room) == [b"lease"]
    assert room.get("l") == b"tok1"
    assert 9_000 < room.left("l") <= 10_000


def test_acquire_returns_an_entry_that_somebody_filled_meanwhile(room: Room) -> None:
    room.put("e", entry())
    assert acquire(room) == [b"entry", entry()]
    assert acquire(room, seen=OTHER_FILL) == [b"entry", entry()]
    assert room.get("l") is None


def test_acquire_looks_past_the_entry_that_the_caller_will_not_use(room: Room) -> None:
    room.put("e", entry())
    assert acquire(room, seen=FILL) == [b"lease"]
    assert room.get("e") == entry()


def test_acquire_again_by_the_same_token_is_the_same_lease(room: Room) -> None:
    acquire(room)
    assert acquire(room) == [b"lease"]
    assert room.get("l") == b"tok1"


def test_acquire_of_a_held_key_says_how_long_and_registers_each_waiter_once(room: Room) -> None:
    acquire(room)
    for waiter in ("p1", "p1", "p2", ""):
        outcome, left = acquire(room, "tok2", waiter=waiter)
        assert outcome == b"held"
        assert 9_000 < left <= 10_000
    assert room.get("l") == b"tok1 p1 p2"
    assert acquire(room) == [b"lease"]


def test_acquire_under_a_mark_is_refused(room: Room) -> None:
    room.mark("l", "writer")
    assert acquire(room) == [b"marked"]
    assert room.writers("l") == ["writer"]


def test_acquire_removes_what_is_not_a_string(room: Room) -> None:
    room.client.rpush(room.name("e"), "x")
    room.client.rpush(room.name("l"), "x")
    assert acquire(room) == [b"lease"]
    assert room.get("e") is None
    assert room.get("l") == b"tok1"


def test_acquire_of_many_keys_answers_each_for_itself(room: Room) -> None:
    """Free, filled, filled with what is of no use, held, marked, one's own, and no strings: in one call."""
    names = [f"{kind}{n}" for n in range(7) for kind in "el"]
    room.put("e1", entry())
    room.put("e2", entry())
    room.put("l3", "tok9", px=10_000)
    room.mark("l4", "writer")
    room.put("l5", "tok5 p0", px=10_000)
    room.client.rpush(room.name("e6"), "x")
    room.client.rpush(room.name("l6"), "x")
    asks = [word for n in range(7) for word in (f"tok{n}", FILL if n == 2 else b"")]
    reply = room.run("acquire", names, 10_000, "p1", *asks)
    outcomes = [one[0] for one in reply]
    assert outcomes == [b"lease", b"entry", b"lease", b"held", b"marked", b"lease", b"lease"]
    assert reply[1][1] == entry()
    assert 9_000 < reply[3][1] <= 10_000
    leases = [room.get(f"l{n}") for n in range(7) if n != 4]
    assert leases == [b"tok0", None, b"tok2", b"tok9 p1", b"tok5 p0", b"tok6"]
    assert room.writers("l4") == ["writer"]


# -------------------------------------------------------------------- fill


def fill(room: Room, data: bytes = b"data", token: str = "tok1") -> Any:
    (reply,) = room.run("fill", ["e", "l"], room.name("wake:"), token, data, 5_000, b"message")
    return reply


def test_fill_under_its_lease_stores_frees_the_key_and_wakes_who_waits(room: Room) -> None:
    acquire(room)
    acquire(room, "tok2", waiter="p1")
    acquire(room, "tok3", waiter="p2")
    assert fill(room) == 1
    assert room.get("e") == b"data"
    assert 4_000 < room.left("e") <= 5_000
    assert room.get("l") is None
    assert room.heard() == [("wake:p1", b"message"), ("wake:p2", b"message")]


def test_fill_with_nothing_gives_the_lease_back_and_wakes(room: Room) -> None:
    acquire(room)
    acquire(room, "tok2", waiter="p1")
    assert fill(room, b"") == 1
    assert (room.get("e"), room.get("l")) == (None, None)
    assert room.heard() == [("wake:p1", b"message")]


@pytest.mark.parametrize("lease", [None, "tok2", "!tok1,", "list"])
def test_fill_without_its_lease_changes_nothing(room: Room, lease: str | None) -> None:
    """Revoked, held by another, marked by a writer, or no string at all."""
    if lease == "list":
        room.client.rpush(room.name("l"), "tok1")
    elif lease:
        room.put("l", lease)
    assert fill(room) == 0
    assert room.get("e") is None
    assert room.heard() == []


def test_a_fill_that_forgot_its_lease_would_store(room: Room) -> None:
    """The mutant of the test above."""
    source = script("fill").source.replace(b"return 0", b"local _ = 0")
    keys = [room.name("e"), room.name("l")]
    room.put("l", "tok2")
    room.client.eval(source.decode(), 2, *keys, "w", "tok1", b"old", 5_000, b"m")
    assert room.get("e") == b"old"


NAMES = [f"{kind}{n}" for n in range(6) for kind in "el"]


def fill_many(room: Room, source: str = "") -> Any:
    """Six keys, of which the first, the fourth and the sixth still have their lease."""
    room.put("l0", "tok0 p1 p2")
    room.put("l1", "tok9 p3")
    room.mark("l2", "tok2")
    room.put("l3", "tok3 p1")
    room.client.rpush(room.name("l4"), "tok4")
    room.put("l5", "tok5")
    room.put("e5", "older")
    items = [
        word
        for n in range(6)
        for word in (f"tok{n}", b"" if n == 3 else f"data{n}", 5_000 + n, f"message{n}")
    ]
    if not source:
        return room.run("fill", NAMES, room.name("wake:"), *items)
    keys = map(room.name, NAMES)
    return room.client.eval(source, len(NAMES), *keys, room.name("wake:"), *items)


def test_fill_of_many_keys_judges_each_by_its_own_lease_and_wakes_each_ones_waiters(
    room: Room,
) -> None:
    assert fill_many(room) == [1, 0, 0, 1, 0, 1]
    entries = [room.get(f"e{n}") for n in range(6)]
    assert entries == [b"data0", None, None, None, None, b"data5"]
    assert [room.get(f"l{n}") for n in (0, 1, 3, 5)] == [None, b"tok9 p3", None, None]
    assert room.writers("l2") == ["tok2"]
    assert room.heard() == [
        ("wake:p1", b"message0"),
        ("wake:p2", b"message0"),
        ("wake:p1", b"message3"),
    ]


def test_what_one_key_is_refused_for_want_of_memory_costs_the_others_nothing(room: Room) -> None:
    """The server refuses one SET: that key is emptied, its waiters are woken, and the others are filled."""
    stores = "redis.pcall('SET', entry, data, 'PX', ttl)"
    refuses = f"data == 'data0' and redis.error_reply('OOM too short') or {stores}"
    source = script("fill").source.decode()
    assert source.count(stores) == 1
    room.put("e0", "older")
    refused, *others = fill_many(room, source.replace(stores, refuses))
    assert isinstance(refused, redis.ResponseError)
    assert others == [0, 0, 1, 0, 1]
    assert (room.get("e0"), room.get("l0"), room.get("e5")) == (None, None, b"data5")
    assert ("wake:p1", b"message0") in room.heard()


# -------------------------------------------------------------------- renew


def test_renew_keeps_the_lease_and_its_waiters(room: Room) -> None:
    room.put("l", "tok1 p1", px=100)
    assert room.run("renew", ["l"], "tok1", 10_000) == 1
    assert room.get("l") == b"tok1 p1"
    assert room.left("l") > 9_000


@pytest.mark.parametrize("lease", [None, "tok2", "!tok1,", "list"])
def test_renew_of_a_lost_lease_changes_nothing(room: Room, lease: str | None) -> None:
    if lease == "list":
        room.client.rpush(room.name("l"), "tok1")
    elif lease:
        room.put("l", lease, px=100_000)
    left = room.left("l")
    assert room.run("renew", ["l"], "tok1", 500_000) == 0
    assert room.left("l") <= left


# -------------------------------------------------------------------- store


def store(room: Room, condition: bytes = b"*", data: bytes = b"") -> Any:
    names = ["e", "l", "s"]
    return room.run("store", names, data or entry(), 5_000, condition, room.name(CHANNEL), b"m")


def test_store_revokes_the_lease_and_the_keys_stamp_and_tells(room: Room) -> None:
    room.put("e", "old")
    room.put("l", "tok1")
    room.put("s", "stamp")
    assert store(room) == 1
    assert room.get("e") == entry()
    assert 4_000 < room.left("e") <= 5_000
    assert (room.get("l"), room.get("s")) == (None, None)
    assert room.heard() == [(CHANNEL, b"m")]


def test_store_under_a_mark_is_refused(room: Room) -> None:
    room.mark("l", "writer")
    assert store(room) == -1
    assert room.get("e") is None
    assert room.heard() == []


def test_store_if_absent(room: Room) -> None:
    assert store(room, b"") == 1
    assert store(room, b"", entry(fill=OTHER_FILL)) == 0
    assert room.get("e") == entry()


def test_store_over_the_entry_that_was_seen_and_no_other(room: Room) -> None:
    room.put("e", entry())
    assert store(room, OTHER_FILL, b"x" * 60) == 0
    assert store(room, FILL, b"x" * 60) == 1
    assert room.get("e") == b"x" * 60


def test_store_replaces_what_is_not_a_string(room: Room) -> None:
    for name in ("e", "l", "s"):
        room.client.rpush(room.name(name), "x")
    assert store(room, b"") == 1
    assert room.get("e") == entry()


# -------------------------------------------------------------------- late


def verbs_that_must_not_run_late(room: Room) -> dict[str, Any]:
    channel, message = room.name(CHANNEL), b"m"
    counter = entry(Kind.COUNTER, payload=b"1")
    return {
        "acquire": lambda: acquire(room),
        "store": lambda: store(room),
        "mark": lambda: room.run(
            "mark", ["e", "l", "s"], 1, 0, "f" * 24, 1000, "a", channel, message, 1000, ""
        ),
        "count": lambda: room.run(
            "count",
            ["e", "l", "s"],
            *(1, counter, 1000, counter[48:-1], "1.0", FILL, channel, message),
        ),
        "touch": lambda: room.run(
            "touch", ["e"], "1.0", b"t" * 16, b"l" * 4, 1000, channel, message
        ),
    }


@pytest.mark.parametrize("verb", sorted(FENCED - {*QUEUE}))
def test_what_comes_after_its_deadline_changes_nothing(room: Room, verb: str) -> None:
    """The caller has given up, and may have said something else since."""
    run = verbs_that_must_not_run_late(room)[verb]
    room.deadline = room.now_us() - 1
    with pytest.raises(redis.ResponseError, match="LATE"):
        run()
    assert not room.client.exists(*map(room.name, "els"))
    assert room.heard() == []
    room.deadline = room.now_us() + 60_000_000
    run()
