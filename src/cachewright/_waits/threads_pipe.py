"""Connections in threads: a socket for each caller, one that only listens. Nothing about caching.

A batch is one write and one wait for all of its replies.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from typing import Any

from cachewright._waits.threads import Slots
from cachewright.errors import RemoteTimeout, RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.target import Target


class Wire:
    """One socket. Every wait ends at the deadline of its call, however slowly bytes drip in."""

    def __init__(self, target: Target, timeout: float, *, scripts: bool = True) -> None:
        self._reader = wire.reader()
        deadline = time.monotonic() + timeout
        try:
            self._socket = _connect(target, timeout)
        except (TimeoutError, OSError) as error:
            raise RemoteUnavailable(f"cannot connect to {target.label}: {error}") from None
        try:
            greeting = wire.greeting(target, scripts=scripts)
            self.send(greeting, deadline)
            self.node = wire.node_of([self.read(deadline) for _ in greeting], target)
        except BaseException:
            self.close()
            raise

    def send(self, commands: Sequence[wire.Command], deadline: float) -> None:
        """Write a batch before the monotonic time `deadline`."""
        try:
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-4))
            self._socket.sendall(wire.pack(commands))
        except TimeoutError:
            raise RemoteTimeout("the server took no more bytes in time") from None
        except OSError as error:
            raise RemoteUnavailable(f"the connection broke: {error}") from None

    def read(self, deadline: float) -> Any:
        """The next reply; `RemoteTimeout` at the deadline."""
        reply = self._reader.gets()
        while reply is False:
            left = deadline - time.monotonic()
            if left <= 0:
                raise RemoteTimeout("the server did not answer in time")
            try:
                self._socket.settimeout(left)
                data = self._socket.recv(65536)
            except TimeoutError:
                raise RemoteTimeout("the server did not answer in time") from None
            except OSError as error:
                raise RemoteUnavailable(f"the connection broke: {error}") from None
            if not data:
                raise RemoteUnavailable("the server closed the connection")
            self._reader.feed(data)
            reply = self._reader.gets()
        return reply

    def close(self) -> None:
        """Close the socket, and wake the thread that may be reading from it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _connect(target: Target, timeout: float) -> socket.socket:
    if target.path:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            plain.settimeout(timeout)
            plain.connect(target.path)
        except BaseException:
            plain.close()
            raise
        return plain
    plain = socket.create_connection((target.host, target.port), timeout=timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if target.tls is None:
        return plain
    try:
        return target.tls.wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


class Pipe:
    """Sends batches to the server. Callers beyond `limit` sockets queue; none is refused for being many."""

    def __init__(self, target: Target, *, connect_timeout: float, limit: int = 64) -> None:
        self._target = target
        self._connect_timeout = connect_timeout
        self._idle: list[Wire] = []
        self._slots = Slots(limit)

    def call(self, commands: Sequence[wire.Command], timeout: float) -> wire.Replies:
        """The replies to a batch, errors among them; `RemoteError` if they did not all come in time."""
        if not self._slots.take(timeout + self._connect_timeout):
            raise RemoteTimeout("no connection came free in time")
        try:
            link = self._idle.pop() if self._idle else self._open()
        except BaseException:
            self._slots.give()
            raise
        try:
            deadline = time.monotonic() + timeout
            link.send(commands, deadline)
            values = [link.read(deadline) for _ in commands]
        except BaseException:
            link.close()
            raise
        else:
            self._idle.append(link)
            return wire.Replies(values, link.node)
        finally:
            self._slots.give()

    def _open(self) -> Wire:
        return Wire(self._target, self._connect_timeout)

    def close(self) -> None:
        """Close the idle sockets. Those in use are closed when their caller fails or by the next close."""
        while self._idle:
            self._idle.pop().close()


class Subscription:
    """A connection that only listens."""

    def __init__(self, link: Wire, timeout: float) -> None:
        self._link = link
        self._timeout = timeout

    @classmethod
    def open(cls, target: Target, channels: Sequence[str], timeout: float) -> Subscription:
        """Subscribe, and return when the server has confirmed every channel."""
        deadline = time.monotonic() + timeout
        link = Wire(target, timeout, scripts=False)
        try:
            link.send([("SUBSCRIBE", *channels)], deadline)
            for _ in channels:
                reply = link.read(deadline)
                if isinstance(reply, wire.ServerError):
                    raise RemoteUnavailable(f"the server refused the subscription: {reply}")
        except BaseException:
            link.close()
            raise
        return cls(link, timeout)

    def ping(self) -> None:
        """Ask for a pong; it arrives among the messages."""
        self._link.send([("PING",)], time.monotonic() + self._timeout)

    def next(self, timeout: float) -> Any:
        """The next push as the server sent it, or None when none came within `timeout` seconds."""
        try:
            return self._link.read(time.monotonic() + timeout)
        except RemoteTimeout:
            return None

    def close(self) -> None:
        """Close the connection."""
        self._link.close()
