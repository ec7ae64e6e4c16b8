"""Doors that are drained when the application ends: ASGI, signals, the end of the interpreter."""

from __future__ import annotations

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
from cachewright.patterns.lifespan import lifespan

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


def run(valkey: Any, namespace: str, place: Path, how: str) -> subprocess.Popen[str]:
    """A process that has been told that its writes are acknowledged."""
    command = [sys.executable, "-c", PROGRAM, str(place), valkey.url, namespace, how]
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
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


def test_a_process_that_drains_nothing_leaves_everything_to_the_next(
    valkey: Any, namespace: str, tmp_path: Path
) -> None:
    """The control of the test above, and defect 26: what was acknowledged is in the queue."""
    process = run(valkey, namespace, tmp_path / "p.db", "plain")
    process.communicate()
    people = People(tmp_path / "p.db")
    left = 1000 - len(people.rows())
    assert left > 0
    with new_cache(valkey, namespace) as cache, door(cache, people) as writes:
        assert writes.flush(10)
    assert [row["writes"] for row in people.rows()] == [1] * 1000
