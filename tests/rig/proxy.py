"""A TCP proxy in front of a server, through which a test can make the network fail.

The proxy runs an event loop in its own thread; a switch has taken effect when its call returns.
What must not be here: knowledge of what the bytes mean. It carries TLS as well.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

HOST = "127.0.0.1"
PATIENCE = 5.0
"""Seconds that a switch may take before the proxy itself is declared broken."""

_NO_LINGER = struct.pack("ii", 1, 0)
_CHUNK = 65_536
_CHUNKS_IN_FLIGHT = 1024


@dataclass
class Traffic:
    """What passed since the start or the last `reset_counters`.

    `round_trips` counts bursts of requests: bytes from a client that follow a reply, or nothing. A
    pipeline is one, provided the server does not answer before the last of its bytes was sent.
    """

    connections: int = 0
    round_trips: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass
class _Weather:
    """The switches, and the counters, as all connections see them. Owned by the loop's thread."""

    delay: float = 0.0
    swallow_replies: bool = False
    reply_bytes_left: int | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    traffic: Traffic = field(default_factory=Traffic)

    def clear_up(self) -> None:
        self.delay, self.swallow_replies, self.reply_bytes_left = 0.0, False, None
        self.gate.set()


class FaultProxy:
    """Forwards to `upstream`, a URL with host and port or a `unix://` path, until told otherwise.

    A context manager; leaving it resets all connections and ends the thread.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._weather = _Weather()
        self._weather.clear_up()
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._shut)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def url(self) -> str:
        """The upstream's URL with the proxy in place of its host and port, or of its path."""
        credentials, at, _ = self._upstream.netloc.rpartition("@")
        here = f"{credentials}{at}{HOST}:{self.port}"
        if self._upstream.scheme == "unix":
            return f"redis://{here}/0"
        return self._upstream._replace(netloc=here).geturl()

    @property
    def traffic(self) -> Traffic:
        """A copy of the counters. Bytes are counted before they are forwarded."""
        return dataclasses.replace(self._weather.traffic)

    @property
    def round_trips(self) -> int:
        """See `Traffic`."""
        return self._weather.traffic.round_trips

    @property
    def open_connections(self) -> int:
        """How many clients are connected to the server through the proxy now."""
        return len(self._links)

    def reset_counters(self) -> None:
        """Starts to count anew."""
        self._weather.traffic = Traffic()

    def delay(self, seconds: float) -> None:
        """All bytes arrive that much later, in both directions: a round trip takes twice that."""
        self._weather.delay = seconds

    def stall(self) -> None:
        """Connections are accepted and stay open, but nothing passes until `heal`. Nothing is lost."""
        self._call(self._weather.gate.clear)

    def blackhole_replies(self) -> None:
        """Requests reach the server, replies are lost; `heal` resets the connections that lost any."""
        self._weather.swallow_replies = True

    def drop_after(self, n_bytes: int) -> None:
        """Passes `n_bytes` more of replies and closes the connection that has the next. Once."""
        self._weather.reply_bytes_left = n_bytes

    def cut(self) -> None:
        """Resets all connections (RST). New ones are accepted."""
        self._run(self._reset_all)

    def refuse(self) -> None:
        """New connections are refused. Those that are open work on."""
        self._call(self._stop_listening)

    def heal(self) -> None:
        """All switches back, at the same port; what was stalled passes."""
        self._run(self._heal)

    def _run(self, work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)

    def _call(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        self._run(act)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port))
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._accept_all)

    def _stop_listening(self) -> None:
        self._accept_all()
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _shut(self) -> None:
        self._stop_listening()
        await self._reset_all()

    async def _heal(self) -> None:
        await _reset(link for link in self._links if link.lost_bytes)
        self._weather.clear_up()
        await self._listen()

    async def _reset_all(self) -> None:
        self._accept_all()
        await _reset(self._links)

    def _accept_all(self) -> None:
        """All that wait, so that a switch reaches whoever connected before it was turned."""
        while self._listener is not None:
            try:
                raw, _ = self._listener.accept()
            except BlockingIOError:
                return
            self._weather.traffic.connections += 1
            link = _Link(self._weather, raw)
            self._links.add(link)
            link.task = self._loop.create_task(link.run(self._upstream))
            link.task.add_done_callback(partial(self._forget, link))

    def _forget(self, link: _Link, _: asyncio.Task[None]) -> None:
        self._links.discard(link)


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, weather: _Weather, raw: socket.socket) -> None:
        self.lost_bytes = False
        self.task: asyncio.Task[None] | None = None
        self._weather = weather
        self._raw = raw
        self._writers: list[asyncio.StreamWriter] = []
        self._in_burst = False

    async def run(self, upstream: SplitResult) -> None:
        """Carries both ways until one side closes; resets both if that fails or is cancelled."""
        try:
            requests, replies = await self._lanes(upstream)
            await _first_of(
                requests.receive(self._admit_request),
                requests.forward(),
                replies.receive(self._admit_reply),
                replies.forward(),
            )
            for writer in self._writers:
                writer.close()
                await writer.wait_closed()
        except (OSError, asyncio.CancelledError):
            self._reset()

    async def _lanes(self, upstream: SplitResult) -> tuple[_Lane, _Lane]:
        self._raw.setblocking(False)
        from_client, to_client = await asyncio.open_connection(sock=self._raw)
        self._writers.append(to_client)
        from_server, to_server = await _connect(upstream)
        self._writers.append(to_server)
        return (
            _Lane(self._weather, from_client, to_server),
            _Lane(self._weather, from_server, to_client),
        )

    def _reset(self) -> None:
        for writer in self._writers:
            _reset_on_close(writer.get_extra_info("socket"))
            writer.transport.abort()
        if not self._writers:
            _reset_on_close(self._raw)
            self._raw.close()

    def _admit_request(self, chunk: bytes) -> list[bytes]:
        traffic = self._weather.traffic
        traffic.bytes_up += len(chunk)
        traffic.round_trips += not self._in_burst
        self._in_burst = True
        return [chunk]

    def _admit_reply(self, chunk: bytes) -> list[bytes]:
        """What to forward of it; an empty piece ends the connection."""
        self._weather.traffic.bytes_down += len(chunk)
        self._in_burst = False
        if self._weather.swallow_replies:
            self.lost_bytes = True
            return []
        left = self._weather.reply_bytes_left
        if left is None:
            return [chunk]
        self._weather.reply_bytes_left = left - len(chunk) if len(chunk) <= left else None
        return [chunk] if len(chunk) <= left else [chunk[:left], b""]


class _Lane:
    """One direction. Chunks wait in a queue, so that a delay is latency and no limit to throughput."""

    def __init__(
        self, weather: _Weather, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._weather = weather
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_IN_FLIGHT)

    async def receive(self, admit: Callable[[bytes], list[bytes]]) -> None:
        while chunk := await self._reader.read(_CHUNK):
            for piece in admit(chunk):
                await self._queue.put((self._loop.time() + self._weather.delay, piece))
        await self._queue.put((self._loop.time(), b""))
        await (
            asyncio.Future()
        )  # the connection ends when the last chunk is out, not when it came in

    async def forward(self) -> None:
        while True:
            due, chunk = await self._queue.get()
            await asyncio.sleep(due - self._loop.time())
            await self._weather.gate.wait()
            if not chunk:
                return
            self._writer.write(chunk)
            await self._writer.drain()


async def _connect(upstream: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if upstream.scheme == "unix":
        return await asyncio.open_unix_connection(upstream.path)
    return await asyncio.open_connection(upstream.hostname, upstream.port)


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Runs all until the first ends, whose error is raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _reset(links: Iterable[_Link]) -> None:
    await asyncio.sleep(0)  # a task cancelled before its first step would leave its socket open
    tasks = [link.task for link in links if link.task is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _reset_on_close(raw: socket.socket) -> None:
    if raw.fileno() != -1:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
