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
        self.clock = wire.ServerClock()
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
        now = asyncio.get_running_loop().time()
        if not self.clock.is_known(now):
            self.clock.learn_soon(now)
            self._ask([("TIME",)], timeout, now).future.add_done_callback(self._take_time)
        return self._ask(commands, timeout, now)

    def _ask(self, commands: Sequence[wire.Command], timeout: float, now: float) -> _Call:
        data = wire.pack(commands, self.clock.deadline(now + timeout))
        call = _Call(len(commands), timeout)
        self._calls.append(call)
        self.send(data)
        return call

    def _take_time(self, future: asyncio.Future[list[Any]]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.clock.learn(future.result()[0], asyncio.get_running_loop().time())

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


async def _connect(
    target: Target, timeout: float, greeting: Callable[[Target], list[wire.Command]]
) -> Wire:
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
            link.clock.learn_soon(loop.time())
            replies = await link.ask(greeting(target), timeout).future
            link.clock.learn(replies[-2], loop.time())
            link.node = wire.node_of(replies, target)
            return link
    except BaseException as error:
        if link is not None:
            link.close()
        if not isinstance(error, Exception):
            raise
        # Whatever keeps us from connecting, the server cannot be had.
        raise wire.Unreachable(
            f"cannot connect to {target.label}: {str(error) or 'timed out'}"
        ) from error


class Pipe:
    """Sends batches to the server over one shared connection, opened when needed and anew when it breaks."""

    _PATIENCE = 10.0
    """Time budgets that a reply may be late before the connection is given up."""

    def __init__(self, target: Target, *, connect_timeout: float) -> None:
        self._target = target
        self._connect_timeout = connect_timeout
        self._link: Wire | None = None
        self._opening: asyncio.Task[Wire] | None = None
        self._closed = False

    async def call(self, commands: Sequence[wire.Command], timeout: float) -> wire.Replies:
        """The replies to a batch, errors among them; `RemoteError` if they did not all come in time."""
        if self._closed:
            return await self._call_once(commands, timeout)
        link = self._link
        if link is not None and self._is_stuck(link, timeout):
            link.close()
        if link is None or link.closed:
            link = await self._open()
        values = await link.ask(commands, timeout).future
        if wire.came_late(values):
            link.clock.forget()
        if wire.lost_primary(values):
            link.close()
            raise RemoteUnavailable(f"{self._target.label} is not the primary")
        return wire.Replies(values, link.node)

    async def _call_once(self, commands: Sequence[wire.Command], timeout: float) -> wire.Replies:
        """After `close`: what a late load still has to say must not leave a connection open."""
        link = await _connect(self._target, self._connect_timeout, wire.greeting)
        try:
            return wire.Replies(await link.ask(commands, timeout).future, link.node)
        finally:
            link.close()

    def _is_stuck(self, link: Wire, timeout: float) -> bool:
        since = link.stuck_since
        return since is not None and (
            asyncio.get_running_loop().time() - since > self._PATIENCE * timeout
        )

    async def _open(self) -> Wire:
        opening = self._opening
        if opening is None:
            opening = asyncio.ensure_future(
                _connect(self._target, self._connect_timeout, wire.greeting)
            )
            opening.add_done_callback(self._opened)
            self._opening = opening
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled():  # by `close`, not our caller
                raise RemoteUnavailable("the cache was closed") from None
            raise

    def _opened(self, task: asyncio.Task[Wire]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None:
            self._link = task.result()

    def reset(self) -> None:
        """Use the present connection no more."""
        if self._link is not None:
            self._link.close()
            self._link = None

    async def close(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        self.reset()


class Subscription:
    """A connection that only listens."""

    def __init__(self, link: Wire, target: Target) -> None:
        self._link = link
        self._target = target
        self._pushes: asyncio.Queue[Any] = asyncio.Queue()
        link.on_push = self._pushes.put_nowait
        link.on_close = lambda: self._pushes.put_nowait(None)

    @classmethod
    async def open(cls, target: Target, channels: Sequence[str], timeout: float) -> Subscription:
        """Subscribe, and return when the server has confirmed every channel."""
        link = await _connect(target, timeout, wire.listening_greeting)
        self = cls(link, target)
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
        """Ask who answers; the pong arrives among the messages."""
        self._link.send(wire.pack([wire.ROLE]))

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
