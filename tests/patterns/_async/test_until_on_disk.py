# What fsync means.
"""With `durability="fsync"` a write is acknowledged when it is on disk: who is asked, on which connection, and who is refused.

What must not be here: what a power loss leaves (proof/power_loss.py).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from _async.steps import until
from patterns._async.desk import AsyncOpened, AsyncPeople, door, new_cache, person

from cachewright._waits import aio
from cachewright.errors import ConfigurationError, RemoteError, RemoteTimeout
from cachewright.redis.wire import ServerError

ON_DISK = {"appendonly": "yes", "appendfsync": "always"}
EVERY_SECOND = {"appendonly": "yes", "appendfsync": "everysec"}
ON_TRUST: dict[str, Any] = {"durability": "fsync", "durability_checked": False}
"""Valkey answers WAITAOF too early under everysec, and so is refused; what we ask is the same."""


@pytest.fixture
def people(tmp_path: Path) -> AsyncPeople:
    return AsyncPeople(tmp_path / "people.db")


async def test_fsync_acknowledges_what_is_on_disk(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config=ON_DISK)
    async with AsyncOpened(server, namespace, people, durability="fsync") as writes:
        await writes.put(person(1, "on disk"))
        logged = b"".join(path.read_bytes() for path in tmp_path.rglob("*.aof"))
        assert b"on disk" in logged


async def test_writers_that_wait_for_the_disk_wait_together(
    own_server: Any, raw: Any, namespace: str, *, people: AsyncPeople, tmp_path: Path
) -> None:
    """A server that syncs once a second would keep them for half a minute, one after the other."""
    server = own_server(directory=tmp_path, config=EVERY_SECOND)
    client = raw(server)
    async with AsyncOpened(server, namespace, people, **ON_TRUST) as writes:
        client.config_set("appendfsync", "no")  # who asks now waits
        done: list[int] = []

        async def put(number: int) -> None:
            await writes.put(person(number))
            done.append(number)

        writers = aio.Background("writer")
        writers.start(put, 0)
        await until(lambda: client.info("clients")["blocked_clients"] == 1)
        for number in range(1, 30):
            writers.start(put, number)
        await until(lambda: len(writes.queue._orders) == 29)
        assert not done
        client.config_set("appendfsync", "everysec")
        await until(lambda: len(done) == 30)
        assert client.info("commandstats")["cmdstat_waitaof"]["calls"] == 2
        assert sum(each.entries for each in await writes.backlog()) == 30
        await writers.close(1.0)


async def test_the_disk_is_waited_for_on_the_connection_that_has_written(
    own_server: Any, raw: Any, namespace: str, *, people: AsyncPeople, tmp_path: Path
) -> None:
    """WAITAOF speaks of what its own connection wrote before it."""
    server = own_server(directory=tmp_path, config=EVERY_SECOND)
    async with AsyncOpened(server, namespace, people, **ON_TRUST) as writes:
        await writes.put(person(0))
        with raw(server).monitor() as monitor:
            await writes.put_many([person(n) for n in range(1, 500)])
            heard = [monitor.next_command()]
            while not heard[-1]["command"].startswith("WAITAOF"):
                heard.append(monitor.next_command())
    sent = [
        (each["command"].split()[0].upper(), each["client_address"], each["client_port"])
        for each in heard
        if each["client_type"] != "lua"
    ]
    assert [name for name, *_ in sent] == [*["EVALSHA"] * 3, "WAITAOF"]
    assert len({(address, port) for _, address, port in sent}) == 1


@pytest.mark.parametrize(("first", "safe"), [([1, 0], True), ([0, 0], False)])
async def test_what_ran_before_something_was_sent_again_must_be_on_disk_too(
    own_server: Any, namespace: str, people: AsyncPeople, *, tmp_path: Path, first: Any, safe: bool
) -> None:
    """The second WAITAOF may be another connection's, which wrote nothing and waits for nothing."""
    server = own_server(directory=tmp_path, config=EVERY_SECOND)
    async with AsyncOpened(server, namespace, people, **ON_TRUST) as writes:
        lost = ServerError("NOSCRIPT No matching script.")
        replies = iter([[lost, b"ran", first], [b"loaded"], [b"ran late", [1, 0]]])

        async def send(commands: Any) -> Any:
            return next(replies)

        writes.queue._send = send
        commands = [("EVALSHA", "a"), ("EVALSHA", "b")]
        if safe:
            assert await writes.queue._until_safe(commands) == [b"ran late", b"ran"]
        else:
            with pytest.raises(RemoteTimeout):
                await writes.queue._until_safe(commands)


async def seconds_of_three(writes: Any) -> float:
    """How long three writes take, one after the other: two syncs, a second apart, lie between them where each is waited for."""
    await writes.put(person(0))
    began = time.monotonic()
    for number in (1, 2):
        await writes.put(person(number))
    return time.monotonic() - began


async def test_a_server_that_waits_for_the_disk_acknowledges_one_sync_after_the_other(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    server = own_server("redis8", directory=tmp_path, config=EVERY_SECOND)
    async with AsyncOpened(server, namespace, people, durability="fsync") as writes:
        assert await seconds_of_three(writes) > 1.5


async def test_defect_38_a_server_that_does_not_wait_for_the_disk_is_refused(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config=EVERY_SECOND)
    async with new_cache(server, namespace) as cache:
        with pytest.raises(ConfigurationError, match=r"appendfsync always.* WAITAOF does not wait"):
            await door(cache, people, durability="fsync").open()


async def test_valkey_does_not_wait_for_the_disk(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    """The reason for that refusal. A Valkey that fails here waits: let `durability.waitaof_waits` know it."""
    server = own_server(directory=tmp_path, config=EVERY_SECOND)
    async with AsyncOpened(server, namespace, people, **ON_TRUST) as writes:
        assert await seconds_of_three(writes) < 1.5


async def test_fsync_without_a_disk_acknowledges_nothing(
    own_server: Any, raw: Any, namespace: str, *, people: AsyncPeople, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config=EVERY_SECOND)
    async with AsyncOpened(server, namespace, people, **ON_TRUST) as writes:
        raw(server).config_set("appendonly", "no")
        with pytest.raises(RemoteError):
            await writes.put(person(1))


async def test_a_log_that_does_not_reach_the_disk_in_time_is_no_acknowledgement(
    own_server: Any, raw: Any, namespace: str, *, people: AsyncPeople, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config=EVERY_SECOND)
    options: dict[str, Any] = {**ON_TRUST, "timeout": 0.3}
    async with AsyncOpened(server, namespace, people, **options) as writes:
        raw(server).config_set("appendfsync", "no")
        with pytest.raises(RemoteTimeout):
            await writes.put(person(1))


async def test_what_was_acknowledged_survives_the_server(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config=ON_DISK)
    options: dict[str, Any] = {"durability": "fsync"}
    async with AsyncOpened(server, namespace, people, **options) as writes:
        await writes.put_many([person(n) for n in range(200)])
    server.kill()
    server.start()
    async with AsyncOpened(server, namespace, people, worker=True, **options) as writes:
        assert await writes.flush(10)
    assert [row["writes"] for row in people.rows()] == [1] * 200
