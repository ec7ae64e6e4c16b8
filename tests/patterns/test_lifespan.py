"""Doors that are drained when the application ends: ASGI, signals, the end of the interpreter."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patterns._async.desk import AsyncPeople
from patterns._async.desk import door as async_door
from patterns._async.desk import new_cache as async_cache
from patterns._sync.desk import People, door, new_cache, person

from cachewright.errors import ConfigurationError
from cachewright.patterns._async.draining import AsyncWorker
from cachewright.patterns.lifespan import drain_at_exit, lifespan

TASKS = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from cachewright.patterns.lifespan import drain_at_exit, exit_on
from patterns._async.desk import AsyncPeople, door, new_cache, person

place, url, namespace, how = sys.argv[1:]

async def main():
    cache = new_cache(SimpleNamespace(url=url), namespace)
    writes = door(cache, AsyncPeople(Path(place)), interval=600.0)
    if how != "plain":
        take_back = drain_at_exit(writes)
    if how == "taken back":
        take_back()
    await writes.put_many([person(n) for n in range(1000)])
    print("acknowledged", flush=True)
    if how == "signal":
        await asyncio.sleep(60)
    if how == "error":
        raise SystemExit(3)

if how == "signal":
    exit_on()
asyncio.run(main(), debug=how == "exit")
"""
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from cachewright.patterns.lifespan import drain_at_exit, exit_on
from patterns._sync.desk import People, door, new_cache, person

place, url, namespace, how = sys.argv[1:]
cache = new_cache(SimpleNamespace(url=url), namespace)
writes = door(cache, People(Path(place)), interval=600.0)
if how != "plain":
    drain_at_exit(writes)
if how == "signal":
    exit_on()
writes.put_many([person(n) for n in range(1000)])
print("acknowledged", flush=True)
if how == "signal":
    time.sleep(60)
"""


async def test_defect_27_a_lifespan_opens_and_drains_doors_of_both_worlds(
    valkey: Any, namespace: str, tmp_path: Path
) -> None:
    people, others = AsyncPeople(tmp_path / "a.db"), People(tmp_path / "b.db")
    blocking = new_cache(valkey, namespace + "b")
    async with async_cache(valkey, namespace) as cache:
        writes = async_door(cache, people, interval=600.0)
        blocking_writes = door(blocking, others, interval=600.0)
        async with lifespan(writes, blocking_writes)(object()):
            await writes.put(person(1))
            blocking_writes.put(person(2))
        assert people.row(1) is not None
        assert others.row(2) is not None
        with pytest.raises(ConfigurationError, match="closed"):
            await writes.put(person(3))
    blocking.close()


async def test_an_application_does_not_start_on_a_server_that_could_lose_its_writes(
    valkey: Any, namespace: str, tmp_path: Path
) -> None:
    async with async_cache(valkey, namespace) as cache:
        writes = async_door(cache, AsyncPeople(tmp_path / "a.db"), durability="aof")
        with pytest.raises(ConfigurationError, match="appendonly yes"):
            async with lifespan(writes)():
                pytest.fail("started")


def run(
    valkey: Any, namespace: str, place: Path, how: str, *, program: str = PROGRAM
) -> subprocess.Popen[str]:
    """A process that has been told that its writes are acknowledged."""
    command = [sys.executable, "-c", program, str(place), valkey.url, namespace, how]
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"
    environment = {**os.environ, "PYTHONPATH": path}
    both: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, **both, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "acknowledged\n"
    return process


@pytest.mark.parametrize(("how", "code"), [("exit", 0), ("signal", 143)])
def test_defect_27_the_end_of_the_process_drains(
    valkey: Any, namespace: str, tmp_path: Path, *, how: str, code: int
) -> None:
    process = run(valkey, namespace, tmp_path / "p.db", how)
    if how == "signal":
        process.send_signal(signal.SIGTERM)
    assert process.wait(20) == code
    process.communicate()
    assert len(People(tmp_path / "p.db").rows()) == 1000


@pytest.mark.parametrize(("how", "code"), [("exit", 0), ("error", 3), ("signal", 143)])
def test_defect_27_the_end_of_a_loop_drains_although_its_tasks_were_cancelled(
    valkey: Any, namespace: str, tmp_path: Path, *, how: str, code: int
) -> None:
    process = run(valkey, namespace, tmp_path / "p.db", how, program=TASKS)
    if how == "signal":
        process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Task was destroyed" not in said
    assert len(AsyncPeople(tmp_path / "p.db").rows()) == 1000


async def closed_after_all_was_cancelled(valkey: Any, namespace: str, people: AsyncPeople) -> bool:
    """Whether a door is drained whose loop has cancelled every task, as at its end."""
    async with async_cache(valkey, namespace) as cache:
        writes = async_door(cache, people, interval=600.0, partitions=1, lease=30.0)
        await writes.put_many([person(n) for n in range(20)])
        while not writes.worker.holds:
            await asyncio.sleep(0.01)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return await writes.aclose(timeout=1.0)


async def test_a_worker_that_was_cancelled_with_its_loop_begins_again_to_drain(
    valkey: Any, namespace: str, tmp_path: Path
) -> None:
    people = AsyncPeople(tmp_path / "p.db")
    assert await closed_after_all_was_cancelled(valkey, namespace, people)
    assert [row["writes"] for row in people.rows()] == [1] * 20


async def test_unless_it_does_what_is_left_stays_in_the_queue_and_is_told_of(
    valkey: Any, namespace: str, tmp_path: Path, *, monkeypatch: Any, caplog: Any
) -> None:
    """The control."""

    async def stay_dead(_: Any) -> None:
        return None

    monkeypatch.setattr(AsyncWorker, "revive", stay_dead)
    people = AsyncPeople(tmp_path / "p.db")
    assert not await closed_after_all_was_cancelled(valkey, namespace, people)
    assert people.rows() == []
    assert "queue people is closed after 1 s: 20 changes stay in the queue" in caplog.text


def test_what_closes_a_door_for_asyncio_is_said_on_its_loop() -> None:
    class Door:
        """One for asyncio."""

        async def aclose(self) -> None:
            """Nothing to do."""

    with pytest.raises(ConfigurationError, match=r"in main\(\)"):
        drain_at_exit(Door())


@pytest.mark.parametrize(
    ("program", "how"), [(PROGRAM, "plain"), (TASKS, "plain"), (TASKS, "taken back")]
)
def test_a_process_that_drains_nothing_leaves_everything_to_the_next(
    valkey: Any, namespace: str, tmp_path: Path, *, program: str, how: str
) -> None:
    """The control of the tests above, and defect 26: what was acknowledged is in the queue."""
    process = run(valkey, namespace, tmp_path / "p.db", how, program=program)
    process.communicate()
    people = People(tmp_path / "p.db")
    left = 1000 - len(people.rows())
    assert left > 0
    with new_cache(valkey, namespace) as cache, door(cache, people) as writes:
        assert writes.flush(10)
    assert [row["writes"] for row in people.rows()] == [1] * 1000
