"""Connections in asyncio: one shared by all callers, one that only listens. Nothing about caching.

What must not be here: how bytes and replies pass over a connection (`aio_wire`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeAlias

from cachewright._waits.aio_wire import Wire, connect
from cachewright.errors import RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.target import Target

Asked: TypeAlias = Awaitable[tuple[Any, bytes]]
"""What `Pipe.one` returns: here it is waited for."""


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
        link = self._ready(timeout)
        return None if link is None else link.ask_one(packed, timeout)

    def get(
        self, name: bytes, packed: bytes, timeout: float, *, queue: bool = True
    ) -> Asked | None:
        """As `one` for the GET of a key; `name` is the key as an argument, to be asked for together with others.

        Nobody queues here, so `queue` means nothing.
        """
        link = self._ready(timeout)
        return None if link is None else link.get(name, packed, timeout)

    def _ready(self, timeout: float) -> Wire | None:
        """The connection, if it is open, answers, and belongs to the loop that runs."""
        link = self._link
        if (
            link is None
            or link.closed
            or self._closed
            or link.loop is not asyncio.get_running_loop()
            or (link.calls and self._is_stuck(link, timeout))
        ):
            return None
        return link

    async def _call_once(self, commands: Sequence[wire.Command], timeout: float) -> wire.Replies:
        """After `close`: what a late load still has to say must not leave a connection open."""
        link = await connect(self._target, self._connect_timeout, wire.greeting)
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
                connect(self._target, self._connect_timeout, wire.greeting)
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
        link = await connect(target, timeout, wire.listening_greeting)
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
