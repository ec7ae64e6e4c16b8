"""A TCP server that speaks as a Redis server does and says what a test makes it say.

What must not be here: a cache of its own; it remembers nothing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

import hiredis

Answer = Callable[[list[bytes]], bytes]
"""From a command, such as [b"GET", b"k"], to the bytes of its reply; b"" hangs up."""

_INFO = b"role:master\r\nmaster_replid:0123456789abcdef0123456789abcdef01234567\r\n"


def bulk(data: bytes) -> bytes:
    """A bulk string as it is sent."""
    return b"$%d\r\n%b\r\n" % (len(data), data)


def polite(command: list[bytes]) -> bytes | None:
    """What a real server says to a greeting, a subscription and a ping; None for everything else."""
    verb = command[0].upper()
    if verb == b"INFO":
        return bulk(_INFO)
    if verb == b"SCRIPT":
        return bulk(b"0" * 40)
    if verb == b"SUBSCRIBE":
        return b"".join(
            b"*3\r\n$9\r\nsubscribe\r\n%b:%d\r\n" % (bulk(channel), n)
            for n, channel in enumerate(command[1:], 1)
        )
    if verb == b"PING":
        return b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    return None


class Liar:
    """`with Liar(lambda command: b":7\\r\\n") as liar: ... liar.url`. Polite until asked for data.

    `rude`: the answer is used for the greeting as well. `deaf`: who has subscribed gets no more
    replies, only what `push` sends.
    """

    def __init__(self, answer: Answer, *, rude: bool = False, deaf: bool = False) -> None:
        self._answer = answer
        self._rude = rude
        self._deaf = deaf
        self._subscribers: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.lies = 0
        """How many commands got the test's answer."""
        self.ignored = 0
        """How many commands of subscribers got none, because this is deaf."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def push(self, data: bytes) -> None:
        """Sends bytes to all who have subscribed."""
        with self._lock:
            for link in self._subscribers:
                with contextlib.suppress(OSError):  # the other side hung up
                    link.sendall(data)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        # `shutdown` first: closing alone does not wake a thread that waits in `accept` or `recv`.
        for open_socket in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):  # the other side was quicker
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.add(link)
                self._threads.append(threading.Thread(target=self._talk, args=(link,), daemon=True))
                self._threads[-1].start()

    def _talk(self, link: socket.socket) -> None:
        reader = hiredis.Reader()
        with contextlib.suppress(OSError):  # the other side hung up
            while data := link.recv(65536):
                reader.feed(data)
                if not self._answer_all(link, reader):
                    break
        with self._lock:
            self._sockets.discard(link)
            self._subscribers.discard(link)
        link.close()

    def _answer_all(self, link: socket.socket, reader: hiredis.Reader) -> bool:
        """Answers what has arrived whole; False to hang up."""
        while (command := reader.gets()) is not False:
            if self._deaf and link in self._subscribers:
                self.ignored += 1
                continue
            reply = self._reply(command)
            if not reply:
                return False
            link.sendall(reply)
            if command[0].upper() == b"SUBSCRIBE":
                with self._lock:
                    self._subscribers.add(link)
        return True

    def _reply(self, command: list[bytes]) -> bytes:
        reply = None if self._rude else polite(command)
        if reply is None:
            self.lies += 1
            reply = self._answer(command)
        return reply
