"""Many callers at once: in this process, in threads or tasks, and in a fleet of processes.

    python -m benchmarks.rushing "cachewright threads" redis://127.0.0.1:6379/0 cold

is one process of a fleet: it reads one JSON order a line and answers each with a line. What must not be here: targets.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rows import Sample

LOAD = 0.05
"""Seconds that a load takes."""
WAITED = LOAD / 2
"""Seconds from which on a caller counts as having waited for a load."""

Call = Callable[[str], Any]
Decorate = Callable[[Any], Any]
"""Makes a function (of a key) a cached one; for coroutine functions it may be awaitable itself."""


@dataclass
class Rush:
    """What so many callers met. `waits`: seconds, of each caller."""

    waits: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    loads: int = 0

    def sample(self) -> Sample:
        """The slowest caller's wait in units of the load."""
        counts = {
            "loads": self.loads,
            "errors": len(self.errors),
            "waited": sum(wait >= WAITED for wait in self.waits),
        }
        return Sample(max(self.waits) / LOAD, counts)


class Loader:
    """A slow source, and how often it was asked."""

    def __init__(self) -> None:
        self.loads = 0

    def function(self) -> Callable[[str], str]:
        """For threads."""

        def load(key: str) -> str:
            self.loads += 1
            time.sleep(LOAD)
            return f"value of {key}"

        return load

    def coroutine_function(self) -> Callable[[str], Awaitable[str]]:
        """For tasks."""

        async def load(key: str) -> str:
            self.loads += 1
            await asyncio.sleep(LOAD)
            return f"value of {key}"

        return load

    def taken(self) -> int:
        """The loads since the last question."""
        loads, self.loads = self.loads, 0
        return loads


def by_threads(call: Call, key: str, callers: int, start: float = 0.0) -> Rush:
    """So many threads ask for one key, at the monotonic time `start` or when all are there."""
    rush, gate = Rush(), threading.Barrier(callers)

    def ask() -> None:
        gate.wait()
        time.sleep(max(0.0, start - time.monotonic()))
        begin = time.monotonic()
        try:
            _check(call(key), key)
        finally:
            rush.waits.append(time.monotonic() - begin)

    with ThreadPoolExecutor(callers) as pool:
        asked = [pool.submit(ask) for _ in range(callers)]
    rush.errors = [repr(one.exception()) for one in asked if one.exception() is not None]
    return rush


async def by_tasks(call: Call, key: str, callers: int, start: float = 0.0) -> Rush:
    """The same with tasks."""
    rush = Rush()

    async def ask() -> None:
        await asyncio.sleep(max(0.0, start - time.monotonic()))
        begin = time.monotonic()
        try:
            _check(await call(key), key)
        finally:
            rush.waits.append(time.monotonic() - begin)

    ended = await asyncio.gather(*(ask() for _ in range(callers)), return_exceptions=True)
    rush.errors = [repr(error) for error in ended if error is not None]
    return rush


def _check(value: Any, key: str) -> None:
    if value != f"value of {key}":
        raise ValueError(f"{value!r} is not the value of {key}")


class Fleet:
    """Processes that use one product on one server."""

    def __init__(self, product: str, url: str, scene: str, processes: int) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.rushing", product, url, scene]
        self._members = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(processes)
        ]
        self._answers()

    def close(self) -> None:
        """End them."""
        for member in self._members:
            assert member.stdin is not None
            member.stdin.close()
        for member in self._members:
            try:
                member.wait(5)
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()

    def ask(self, key: str, callers: int, delay: float) -> Rush:
        """All ask for a key at the same time, after `delay` seconds: so many callers in each process."""
        order = {"key": key, "callers": callers, "start": time.monotonic() + delay}
        for member in self._members:
            assert member.stdin is not None
            member.stdin.write(json.dumps(order) + "\n")
            member.stdin.flush()
        rush = Rush()
        for answer in self._answers():
            rush.waits += answer["waits"]
            rush.errors += answer["errors"]
            rush.loads += answer["loads"]
        return rush

    def _answers(self) -> list[dict[str, Any]]:
        answers = []
        for member in self._members:
            assert member.stdout is not None
            line = member.stdout.readline()
            if not line:
                raise RuntimeError("a process of the fleet died")
            answers.append(json.loads(line))
        absent = [answer["missing"] for answer in answers if "missing" in answer]
        if absent:
            raise ImportError(absent[0])
        return answers


def _orders() -> Any:
    for line in sys.stdin:
        yield json.loads(line)


def _answer(rush: Rush, loader: Loader) -> None:
    time.sleep(3 * LOAD)  # for loads that began in the background
    rush.loads = loader.taken()
    print(json.dumps(vars(rush)), flush=True)


def serve_threads(decorate: Decorate, loader: Loader) -> None:
    """A process of a fleet whose callers are threads."""
    call = decorate(loader.function())
    print("{}", flush=True)
    for order in _orders():
        _answer(by_threads(call, order["key"], order["callers"], order["start"]), loader)


async def serve_tasks(decorate: Decorate, loader: Loader) -> None:
    """A process of a fleet whose callers are tasks."""
    call = await settled(decorate(loader.coroutine_function()))
    print("{}", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        rush = await by_tasks(call, order["key"], order["callers"], order["start"])
        await asyncio.sleep(3 * LOAD)
        await loop.run_in_executor(None, _answer, rush, loader)


async def settled(value: Awaitable[Any] | Any) -> Any:
    """The value itself, awaited if it has to be."""
    return await value if inspect.isawaitable(value) else value


def main(product: str, url: str, scene: str) -> None:
    """One process of a fleet."""
    from benchmarks.stampedes import PRODUCTS

    chosen = PRODUCTS[product]
    try:
        decorate = (chosen.stale if scene == "stale" else chosen.cold)(url)
        if chosen.tasks:
            asyncio.run(serve_tasks(decorate, Loader()))
        else:
            serve_threads(decorate, Loader())
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
