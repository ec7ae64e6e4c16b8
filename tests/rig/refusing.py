"""A proxy that answers commands with an error of the test's choice, in place of the server behind it.

What must not be here: faults of the network, which need no idea of what the bytes mean (`proxy`).
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self
from urllib.parse import urlsplit

import hiredis

HOST = "127.0.0.1"
GREETINGS = frozenset({"AUTH", "SELECT", "CLIENT", "SCRIPT", "TIME", "INFO", "HELLO", "SUBSCRIBE"})
"""Commands that are said first on a connection, or that keep it."""


class RefusingProxy:
    """`with RefusingProxy(server.tcp_url) as proxy: proxy.refuse("OOM no memory left") ... proxy.heal()`.

    Replies keep their order: one command of a connection is dealt with after the other.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or HOST, parts.port or 6379)
        self._listener = socket.create_server((HOST, 0))
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._error: bytes | None = None
        self._greetings_too = False
        self.refused = 0
        """How many commands were answered with an error."""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self._listener.getsockname()[1]}/0"

    def refuse(self, error: str, *, greetings_too: bool = False) -> None:
        """Answer every command with this error from now on; greetings only if asked."""
        self._greetings_too = greetings_too
        self._error = f"-{error}\r\n".encode()

    def heal(self) -> None:
        """Let commands pass again."""
        self._error = None

    def cut(self) -> None:
        """Close all connections."""
        with self._lock:
            for link in self._sockets:
                with contextlib.suppress(OSError):  # the other side was quicker
                    link.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # wakes the thread that waits in `accept`
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._upstream) as up:
            with self._lock:
                self._sockets |= {client, up}
            try:
                self._talk(client, up)
            finally:
                with self._lock:
                    self._sockets -= {client, up}

    def _talk(self, client: socket.socket, up: socket.socket) -> None:
        commands = hiredis.Reader()
        while True:
            ready, _, _ = select.select([client, up], [], [])
            if up in ready:  # a push: all replies were waited for
                if not (data := up.recv(65_536)):
                    return
                client.sendall(data)
            if client in ready:
                if not (data := client.recv(65_536)):
                    return
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    self._deal_with(command, client, up)

    def _deal_with(self, command: list[bytes], client: socket.socket, up: socket.socket) -> None:
        error, verb = self._error, command[0].decode().upper()
        if error is not None and (self._greetings_too or verb not in GREETINGS):
            self.refused += 1
            client.sendall(error)
            return
        up.sendall(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
        # In RESP3 a subscription is confirmed by a push, which comes when it comes.
        if verb != "SUBSCRIBE":
            _pass_one_reply(up, client)


def _pass_one_reply(up: socket.socket, client: socket.socket) -> None:
    """And the pushes that come before it, as they are."""
    replies = hiredis.Reader()
    while True:
        if not (data := up.recv(65_536)):
            raise ConnectionError("the server closed the connection")
        client.sendall(data)
        replies.feed(data)
        while (reply := replies.gets()) is not False:
            if not isinstance(reply, hiredis.PushNotification):
                return
