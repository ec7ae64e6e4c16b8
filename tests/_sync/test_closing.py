# Generated from _async/test_closing.py by tools/unasync.py. Do not edit.
"""A closed cache leaves nothing open, whatever was under way, and takes no longer than that to close."""

from __future__ import annotations

import time

from _sync.steps import Source, Step, until

from cachewright import Cache, Policy
from cachewright.embedded import EmbeddedServer
from rig.proxy import FaultProxy
from rig.servers import OwnServer

PROMPT = 1.0
"""Seconds; half of what closing would wait for work that does not end."""


def test_closing_takes_no_time_when_nothing_is_under_way(
    server: EmbeddedServer, namespace: str
) -> None:
    cache = Cache(server.url, namespace=namespace)
    source = Source("value")
    cache.get_or_load("k", source.load)
    with cache.writing(keys=["k"]):
        pass
    began = time.monotonic()
    cache.close()
    assert time.monotonic() - began < PROMPT


def test_closing_waits_for_a_refresh_that_is_about_to_end(
    valkey: EmbeddedServer, namespace: str
) -> None:
    source = Source("old")
    policy = Policy(ttl=0.001, stale=100)
    with Cache(valkey.url, namespace=namespace) as reader:
        cache = Cache(valkey.url, namespace=namespace, policy=policy)
        cache.get_or_load("k", source.load)
        source.gate.clear()
        source.value = "new"
        until(lambda: time.monotonic() > cache.table["k"].fresh_until)
        cache.get_or_load("k", source.load)
        until(lambda: source.loads == 2)
        closing = Step(cache.close)
        source.gate.set()
        closing.result()
        assert reader.get_or_load("k", source.load, policy=policy.but(ttl=100)) == "new"


def test_a_closed_cache_leaves_no_connection_open(
    server: EmbeddedServer, namespace: str
) -> None:
    source = Source("value")
    with FaultProxy(server.url) as proxy:
        cache = Cache(proxy.url, namespace=namespace)
        cache.get_or_load("k", source.load)
        assert proxy.open_connections >= 2
        cache.close()
        until(lambda: proxy.open_connections == 0)


def test_a_load_that_outlives_its_cache_leaves_no_connection_open_either(
    server: EmbeddedServer, namespace: str
) -> None:
    source = Source("value")
    source.gate.clear()
    with FaultProxy(server.url) as proxy:
        cache = Cache(proxy.url, namespace=namespace)
        late = Step(cache.get_or_load, "k", source.load)
        until(source.began.is_set)
        cache.close()
        source.gate.set()
        assert late.result() == "value", "its caller is served all the same"
        until(lambda: proxy.open_connections == 0, within=2.0)


def test_a_cache_can_be_closed_twice_and_without_ever_having_been_used(
    valkey: EmbeddedServer, namespace: str
) -> None:
    unused = Cache(valkey.url, namespace=namespace)
    unused.close()
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.set("k", 1)
        cache.close()


def test_a_cache_can_be_closed_while_its_server_is_frozen(
    own_server: OwnServer, namespace: str
) -> None:
    server = own_server()
    cache = Cache(server.url, namespace=namespace)
    cache.set("k", 1)
    server.pause()
    try:
        began = time.monotonic()
        cache.close()
        assert time.monotonic() - began < PROMPT
    finally:
        server.resume()
