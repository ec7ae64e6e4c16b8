"""No client at all: a socket and an asyncio protocol that send GET and take the reply. The outermost floor."""

from __future__ import annotations

import asyncio
import socket

from benchmarks.peers import redis_py
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import address

_REPLY = len(f"${len(redis_py.DATA)}\r\n\r\n") + len(redis_py.DATA)


def _request(name: str) -> bytes:
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(name), name.encode())


_REQUESTS = [_request(name) for name in redis_py.NAMES]


def get(stage: Stage) -> Measure:
    """send and recv on a blocking socket; the request is ready-made and the reply is not parsed."""
    redis_py.fill(stage.url)
    wire = socket.create_connection(address(stage.url))
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stage.closing(wire.close)
    send, receive = wire.sendall, wire.recv

    def ask(request: bytes) -> bytes:
        send(request)
        return receive(65536)

    if len(ask(_REQUESTS[0])) != _REPLY:
        raise RuntimeError("the reply did not come in one piece")
    return stage.timed("ask(key)", _REQUESTS, ask=ask)


class _Protocol(asyncio.Protocol):
    def __init__(self) -> None:
        self.waiting: asyncio.Future[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        if self.waiting is not None:
            self.waiting.set_result(data)


def awaited_get(stage: Stage) -> Measure:
    """The same on an asyncio transport, one future a request."""
    redis_py.fill(stage.url)
    loop = stage.loop
    transport, protocol = stage.wait(loop.create_connection(_Protocol, *address(stage.url)))
    stage.closing(transport.close)

    async def ask(request: bytes) -> bytes:
        protocol.waiting = loop.create_future()
        transport.write(request)
        reply: bytes = await protocol.waiting
        return reply

    if len(stage.wait(ask(_REQUESTS[0]))) != _REPLY:
        raise RuntimeError("the reply did not come in one piece")
    return stage.timed("await ask(key)", _REQUESTS, ask=ask)
