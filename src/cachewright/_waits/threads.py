"""Waiting in threads. The twin of `aio`: the same names, nothing about caching.

A pipe lends each caller a socket of its own; a batch is one write and one wait for all of its replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

from cachewright.errors import LoadTimeout, RemoteTimeout, RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.target import Target

Mutex = threading.RLock
"""Reentrant, since a finaliser may call a cache at any moment."""


def here() -> None:
    """The event loop this belongs to: threads have none."""


def wall_sleep(seconds: float) -> None:
    """Real time passes."""
    time.sleep(seconds)


class Event:
    """A flag to wait for."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.set = self._event.set
        self.clear = self._event.clear
        self.is_set = self._event.is_set

    def wait(self, timeout: float | None) -> bool:
        """Whether the flag was raised within `timeout` seconds."""
        return self._event.wait(timeout)


class Outcome:
    """What a piece of work came to; any number of callers may wait for it."""

    __slots__ = ("_done", "error", "value")

    def __init__(self) -> None:
        self._done = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None

    def succeed(self, value: Any) -> None:
        """The work is done."""
        self.value = value
        self._done.set()

    def fail(self, error: BaseException) -> None:
        """The work failed."""
        self.error = error
        self._done.set()

    @property
    def done(self) -> bool:
        """Whether it is known yet."""
        return self._done.is_set()

    def wait(self, timeout: float | None) -> bool:
        """Whether it became known within `timeout` seconds."""
        return self._done.wait(timeout)


class Slots:
    """At most `limit` at once; None for no limit."""

    def __init__(self, limit: int | None) -> None:
        self._free = threading.Semaphore(limit) if limit else None

    def take(self, timeout: float) -> bool:
        """Whether a slot came free within `timeout` seconds."""
        return self._free is None or self._free.acquire(timeout=timeout)

    def give(self) -> None:
        """Give the slot back."""
        if self._free is not None:
            self._free.release()


def carry(work: Callable[..., Any], *args: Any) -> None:
    """Run work that must not die with its caller: here the caller is the one who runs it."""
    work(*args)


class Background:
    """Work that goes on while callers go away. Threads are daemons, named, and started by the work itself."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: set[threading.Thread] = set()

    def start(self, work: Callable[..., Any], *args: Any) -> None:
        """Run `work(*args)` aside, in the caller's context."""
        context = copy_context()

        def run() -> None:
            try:
                context.run(work, *args)
            finally:
                self._running.discard(thread)

        thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._running.add(thread)
        thread.start()

    def __len__(self) -> int:
        return len(self._running)

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for what runs."""
        end = time.monotonic() + timeout
        for thread in list(self._running):
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def forget(self) -> None:
        """After a fork: what ran has stayed with the parent."""
        self._running = set()


def call_load(load: Callable[..., Any], args: tuple[Any, ...], timeout: float) -> Any:
    """Call a loader. A running function cannot be stopped, so `timeout` frees its key, not its thread."""
    return load(*args)


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


def wait_for(outcome: Outcome, timeout: float | None) -> Any:
    """The outcome's value or its error; `LoadTimeout` when it stays unknown."""
    if not outcome.wait(timeout):
        raise LoadTimeout(f"the load did not finish within {timeout} s")
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


is_foreign = inspect.iscoroutinefunction
"""Whether a function belongs to the other world."""


def bridge(function: Callable[..., Any], read: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function over a blocking read: the read waits in a thread, its load runs on the caller's loop."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()

        def load(*args: Any, **kwargs: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(function(*args, **kwargs), loop).result()

        def run() -> None:
            try:
                value = read(load, args, kwargs)
            except BaseException as error:  # whatever it is, it belongs to the caller that waits
                _hand_over(loop, result, result.set_exception, error)
            else:
                _hand_over(loop, result, result.set_result, value)

        # A thread each, not a pool: a load that reads through another bridge must never wait for its own thread.
        threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
        return await result

    return wrapper


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    result: asyncio.Future[Any],
    give: Callable[[Any], None],
    it: Any,
) -> None:
    def settle() -> None:
        if not result.done():
            give(it)

    with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
        loop.call_soon_threadsafe(settle)
