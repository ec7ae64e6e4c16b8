"""A fleet of processes: one load for all, leaders that die or freeze, writers that are killed after their commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from processes import members, stampede
from processes.members import JsonFile, Lead, SqliteRow, Write

from cachewright import Cache, Policy
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer
from rig.processes import Fleet
from rig.servers import Raw
from rig.waiting import eventually

PATIENT = Policy(timeouts=Timeouts(call=1.0))
"""For machines that are busy with other tests: no call is to fail for slowness here."""


# -------------------------------------------------------------------- stampedes


@pytest.mark.parametrize("world", ["threads", "tasks"])
def test_eight_processes_with_fifty_callers_each_load_a_cold_key_once(
    valkey: EmbeddedServer, namespace: str, world: str, record_property: Callable[[str, Any], None]
) -> None:
    numbers = stampede.run(valkey, namespace, world)
    record_property("stampede", numbers)
    assert numbers["loads"] == 1
    assert numbers["callers"] == 400
    assert numbers["values"] == ["value"]


@pytest.mark.parametrize("world", ["threads", "tasks"])
def test_without_the_lease_each_of_them_loads(
    valkey: EmbeddedServer, namespace: str, world: str
) -> None:
    assert stampede.run(valkey, namespace, world, leased=False)["loads"] >= 8


# -------------------------------------------------------------------- leaders


class Follower:
    """A caller beside the test who wants the same key."""

    def __init__(self, cache: Cache, value: str) -> None:
        self.loads = 0
        self._value = value
        self._seen: list[Any] = []
        self._thread = threading.Thread(target=self._read, args=(cache,), daemon=True)
        self._thread.start()

    def _read(self, cache: Cache) -> None:
        self._seen.append(cache.get_or_load("k", self._load, tags=["row"]))

    def _load(self) -> str:
        self.loads += 1
        return self._value

    def result(self, within: float) -> Any:
        self._thread.join(within)
        assert self._seen, f"still waiting after {within} s"
        return self._seen[0]


def lead_job(fleet: Fleet, server: EmbeddedServer, namespace: str) -> Lead:
    return Lead(server.url, namespace, fleet.counter("began"), fleet.counter("end"))


def test_the_followers_of_a_leader_that_is_killed_lead_when_its_lease_has_run_out(
    server: EmbeddedServer, namespace: str
) -> None:
    with Fleet() as fleet, Cache(server.url, namespace=namespace, policy=PATIENT) as cache:
        job = lead_job(fleet, server, namespace)
        [leader] = fleet.start(members.lead, 1, job=job)
        job.began.reach(1)
        follower = Follower(cache, "value")
        eventually(lambda: cache.stats().misses == 1)
        leader.kill()
        # The lease of half a second, and not the default of ten.
        assert follower.result(within=3.0) == "value"
        assert follower.loads == 1
        assert cache.get("k", verify=True) == "value"


def test_the_lease_of_a_leader_that_lives_is_renewed(
    valkey: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Fleet() as fleet, Cache(valkey.url, namespace=namespace, policy=PATIENT) as cache:
        job = lead_job(fleet, valkey, namespace)
        [leader] = fleet.start(members.lead, 1, job=job)
        job.began.reach(1)
        follower = Follower(cache, "value")
        lease, client = cache.engine.keys.lease("k"), raw(valkey)
        for _ in range(2):
            eventually(lambda: 0 < client.pttl(lease) < 400)
            eventually(lambda: client.pttl(lease) > 450)
        assert follower.loads == 0
        job.end.add()
        assert follower.result(within=3.0) == "late" == leader.result()[0]


def test_a_leader_that_was_frozen_beyond_its_lease_puts_nothing_back(
    server: EmbeddedServer, namespace: str
) -> None:
    with Fleet() as fleet, Cache(server.url, namespace=namespace, policy=PATIENT) as cache:
        job = lead_job(fleet, server, namespace)
        [leader] = fleet.start(members.lead, 1, job=job)
        job.began.reach(1)
        leader.pause()
        try:
            assert Follower(cache, "value").result(within=3.0) == "value"
        finally:
            leader.resume()
        job.end.add()
        loaded, read_afterwards, refused = leader.result()
        assert (loaded, read_afterwards, refused) == ("late", "value", 1)
        assert cache.get("k", verify=True) == "value"


def test_a_leader_that_is_frozen_while_its_key_is_invalidated_puts_nothing_back(
    server: EmbeddedServer, namespace: str
) -> None:
    with Fleet() as fleet, Cache(server.url, namespace=namespace, policy=PATIENT) as cache:
        job = lead_job(fleet, server, namespace)
        [leader] = fleet.start(members.lead, 1, job=job)
        job.began.reach(1)
        leader.pause()
        try:
            cache.invalidate(tags=["row"])
            job.end.add()
        finally:
            leader.resume()
        loaded, _, _ = leader.result()
        assert loaded == "late", "its own caller asked before the invalidation"
        assert cache.get_or_load("k", lambda: "value", tags=["row"]) == "value"


# -------------------------------------------------------------------- writers

SOURCES = pytest.mark.parametrize("kind", [JsonFile, SqliteRow])
LIMIT = 1.0


def kill_a_writer(fleet: Fleet, job: Write) -> None:
    """After its commit, before the end of its `writing`, with two processes reading all the time."""
    job.source.write("old")
    fleet.start(members.watch_in_threads, 1, job=job)
    fleet.start(members.watch_in_tasks, 1, job=job)
    job.warm.reach(2)
    [writer] = fleet.start(members.write_and_hang, 1, job=job)
    job.committed.reach(1)
    writer.kill()


def write_job(
    fleet: Fleet, server: EmbeddedServer, namespace: str, source: JsonFile | SqliteRow, **more: Any
) -> Write:
    warm, committed, stop = (fleet.counter(name) for name in ("warm", "committed", "stop"))
    return Write(
        server.url,
        namespace,
        source,
        warm=warm,
        committed=committed,
        stop=stop,
        limit=LIMIT,
        **more,
    )


def is_mark(data: Any) -> bool:
    """Whether this is the mark of a writer, not a stamp or a lease."""
    return data is not None and data.startswith(b"!")


def read_cold(job: Write) -> Any:
    """What a process reads that has just started."""
    with Cache(job.url, namespace=job.namespace, policy=PATIENT) as cache:
        return cache.get_or_load("k", job.source.read, tags=["row"])


@SOURCES
def test_nobody_reads_the_old_value_after_the_commit_of_a_writer_that_was_killed(
    server: EmbeddedServer, namespace: str, raw: Raw, kind: type[JsonFile | SqliteRow]
) -> None:
    with Fleet() as fleet, Cache(server.url, namespace=namespace, policy=PATIENT) as cache:
        job = write_job(fleet, server, namespace, kind(fleet.place))
        kill_a_writer(fleet, job)
        names = [cache.engine.keys.lease("k"), cache.engine.keys.tag("t:row")]
        client, reads = raw(server), 0
        while any(is_mark(client.get(name)) for name in names):
            assert read_cold(job) == "new", "while the dead writer's marks last"
            assert cache.get_or_load("k", job.source.read, tags=["row"]) == "new"
            reads += 1
        assert reads, "the marks were there"
        for _ in range(3):
            assert read_cold(job) == "new", "after they have run out"
            assert cache.get_or_load("k", job.source.read, tags=["row"]) == "new"
        assert cache.get("k") == "new", "kept again"
        job.stop.add()
        # Read by processes that had the old value in memory: once it is gone, it is gone.
        assert fleet.results() == [["old", "new"], ["old", "new"]]


def test_without_phase_1_the_old_value_outlives_the_writer(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with Fleet() as fleet:
        job = write_job(fleet, valkey, namespace, JsonFile(fleet.place), marked=False)
        kill_a_writer(fleet, job)
        assert job.source.read() == "new"
        assert read_cold(job) == "old"
        job.stop.add()
        assert fleet.results() == [["old"], ["old"]]


# -------------------------------------------------------------------- caches that nobody closes


@pytest.mark.parametrize("hung", [False, True], ids=["idle", "with a refresh that hangs"])
@pytest.mark.parametrize("abandon", [members.abandon_in_threads, members.abandon_in_tasks])
def test_a_cache_that_nobody_closes_does_not_keep_its_process_from_ending(
    valkey: EmbeddedServer, namespace: str, abandon: Callable[..., None], hung: bool
) -> None:
    with Fleet() as fleet:
        fleet.start(abandon, 1, url=valkey.url, namespace=namespace, hung=hung)
        began = time.monotonic()
        assert fleet.results(timeout=15) == [None]
        assert time.monotonic() - began < 10


def test_the_threads_of_a_cache_that_was_dropped_end(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with Fleet() as fleet:
        fleet.start(members.drop_a_cache, 1, url=valkey.url, namespace=namespace)
        assert fleet.results() == [[]]
