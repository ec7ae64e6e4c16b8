"""The kernel ends the waits of short calls in threads: for any budget, and never later than it."""

from __future__ import annotations

import socket
import struct

import pytest

from cachewright import MISSING, Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer


@pytest.mark.parametrize("budget", [0.9999999, 1, 2.5, 5.0])
def test_a_budget_of_any_size_serves(budget: float, valkey: EmbeddedServer, namespace: str) -> None:
    policy = Policy(l1_ttl=0, timeouts=Timeouts(call=budget, connect=5.0))
    with Cache(valkey.url, namespace=namespace, policy=policy) as cache:
        cache.set("k", "v")
        cache.get_or_load("warm", lambda: 1)
        before = cache.engine.stats.l2_glances.value
        assert cache.get("k") == "v"
        assert cache.engine.stats.l2_glances.value == before + 1
        assert cache.stats().remote_errors == 0


@pytest.mark.parametrize(
    ("budget", "kept"), [(0.9999999, (1, 0)), (1e-9, (0, 1)), (2.5, (2, 500_000))]
)
def test_the_kernel_is_told_a_time_that_it_takes_and_that_ends(
    budget: float, kept: tuple[int, int], valkey: EmbeddedServer, namespace: str
) -> None:
    """0 would be for ever, and a million microseconds is refused."""
    policy = Policy(l1_ttl=0, timeouts=Timeouts(call=5.0, connect=5.0))
    with Cache(valkey.url, namespace=namespace, policy=policy) as cache:
        assert cache.get("nothing") is MISSING
        store = cache.engine.store
        assert store is not None
        link = store.pipe._idle[-1]
        assert link._kernel_keeps(budget)
        told = link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        seconds, microseconds = struct.unpack("@ll", told)
        # The kernel counts in ticks and rounds up.
        assert kept <= (seconds, microseconds) <= (kept[0], kept[1] + 20_000)
