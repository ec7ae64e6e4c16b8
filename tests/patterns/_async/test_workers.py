# Who drains what.
"""Workers in the background: shares, takeover, sizes and times, flushes from elsewhere. Real time, in tenths of seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _async.steps import until, until_read
from patterns._async.desk import AsyncOpened, AsyncPeople, person

from cachewright.testing import RecordingListener


async def test_a_write_reaches_the_source_after_the_interval(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people, worker=True) as writes:
        await writes.put(person(1))
        await until(lambda: people.row(1) is not None)


async def test_a_full_batch_does_not_wait_for_the_interval(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    options: dict[str, Any] = {"worker": True, "interval": 600.0, "batch": 20, "partitions": 1}
    async with AsyncOpened(valkey, namespace, people, **options) as writes:
        await until(lambda: writes.worker.holds == [0])
        await writes.put_many([person(n) for n in range(20)])
        await until(lambda: len(people.rows()) == 20)
        await writes.put(person(20))
        assert len(people.rows()) == 20


async def test_a_flush_is_served_by_a_worker_elsewhere(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    options: dict[str, Any] = {"interval": 4.0, "batch": 1000}
    async with (
        AsyncOpened(valkey, namespace, people, worker=True, **options) as elsewhere,
        AsyncOpened(valkey, namespace, people, **options) as writes,
    ):
        await until(lambda: len(elsewhere.worker.holds) == 4)
        await writes.put_many([person(n) for n in range(50)])
        assert await writes.flush(10)
        assert len(people.rows()) == 50


async def test_workers_share_the_partitions_and_hand_them_over(
    valkey: Any, namespace: str, people: AsyncPeople
) -> None:
    options: dict[str, Any] = {"worker": True, "lease": 0.3, "partitions": 4}
    async with AsyncOpened(valkey, namespace, people, **options) as first:
        await until(lambda: first.worker.holds == [0, 1, 2, 3])
        async with AsyncOpened(valkey, namespace, people, **options) as second:
            await until(lambda: len(second.worker.holds) == len(first.worker.holds) == 2)
            assert sorted(first.worker.holds + second.worker.holds) == [0, 1, 2, 3]
            await second.put_many([person(n) for n in range(40)])
            assert await first.flush(10)
        await until(lambda: first.worker.holds == [0, 1, 2, 3])
    assert [row["writes"] for row in people.rows()] == [1] * 40


async def test_a_worker_that_is_gone_is_replaced_after_its_lease(
    valkey: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    """It gave nothing back: its leases run out."""
    async with AsyncOpened(valkey, namespace, people) as gone:
        for place in gone.queue.places:
            raw(valkey).set(place.holder, "a worker that was killed", px=400)
        await gone.put(person(1))
        async with AsyncOpened(valkey, namespace, people, worker=True, lease=0.3) as writes:
            await until(lambda: len(writes.worker.holds) == 4)
            assert await writes.flush(10)
    assert people.row(1) is not None


async def test_a_worker_outlives_a_server_that_is_restarted(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    server = own_server(directory=folder, config={"appendonly": "yes", "appendfsync": "always"})
    options: dict[str, Any] = {"worker": True, "durability": "aof", "lease": 0.5}
    async with AsyncOpened(server, namespace, people, **options) as writes:
        await writes.put(person(1))
        await until(lambda: people.row(1) is not None)
        server.kill()
        server.start()

        async def works() -> bool:
            try:
                await writes.put(person(2))
            except Exception:  # noqa: BLE001 - the server is coming up
                return False
            return True

        await until_read(works, True)
        await until(lambda: people.row(2) is not None)


async def test_a_source_that_is_away_is_told_of_and_tried_again(
    valkey: Any, namespace: str, people: AsyncPeople, caplog: Any
) -> None:
    events = RecordingListener()
    away = [True]

    def fail(changes: Any) -> None:
        if away[0]:
            raise ConnectionRefusedError

    people.fail = fail
    options: dict[str, Any] = {"worker": True, "cached": {"listeners": [events]}}
    async with AsyncOpened(valkey, namespace, people, **options) as writes:
        await writes.put(person(1))
        await until(lambda: events.of("source_away"))
        assert await writes.get(1) == person(1)
        await until(lambda: "the source takes nothing (ConnectionRefusedError)" in caplog.text)
        away[0] = False
        assert await writes.flush(10)
    assert people.row(1) is not None


async def test_a_worker_that_stops_gives_its_partitions_back(
    valkey: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    async with AsyncOpened(valkey, namespace, people, worker=True, lease=30.0) as writes:
        await until(lambda: len(writes.worker.holds) == 4)
        places = writes.queue.places
        assert raw(valkey).exists(*(place.holder for place in places)) == 4
    assert raw(valkey).exists(*(place.holder for place in places)) == 0
