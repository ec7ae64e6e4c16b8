"""The refusing proxy passes everything until it is told to refuse, and keeps the order of replies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from cachewright.embedded import EmbeddedServer
from rig.refusing import HOST, RefusingProxy


@pytest.fixture
def proxy(valkey: EmbeddedServer) -> Iterator[RefusingProxy]:
    with RefusingProxy(valkey.tcp_url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: RefusingProxy) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(proxy.url, socket_timeout=3, retry=None) as client:
        yield client


def test_commands_and_replies_pass_until_it_refuses(client: redis.Redis, namespace: str) -> None:
    value = bytes(range(256)) * 1_000
    client.set(namespace, value, px=10_000)
    assert client.get(namespace) == value


def test_a_refused_command_gets_the_error_and_does_not_reach_the_server(
    proxy: RefusingProxy, client: redis.Redis, valkey: EmbeddedServer, namespace: str
) -> None:
    client.ping()
    proxy.refuse("OOM no memory left")
    with pytest.raises(redis.exceptions.OutOfMemoryError, match="no memory left"):
        client.set(namespace, "v")
    with redis.Redis.from_url(valkey.url) as direct:
        assert direct.get(namespace) is None
    assert proxy.refused == 1


def test_after_healing_commands_pass_on_the_same_connection(
    proxy: RefusingProxy, client: redis.Redis
) -> None:
    client.ping()
    proxy.refuse("BUSY wait")
    with pytest.raises(redis.ResponseError):
        client.get("k")
    proxy.heal()
    assert client.ping()


def test_greetings_pass_unless_they_are_refused_too(proxy: RefusingProxy) -> None:
    proxy.refuse("NOAUTH first")
    with (
        redis.Redis.from_url(proxy.url, db=1, retry=None) as client,
        pytest.raises(redis.RedisError),
    ):
        client.get("k")
    assert proxy.refused == 1
    proxy.refuse("NOAUTH first", greetings_too=True)
    with (
        redis.Redis.from_url(proxy.url, db=1, retry=None) as client,
        pytest.raises(redis.RedisError),
    ):
        client.get("k")


def test_replies_keep_the_order_of_the_commands(client: redis.Redis, namespace: str) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for n in range(50):
            pipeline.echo(f"{namespace} {n}")
        assert pipeline.execute() == [f"{namespace} {n}".encode() for n in range(50)]


def test_pushes_reach_who_has_subscribed(
    proxy: RefusingProxy, valkey: EmbeddedServer, namespace: str
) -> None:
    with (
        redis.Redis.from_url(proxy.url, protocol=3) as client,
        client.pubsub(ignore_subscribe_messages=True) as listener,
        redis.Redis.from_url(valkey.url) as sender,
    ):
        listener.subscribe(namespace)
        assert listener.get_message(timeout=3) is None, "the confirmation"
        sender.publish(namespace, "news")
        heard = listener.get_message(timeout=3)
        assert heard is not None
        assert heard["data"] == b"news"


def test_a_cut_closes_connections_and_new_ones_work(
    proxy: RefusingProxy, client: redis.Redis
) -> None:
    with socket.create_connection((HOST, urlsplit(proxy.url).port or 0), timeout=3) as link:
        link.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert link.recv(100) == b"+PONG\r\n"
        proxy.cut()
        assert link.recv(100) == b""
    assert client.ping()
