"""What threads read while the server is busy with others leaves together, and each gets what it asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from cachewright import MISSING, Cache, Policy, Timeouts
from cachewright._waits import threads_gets
from cachewright._waits.threads_gets import LEAST, Asked, Gathering
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteTimeout, RemoteUnavailable
from cachewright.redis import wire
from cachewright.testing import RecordingListener
from rig.waiting import eventually

NODE = b"node"
BUDGET = 5.0


class Rehearsal(Gathering):
    """A server that answers when it is told to, with the names it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.commands: list[bytes] = []
        self.answer: Callable[[list[bytes]], Any] = lambda names: names

    def one(self, packed: bytes, timeout: float) -> Asked | None:
        self.commands.append(packed)
        assert self.gate.wait(BUDGET)
        names = packed.split(b"\r\n")[4::2]
        if b"MGET" in packed:
            return self.answer(names), NODE
        return names[0], NODE

    def read(self, name: str, timeout: float = BUDGET) -> bytes:
        asked = self.get(wire.pack_argument(name), wire.pack_one("GET", name), timeout)
        assert asked is not None
        assert asked[1] == NODE
        if isinstance(asked[0], Exception):
            raise asked[0]
        return bytes(asked[0])


@contextmanager
def busy(server: Rehearsal) -> Iterator[ThreadPoolExecutor]:
    """Threads, while as many round trips are under way as may be."""
    with ThreadPoolExecutor(40) as pool:
        first = [pool.submit(server.read, f"first{n}") for n in range(LEAST)]
        eventually(lambda: len(server.commands) == LEAST)
        yield pool
        server.gate.set()
        assert [got.result(BUDGET) for got in first] == [f"first{n}".encode() for n in range(LEAST)]


def waiting(server: Rehearsal, pool: ThreadPoolExecutor, number: int) -> list[Future[bytes]]:
    """So many reads that have to wait for a turn."""
    reads = []
    for n in range(number):
        reads.append(pool.submit(server.read, f"k{n}"))
        eventually(lambda n=n: len(server._queue) == n + 1)  # type: ignore[misc]
    return reads


def test_those_who_wait_are_asked_for_in_one_command() -> None:
    server = Rehearsal()
    with busy(server) as pool:
        reads = waiting(server, pool, 10)
        server.gate.set()
        assert [read.result(BUDGET) for read in reads] == [f"k{n}".encode() for n in range(10)]
    assert len(server.commands) <= LEAST + 2, "the first who waits asks for all, or two do"
    assert server._under_way == 0


def test_no_more_leave_together_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_gets, "TOGETHER", 4)
    server = Rehearsal()
    with busy(server) as pool:
        reads = waiting(server, pool, 20)
        server.gate.set()
        assert [read.result(BUDGET) for read in reads] == [f"k{n}".encode() for n in range(20)]
    assert len(server.commands) >= LEAST + 5
    assert server._under_way == 0


def test_a_failure_is_everybodys_and_each_gets_an_error_of_its_own() -> None:
    server = Rehearsal()

    def fail(names: list[bytes]) -> Any:
        raise RemoteUnavailable("gone")

    server.answer = fail
    with busy(server) as pool:
        reads = waiting(server, pool, 6)
        server.gate.set()
        errors = [read.exception(BUDGET) for read in reads]
    failed = [error for error in errors if error is not None]
    assert len(failed) >= 2, "a thread that asks for itself alone is not failed here"
    assert all(isinstance(error, RemoteUnavailable) for error in failed)
    assert len({id(error) for error in failed}) == len(failed)
    assert server._under_way == 0


@pytest.mark.parametrize("nonsense", [b"one reply for all", [], None, [b"too few"]])
def test_a_reply_that_makes_no_sense_is_given_to_nobody_as_a_value(nonsense: Any) -> None:
    server = Rehearsal()
    server.answer = lambda names: nonsense
    with busy(server) as pool:
        reads = waiting(server, pool, 3)
        server.gate.set()
        outcomes = [read.exception(BUDGET) for read in reads]
    assert [type(error) for error in outcomes if error is not None][:2] == [wire.ServerError] * 2


def test_a_thread_that_waits_too_long_for_its_turn_gives_up_and_takes_no_turn_with_it() -> None:
    server = Rehearsal()
    with busy(server) as pool:
        late = pool.submit(server.read, "late", 0.05)
        assert isinstance(late.exception(BUDGET), RemoteTimeout)
        assert not server._queue
        patient = waiting(server, pool, 2)
        server.gate.set()
        assert [read.result(BUDGET) for read in patient] == [b"k0", b"k1"]
    assert server._under_way == 0
    assert server.read("afterwards") == b"afterwards"


def test_a_thread_that_is_interrupted_while_it_asks_passes_its_turn_on() -> None:
    server = Rehearsal()

    def interrupt(names: list[bytes]) -> Any:
        server.answer = lambda names: names
        raise KeyboardInterrupt

    server.answer = interrupt
    with busy(server) as pool:
        reads = waiting(server, pool, 5)
        server.gate.set()
        outcomes = [read.exception(BUDGET) for read in reads]
    assert sum(isinstance(error, KeyboardInterrupt) for error in outcomes) == 1
    assert all(
        error is None or isinstance(error, RemoteUnavailable | KeyboardInterrupt)
        for error in outcomes
    )
    assert server._under_way == 0


def test_a_thread_that_is_interrupted_while_it_waits_takes_no_turn_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(threads_gets._Waiter):
        """Its wait ends in an interrupt, when it is its turn."""

        class Woken:
            def __init__(self, woken: threading.Lock) -> None:
                self._woken = woken

            def acquire(self, timeout: float) -> bool:
                assert self._woken.acquire(timeout=timeout)
                raise KeyboardInterrupt

            def release(self) -> None:
                self._woken.release()

        def __init__(self, name: bytes) -> None:
            super().__init__(name)
            self.woken = Interrupted.Woken(self.woken)  # type: ignore[assignment]

    server = Rehearsal()
    with busy(server) as pool:
        monkeypatch.setattr(threads_gets, "_Waiter", Interrupted)
        interrupted = pool.submit(server.read, "interrupted")
        eventually(lambda: len(server._queue) == 1)
        monkeypatch.undo()
        patient = pool.submit(server.read, "patient")
        eventually(lambda: len(server._queue) == 2)
        server.gate.set()
        assert isinstance(interrupted.exception(BUDGET), KeyboardInterrupt)
        assert patient.result(BUDGET) == b"patient"
    assert server._under_way == 0


def test_who_need_not_queue_is_sent_on_when_another_thread_waits_for_the_same_key() -> None:
    server = Rehearsal()
    with busy(server) as pool:
        read = waiting(server, pool, 1)[0]
        same, other = (
            (wire.pack_argument(name), wire.pack_one("GET", name)) for name in ("k0", "k1")
        )
        assert server.get(*same, BUDGET, queue=False) is None
        alone = pool.submit(lambda: server.get(*other, BUDGET, queue=False))
        eventually(lambda: len(server._queue) == 2)
        server.gate.set()
        assert (read.result(BUDGET), alone.result(BUDGET)) == (b"k0", (b"k1", NODE))


# -------------------------------------------------------------------- on a real server

KEYS = [f"k{n}" for n in range(40)]
FAR = Policy(ttl=60, l1_ttl=0, timeouts=Timeouts(call=5.0, connect=5.0))


def wrong_answers(url: str, namespace: str) -> Counter[str]:
    """How many of the reads of many threads brought nothing, and how many another key's value."""
    wrong: Counter[str] = Counter()
    heard = RecordingListener()
    with Cache(url, namespace=namespace, policy=FAR, listeners=[heard]) as cache:
        assert all(cache.set_many({key: key for key in KEYS}).values())

        def read(key: str) -> None:
            for _ in range(100):
                value = cache.get(key)
                if value != key:
                    wrong["nothing" if value is MISSING else "another's"] += 1

        with ThreadPoolExecutor(len(KEYS)) as pool:
            list(pool.map(read, KEYS))
        assert cache.engine.stats.l2_glances.value > 0
        assert cache.engine.store is not None
        assert cache.engine.store.pipe._under_way == 0
        assert [event for event in heard.events if event.error is not None] == []
        return wrong


def test_forty_threads_get_each_its_own_key(valkey: EmbeddedServer, namespace: str) -> None:
    assert wrong_answers(valkey.url, namespace) == Counter()


def test_replies_that_are_shared_out_of_step_reach_the_wrong_threads(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the test above."""
    share = Gathering._share

    def shifted(asked: Asked | None, others: list[Any]) -> Asked | None:
        if asked is not None and type(asked[0]) is list:
            asked = [*asked[0][1:], asked[0][0]], asked[1]
        return share(asked, others)

    monkeypatch.setattr(Gathering, "_share", staticmethod(shifted))
    assert wrong_answers(valkey.url, namespace)["another's"] > 0
