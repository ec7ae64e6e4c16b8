"""Connections in threads: a socket for each caller, one that only listens. Nothing about caching.

A batch is one write and one wait for all of its replies.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from cachewright._waits.threads import Slots
from cachewright._waits.threads_gets import Asked, Gathering
from cachewright.errors import RemoteError, RemoteTimeout, RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.target import Target

_KERNEL_TIMEOUTS = sys.platform == "linux"
"""Elsewhere the option's value is spelled otherwise."""


class Wire:
    """One socket. Every wait ends at the deadline of its call, however slowly bytes drip in."""

    def __init__(
        self, target: Target, timeout: float, greeting: Callable[[Target], list[wire.Command]]
    ) -> None:
        self._reader = wire.reader()
        self.clock = wire.ServerClock()
        self._budget = 0.0
        """Seconds after which the kernel ends a wait on the socket; 0 while Python does."""
        deadline = time.monotonic() + timeout
        try:
            self._socket = _connect(target, timeout)
        except Exception as error:  # whatever keeps us from connecting, the server cannot be had
            raise wire.Unreachable(f"cannot connect to {target.label}: {error}") from None
        try:
            commands = greeting(target)
            self.send(commands, deadline)
            replies = [self.read(deadline) for _ in commands]
            self.clock.learn(replies[-2], time.monotonic())
            self.node = wire.node_of(replies, target)
        except BaseException:
            self.close()
            raise

    def ask(self, commands: Sequence[wire.Command], timeout: float) -> list[Any]:
        """The replies to a batch, errors among them; `RemoteError` if they did not all come in time."""
        deadline = time.monotonic() + timeout
        if self.clock.is_known(deadline - timeout):
            self._exchange(wire.pack(commands, self.clock.deadline(deadline)), timeout, deadline)
        else:
            self.send([("TIME",)], deadline)
            self.clock.learn(self.read(deadline), time.monotonic())
            self.send(commands, deadline)
        values = [self.read(deadline) for _ in commands]
        if wire.came_late(values):
            self.clock.forget()
        return values

    def ask_packed(self, data: bytes, timeout: float) -> Any:
        """The reply to one command that is packed, an error among them."""
        deadline = time.monotonic() + timeout
        self._exchange(data, timeout, deadline)
        return self.read(deadline)

    def _exchange(self, data: bytes, timeout: float, deadline: float) -> None:
        """Write, and wait for the beginning of what comes back. `read` waits for the rest, or says that there is none."""
        try:
            if not self._kernel_keeps(timeout):
                self._write(data, deadline)
                return
            self._socket.sendall(data)
            received = self._socket.recv(65536)
        except BlockingIOError:
            raise RemoteTimeout("the server did not answer in time") from None
        except OSError as error:
            raise RemoteUnavailable(f"the connection broke: {error}") from None
        if received:
            self._reader.feed(received)

    def _kernel_keeps(self, timeout: float) -> bool:
        """Whether the kernel ends waits after `timeout` seconds: Python's own way takes three times as many system calls."""
        if timeout != self._budget:
            if not _KERNEL_TIMEOUTS or isinstance(self._socket, ssl.SSLSocket):
                return False
            # Never 0, which would mean to wait for ever.
            value = struct.pack("@ll", *divmod(max(1, round(timeout * 1e6)), 1_000_000))
            self._socket.settimeout(None)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._socket.setsockopt(socket.SOL_SOCKET, option, value)
            self._budget = timeout
        return True

    def _python_keeps(self, seconds: float) -> None:
        self._budget = 0.0
        self._socket.settimeout(seconds)

    def send(self, commands: Sequence[wire.Command], deadline: float) -> None:
        """Write a batch before the monotonic time `deadline`."""
        self._write(wire.pack(commands, self.clock.deadline(deadline)), deadline)

    def _write(self, data: bytes, deadline: float) -> None:
        try:
            self._python_keeps(max(deadline - time.monotonic(), 1e-4))
            self._socket.sendall(data)
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
                self._python_keeps(left)
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


class Pipe(Gathering):
    """Sends batches to the server. Callers beyond `limit` sockets queue; none is refused for being many."""

    def __init__(self, target: Target, *, connect_timeout: float, limit: int = 64) -> None:
        super().__init__()
        self._target = target
        self._connect_timeout = connect_timeout
        self._idle: list[Wire] = []
        self._limit = limit
        self._slots = Slots(limit)
        self._closed = False
        self.ahead: float | None = None
        """See `wire.ServerClock`: as the last connection has it."""

    def call(self, commands: Sequence[wire.Command], timeout: float) -> wire.Replies:
        """The replies to a batch, errors among them; `RemoteError` if they did not all come in time."""
        if not self._slots.take(timeout + self._connect_timeout):
            raise wire.Crowded("no connection came free in time")
        try:
            return self._call(commands, timeout)
        finally:
            self._slots.give()

    def one(self, packed: bytes, timeout: float) -> Asked | None:
        """The reply to one packed command, an error among them, and the node's id; None where no socket is idle.

        It takes no slot, so at most twice `limit` sockets are open.
        """
        idle = self._idle
        try:
            link = idle.pop()
        except IndexError:
            return None
        try:
            reply = link.ask_packed(packed, timeout)
        except RemoteUnavailable:
            link.close()
            self.reset()
            raise
        except BaseException:
            link.close()
            raise
        if idle is self._idle and not self._closed and len(idle) < self._limit:
            idle.append(link)
        else:
            link.close()
        return reply, link.node

    def _call(self, commands: Sequence[wire.Command], timeout: float) -> wire.Replies:
        idle = self._idle  # `reset` puts another list in its place: what is in use then is not kept
        try:
            link = idle.pop()
        except IndexError:
            link = self._open()
        try:
            values = link.ask(commands, timeout)
            self.ahead = link.clock.ahead
            if wire.lost_primary(values):
                raise RemoteUnavailable(f"{self._target.label} is not the primary")
        except RemoteUnavailable:
            # What broke this one has most likely broken the others.
            link.close()
            self.reset()
            raise
        except BaseException:
            link.close()
            raise
        if idle is self._idle and not self._closed:
            idle.append(link)
        else:
            link.close()
        return wire.Replies(values, link.node)

    def _open(self) -> Wire:
        try:
            return Wire(self._target, self._connect_timeout, wire.greeting)
        except RemoteError as error:
            raise wire.Unreachable(str(error)) from error

    def reset(self) -> None:
        """Use none of the present sockets again."""
        idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    def close(self) -> None:
        """Close the idle sockets; those in use are closed when they are done."""
        self._closed = True
        self.reset()


class Subscription:
    """A connection that only listens."""

    def __init__(self, link: Wire, target: Target, timeout: float) -> None:
        self._link = link
        self._target = target
        self._timeout = timeout

    @classmethod
    def open(cls, target: Target, channels: Sequence[str], timeout: float) -> Subscription:
        """Subscribe, and return when the server has confirmed every channel."""
        deadline = time.monotonic() + timeout
        link = Wire(target, timeout, wire.listening_greeting)
        try:
            link.send([("SUBSCRIBE", *channels)], deadline)
            for _ in channels:
                reply = link.read(deadline)
                if isinstance(reply, wire.ServerError):
                    raise RemoteUnavailable(f"the server refused the subscription: {reply}")
        except BaseException:
            link.close()
            raise
        return cls(link, target, timeout)

    def ping(self) -> None:
        """Ask who answers; the pong arrives among the messages."""
        self._link.send([wire.ROLE], time.monotonic() + self._timeout)

    @property
    def node(self) -> bytes:
        """The replication id of the node that is listened to."""
        return self._link.node

    def is_pong(self, push: Any) -> bool:
        """Whether this is the answer to a ping; `RemoteUnavailable` if it is another's than it was."""
        if isinstance(push, list):
            return False
        if wire.node_in(push, self._target) != self._link.node:
            raise wire.PrimaryChanged("the server has become another primary")
        return True

    def next(self, timeout: float) -> Any:
        """The next push as the server sent it, or None when none came within `timeout` seconds."""
        try:
            return self._link.read(time.monotonic() + timeout)
        except RemoteTimeout:
            return None

    def close(self) -> None:
        """Close the connection."""
        self._link.close()
