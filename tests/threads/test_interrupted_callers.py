"""A thread that is interrupted while it loads harms nobody else: whoever waits loads for himself."""

from __future__ import annotations

import threading

import pytest
from _sync.steps import Source, Step, until

from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer

FOLLOWERS = 5


class Interrupted(BaseException):
    """As KeyboardInterrupt, SystemExit or a timeout that is raised into a thread."""


class Interruption:
    """A loader whose first call is interrupted; all others work."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()
        self.source = Source("value")
        self._lock = threading.Lock()
        self._first = True

    def load(self) -> str:
        with self._lock:
            first, self._first = self._first, False
        if not first:
            value: str = self.source.load()
            return value
        self.began.set()
        assert self.go_on.wait(10)
        raise Interrupted


@pytest.mark.parametrize("with_server", [False, True])
def test_the_followers_of_an_interrupted_leader_lead_anew(
    valkey: EmbeddedServer, namespace: str, with_server: bool
) -> None:
    interruption = Interruption()
    with Cache(valkey.url if with_server else None, namespace=namespace) as cache:
        leader = Step(cache.get_or_load, "k", interruption.load)
        until(interruption.began.is_set)
        followers = [Step(cache.get_or_load, "k", interruption.load) for _ in range(FOLLOWERS)]
        until(lambda: cache.stats().joined == FOLLOWERS)
        interruption.go_on.set()
        with pytest.raises(Interrupted):
            leader.result()
        # At once: the lease was given back, and not left to run out.
        assert [step.result(3.0) for step in followers] == ["value"] * FOLLOWERS
        assert interruption.source.loads == 1, "one of them leads, and the others follow it"


def test_another_process_leads_as_soon_as_the_leader_is_interrupted(
    server: EmbeddedServer, namespace: str
) -> None:
    interruption = Interruption()
    with (
        Cache(server.url, namespace=namespace) as a,
        Cache(server.url, namespace=namespace) as b,
    ):
        leader = Step(a.get_or_load, "k", interruption.load)
        until(interruption.began.is_set)
        elsewhere = Step(b.get_or_load, "k", interruption.load)
        until(lambda: b.stats().misses == 1)
        interruption.go_on.set()
        with pytest.raises(Interrupted):
            leader.result()
        assert elsewhere.result(3.0) == "value"


def test_a_refresh_that_is_interrupted_does_not_stop_later_ones() -> None:
    with Cache(policy=Policy(ttl=0.001, stale=100)) as cache:
        source = Source("old")
        cache.get_or_load("k", source.load)
        until(lambda: cache.ttl("k") == 0.0)
        hooked, threading.excepthook = threading.excepthook, lambda args: None
        try:

            def interrupted() -> str:
                raise Interrupted

            cache.get_or_load("k", interrupted)
            until(lambda: cache._refresher._running == 0 and cache.stats().refreshes == 1)
            until(lambda: len(cache.engine.background) == 0)
        finally:
            threading.excepthook = hooked
        source.value = "new"
        cache.get_or_load("k", source.load)
        until(lambda: cache.get("k") == "new")
