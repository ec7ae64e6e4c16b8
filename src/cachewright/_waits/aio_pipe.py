"""Connections in asyncio: one shared by all callers, one that only listens. Nothing about caching.

What is asked in one turn of the event loop leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from cachewright.errors import RemoteError, RemoteTimeout, RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.target import Target


class Wire(asyncio.Protocol):
    """One connection; replies are matched to calls by their order. A call given up leaves its replies to be skipped."""

    def __init__(self) -> None:
        self._reader = wire.reader()
        self._transport: asyncio.Transport | None = None
        self._calls: deque[_Call] = deque()
        self._out: list[bytes] = []
        self.on_push: Callable[[Any], None] | None = None
        self.on_close: Callable[[], None] | None = None
        self.node = b""
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except RemoteError:
            self.close()

    def _take(self, reply: Any) -> None:
        if self.on_push is not None:
            self.on_push(reply)
        elif self._calls:
            if self._calls[0].take(reply):
                self._calls.popleft()
        else:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        while self._calls:
            self._calls.popleft().fail(RemoteUnavailable("the connection broke"))
        if self.on_close is not None:
            self.on_close()

    def send(self, data: bytes) -> None:
        """Write soon: what comes in this turn of the loop leaves together."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def ask(self, commands: Sequence[wire.Command], timeout: float) -> _Call:
        """Send a batch; the call's future gets its replies."""
        call = _Call(len(commands), timeout)
        self._calls.append(call)
        self.send(wire.pack(commands))
        return call

    @property
    def stuck_since(self) -> float | None:
        """When the call that the server owes an answer to was made, on the loop's clock."""
        return self._calls[0].began if self._calls else None

    def close(self) -> None:
        """Close the connection; what is under way fails."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()


class _Call:
    __slots__ = ("_timer", "_values", "_wanted", "began", "future")

    def __init__(self, wanted: int, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self._wanted = wanted
        self._values: list[Any] = []
        self.began = loop.time()
        self.future: asyncio.Future[list[Any]] = loop.create_future()
        self._timer = loop.call_later(
            timeout, self.fail, RemoteTimeout("the server did not answer in time")
        )

    def take(self, reply: Any) -> bool:
        self._values.append(reply)
        if len(self._values) < self._wanted:
            return False
        self._timer.cancel()
        if not self.future.done():
            self.future.set_result(self._values)
        return True

    def fail(self, error: RemoteError) -> None:
        self._timer.cancel()
        if not self.future.done():
            self.future.set_exception(error)


async def _connect(target: Target, timeout: float, *, scripts: bool) -> Wire:
    loop = asyncio.get_running_loop()
    link: Wire | None = None
    try:
        async with asyncio.timeout(timeout):
            if target.path:
                _, link = await loop.create_unix_connection(Wire, target.path)
            else:
                _, link = await loop.create_connection(
                    Wire, target.host, target.port, ssl=target.tls
                )
            greeting = wire.greeting(target, scripts=scripts)
            link.node = wire.node_of(await link.ask(greeting, timeout).future, target)
            return link
    except RemoteError:
        if link is not None:
            link.close()
        raise
    except (TimeoutError, OSError) as error:
        if link is not None:
            link.close()
        raise RemoteUnavailable(
            f"cannot connect to {target.label}: {str(error) or 'timed out'}"
        ) from None


class Pipe:
    """Sends batches to the server over one shared connection, opened when needed and anew when it breaks."""

    _PATIENCE = 10.0
    """Time budgets that a reply may be late before the connection is given up."""

    def __init__(self, target: Target, *, connect_timeout: float, limit: int = 64) -> None:
        self._target = target
        self._connect_timeout = connect_timeout
        self._link: Wire | None = None
        self._opening: asyncio.Task[Wire] | None = None

    async def call(self, commands: Sequence[wire.Command], timeout: float) -> wire.Replies:
        """The replies to a batch, errors among them; `RemoteError` if they did not all come in time."""
        link = self._link
        if link is None or link.closed:
            link = await self._open()
        elif (
            since := link.stuck_since
        ) and asyncio.get_running_loop().time() - since > self._PATIENCE * timeout:
            link.close()
            link = await self._open()
        return wire.Replies(await link.ask(commands, timeout).future, link.node)

    async def _open(self) -> Wire:
        if self._opening is None:
            self._opening = asyncio.ensure_future(
                _connect(self._target, self._connect_timeout, scripts=True)
            )
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, task: asyncio.Task[Wire]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None:
            self._link = task.result()

    async def close(self) -> None:
        """Close the connection."""
        if self._opening is not None:
            self._opening.cancel()
        if self._link is not None:
            self._link.close()
            self._link = None


class Subscription:
    """A connection that only listens."""

    def __init__(self, link: Wire) -> None:
        self._link = link
        self._pushes: asyncio.Queue[Any] = asyncio.Queue()
        link.on_push = self._pushes.put_nowait
        link.on_close = lambda: self._pushes.put_nowait(None)

    @classmethod
    async def open(cls, target: Target, channels: Sequence[str], timeout: float) -> Subscription:
        """Subscribe, and return when the server has confirmed every channel."""
        link = await _connect(target, timeout, scripts=False)
        self = cls(link)
        try:
            link.send(wire.pack([("SUBSCRIBE", *channels)]))
            for _ in channels:
                reply = await self.next(timeout)
                if reply is None or isinstance(reply, wire.ServerError):
                    raise RemoteUnavailable(f"the server did not confirm the subscription: {reply}")
        except BaseException:
            link.close()
            raise
        return self

    async def ping(self) -> None:
        """Ask for a pong; it arrives among the messages."""
        self._link.send(wire.pack([("PING",)]))

    async def next(self, timeout: float) -> Any:
        """The next push as the server sent it, or None when none came within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                push = await self._pushes.get()
        except TimeoutError:
            return None
        if push is None:
            raise RemoteUnavailable("the server closed the connection")
        return push

    async def close(self) -> None:
        """Close the connection."""
        self._link.close()
