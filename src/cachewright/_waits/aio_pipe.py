"""Connections in asyncio: one shared by all callers, one that only listens. Nothing about caching.

What is asked in one turn of the event loop leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from cachewright.errors import RemoteError, RemoteTimeout, RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.target import Target

Asked: TypeAlias = Awaitable[tuple[Any, bytes]]
"""What `Pipe.one` returns: here it is waited for."""


class Wire(asyncio.Protocol):
    """One connection; replies are matched to calls by their order. A call given up leaves its replies to be skipped."""

    def __init__(self) -> None:
        self._reader = wire.reader()
        self._transport: asyncio.Transport | None = None
        self._calls: deque[_Asking] = deque()
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.on_push: Callable[[Any], None] | None = None
        self.on_close: Callable[[], None] | None = None
        self.clock = wire.ServerClock()
        self.node = b""
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        reader, calls = self._reader, self._calls
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if self.on_push is not None:
                    self.on_push(reply)
                elif calls:
                    if calls[0].take(reply):
                        calls.popleft()
                else:
                    self.close()
        except RemoteError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._calls:
            self._calls.popleft().fail(RemoteUnavailable("the connection broke"))
        if self.on_close is not None:
            self.on_close()

    def send(self, data: bytes) -> None:
        """Write soon: what comes in this turn of the loop leaves together."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def ask(self, commands: Sequence[wire.Command], timeout: float) -> _Call:
        """Send a batch; the call's future gets its replies."""
        now = self._loop.time()
        if not self.clock.is_known(now):
            self.clock.learn_soon(now)
            asked = self.ask_packed(wire.pack([("TIME",)]), 1, timeout)
            asked.future.add_done_callback(self._take_time)
        data = wire.pack(commands, self.clock.deadline(now + timeout))
        return self.ask_packed(data, len(commands), timeout)

    def ask_packed(self, data: bytes, wanted: int, timeout: float) -> _Call:
        """The same for commands that are packed."""
        return self._await(_Call(self._loop, timeout, wanted), data)

    def ask_one(self, data: bytes, timeout: float) -> asyncio.Future[Any]:
        """The reply to one command that is packed, with the node's id."""
        return self._await(_Question(self._loop, timeout, self.node), data).future

    def _await(self, call: _AnyCall, data: bytes) -> _AnyCall:
        self._calls.append(call)
        if self._timer is None or call.deadline < self._due:
            self._watch(call.deadline)
        self.send(data)
        return call

    def _watch(self, deadline: float) -> None:
        """One timer for all calls: each of its own would cost more than the rest of the call."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = self._loop.call_at(deadline, self._expire), deadline

    def _expire(self) -> None:
        """Fail what is late; its replies are skipped when they come."""
        self._timer = None
        now = self._loop.time()
        pending = [call for call in self._calls if not call.future.done()]
        for call in pending:
            if call.deadline <= now:
                call.fail(RemoteTimeout("the server did not answer in time"))
        if left := [call.deadline for call in pending if call.deadline > now]:
            self._watch(min(left))

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


class _Asking:
    """Something was sent. `began` and `deadline` are on the loop's clock."""

    __slots__ = ("began", "deadline", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self.began = loop.time()
        self.deadline = self.began + timeout

    def take(self, reply: Any) -> bool:
        """One more reply; whether it was the last."""
        raise NotImplementedError

    def fail(self, error: RemoteError) -> None:
        """There is no use in waiting for it."""
        if not self.future.done():
            self.future.set_exception(error)


_AnyCall = TypeVar("_AnyCall", bound=_Asking)


class _Call(_Asking):
    """A batch. Its future gets the list of all replies."""

    __slots__ = ("_values", "_wanted")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float, wanted: int) -> None:
        super().__init__(loop, timeout)
        self._wanted = wanted
        self._values: list[Any] = []

    def take(self, reply: Any) -> bool:
        """One more reply; whether it was the last."""
        self._values.append(reply)
        if len(self._values) < self._wanted:
            return False
        if not self.future.done():
            self.future.set_result(self._values)
        return True


class _Question(_Asking):
    """One command. Its future gets the reply and the id of the node it was put to."""

    __slots__ = ("_node",)

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float, node: bytes) -> None:
        self.future = loop.create_future()
        self.began = loop.time()
        self.deadline = self.began + timeout
        self._node = node

    def take(self, reply: Any) -> bool:
        """The reply."""
        if not self.future.done():
            self.future.set_result((reply, self._node))
        return True


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
        self.ahead: float | None = None
        """See `wire.ServerClock`: as the last connection has it."""

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
        self.ahead = link.clock.ahead
        if wire.came_late(values):
            link.clock.forget()
        if wire.lost_primary(values):
            link.close()
            raise RemoteUnavailable(f"{self._target.label} is not the primary")
        return wire.Replies(values, link.node)

    def one(self, packed: bytes, timeout: float) -> Asked | None:
        """The reply to one packed command, an error among them, and the node's id; None where no connection is open."""
        link = self._link
        if link is None or link.closed or self._closed or self._is_stuck(link, timeout):
            return None
        return link.ask_one(packed, timeout)

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
