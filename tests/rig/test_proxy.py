"""Every switch of the proxy, seen from a plain socket or client on its far side."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import redis

from cachewright.embedded import EmbeddedServer
from rig.proxy import HOST, FaultProxy
from rig.servers import OwnServer, TlsServer
from rig.waiting import eventually


@pytest.fixture
def proxy(valkey: EmbeddedServer) -> Iterator[FaultProxy]:
    with FaultProxy(valkey.tcp_url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[redis.Redis]:
    """It never retries: each fault is seen once."""
    with redis.Redis.from_url(proxy.url, socket_timeout=0.3, retry=None) as client:
        yield client


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=3)


def read_to_the_end(link: socket.socket) -> bytes:
    received = b""
    while chunk := link.recv(65_536):
        received += chunk
    return received


def test_requests_and_replies_pass_unchanged(client: redis.Redis, namespace: str) -> None:
    value = bytes(range(256)) * 10_000
    client.set(namespace, value, px=10_000)
    assert client.get(namespace) == value


def test_the_upstream_may_be_a_unix_socket(valkey: EmbeddedServer) -> None:
    with FaultProxy(valkey.url) as proxy, redis.Redis.from_url(proxy.url) as client:
        assert client.ping()


def test_tls_passes_through(tls_server: TlsServer) -> None:
    with FaultProxy(tls_server.url) as proxy, redis.Redis.from_url(proxy.url) as client:
        assert client.ping()


def test_the_url_keeps_credentials_database_and_query() -> None:
    with FaultProxy("redis://me:secret@127.0.0.1:1/3?protocol=3") as proxy:
        assert proxy.url == f"redis://me:secret@127.0.0.1:{proxy.port}/3?protocol=3"


def test_a_pipeline_is_one_round_trip_and_single_commands_are_one_each(
    proxy: FaultProxy, client: redis.Redis
) -> None:
    client.ping()
    proxy.reset_counters()
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(5):
            pipeline.ping()
        pipeline.execute()
    assert proxy.round_trips == 1
    client.ping()
    client.ping()
    assert proxy.round_trips == 3


def test_a_request_that_arrives_in_pieces_is_one_round_trip(proxy: FaultProxy) -> None:
    with connect(proxy) as link:
        link.sendall(b"PI")
        eventually(lambda: proxy.traffic.bytes_up == 2)
        link.sendall(b"NG\r\n")
        assert link.recv(100) == b"+PONG\r\n"
    assert proxy.round_trips == 1


def test_connections_and_bytes_are_counted(proxy: FaultProxy) -> None:
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        assert link.recv(100) == b"+PONG\r\n"
        traffic = proxy.traffic
        assert (traffic.connections, traffic.bytes_up, traffic.bytes_down) == (1, 6, 7)
        assert proxy.open_connections == 1
    eventually(lambda: proxy.open_connections == 0)


def test_a_delay_takes_effect_in_both_directions(proxy: FaultProxy, client: redis.Redis) -> None:
    client.ping()
    proxy.delay(0.05)
    started = time.monotonic()
    client.ping()
    assert time.monotonic() - started >= 0.1


def test_a_delay_is_latency_and_does_not_add_up_over_a_long_reply(
    proxy: FaultProxy, client: redis.Redis, namespace: str
) -> None:
    client.set(namespace, bytes(4_000_000), px=10_000)
    proxy.delay(0.05)
    started = time.monotonic()
    client.get(namespace)
    # 4 MB are at least 61 chunks: delayed one after the other they would take 3 s.
    assert time.monotonic() - started < 1.5


def test_while_stalled_connections_are_accepted_and_nothing_passes(proxy: FaultProxy) -> None:
    proxy.stall()
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        link.settimeout(0.1)
        with pytest.raises(TimeoutError):
            link.recv(100)


def test_what_was_stalled_passes_after_healing(proxy: FaultProxy) -> None:
    proxy.stall()
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        eventually(lambda: proxy.traffic.bytes_up == 6)
        proxy.heal()
        assert link.recv(100) == b"+PONG\r\n"


def test_in_a_black_hole_the_request_is_done_and_its_reply_is_lost(
    proxy: FaultProxy, client: redis.Redis, valkey: EmbeddedServer, namespace: str
) -> None:
    client.ping()
    proxy.blackhole_replies()
    with pytest.raises(redis.TimeoutError):
        client.set(namespace, "done", px=10_000)
    with redis.Redis.from_url(valkey.url) as direct:
        assert direct.get(namespace) == b"done"


def test_healing_resets_a_connection_that_lost_a_reply(proxy: FaultProxy) -> None:
    """Else the next reply on it would be taken for the lost one."""
    with connect(proxy) as link, connect(proxy) as innocent:
        proxy.blackhole_replies()
        link.sendall(b"PING\r\n")
        eventually(lambda: proxy.traffic.bytes_down)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            link.recv(100)
        innocent.sendall(b"PING\r\n")
        assert innocent.recv(100) == b"+PONG\r\n"


def test_a_cut_resets_all_connections_and_new_ones_work(proxy: FaultProxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        proxy.cut()
        for link in (first, second):
            with pytest.raises(ConnectionResetError):
                link.recv(100)
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        assert link.recv(100) == b"+PONG\r\n"


def test_a_cut_reaches_stalled_connections_too(proxy: FaultProxy) -> None:
    proxy.stall()
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        eventually(lambda: proxy.traffic.bytes_up)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            link.recv(100)


def test_new_connections_are_refused_while_open_ones_work_on(proxy: FaultProxy) -> None:
    with connect(proxy) as link:
        eventually(lambda: proxy.open_connections == 1)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        link.sendall(b"PING\r\n")
        assert link.recv(100) == b"+PONG\r\n"


def test_healing_accepts_connections_at_the_same_port(proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.refuse()
    proxy.heal()
    assert proxy.port == port
    connect(proxy).close()


def test_a_reply_is_dropped_in_its_middle_and_only_once(proxy: FaultProxy) -> None:
    proxy.drop_after(3)
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        assert read_to_the_end(link) == b"+PO"
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        assert link.recv(100) == b"+PONG\r\n"


def test_bytes_before_the_drop_are_counted_over_several_replies(proxy: FaultProxy) -> None:
    proxy.drop_after(10)
    with connect(proxy) as link:
        link.sendall(b"PING\r\n")
        assert link.recv(100) == b"+PONG\r\n"
        link.sendall(b"PING\r\n")
        assert read_to_the_end(link) == b"+PO"


def test_a_dead_server_behind_the_proxy_ends_the_connection(own_server: OwnServer) -> None:
    server = own_server()
    with FaultProxy(server.tcp_url) as proxy:
        server.kill()
        with pytest.raises(ConnectionResetError), connect(proxy) as link:
            link.recv(100)
        server.restart()
        with connect(proxy) as link:
            link.sendall(b"PING\r\n")
            assert link.recv(100) == b"+PONG\r\n"


def test_leaving_the_proxy_closes_its_port_and_its_connections(valkey: EmbeddedServer) -> None:
    with FaultProxy(valkey.tcp_url) as proxy:
        link = connect(proxy)
    with link, pytest.raises(ConnectionResetError):
        link.recv(100)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
