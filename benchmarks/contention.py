"""Rows on hits while others are at work: threads that hit too (3), and tags that are invalidated meanwhile (15)."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peers import cachebox, cachetools, lru_cache, moka, theine, warming
from benchmarks.rows import Case, Measure, Prepare, Row, Sample, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.values import KEYS, SMALL, TTL
from cachewright import Cache, Policy

THREADS = (1, 2, 4)
PER_SECOND = 1_000
BURST = 0.2
"""Seconds that one sample of row 15 lasts: long enough for 200 invalidations."""


def _threaded(decorate: Callable[[Any], Any], threads: int) -> Prepare:
    return lambda stage: stage.threaded("load(key)", threads, load=warming.called(decorate))


def _cached(threads: int) -> Prepare:
    def prepare(stage: Stage) -> Measure:
        cache = Cache(policy=Policy(ttl=TTL))
        stage.closing(cache.close)
        return _threaded(cache.cached, threads)(stage)

    return prepare


def _get(threads: int) -> Prepare:
    def prepare(stage: Stage) -> Measure:
        cache = Cache(policy=Policy(ttl=TTL))
        stage.closing(cache.close)
        cache.set_many(dict.fromkeys(KEYS, SMALL))
        return stage.threaded("get(key)", threads, get=cache.get)

    return prepare


def _called(number: int) -> str:
    return f"{number} thread" + "s" * (number > 1)


_PEERS = {
    "cachebox @cached": cachebox.decorate,
    "moka @cached": moka.decorate,
    "cachetools @cached, lock": cachetools.decorate_locked,
    "theine @Memoize": theine.decorate,
}

HITS_FROM_THREADS = Row(
    number=3,
    name="l1-threads",
    title="Hits from several threads, in all",
    unit="thousand/s",
    reference="functools.lru_cache, 1 thread",
    higher_is_better=True,
    rounds=21,
    note="1,000 resident keys; on a Python with a GIL no more than one thread's hits can be reached.",
    cases=(
        *(ours(f"get, {_called(n)}", _get(n)) for n in THREADS),
        *(ours(f"@cached, {_called(n)}", _cached(n)) for n in THREADS),
        *(
            floor(f"functools.lru_cache, {_called(n)}", _threaded(lru_cache.decorate, n))
            for n in (1, 4)
        ),
        *(
            Case(f"{name}, {_called(n)}", _threaded(decorate, n))
            for name, decorate in _PEERS.items()
            for n in (1, 4)
        ),
    ),
    targets=tuple(
        Target(
            case=f"cachewright {what}, 4 threads",
            limit=0.95,
            against=(f"cachewright {what}, 1 thread",),
            at_least=True,
        )
        for what in ("get", "@cached")
    ),
)


class Invalidator:
    """Invalidates tags that no entry carries, so many times a second, in another process."""

    def __init__(self, url: str, namespace: str, rate: int) -> None:
        command = [sys.executable, "-m", "benchmarks.contention", url, namespace, str(rate)]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, what: str) -> int:
        """Say "go" or "stop"; how often it has invalidated since the last word."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(what + "\n")
        self._child.stdin.flush()
        return int(self._child.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(10)


def pace(act: Callable[[int], object], rate: int, stopped: threading.Event) -> int:
    """Call `act` so many times a second until told to stop; how often it was."""
    number, begin = 0, time.monotonic()
    while not stopped.is_set():
        act(number)
        number += 1
        ahead = begin + number / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    return number


def serve(url: str, namespace: str, rate: int) -> None:
    """The other process: one line in, "go" or "stop", one number out."""
    with Cache(url, namespace=namespace) as cache:
        cache.invalidate(tags=["unrelated:0"])
        pacing: tuple[threading.Thread, threading.Event] | None = None
        done: list[int] = []
        for line in sys.stdin:
            if pacing is not None:
                pacing[1].set()
                pacing[0].join()
                pacing = None
            if line.strip() == "go":
                stopped = threading.Event()

                def run(stopped: threading.Event = stopped) -> None:
                    done.append(
                        pace(
                            lambda i: cache.invalidate(tags=[f"unrelated:{i % 64}"]), rate, stopped
                        )
                    )

                pacing = threading.Thread(target=run), stopped
                pacing[0].start()
            print(done.pop() if done else 0, flush=True)


def _warm(stage: Stage, namespace: str, number: int) -> tuple[Cache, Measure]:
    cache = Cache(stage.url, namespace=namespace, policy=Policy(ttl=TTL))
    stage.closing(cache.close)
    names = KEYS[:number]
    for key in names:
        cache.get_or_load(key, lambda: SMALL, tags=[f"of:{key}"])
    return cache, stage.timed("get(key)", names, block=0, get=cache.get)


def _quiet(number: int) -> Prepare:
    return lambda stage: _warm(stage, f"quiet{number}", number)[1]


def _disturbed(number: int) -> Prepare:
    """Hits while another process invalidates; a sample in which it did so too seldom fails."""

    def prepare(stage: Stage) -> Measure:
        namespace = f"disturbed{number}"
        _, hits = _warm(stage, namespace, number)
        other = Invalidator(stage.url, namespace, PER_SECOND)
        stage.closing(other.close)
        hits()

        def sample() -> Any:
            return _meanwhile(hits, lambda: other.do("go"), lambda: other.do("stop"))

        return sample

    return prepare


def _disturbed_here(number: int) -> Prepare:
    """The same, where a thread of the process itself invalidates."""

    def prepare(stage: Stage) -> Measure:
        cache, hits = _warm(stage, f"here{number}", number)
        hits()
        state: dict[str, Any] = {}

        def go() -> int:
            stopped = threading.Event()

            def run() -> None:
                state["done"] = pace(
                    lambda i: cache.invalidate(tags=[f"unrelated:{i % 64}"]), PER_SECOND, stopped
                )

            thread = threading.Thread(target=run)
            thread.start()
            state["pacing"] = thread, stopped
            return 0

        def stop() -> int:
            thread, stopped = state["pacing"]
            stopped.set()
            thread.join()
            return int(state["done"])

        return lambda: _meanwhile(hits, go, stop)

    return prepare


def _meanwhile(hits: Measure, go: Callable[[], int], stop: Callable[[], int]) -> Any:
    go()
    begin, taken = time.monotonic(), []
    while time.monotonic() - begin < BURST:
        taken.append(hits())
    seconds = time.monotonic() - begin
    rate = stop() / seconds
    values = [float(one) for one in taken if not isinstance(one, Sample)]
    return Sample(sum(values) / len(values), {"invalidations a second": rate})


INVALIDATED_MEANWHILE = Row(
    number=15,
    name="l1-invalidated",
    title="L1 hits while unrelated tags are invalidated 1,000 times a second",
    unit="ns",
    reference="cachewright get, quiet, 1,000 keys",
    note=(
        "Entries carry one tag each. An invalidation makes a process look at each entry again when it is next asked "
        "for, so the more keys are hot, the more there is to do between two invalidations. A thread beside one that "
        "never waits gets the GIL too seldom for 1,000 a second."
    ),
    rounds=21,
    cases=tuple(
        ours(f"get, {how}, {number:,} keys", prepare(number))
        for number in (1_000, 100)
        for how, prepare in (
            ("quiet", _quiet),
            ("another process invalidates", _disturbed),
            ("a thread invalidates", _disturbed_here),
        )
    ),
    targets=tuple(
        Target(
            case=f"cachewright get, {how}, {number:,} keys",
            limit=2.0,
            against=(f"cachewright get, quiet, {number:,} keys",),
        )
        for number in (1_000, 100)
        for how in ("another process invalidates", "a thread invalidates")
    )
    + tuple(
        Target(
            case=f"cachewright get, another process invalidates, {number:,} keys",
            limit=0.9 * PER_SECOND,
            count="invalidations a second",
            at_least=True,
        )
        for number in (1_000, 100)
    ),
)

ROWS = (HITS_FROM_THREADS, INVALIDATED_MEANWHILE)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
