"""What processes tell each other, invalidations still to be told, and a breaker for a dead server."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachewright.core.tags import NAMESPACE
from cachewright.redis import messages
from cachewright.redis.breaker import Breaker
from cachewright.redis.messages import BATCH, MAX_BYTES, VERSION, Invalidation, Wake
from cachewright.redis.repairs import Repairs
from cachewright.redis.replies import Ended

PLAIN = st.text(st.characters(exclude_categories=["Cs"]))


@given(PLAIN, st.lists(PLAIN, max_size=3), st.lists(PLAIN, max_size=3))
def test_a_message_comes_back(sender: str, keys: list[str], tags: list[str]) -> None:
    told = Invalidation(VERSION, sender, keys, tags)
    assert messages.invalidation(messages.encode(told)) == told
    assert messages.wake(messages.encode(Wake(VERSION, sender))) == Wake(VERSION, sender)


@given(st.binary(max_size=200))
def test_security_21_any_other_bytes_are_none_and_never_an_exception(data: bytes) -> None:
    for read in (messages.invalidation, messages.wake):
        got = read(data)
        assert got is None or got.version == VERSION


@pytest.mark.parametrize(
    "foreign",
    [
        [2, "sender", ["k"], ["t"]],
        [0, "sender", ["k"], ["t"]],
        ["1", "sender", ["k"], ["t"]],
        [VERSION, "sender", "k", "t"],
        [VERSION, "sender", [1], []],
        [VERSION, "sender"],
        {"version": 1},
        "FLUSHALL",
        None,
    ],
    ids=repr,
)
def test_security_21_a_foreign_format_is_none(foreign: Any) -> None:
    assert messages.invalidation(msgspec.msgpack.encode(foreign)) is None


@pytest.mark.parametrize(
    "foreign", [[2, "k"], [VERSION], [VERSION, 7], ["1", "k"], "k", None], ids=repr
)
def test_security_21_a_foreign_wake_up_is_none(foreign: Any) -> None:
    assert messages.wake(msgspec.msgpack.encode(foreign)) is None


def test_a_later_release_may_add_fields_under_the_same_version() -> None:
    data = msgspec.msgpack.encode([VERSION, "sender", ["k"], ["t"], "something new"])
    assert messages.invalidation(data) == Invalidation(VERSION, "sender", ["k"], ["t"])


@pytest.mark.parametrize("data", [b"\x94\x01\xa1\xff\x90\x90", b"\x92\x01\xa1\xff"])
def test_text_that_is_no_utf_8_is_none(data: bytes) -> None:
    assert messages.invalidation(data) is None
    assert messages.wake(data) is None


def test_security_21_a_message_too_long_is_none_without_being_parsed() -> None:
    long = messages.encode(Invalidation(VERSION, "s", ["k" * MAX_BYTES], []))
    assert messages.invalidation(long) is None
    short = messages.encode(Invalidation(VERSION, "s", ["k" * 1000], []))
    assert messages.invalidation(short) is not None
    assert messages.wake(messages.encode(Wake(VERSION, "k" * MAX_BYTES))) is None


@given(st.integers(0, 3 * BATCH), st.integers(0, 3 * BATCH))
def test_any_number_of_names_goes_out_in_portions_and_each_name_once(keys: int, tags: int) -> None:
    names = [f"k{n}" for n in range(keys)], [f"t{n}" for n in range(tags)]
    portions = list(messages.batches(*names))
    assert [name for some, _ in portions for name in some] == names[0]
    assert [name for _, some in portions for name in some] == names[1]
    assert all(len(some) <= BATCH and len(others) <= BATCH for some, others in portions)
    assert portions


def test_the_longest_names_fit_into_one_message() -> None:
    """A batch of long keys must not be refused by those who hear it."""
    keys = [f"{n}:" + "k" * 5_000 for n in range(BATCH)]
    for some, others in messages.batches(keys, []):
        data = messages.encode(Invalidation(VERSION, "s", some, others))
        assert messages.invalidation(data) is not None


# -------------------------------------------------------------------- repairs


def test_what_failed_is_kept_until_it_is_confirmed() -> None:
    repairs = Repairs()
    assert not repairs
    repairs.add(["k1"], ["t:a"])
    repairs.add(["k1", "k2"], [], "writer")
    pending = repairs.pending()
    assert (sorted(pending.keys), pending.tags) == (["k1", "k2"], ["t:a"])
    assert pending.tokens == ["writer"]
    repairs.confirm(pending.serial)
    assert not repairs
    assert repairs.pending().tokens == [""]


def test_what_was_added_while_a_repair_was_under_way_stays() -> None:
    repairs = Repairs()
    repairs.add(["old", "both"], [], "first")
    serial = repairs.pending().serial
    repairs.add(["both", "new"], [], "second")
    repairs.confirm(serial)
    assert sorted(repairs.pending().keys) == ["both", "new"]
    assert repairs.pending().tokens == ["second"]


def test_a_key_and_a_tag_of_one_name_are_two() -> None:
    repairs = Repairs()
    repairs.add(["n:"], ["n:"])
    assert len(repairs) == 2


def test_security_23_beyond_the_limit_it_becomes_the_whole_namespace() -> None:
    repairs = Repairs(limit=3)
    repairs.add(["a", "b", "c", "d"], [])
    assert (repairs.pending().keys, repairs.pending().tags) == ([], [NAMESPACE])
    repairs.add(["e"], [])
    assert repairs.pending().keys == ["e"]
    repairs.confirm(repairs.pending().serial)
    assert not repairs


def test_security_23_the_tokens_of_ended_writers_are_bounded() -> None:
    repairs = Repairs()
    for n in range(1000):
        repairs.add(["k"], [], f"writer-{n}")
    assert len(repairs.pending().tokens) <= 100


def test_threads_that_add_and_confirm_lose_nothing() -> None:
    repairs = Repairs()

    def work(worker: int) -> None:
        for n in range(200):
            repairs.add([f"{worker}:{n}"], [])
            if n % 7 == 0:
                repairs.pending()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(repairs) == 800


# -------------------------------------------------------------------- breaker


def opened(breaker: Breaker, now: float = 0.0) -> Breaker:
    for _ in range(5):
        breaker.failed(now)
    return breaker


def test_five_failures_in_a_row_open_it_and_say_so_once() -> None:
    breaker = Breaker()
    assert [breaker.failed(0.0) for _ in range(7)] == [False] * 4 + [True] + [False] * 2
    assert breaker.is_open
    assert not breaker.allows(0.5)


def test_an_answer_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(20):
        for _ in range(4):
            assert not breaker.failed(0.0)
        breaker.succeeded()
    assert not breaker.is_open
    assert breaker.allows(0.0)


def test_after_the_pause_one_call_may_try_and_the_others_wait_for_its_outcome() -> None:
    breaker = opened(Breaker())
    assert not breaker.allows(0.99)
    assert [breaker.allows(1.0) for _ in range(3)] == [True, False, False]


def test_a_trial_that_succeeds_closes_it() -> None:
    breaker = opened(Breaker())
    assert breaker.allows(1.0)
    breaker.succeeded()
    assert not breaker.is_open
    assert all(breaker.allows(1.0) for _ in range(3))
    opened(breaker, 1.0)
    assert breaker.allows(2.0), "the pause begins at its first length again"


def test_pauses_double_to_thirty_seconds() -> None:
    breaker = opened(Breaker())
    now, pauses = 1.0, []
    for _ in range(8):
        assert breaker.allows(now)
        breaker.failed(now)
        pause = next(p for p in range(1, 100) if breaker.allows(now + p))
        pauses.append(pause)
        now += pause + 100
    assert pauses == [2, 4, 8, 16, 30, 30, 30, 30]


def test_failures_of_calls_that_were_under_way_when_it_opened_do_not_lengthen_the_pause() -> None:
    """A hundred callers that time out together are one failure of the server, not ninety-five doublings."""
    breaker = opened(Breaker())
    for _ in range(95):
        breaker.failed(0.0)
    assert breaker.allows(1.0)


ROWS = [f"t:row:flights:{n}" for n in range(BATCH)]


def test_tables_move_behind_their_rows() -> None:
    """Else who sees the table's new stamp and a row's old one would take the one for as good as the other."""
    found = [tag for _, tags in messages.batches([], ["t:table:flights", *ROWS]) for tag in tags]
    assert found == [*ROWS, "t:table:flights"]


def written(n: int, *shared: str) -> Ended:
    tag = f"t:row:flights:{n}"
    return Ended(f"flights:{n}", b"bytes", 60.0, dict.fromkeys((tag, *shared), 1))


def test_at_the_end_of_a_write_too() -> None:
    ended = [written(n) for n in range(BATCH)]
    portions = list(messages.endings(ended, ["t:table:flights", *ROWS, "t:row:flights:x"]))
    assert len(portions) > 2
    assert [tag for _, tags in portions for tag in tags][-1] == "t:table:flights"


def test_at_the_end_of_a_write_each_tag_moves_once() -> None:
    """Who embeds one that has moved in an earlier portion goes without bytes."""
    ended = [written(n, "t:rows:flights") for n in range(BATCH)]
    portions = list(messages.endings(ended, ["t:rows:flights", *ROWS, "t:table:flights"]))
    moved = [tag for _, tags in portions for tag in tags]
    assert sorted(moved) == sorted({"t:rows:flights", *ROWS, "t:table:flights"})
    assert [each.key for rows, _ in portions for each in rows] == [each.key for each in ended]
    for n, (rows, tags) in enumerate(portions):
        for each in rows:
            assert bool(each.data) is (n == 0)
            assert each.places.keys() <= set(tags)
