# Generated from _async/test_hanging.py by tools/unasync.py. Do not edit.
"""Calls of the source that do not return: their partition goes to others in a stated time, and they do no harm later.

The cache's clock says how long a call takes and is turned by the test; leases run in real time.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import PATIENCE, until
from patterns._sync import weakened_drains
from patterns._sync.desk import People, one, person, waiting

from cachewright._waits import threads
from cachewright.errors import ConfigurationError
from cachewright.patterns._sync.write_behind import WriteBehind
from cachewright.patterns.queue_options import QueueOptions
from cachewright.testing import FakeClock, RecordingListener


class Hangs:
    """Calls that do not return until the test lets go of them. `error`: what they raise then, if anything."""

    def __init__(self, people: People) -> None:
        self.people = people
        self._gate = threads.Event()
        self.calls = 0
        self.ended = 0
        self.error: Exception | None = None

    def next(self) -> None:
        """The next batch that arrives at the source hangs there."""
        self.people.before_apply = self._hang

    def _hang(self) -> None:
        self.calls += 1
        try:
            assert self._gate.wait(3 * PATIENCE), "nobody let go of it"
            if self.error is not None:
                raise self.error
        finally:
            self.ended += 1

    def let_go(self) -> None:
        self._gate.set()
        until(lambda: self.ended == self.calls)


@pytest.fixture
def hangs(people: People) -> Hangs:
    return Hangs(people)


def working(
    server: Any, namespace: str, people: People, clock: FakeClock, **options: Any
) -> Any:
    """A process with a worker, which leaves what it has given up to others for `lease` seconds."""
    cached = {"clock": clock, "listeners": options.pop("listeners", [])}
    return one(server, namespace, people, worker=True, cached=cached, **options)


def with_a_hanging_call(writes: WriteBehind, hangs: Hangs, name: str) -> None:
    hangs.next()
    calls = hangs.calls
    writes.put(person(1, name))
    until(lambda: hangs.calls == calls + 1)


def hanging_worker(
    server: Any, namespace: str, hangs: Hangs, clock: FakeClock, *, within: float = PATIENCE
) -> tuple[bool, Any]:
    """One of two workers hangs with an old row. Whether a newer one reaches the source; the row when the call is over."""
    people = hangs.people
    with working(server, namespace, people, clock, lease=30.0) as first:
        with_a_hanging_call(first, hangs, "old")
        with working(server, namespace, people, clock, lease=0.3) as second:
            second.put(person(1, "new"))
            clock.advance(61)
            done = second.flush(within)
            hangs.let_go()
            until(lambda: not first.worker.busy)
            return done, people.row(1)


def test_a_call_that_does_not_return_gives_its_partition_to_another_worker(
    valkey: Any, namespace: str, people: People, *, hangs: Hangs, clock: FakeClock
) -> None:
    done, row = hanging_worker(valkey, namespace, hangs, clock)
    assert done
    assert row == {**person(1, "new"), "writes": 2}
    assert people.applied_twice() == 0


def test_a_call_that_is_waited_for_would_keep_its_partition(
    valkey: Any, namespace: str, hangs: Hangs, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control."""
    weakened_drains.waits_for_ever(monkeypatch)
    done, _ = hanging_worker(valkey, namespace, hangs, clock, within=1.0)
    assert not done


def test_without_the_expected_position_the_call_would_overwrite_what_came_later(
    valkey: Any, namespace: str, people: People, *, hangs: Hangs, clock: FakeClock
) -> None:
    """The control: a source that compares no positions."""
    people.checks_positions = False
    done, row = hanging_worker(valkey, namespace, hangs, clock)
    assert done
    assert row["name"] == "old"


def test_before_its_time_is_over_a_call_is_left_alone(
    valkey: Any, namespace: str, people: People, *, hangs: Hangs, clock: FakeClock
) -> None:
    options: dict[str, Any] = {"lease": 0.3, "apply_timeout": 600}
    with working(valkey, namespace, people, clock, **options) as writes:
        with_a_hanging_call(writes, hangs, "slow")
        clock.advance(599)
        assert not writes.flush(0.5)
        hangs.let_go()
        assert writes.flush(10)
        assert writes.worker.given_up == 0
        assert people.row(1) == {**person(1, "slow"), "writes": 1}


def test_a_worker_that_is_alone_tries_once_more_itself_and_tells(
    valkey: Any, namespace: str, people: People, *, hangs: Hangs, clock: FakeClock
) -> None:
    events = RecordingListener()
    options: dict[str, Any] = {"lease": 0.3, "listeners": [events]}
    with working(valkey, namespace, people, clock, **options) as writes:
        with_a_hanging_call(writes, hangs, "given up once")
        clock.advance(61)
        assert writes.flush(10)
        assert writes.worker.given_up == 1
        assert [event.detail for event in events.of("source_hangs")] == [
            "partition 0: no answer within 60 s"
        ]
        hangs.error = ValueError("the connection is gone")
        hangs.let_go()
        until(lambda: not writes.worker.busy)
        assert people.row(1) == {**person(1, "given up once"), "writes": 1}
        assert waiting(writes) == (0, 0, 0)  # what the old call raised is nobody's refusal


def test_where_calls_hang_again_and_again_the_partition_is_left_to_others(
    valkey: Any, raw: Any, namespace: str, *, people: People, hangs: Hangs, clock: Any
) -> None:
    """No threads and connections without end; and who leaves is not counted where partitions are shared out."""
    with working(valkey, namespace, people, clock, lease=0.3) as writes:
        with_a_hanging_call(writes, hangs, "nobody's")
        hangs.next()
        clock.advance(61)
        until(lambda: hangs.calls == 2)
        hangs.next()
        clock.advance(61)
        until(lambda: raw(valkey).zcard(writes.queue.workers) == 0)
        assert (hangs.calls, writes.worker.given_up, writes.worker.holds) == (2, 2, [])
        assert not writes.flush(1.0)
        people.before_apply = None
        hangs.let_go()
        assert writes.flush(10)
        assert people.row(1) == {**person(1, "nobody's"), "writes": 1}


@pytest.mark.parametrize("wrong", [0, -1, "soon", None, True])
def test_a_time_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="apply_timeout"):
        QueueOptions(apply_timeout=wrong)
