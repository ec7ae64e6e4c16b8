# A database that does not answer.
"""Calls of the source that do not return: their partition goes to others in a stated time, and they do no harm later.

The cache's clock says how long a call takes and is turned by the test; leases run in real time.
"""

from __future__ import annotations

from typing import Any

import pytest
from _async.steps import PATIENCE, until
from patterns._async import weakened_drains
from patterns._async.desk import AsyncPeople, one, person, waiting

from cachewright._waits import aio
from cachewright.errors import ConfigurationError
from cachewright.patterns._async.write_behind import AsyncWriteBehind
from cachewright.patterns.queue_options import QueueOptions
from cachewright.testing import FakeClock, RecordingListener


class AsyncHangs:
    """Calls that do not return until the test lets go of them. `error`: what they raise then, if anything."""

    def __init__(self, people: AsyncPeople) -> None:
        self.people = people
        self._gate = aio.Event()
        self.calls = 0
        self.ended = 0
        self.error: Exception | None = None

    def next(self) -> None:
        """The next batch that arrives at the source hangs there."""
        self.people.before_apply = self._hang

    async def _hang(self) -> None:
        self.calls += 1
        try:
            assert await self._gate.wait(3 * PATIENCE), "nobody let go of it"
            if self.error is not None:
                raise self.error
        finally:
            self.ended += 1

    async def let_go(self) -> None:
        self._gate.set()
        await until(lambda: self.ended == self.calls)


@pytest.fixture
def hangs(people: AsyncPeople) -> AsyncHangs:
    return AsyncHangs(people)


def working(
    server: Any, namespace: str, people: AsyncPeople, clock: FakeClock, **options: Any
) -> Any:
    """A process with a worker, which leaves what it has given up to others for `lease` seconds."""
    cached = {"clock": clock, "listeners": options.pop("listeners", [])}
    return one(server, namespace, people, worker=True, cached=cached, **options)


async def with_a_hanging_call(writes: AsyncWriteBehind, hangs: AsyncHangs, name: str) -> None:
    hangs.next()
    calls = hangs.calls
    await writes.put(person(1, name))
    await until(lambda: hangs.calls == calls + 1)


async def hanging_worker(
    server: Any, namespace: str, hangs: AsyncHangs, clock: FakeClock, *, within: float = PATIENCE
) -> tuple[bool, Any]:
    """One of two workers hangs with an old row. Whether a newer one reaches the source; the row when the call is over."""
    people = hangs.people
    async with working(server, namespace, people, clock, lease=30.0) as first:
        await with_a_hanging_call(first, hangs, "old")
        async with working(server, namespace, people, clock, lease=0.3) as second:
            await second.put(person(1, "new"))
            clock.advance(61)
            done = await second.flush(within)
            await hangs.let_go()
            await until(lambda: not first.worker.busy)
            return done, people.row(1)


async def test_a_call_that_does_not_return_gives_its_partition_to_another_worker(
    valkey: Any, namespace: str, people: AsyncPeople, *, hangs: AsyncHangs, clock: FakeClock
) -> None:
    done, row = await hanging_worker(valkey, namespace, hangs, clock)
    assert done
    assert row == {**person(1, "new"), "writes": 2}
    assert people.applied_twice() == 0


async def test_a_call_that_is_waited_for_would_keep_its_partition(
    valkey: Any, namespace: str, hangs: AsyncHangs, *, clock: FakeClock, monkeypatch: Any
) -> None:
    """The control."""
    weakened_drains.waits_for_ever(monkeypatch)
    done, _ = await hanging_worker(valkey, namespace, hangs, clock, within=1.0)
    assert not done


async def test_without_the_expected_position_the_call_would_overwrite_what_came_later(
    valkey: Any, namespace: str, people: AsyncPeople, *, hangs: AsyncHangs, clock: FakeClock
) -> None:
    """The control: a source that compares no positions."""
    people.checks_positions = False
    done, row = await hanging_worker(valkey, namespace, hangs, clock)
    assert done
    assert row["name"] == "old"


async def test_before_its_time_is_over_a_call_is_left_alone(
    valkey: Any, namespace: str, people: AsyncPeople, *, hangs: AsyncHangs, clock: FakeClock
) -> None:
    options: dict[str, Any] = {"lease": 0.3, "apply_timeout": 600}
    async with working(valkey, namespace, people, clock, **options) as writes:
        await with_a_hanging_call(writes, hangs, "slow")
        clock.advance(599)
        assert not await writes.flush(0.5)
        await hangs.let_go()
        assert await writes.flush(10)
        assert writes.worker.given_up == 0
        assert people.row(1) == {**person(1, "slow"), "writes": 1}


async def test_a_worker_that_is_alone_tries_once_more_itself_and_tells(
    valkey: Any, namespace: str, people: AsyncPeople, *, hangs: AsyncHangs, clock: FakeClock
) -> None:
    events = RecordingListener()
    options: dict[str, Any] = {"lease": 0.3, "listeners": [events]}
    async with working(valkey, namespace, people, clock, **options) as writes:
        await with_a_hanging_call(writes, hangs, "given up once")
        clock.advance(61)
        assert await writes.flush(10)
        assert writes.worker.given_up == 1
        assert [event.detail for event in events.of("source_hangs")] == [
            "partition 0: no answer within 60 s"
        ]
        hangs.error = ValueError("the connection is gone")
        await hangs.let_go()
        await until(lambda: not writes.worker.busy)
        assert people.row(1) == {**person(1, "given up once"), "writes": 1}
        assert await waiting(writes) == (0, 0, 0)  # what the old call raised is nobody's refusal


async def test_where_calls_hang_again_and_again_the_partition_is_left_to_others(
    valkey: Any, raw: Any, namespace: str, *, people: AsyncPeople, hangs: AsyncHangs, clock: Any
) -> None:
    """No threads and connections without end; and who leaves is not counted where partitions are shared out."""
    async with working(valkey, namespace, people, clock, lease=0.3) as writes:
        await with_a_hanging_call(writes, hangs, "nobody's")
        hangs.next()
        clock.advance(61)
        await until(lambda: hangs.calls == 2)
        hangs.next()
        clock.advance(61)
        await until(lambda: raw(valkey).zcard(writes.queue.workers) == 0)
        assert (hangs.calls, writes.worker.given_up, writes.worker.holds) == (2, 2, [])
        assert not await writes.flush(1.0)
        people.before_apply = None
        await hangs.let_go()
        assert await writes.flush(10)
        assert people.row(1) == {**person(1, "nobody's"), "writes": 1}


@pytest.mark.parametrize("wrong", [0, -1, "soon", None, True])
def test_a_time_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="apply_timeout"):
        QueueOptions(apply_timeout=wrong)
