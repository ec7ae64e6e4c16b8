# Generated from _async/test_repairs.py by tools/unasync.py. Do not edit.
"""Failed invalidations are owed: merged, bounded, sent before anything is read, and as soon as the link is back."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import Source, until, until_read

from cachewright import MISSING, Cache, Policy, Timeouts
from cachewright._sync.redis import RedisStore
from cachewright.core.tags import NAMESPACE
from cachewright.embedded import EmbeddedServer
from cachewright.redis import wire
from cachewright.redis.repairs import Pending
from cachewright.testing import RecordingListener
from rig.proxy import FaultProxy

PATIENT = Policy(timeouts=Timeouts(call=2.0, connect=2.0))
"""A read that a busy machine lets run out of time asks the source, and shows nothing."""


def value_read_back_after_an_invalidation_that_did_not_arrive(
    server: EmbeddedServer, namespace: str, what: dict[str, Any]
) -> tuple[str, str]:
    source, events = Source("old"), RecordingListener()
    with FaultProxy(server.url) as proxy:
        with Cache(
            proxy.url, namespace=namespace, listeners=[events], policy=PATIENT
        ) as cache:
            assert cache.get_or_load("k", source.load, tags=["row"]) == "old"
            proxy.refuse()
            proxy.cut()
            source.value = "new"
            cache.invalidate(*what.get("keys", ()), tags=what.get("tags", ()))
            meanwhile: str = cache.get_or_load("k", source.load, tags=["row"])
            proxy.heal()
            until(lambda: cache.stats().link == "up")
            return meanwhile, cache.get_or_load("k", source.load, tags=["row"])


WAYS = pytest.mark.parametrize("what", [{"keys": ["k"]}, {"tags": ["row"]}], ids=["key", "tag"])


@WAYS
def test_a_process_never_reads_back_what_it_has_itself_invalidated(
    server: EmbeddedServer, namespace: str, what: dict[str, Any]
) -> None:
    seen = value_read_back_after_an_invalidation_that_did_not_arrive(server, namespace, what)
    assert seen == ("new", "new")


@WAYS
def test_without_sending_repairs_first_it_reads_the_old_value_back(
    valkey: EmbeddedServer, namespace: str, what: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: RedisStore, pending: Pending) -> list[wire.Command]:
        return []

    monkeypatch.setattr(RedisStore, "_repairs", nothing)
    seen = value_read_back_after_an_invalidation_that_did_not_arrive(valkey, namespace, what)
    assert seen == ("new", "old")


def test_a_value_that_could_not_be_set_does_not_give_way_to_the_older_one(
    server: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(server.url) as proxy:
        with Cache(proxy.url, namespace=namespace) as cache:
            assert cache.set("k", "old")
            proxy.refuse()
            proxy.cut()
            assert not cache.set("k", "new")
            proxy.heal()
            until(lambda: cache.stats().link == "up")
            assert cache.get("k") is MISSING


def test_failed_invalidations_are_merged_and_sent_as_soon_as_the_link_is_back(
    server: EmbeddedServer, namespace: str
) -> None:
    source, events = Source("old"), RecordingListener()
    with FaultProxy(server.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace, listeners=[events]) as writer,
            Cache(server.url, namespace=namespace) as reader,
        ):
            assert reader.get_or_load("k", source.load, tags=["row"]) == "old"
            proxy.refuse()
            proxy.cut()
            until(lambda: writer.stats().link == "lost")
            source.value = "new"
            for _ in range(3):
                writer.invalidate("k", "l", tags=["row"])
            assert writer.stats().pending_repairs == 3
            assert reader.get_or_load("k", source.load, tags=["row"]) == "old", (
                "nobody could tell it, which is why a strict write exists"
            )
            proxy.heal()
            # The writer is not called again.
            until_read(lambda: reader.get_or_load("k", source.load, tags=["row"]), "new", 4.0)
            # The reader may know of it before the writer has heard that it was done.
            until(lambda: events.of("repaired"))
            assert writer.stats().pending_repairs == 0
            assert len(events.of("repaired")) == 1


def test_more_failed_invalidations_than_can_be_kept_become_a_clear(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultProxy(server.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace) as writer,
            Cache(server.url, namespace=namespace) as reader,
        ):
            for key in ("a", "b", "untouched"):
                assert reader.set(key, "old")
            assert writer.engine.store is not None
            repairs = writer.engine.store.repairs
            monkeypatch.setattr(repairs, "_limit", 3)
            proxy.refuse()
            proxy.cut()
            until(lambda: writer.stats().link == "lost")
            for n in range(10):
                writer.invalidate(f"k{n}")
                assert writer.stats().pending_repairs <= 3
            assert ("tag", NAMESPACE) in repairs._names
            proxy.heal()
            until(lambda: writer.stats().link == "up")
            assert writer.get("a") is MISSING, "whatever it was about, nothing old is read"
            for key in ("a", "b", "untouched"):
                until_read(lambda key=key: reader.get(key), MISSING)  # type: ignore[misc]
