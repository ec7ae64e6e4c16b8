"""Measures a stampede: 8 processes with 50 callers each want one cold key, whose load takes 100 ms.

    PYTHONPATH=src:tests python -m processes.stampede

prints one JSON object: for threads, for asyncio, and for both without the lease, how many loads ran in the fleet,
how long the slowest and the median caller waited (seconds), and the slowest one's wait in units of the load.

What must not be here: assertions. They are in test_fleet.py, and about counts only.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from cachewright import AsyncCache, Cache
from cachewright.embedded import EmbeddedServer
from cachewright.redis import commands, scripts
from cachewright.redis.scripts import Script
from rig.processes import Barrier, Counter, Fleet

PROCESSES, CALLERS, LOAD_SECONDS = 8, 50, 0.1


@dataclass(frozen=True)
class Job:
    """What each process of a stampede is given."""

    url: str
    namespace: str
    start: Barrier
    loads: Counter
    callers: int = CALLERS
    leased: bool = True


@dataclass(frozen=True)
class Outcome:
    """What one process saw. `waits`: seconds, for each caller."""

    waits: list[float]
    values: set[str]
    errors: list[str]


def without_lease() -> None:
    """In this process everybody who asks for a lease gets it."""
    source = scripts.script("acquire").source.replace(b"if not held then", b"if true then")
    sha = sha1(source, usedforsecurity=False).hexdigest().encode()
    real, weak = scripts.script, Script("acquire", source, sha)

    def script(name: str) -> Script:
        return weak if name == "acquire" else real(name)

    for module in (scripts, commands):
        module.script = script  # type: ignore[attr-defined]


def threads(index: int, *, job: Job) -> Outcome:
    """One process, its callers as threads."""
    if not job.leased:
        without_lease()
    outcome = Outcome([], set(), [])
    ready = threading.Barrier(job.callers)

    def load() -> str:
        job.loads.add()
        time.sleep(LOAD_SECONDS)
        return "value"

    def call(cache: Cache) -> None:
        if ready.wait() == 0:
            job.start.wait()
        ready.wait()
        began = time.perf_counter()
        try:
            outcome.values.add(cache.get_or_load("hot", load))
        except Exception as error:  # noqa: BLE001 - counted: nobody may be refused
            outcome.errors.append(repr(error))
        outcome.waits.append(time.perf_counter() - began)

    with Cache(job.url, namespace=job.namespace, listeners=[_note(outcome)]) as cache:
        cache.get("open a connection, as a process that has been running would have")
        crowd = [threading.Thread(target=call, args=(cache,)) for _ in range(job.callers)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    return outcome


def tasks(index: int, *, job: Job) -> Outcome:
    """One process, its callers as tasks."""
    if not job.leased:
        without_lease()
    return asyncio.run(_tasks(job))


async def _tasks(job: Job) -> Outcome:
    outcome = Outcome([], set(), [])

    async def load() -> str:
        job.loads.add()
        await asyncio.sleep(LOAD_SECONDS)
        return "value"

    async def call(cache: AsyncCache) -> None:
        began = time.perf_counter()
        try:
            outcome.values.add(await cache.get_or_load("hot", load))
        except Exception as error:  # noqa: BLE001 - counted: nobody may be refused
            outcome.errors.append(repr(error))
        outcome.waits.append(time.perf_counter() - began)

    async with AsyncCache(job.url, namespace=job.namespace, listeners=[_note(outcome)]) as cache:
        await cache.get("open a connection, as a process that has been running would have")
        await asyncio.to_thread(job.start.wait)
        await asyncio.gather(*(call(cache) for _ in range(job.callers)))
    return outcome


def _note(outcome: Outcome) -> Any:
    def listener(event: Any) -> None:
        if event.error is not None:
            outcome.errors.append(repr(event.error))

    return listener


def run(
    server: EmbeddedServer, namespace: str, world: str, *, leased: bool = True
) -> dict[str, Any]:
    """One stampede in `world`, "threads" or "tasks": its numbers."""
    with Fleet() as fleet:
        job = Job(
            server.url,
            namespace,
            fleet.barrier("start", PROCESSES),
            fleet.counter("loads"),
            leased=leased,
        )
        fleet.start({"threads": threads, "tasks": tasks}[world], PROCESSES, job=job)
        outcomes: list[Outcome] = fleet.results(60)
        waits = [wait for outcome in outcomes for wait in outcome.waits]
        return {
            "loads": job.loads.value,
            "callers": len(waits),
            "slowest": round(max(waits), 4),
            "median": round(statistics.median(waits), 4),
            "slowest_in_loads": round(max(waits) / LOAD_SECONDS, 2),
            "values": sorted(set().union(*(outcome.values for outcome in outcomes))),
            "errors": [error for outcome in outcomes for error in outcome.errors],
        }


def main() -> None:
    """Print the numbers."""
    # Members look functions up by module, and this file is `__main__` when it is run as a command.
    from processes import stampede

    with EmbeddedServer() as server:
        numbers = {
            f"{world}{'' if leased else ' without lease'}": stampede.run(
                server, f"{world}-{leased}", world, leased=leased
            )
            for leased in (True, False)
            for world in ("threads", "tasks")
        }
    sys.stdout.write(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
