"""Slots and outcomes in threads: who waits is served, in time, and an interrupt takes nothing away from the others."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cachewright._waits.threads import Outcome, Slots
from cachewright.errors import LoadTimeout
from rig.waiting import eventually

PATIENCE = 5.0


def test_no_more_than_the_limit_are_in_at_once() -> None:
    slots, inside, most = Slots(3), [0], [0]
    lock = threading.Lock()

    def visit() -> None:
        for _ in range(50):
            assert slots.take(PATIENCE)
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0)
            with lock:
                inside[0] -= 1
            slots.give()

    with ThreadPoolExecutor(12) as pool:
        for visitor in [pool.submit(visit) for _ in range(12)]:
            visitor.result(30)
    assert most[0] <= 3
    assert [slots.take(0) for _ in range(4)] == [True, True, True, False]


def test_a_slot_that_is_given_back_reaches_one_who_waits() -> None:
    slots = Slots(1)
    assert slots.take(0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slots.take, PATIENCE)
        eventually(lambda: slots._waiting == 1)
        slots.give()
        assert waiting.result(PATIENCE)


def test_who_gets_no_slot_in_time_is_told_so() -> None:
    slots = Slots(1)
    assert slots.take(0)
    assert not slots.take(0.01)
    slots.give()
    assert slots.take(0)


def test_without_a_limit_everybody_is_let_in() -> None:
    slots = Slots(None)
    assert all(slots.take(0) for _ in range(1000))
    slots.give()


@pytest.mark.parametrize("callers", [1, 50])
def test_an_outcome_reaches_all_who_wait_for_it(callers: int) -> None:
    outcome = Outcome()
    with ThreadPoolExecutor(callers) as pool:
        waiting = [pool.submit(outcome.wait, PATIENCE) for _ in range(callers)]
        outcome.succeed("value")
        assert all(one.result(PATIENCE) for one in waiting)
    assert outcome.wait(0)
    assert outcome.value == "value"


def test_an_outcome_that_does_not_come_is_waited_for_no_longer_than_asked() -> None:
    outcome = Outcome()
    assert not outcome.wait(0.01)
    outcome.fail(LoadTimeout("late"))
    assert outcome.wait(0.01)
    assert isinstance(outcome.error, LoadTimeout)


class Interrupting:
    """A lock whose first holder is interrupted as soon as it has it."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._interrupts = 1
        self.release = lock.release

    def acquire(self, timeout: float) -> bool:
        assert self._lock.acquire(timeout=timeout)
        if self._interrupts:
            self._interrupts -= 1
            raise KeyboardInterrupt
        return True


def test_a_caller_who_is_interrupted_at_the_gate_does_not_keep_it() -> None:
    outcome = Outcome()
    outcome._gates.append(Interrupting(outcome._gate()))  # type: ignore[arg-type]
    outcome._gates.reverse()
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(outcome.wait, PATIENCE) for _ in range(10)]
        outcome.succeed("value")
        ends = [one.exception(PATIENCE) for one in waiting]
    assert sum(isinstance(end, KeyboardInterrupt) for end in ends) <= 1
    assert all(end is None or isinstance(end, KeyboardInterrupt) for end in ends)
    assert outcome.wait(0)
