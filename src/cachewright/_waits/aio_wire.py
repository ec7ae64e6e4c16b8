"""One connection in asyncio: what is asked in one turn of the event loop leaves in one write, and replies find their callers.

What must not be here: when to connect, whom to connect for (`aio_pipe`), caching.
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
        self.calls: deque[_Asking] = deque()
        self._out: list[bytes] = []
        self._gets: _Gets | None = None
        """Single keys that are asked for in this turn of the loop."""
        self.loop = asyncio.get_running_loop()
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
        reader, calls = self._reader, self.calls
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
        self._fail_all()
        if self.on_close is not None:
            self.on_close()

    def _fail_all(self) -> None:
        while self.calls:
            self.calls.popleft().fail(RemoteUnavailable("the connection broke"))

    def send(self, data: bytes) -> None:
        """Write soon: what comes in this turn of the loop leaves together."""
        if not self._out and self._gets is None:
            self.loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._gets is not None:
            self._out.append(self._gets.packed())
            self._await(self._gets)
            self._gets = None
        data, self._out = b"".join(self._out), []
        if self._transport is not None and not self.closed:
            self._transport.write(data)
        elif self.closed:
            self._fail_all()

    def ask(self, commands: Sequence[wire.Command], timeout: float) -> _Call:
        """Send a batch; the call's future gets its replies."""
        now = self.loop.time()
        if not self.clock.is_known(now):
            self.clock.learn_soon(now)
            asked = self.ask_packed(wire.pack([("TIME",)]), 1, timeout)
            asked.future.add_done_callback(self._take_time)
        data = wire.pack(commands, self.clock.deadline(now + timeout))
        return self.ask_packed(data, len(commands), timeout)

    def ask_packed(self, data: bytes, wanted: int, timeout: float) -> _Call:
        """The same for commands that are packed."""
        call = _Call(self.loop, timeout, wanted)
        self._await(call)
        self.send(data)
        return call

    def ask_one(self, data: bytes, timeout: float) -> asyncio.Future[Any]:
        """The reply to one command that is packed, with the node's id."""
        call = _Question(self.loop, timeout, self.node)
        self._await(call)
        self.send(data)
        return call.future

    def get(self, name: bytes, packed: bytes, timeout: float) -> asyncio.Future[Any]:
        """What a key holds, with the node's id. `name` and `packed`: see `Pipe.get`."""
        gets = self._gets
        if gets is None:
            if not self._out:
                self.loop.call_soon(self._flush)
            gets = self._gets = _Gets(self.loop, timeout, node=self.node, first=packed)
        future = self.loop.create_future()
        gets.names.append(name)
        gets.futures.append(future)
        return future

    def _await(self, call: _Asking) -> None:
        self.calls.append(call)
        if self._timer is None or call.deadline < self._due:
            self._watch(call.deadline)

    def _watch(self, deadline: float) -> None:
        """One timer for all calls: each of its own would cost more than the rest of the call."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = self.loop.call_at(deadline, self._expire), deadline

    def _expire(self) -> None:
        """Fail what is late; its replies are skipped when they come."""
        self._timer = None
        now = self.loop.time()
        pending = [call for call in self.calls if not call.is_over()]
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
        return self.calls[0].began if self.calls else None

    def close(self) -> None:
        """Close the connection; what is under way fails."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()


class _Asking:
    """Something was sent. `began` and `deadline` are on the loop's clock."""

    __slots__ = ("began", "deadline")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self.began = loop.time()
        self.deadline = self.began + timeout

    def take(self, reply: Any) -> bool:
        """One more reply; whether it was the last."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        raise NotImplementedError

    def fail(self, error: RemoteError) -> None:
        """There is no use in waiting for it."""
        raise NotImplementedError


class _ForOne(_Asking):
    """What one caller waits for."""

    __slots__ = ("future",)

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        super().__init__(loop, timeout)
        self.future: asyncio.Future[Any] = loop.create_future()

    def is_over(self) -> bool:
        """Whether the caller has an answer, or has gone."""
        return self.future.done()

    def fail(self, error: RemoteError) -> None:
        """Raise it for the caller."""
        if not self.future.done():
            self.future.set_exception(error)


class _Call(_ForOne):
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


class _Question(_ForOne):
    """One command. Its future gets the reply and the id of the node it was put to."""

    __slots__ = ("_node",)

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float, node: bytes) -> None:
        super().__init__(loop, timeout)
        self._node = node

    def take(self, reply: Any) -> bool:
        """The reply."""
        if not self.future.done():
            self.future.set_result((reply, self._node))
        return True


class _Gets(_Asking):
    """Single keys that callers ask for in the same turn of the loop: one MGET, a future for each of them.

    That is one command to pack, to run and to parse instead of many; a key alone is asked for with GET.
    """

    __slots__ = ("_first", "_node", "futures", "names")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, timeout: float, *, node: bytes, first: bytes
    ) -> None:
        super().__init__(loop, timeout)
        self._node = node
        self._first = first
        self.names: list[bytes] = []
        self.futures: list[asyncio.Future[Any]] = []

    def packed(self) -> bytes:
        """The command."""
        return self._first if len(self.names) == 1 else wire.pack_many("MGET", self.names)

    def take(self, reply: Any) -> bool:
        """The reply, which is the last; an error is everybody's."""
        futures, node = self.futures, self._node
        if len(futures) == 1:
            reply = [reply]
        elif type(reply) is not list or len(reply) != len(futures):
            if not isinstance(reply, RemoteError):
                reply = wire.ServerError("a reply that makes no sense")
            reply = [reply] * len(futures)
        for future, data in zip(futures, reply, strict=True):
            if not future.done():
                future.set_result((data, node))
        return True

    def is_over(self) -> bool:
        """Whether all callers have an answer, or have gone."""
        return all(future.done() for future in self.futures)

    def fail(self, error: RemoteError) -> None:
        """Raise it for all of them."""
        for future in self.futures:
            if not future.done():
                future.set_exception(error)


async def connect(
    target: Target, timeout: float, greeting: Callable[[Target], list[wire.Command]]
) -> Wire:
    """A connection that has been greeted; `RemoteUnavailable` after `timeout` seconds, or when it cannot be."""
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
