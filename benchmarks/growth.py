"""Row 16: whether `get`, `set` and `invalidate` cost the same with more keys in L2 and with more processes on the bus."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.peers import redis_py
from benchmarks.rows import Measure, Prepare, Row, Target, ours
from benchmarks.stage import Stage
from benchmarks.values import PATIENT, SMALL, TTL
from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer

SIZES = (1_000, 100_000, 10_000_000)
PROCESSES = (1, 8)
VERBS = ("get", "set", "invalidate")
ASKED = 200
"""Calls of one sample, each for another key, drawn from all that are there."""
PACED = 25
"""Calls of one sample where there is a pause between two."""
PAUSE = 0.01
"""Seconds of that pause."""
_FLAT = 1.2
_FILL = """
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('SET', ARGV[3] .. i .. '}', ARGV[4], 'PX', ARGV[5])
end
"""


def key(number: int) -> str:
    """Of one of the keys that a server is filled with."""
    return f"filler:{number}"


class Filled:
    """A cache of ours on a server that holds so many entries.

    The entries are written by a script on the server, 10,000 a call, as copies of the bytes of one that `set` stored:
    each is a hit for `get`.
    """

    def __init__(self, url: str, namespace: str, number: int) -> None:
        self.number = number
        self.cache = Cache(
            url, namespace=namespace, policy=Policy(ttl=TTL, l1_ttl=0, timeouts=PATIENT)
        )
        self._client = redis_py.client(url)
        self._start = f"{namespace}:{{filler:"
        self.cache.set(key(0), SMALL)
        self._data = self._client.get(f"{self._start}0}}")
        for first in range(0, number, 10_000):
            self._write(first, min(first + 10_000, number) - 1)
        if self.cache.get(key(number - 1)) != SMALL:
            raise RuntimeError("what the script stored is no hit")

    def close(self) -> None:
        """Of the cache and the client."""
        self.cache.close()
        self._client.close()

    def _write(self, first: int, last: int) -> None:
        self._client.eval(_FILL, 0, first, last, self._start, self._data, TTL * 1000)

    def sample(self, verb: str, draw: random.Random, pause: float = 0.0) -> float:
        """Nanoseconds that half of the calls of `verb` take at most, over keys drawn from all.

        `pause`: seconds between two calls. What the calls remove is put back afterwards.
        """
        numbers = draw.sample(range(self.number), PACED if pause else ASKED)
        names = [key(number) for number in numbers]
        if verb == "get" and self.cache.get(names[0]) != SMALL:
            raise RuntimeError("no hit")
        took = median(self._times(self._call(verb), names, pause))
        if verb == "invalidate":
            for number in numbers:
                self._write(number, number)
        return took

    def _call(self, verb: str) -> Callable[[str], object]:
        if verb == "set":
            return lambda name: self.cache.set(name, SMALL)
        return self.cache.get if verb == "get" else self.cache.invalidate

    @staticmethod
    def _times(call: Callable[[str], object], names: list[str], pause: float) -> list[int]:
        times = []
        for name in names:
            begin = time.perf_counter_ns()
            call(name)
            times.append(time.perf_counter_ns() - begin)
            if pause:
                time.sleep(pause)
        return times


def _on(filled: Filled, verb: str, pause: float = 0.0) -> Measure:
    draw = random.Random(filled.number)
    filled.sample(verb, draw)
    return lambda: filled.sample(verb, draw, pause)


class _Shared:
    """What the verbs of one size share: it is filled when the first of them is prepared."""

    def __init__(self) -> None:
        self._filled: Filled | None = None
        self._failed = ""

    def get(self, stage: Stage, number: int, others: int = 0) -> Filled:
        """The same for each verb; what failed for one has failed for all."""
        if self._failed:
            raise RuntimeError(self._failed)
        if self._filled is None:
            self._failed = "it could not be set up for the first verb"
            self._filled = self._made(stage, number, others)
            self._failed = ""
        return self._filled

    @staticmethod
    def _made(stage: Stage, number: int, others: int) -> Filled:
        server = stage.another_server()
        filled = Filled(server.tcp_url, "growth", number)
        stage.closing(filled.close)
        for _ in range(others):
            stage.closing(Member(server).close)
        return filled


class Member:
    """Another process on the bus, which holds all keys in L1 and hears of every change."""

    def __init__(self, server: EmbeddedServer) -> None:
        command = [sys.executable, "-m", "benchmarks.growth", server.tcp_url, "growth"]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        if self._child.stdout.readline() != "up\n":
            raise RuntimeError("a member of the fleet did not come up")

    def close(self) -> None:
        """End it."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(10)


def serve(url: str, namespace: str) -> None:
    """The other process."""
    with Cache(url, namespace=namespace, policy=Policy(ttl=TTL)) as cache:
        cache.get_many([key(number) for number in range(1_000)])
        while cache.stats().link != "up":
            time.sleep(0.01)
        print("up", flush=True)
        sys.stdin.read()


def _sized(number: int, verb: str, shared: _Shared) -> Prepare:
    return lambda stage: _on(shared.get(stage, number), verb)


def _accompanied(processes: int, verb: str, shared: _Shared, pause: float) -> Prepare:
    return lambda stage: _on(shared.get(stage, 1_000, processes - 1), verb, pause)


def _keys(count: int) -> str:
    return f"{count:,} keys"


def _processes(count: int) -> str:
    return f"{count} process" + "es" * (count > 1)


def _flat(case: str, than: str, *, goal: bool = False) -> Target:
    return Target(
        case=f"cachewright {case}", limit=_FLAT, against=(f"cachewright {than}",), goal=goal
    )


_BY_SIZE = {count: _Shared() for count in SIZES}

KEYS_IN_L2 = Row(
    number=16,
    name="growth-keys",
    title="Latency by the number of keys in L2",
    unit="ns",
    reference="cachewright get, 1,000 keys",
    pinned=True,
    axis="keys in L2",
    note=(
        "One server for each size, filled by a script on the server with copies of the bytes of one entry of ours; keys "
        "are drawn from all. The median of 200 calls a sample."
    ),
    full_only=tuple(f"cachewright {verb}, {_keys(SIZES[-1])}" for verb in VERBS),
    cases=tuple(
        ours(f"{verb}, {_keys(count)}", _sized(count, verb, _BY_SIZE[count]), (verb, count))
        for verb in VERBS
        for count in SIZES
    ),
    targets=tuple(
        _flat(f"{verb}, {_keys(count)}", f"{verb}, {_keys(SIZES[0])}")
        for verb in VERBS
        for count in SIZES[1:]
    ),
)


def _fleet_row(pause: float, *, name: str, how: str, note: str) -> Row:
    shared = {count: _Shared() for count in PROCESSES}
    return Row(
        number=16,
        name=name,
        title=f"Latency by the number of processes on the bus, {how}",
        unit="ns",
        reference="cachewright get, 1 process",
        axis="processes on the bus",
        note=f"The other processes hold the keys in L1 and hear of every change. Not pinned. {note}",
        rounds=31,
        cases=tuple(
            ours(
                f"{verb}, {_processes(count)}",
                _accompanied(count, verb, shared[count], pause),
                (verb, count),
            )
            for verb in VERBS
            for count in PROCESSES
        ),
        targets=tuple(
            _flat(
                f"{verb}, {_processes(PROCESSES[1])}",
                f"{verb}, {_processes(PROCESSES[0])}",
                goal=not pause,
            )
            for verb in VERBS
        ),
    )


FLEET = _fleet_row(
    PAUSE,
    name="growth-processes",
    how="100 calls a second",
    note="The median of 25 calls a sample.",
)
BUSY_FLEET = _fleet_row(
    0.0,
    name="growth-saturated",
    how="back to back",
    note=(
        "Thousands of changes a second reach seven more processes, which then compete for the cores with the one that is "
        "measured."
    ),
)

ROWS = (KEYS_IN_L2, FLEET, BUSY_FLEET)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
