"""Threads that count at once: nothing is lost, in memory or at a server."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cachewright import Cache, Policy, Timeouts
from rig.servers import Pool

PATIENT = Policy(timeouts=Timeouts(call=5.0, connect=5.0))


@pytest.fixture(params=["memory", "valkey"])
def place(request: pytest.FixtureRequest, server_pool: Pool) -> str | None:
    """No server, and one."""
    return None if request.param == "memory" else server_pool.get(request.param).url


def at_once(workers: int, work: Any) -> None:
    start = threading.Barrier(workers)

    def run() -> None:
        start.wait(10)
        work()

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_eight_threads_lose_no_count(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace, policy=PATIENT) as cache:

        def work() -> None:
            for _ in range(50):
                cache.incr("n")

        at_once(8, work)
        assert cache.get("n", verify=place is not None) == 400


def test_eight_threads_that_read_and_set_lose_some(place: Any, namespace: str) -> None:
    """The twin of the test above: every thread reads before any writes."""
    with Cache(place, namespace=namespace, policy=PATIENT) as cache:
        cache.set("n", 0)
        read = threading.Barrier(8)

        def work() -> None:
            seen = cache.get("n")
            read.wait(10)
            cache.set("n", seen + 1)

        at_once(8, work)
        assert cache.get("n") == 1


def test_no_thread_counts_a_hit_in_vain() -> None:
    with Cache() as cache:
        cache.set("k", 1)

        def work() -> None:
            for _ in range(1000):
                cache.get("k")

        at_once(4, work)
        assert cache.stats().l1_hits == 4000


def test_a_cache_answers_to_in() -> None:
    with Cache() as cache:
        cache.set("k", None)
        assert "k" in cache
        assert "j" not in cache
