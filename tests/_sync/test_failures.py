# Generated from _async/test_failures.py by tools/unasync.py. Do not edit.
"""Whatever the server does, reads answer in time and without an error, and nothing stale comes back afterwards.

Lost links are in test_bus.py, servers that lie in test_lies.py, killed processes in tests/processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from _sync.server_trouble import QUICK, all_verbs_work_without_the_server, load_value
from _sync.steps import Source, until, until_read

from cachewright import MISSING, Cache, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteError, RemoteTimeout, RemoteUnavailable
from cachewright.testing import FakeClock, RecordingListener
from rig.proxy import FaultProxy
from rig.servers import OwnServer, Raw

# -------------------------------------------------------------------- down


def test_a_frozen_server_costs_hits_in_memory_nothing_and_other_reads_their_budget(
    own_server: OwnServer, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    server = own_server()
    with Cache(server.url, namespace=namespace) as cache:
        cache.get_or_load("hot", load_value)
        server.pause()
        try:
            began = time.monotonic()
            assert cache.get("hot") == "value", "from memory: the link is not lost yet"
            assert cache.get_or_load("cold", load_value) == "value"
            assert time.monotonic() - began < QUICK
            until(lambda: cache.stats().link == "lost")
            assert cache.get("hot") is MISSING, "nobody could have said that it changed"
            assert cache.get_or_load("hot", load_value) == "value"
        finally:
            server.resume()
        began = time.monotonic()
        until(lambda: cache.stats().link == "up")
        cache.get_or_load("afterwards", load_value)
        assert cache.get("afterwards") == "value", "kept again"
        record_property("recovery_seconds", time.monotonic() - began)
        assert time.monotonic() - began < 3


def test_a_killed_server_that_comes_back_empty_leaves_nothing_stale(
    own_server: OwnServer, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    server, source = own_server(), Source("old")
    with (
        Cache(server.url, namespace=namespace) as writer,
        Cache(server.url, namespace=namespace) as reader,
    ):
        for cache in (writer, reader):
            assert cache.get_or_load("k", source.load, tags=["row"]) == "old"
        server.kill()
        until(lambda: writer.stats().link == reader.stats().link == "lost")
        source.value = "new"
        writer.invalidate(tags=["row"])
        for cache in (writer, reader):
            assert cache.get_or_load("k", source.load, tags=["row"]) == "new"
        server.restart()
        began = time.monotonic()
        until(lambda: writer.stats().link == reader.stats().link == "up")
        record_property("recovery_seconds", time.monotonic() - began)
        assert time.monotonic() - began < 3
        for cache in (writer, reader):
            assert cache.get_or_load("k", source.load, tags=["row"]) == "new"
            assert cache.get("k") == "new", "kept again"


def test_without_a_server_from_the_start_every_verb_works(
    own_server: OwnServer, namespace: str
) -> None:
    server = own_server()
    server.kill()
    with Cache(server.url, namespace=namespace) as cache:
        all_verbs_work_without_the_server(cache)
        assert cache.stats().entries == 0, "nothing may be kept that no invalidation would reach"


def test_a_server_that_dies_under_way_lets_every_verb_work(
    own_server: OwnServer, namespace: str
) -> None:
    server = own_server()
    with Cache(server.url, namespace=namespace) as cache:
        assert cache.set("given", 1)
        server.kill()
        until(lambda: cache.stats().link == "lost")
        all_verbs_work_without_the_server(cache)


def test_a_wrong_password_is_a_miss_and_says_why(
    own_server: OwnServer, namespace: str
) -> None:
    server, events = own_server(config={"requirepass": "right"}), RecordingListener()
    url = server.tcp_url.replace("://", "://:wrong@")
    with Cache(url, namespace=namespace, listeners=[events]) as cache:
        all_verbs_work_without_the_server(cache)
        errors = [str(event.error) for event in events.events if event.error]  # type: ignore[attr-defined]
        assert any("refused the connection" in error for error in errors)
        assert not any("wrong" in error and "wrong@" in error for error in errors)


# -------------------------------------------------------------------- slow, deaf, cut off


def test_a_server_slower_than_the_budget_is_a_miss_each_time(
    valkey: EmbeddedServer, namespace: str
) -> None:
    events = RecordingListener()
    with FaultProxy(valkey.url) as proxy:
        with Cache(proxy.url, namespace=namespace, listeners=[events]) as cache:
            cache.get_or_load("k", load_value)
            proxy.delay(0.3)
            for n in range(3):
                began = time.monotonic()
                assert cache.get_or_load(f"k{n}", load_value) == "value"
                assert time.monotonic() - began < QUICK
            assert isinstance(events.of("remote_error")[0].error, RemoteTimeout)  # type: ignore[attr-defined]
            proxy.heal()


def test_late_replies_are_not_taken_for_the_answers_to_later_questions(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        with Cache(proxy.url, namespace=namespace) as cache:
            for key in ("a", "b", "c"):
                assert cache.set(key, f"value of {key}")
            proxy.stall()
            for key in ("a", "b"):
                assert cache.get(key, "missed", verify=True) == "missed"
            proxy.heal()
            for key in ("c", "b", "a"):
                seen = cache.get(key, "missed", verify=True)
                assert seen in ("missed", f"value of {key}")
            until_read(lambda: cache.get("a", verify=True), "value of a")


def test_swallowed_replies_are_misses_and_what_was_invalidated_stays_so(
    server: EmbeddedServer, namespace: str
) -> None:
    source = Source("old")
    with FaultProxy(server.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace) as cache,
            Cache(server.url, namespace=namespace) as other,
        ):
            assert cache.get_or_load("k", source.load) == "old"
            proxy.blackhole_replies()
            source.value = "new"
            cache.invalidate("k")
            assert cache.get_or_load("k", source.load) == "new"
            assert other.get_or_load("k", source.load) == "new", "the request had arrived"
            proxy.heal()
            until(lambda: cache.stats().link == "up")
            assert cache.get_or_load("k", source.load) == "new"


@pytest.mark.parametrize("n_bytes", [0, 1, 4, 60])
def test_a_connection_cut_in_the_middle_of_a_reply_is_a_miss_and_replaced(
    server: EmbeddedServer, namespace: str, n_bytes: int
) -> None:
    with Cache(server.url, namespace=namespace) as writer:
        assert writer.set("k", "x" * 200)
    with FaultProxy(server.url) as proxy:
        with Cache(proxy.url, namespace=namespace) as cache:
            cache.get("open the connection")
            proxy.drop_after(n_bytes)
            assert cache.get("k", "missed", verify=True) == "missed"
            assert cache.get("k", "missed", verify=True) == "x" * 200


# -------------------------------------------------------------------- refusing


def test_scripts_that_the_server_forgot_are_loaded_again(
    own_server: OwnServer, namespace: str, raw: Raw
) -> None:
    server, events = own_server(), RecordingListener()
    with Cache(server.url, namespace=namespace, listeners=[events]) as cache:
        cache.get_or_load("a", load_value)
        raw(server).script_flush()
        assert cache.get_or_load("b", load_value) == "value"
        assert cache.get("b", verify=True) == "value", "it was stored"
        raw(server).script_flush()
        assert cache.incr("counter") == 1
        raw(server).script_flush()
        cache.invalidate("b")
        assert cache.get("b") is MISSING
        assert events.of("remote_error") == []


def test_an_entry_lease_or_stamp_of_a_wrong_type_is_a_miss_and_replaced(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    events = RecordingListener()
    with Cache(server.url, namespace=namespace, listeners=[events]) as cache:
        keys, client = cache.engine.keys, raw(server)
        for name in (keys.entry("k"), keys.lease("k"), keys.tag("t:row"), keys.sequence):
            client.rpush(name, "a list")
        assert cache.get("k") is MISSING
        assert events.of("unreadable")
        client.delete(keys.entry("k"))
        client.rpush(keys.entry("k"), "a list")
        assert cache.get_or_load("k", load_value, tags=["row"]) == "value"
        assert cache.get("k", verify=True) == "value"
        assert events.of("remote_error") == []


def test_a_replica_is_not_taken_for_the_primary(
    own_server: OwnServer, namespace: str, raw: Raw
) -> None:
    primary, events = own_server(), RecordingListener()
    replica = own_server(config={"replicaof": f"127.0.0.1 {primary.port}"})
    with Cache(replica.url, namespace=namespace, listeners=[events]) as cache:
        all_verbs_work_without_the_server(cache)
        errors = [str(event.error) for event in events.events]  # type: ignore[attr-defined]
        assert any("is a replica" in error for error in errors)


def test_a_primary_that_becomes_a_replica_serves_nothing_that_was_invalidated_meanwhile(
    own_server: OwnServer, namespace: str, raw: Raw
) -> None:
    server, primary, source = own_server(), own_server(), Source("old")
    with Cache(server.url, namespace=namespace) as cache:
        assert cache.get_or_load("k", source.load) == "old"
        raw(server).replicaof("127.0.0.1", primary.port)
        source.value = "new"
        cache.invalidate("k")
        assert cache.get_or_load("k", source.load) == "new"
        assert cache.get("k") is not source, "and no error reaches the caller"


def refused_writes(
    server: EmbeddedServer, namespace: str, refuse: Callable[[], object]
) -> tuple[str, str]:
    """What the invalidating process and another one read after an invalidation on a server that refuses writes."""
    source = Source("old")
    with (
        Cache(server.url, namespace=namespace) as writer,
        Cache(server.url, namespace=namespace) as reader,
    ):
        for cache in (writer, reader):
            assert cache.get_or_load("k", source.load, tags=["row"]) == "old"
        refuse()
        assert writer.get_or_load("other", source.load) == "old", "loaded, not kept"
        source.value = "new"
        writer.invalidate(tags=["row"])
        mine: str = writer.get_or_load("k", source.load, tags=["row"])
        theirs = "old"
        for _ in range(100):
            theirs = reader.get_or_load("k", source.load, tags=["row"])
            if theirs == "new":
                break
            writer.get("let the bus have its say", verify=True)
        return mine, theirs


def test_an_invalidation_needs_no_memory_of_a_full_server(
    own_server: OwnServer, namespace: str, raw: Raw
) -> None:
    """Where nothing more can be stored, what is stored must still be possible to invalidate."""
    server = own_server(config={"maxmemory-policy": "noeviction"})
    client = raw(server)
    seen = refused_writes(server, namespace, lambda: client.config_set("maxmemory", 1))
    assert seen == ("new", "new")


def test_a_server_that_cannot_save_refuses_writes_and_this_process_reads_nothing_stale(
    own_server: OwnServer, namespace: str, raw: Raw, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config={"save": "10000 10000000"})
    client = raw(server)

    def fail_to_save() -> None:
        (tmp_path / "dump.rdb" / "in the way").mkdir(parents=True)
        client.bgsave()

        def misconfigured() -> bool:
            return bool(client.info("persistence")["rdb_last_bgsave_status"] == "err")

        deadline = time.monotonic() + 5
        while not misconfigured():
            assert time.monotonic() < deadline

    mine, _ = refused_writes(server, namespace, fail_to_save)
    client.config_set("save", "")  # else it would not end before it has saved
    assert mine == "new"


def test_errors_of_the_server_are_raised_where_the_policy_asks_for_it(
    own_server: OwnServer, namespace: str
) -> None:
    server = own_server()
    policy = Policy(on_error="raise")
    with Cache(server.url, namespace=namespace, policy=policy) as cache:
        assert cache.get_or_load("k", load_value) == "value"
        server.kill()
        until(lambda: cache.stats().link == "lost")
        with pytest.raises(RemoteUnavailable):
            cache.get("k")
        with pytest.raises(RemoteError):
            cache.get_or_load("k", load_value)
        with pytest.raises(RemoteError):
            cache.set("k", 1)
        with pytest.raises(RemoteError):
            cache.invalidate("k")
        assert cache.stats().pending_repairs >= 1, "raised, and not forgotten"


# -------------------------------------------------------------------- the breaker


def test_after_five_calls_without_an_answer_the_server_is_left_alone(
    own_server: OwnServer, namespace: str
) -> None:
    server, events = own_server(), RecordingListener()
    with Cache(server.url, namespace=namespace, listeners=[events]) as cache:
        store = cache.engine.store
        assert store is not None
        cache.get("open the connection")
        no_answer = RemoteTimeout("no answer")

        def call(commands: object, timeout: float) -> object:
            raise no_answer

        store.pipe.call = call  # type: ignore[method-assign, assignment]
        for n in range(1, 6):
            assert not events.of("breaker_opened")
            cache.get(f"k{n}")
        assert len(events.of("breaker_opened")) == 1


def test_a_server_that_takes_no_connection_is_left_alone_at_once_and_tried_after_a_pause(
    own_server: OwnServer, namespace: str
) -> None:
    server, clock, events = own_server(), FakeClock(), RecordingListener()
    with FaultProxy(server.url) as proxy:
        with Cache(
            proxy.url, namespace=namespace, clock=clock, listeners=[events]
        ) as cache:
            cache.get("open the connection")
            server.kill()
            until(lambda: cache.stats().link == "lost")
            assert not events.of("breaker_opened")
            # The first finds its connection broken, the next that there is no other to be had.
            for n in range(2):
                cache.get(f"k{n}")
            assert len(events.of("breaker_opened")) == 1
            proxy.reset_counters()
            began = time.monotonic()
            for n in range(100):
                cache.get(f"k{n}")
            assert time.monotonic() - began < QUICK, "nobody waits for a server that is left alone"
            assert cache.engine.store is not None
            breaker = cache.engine.store.breaker
            # Each failed trial doubles the pause, to 30 s.
            for pause in (1, 2, 4, 8, 16, 30, 30):
                clock.advance(pause - 0.01)
                assert not breaker.allows(clock.monotonic())
                clock.advance(0.01)
                cache.get("trial")
            assert len(events.of("breaker_opened")) == 1, "it has been open all the time"
            server.restart()
            until(lambda: cache.stats().link == "up")
            assert not breaker.is_open, "the link is back, so is the server"
            assert cache.get_or_load("k", load_value) == "value"
            assert cache.get("k", verify=True) == "value"
