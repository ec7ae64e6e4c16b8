"""What a recorded history may show, and the violations planted in it that must be found."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from protocol.history import Op, Operation, complaints

LATENCY = 0.1


def op(
    process: str, what: Op, version: int | None, start: float, *, lasts: float = 0.01
) -> Operation:
    return Operation(process, what, "k", version, start, start + lasts)


WRITE = op("a", "write", 1, 1.0)
TOLD = op("a", "invalidate", 1, 1.1)
"""Ends at 1.11."""


def judged(*operations: Operation) -> list[str]:
    return complaints(operations, bus_latency=LATENCY)


# -------------------------------------------------------------------- what is allowed


def test_an_empty_history_is_right() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(op("a", "read", 0, 0.5), id="before the write"),
        pytest.param(op("a", "read", 0, 1.05), id="after the write, before the invalidation"),
        pytest.param(op("a", "read", 0, 1.105), id="started while the invalidation ran"),
        pytest.param(op("a", "read", 0, 1.0, lasts=9), id="started before, whenever it ended"),
        pytest.param(op("b", "read", 0, 1.2), id="elsewhere, within the latency of the bus"),
        pytest.param(op("a", "read", 1, 1.2), id="the new version"),
        pytest.param(op("b", "verified", 1, 1.2), id="the new version, verified"),
        pytest.param(op("a", "read", 1, 1.005), id="the new version while it was written"),
        pytest.param(op("a", "read", None, 9.0), id="nothing at all"),
    ],
)
def test_this_read_is_allowed(read: Operation) -> None:
    assert judged(WRITE, TOLD, read) == []


def test_an_invalidation_that_never_returned_promises_nothing() -> None:
    cut = replace(TOLD, end=math.inf)
    assert judged(WRITE, cut, op("a", "read", 0, 9.0)) == []


def test_a_write_that_was_cut_short_may_be_seen_and_need_not() -> None:
    cut = replace(WRITE, end=math.inf)
    told = op("a", "invalidate", None, 2.0)
    assert judged(cut, told, op("a", "read", 0, 3.0), op("a", "read", 1, 4.0)) == []


def test_another_key_is_another_matter() -> None:
    assert judged(WRITE, TOLD, replace(op("a", "read", 0, 9.0), key="l")) == []


def test_a_later_write_that_nobody_was_told_of_is_not_missed() -> None:
    assert judged(WRITE, TOLD, op("a", "write", 2, 2.0), op("a", "read", 1, 9.0)) == []


# -------------------------------------------------------------------- what is planted and must be found


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (op("a", "read", 0, 1.12), "the same process had invalidated"),
        (op("a", "read", 0, 99.0), "the same process had invalidated"),
        (op("b", "verified", 0, 1.12), "it was verified after"),
        (op("b", "read", 0, 1.22), "later than the bus may take"),
        (op("b", "read", 2, 1.22), "which nobody wrote"),
        (op("b", "read", 1, 0.5), "before anybody wrote it"),
    ],
)
def test_this_read_is_complained_of(read: Operation, why: str) -> None:
    (complaint,) = judged(WRITE, TOLD, read)
    assert why in complaint


def test_an_invalidation_covers_what_others_had_committed_before_it_began() -> None:
    unaware = op("b", "invalidate", None, 1.1)
    assert len(judged(WRITE, unaware, op("b", "read", 0, 2.0))) == 1
    early = op("b", "invalidate", None, 1.005)
    assert judged(WRITE, early, op("b", "read", 0, 2.0)) == []


def test_the_newest_version_counts_and_not_the_last_invalidation() -> None:
    newer, older = op("a", "invalidate", 2, 2.0), op("b", "invalidate", 1, 3.0)
    writes = [WRITE, op("a", "write", 2, 1.5)]
    assert len(judged(*writes, newer, older, op("c", "read", 1, 4.0))) == 1


def test_an_invalidation_that_was_heard_binds_at_once() -> None:
    read = op("b", "read", 0, 1.15)
    assert judged(WRITE, TOLD, read) == []
    heard = replace(TOLD, process="b", end=1.14)
    assert len(judged(WRITE, TOLD, heard, read)) == 1


def test_each_read_is_complained_of_once_and_in_the_order_of_time() -> None:
    found = judged(WRITE, TOLD, op("b", "verified", 0, 3.0), op("a", "verified", 0, 2.0))
    assert [complaint.split(" ")[4] for complaint in found] == ["'a'", "'b'"]


def test_the_order_of_the_records_does_not_matter() -> None:
    history = [WRITE, TOLD, op("b", "read", 0, 5.0), op("a", "read", 0, 4.0)]
    expected = judged(*history)
    assert len(expected) == 2
    for seed in range(5):
        random.Random(seed).shuffle(history)
        assert judged(*history) == expected


def test_a_history_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        judged(op("a", "read", 0, 1.0, lasts=-0.5))
    with pytest.raises(ValueError, match="needs its version"):
        judged(op("a", "write", None, 1.0))
    with pytest.raises(ValueError, match="no such operation"):
        judged(replace(WRITE, op="delete"))  # type: ignore[arg-type]


# -------------------------------------------------------------------- against a slower and plainer judge


def plain_verdict(history: list[Operation], read: Operation) -> bool:
    """The promise word by word, by comparison of all with all."""
    for told in history:
        if told.op != "invalidate" or read.version is None:
            continue
        knew = [told.version or 0] + [
            write.version or 0
            for write in history
            if write.op == "write" and write.end < told.start
        ]
        binds = (
            (told.process == read.process and told.end < read.start)
            or (read.op == "verified" and told.end < read.start)
            or told.end + LATENCY < read.start
        )
        if binds and read.version < max(knew):
            return True
    return False


def random_history(seed: int) -> list[Operation]:
    chance = random.Random(seed)
    history, committed = [], 0
    for step in range(40):
        start, lasts = step * 0.05, chance.uniform(0, 0.2)
        process = chance.choice("abc")
        kind: Op = chance.choice(["read", "verified", "write", "invalidate"])
        if kind == "write":
            committed += 1
        version = (
            committed - chance.choice([0, 0, 1]) if kind in ("read", "verified") else committed
        )
        history.append(op(process, kind, max(version, 0), start, lasts=lasts))
    return history


def test_it_agrees_with_the_promise_word_by_word() -> None:
    wrong = right = 0
    for seed in range(200):
        history = random_history(seed)
        expected = sum(
            plain_verdict(history, read) for read in history if read.op in ("read", "verified")
        )
        found = [text for text in judged(*history) if "wrote" not in text]
        assert len(found) == expected, f"seed {seed}"
        wrong += bool(expected)
        right += not expected
    assert wrong > 20, "the histories hardly ever break the promise"
    assert right > 20, "the histories hardly ever keep the promise"
