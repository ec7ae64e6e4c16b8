"""Commands to bytes, bytes to replies, and what is said first on a connection. No sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import hiredis

from cachewright.errors import RemoteError, RemoteTimeout, RemoteUnavailable
from cachewright.redis.scripts import loading
from cachewright.redis.target import Target

Command = tuple[bytes | str | int | float, ...]

# hiredis' stub says one argument; it takes any number.
_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)


class ServerError(RemoteError):
    """An error reply. In a list of replies it stands where the reply would be."""


@dataclass(frozen=True, slots=True)
class Replies:
    """What the server said to a batch, and the replication id of the node that said it."""

    values: list[Any]
    node: bytes


DEADLINE = "deadline"
"""Stands, by identity, as the last argument of commands that must not run late."""


class PrimaryChanged(RemoteUnavailable):
    """The node is not the primary it was: what it says of old stamps means nothing any more."""


class Unreachable(RemoteUnavailable):
    """No connection could be opened."""


class Crowded(RemoteTimeout):
    """No connection came free in time: the callers are many, not the server at fault."""


class ServerClock:
    """The server's clock as seen from here, to tell it when a caller will have given up.

    Taken when the answer arrives, so a deadline is early by the answer's way at the most, and never late.
    """

    LASTS = 60.0
    """Seconds, after which the clocks may have drifted."""

    def __init__(self) -> None:
        self._ahead_us = 0
        self._until = 0.0
        self.ahead: float | None = None
        """Seconds by which the server's wall clock is ahead of `time.monotonic()`."""

    def is_known(self, now: float) -> bool:
        """Whether `deadline` can be asked at monotonic time `now`."""
        return now < self._until

    def learn_soon(self, now: float) -> None:
        """An answer is on its way: what is known has to serve until then."""
        self._until = now + 1.0

    def learn(self, reply: Any, now: float) -> None:
        """Take what TIME answered at monotonic time `now`. Nonsense is ignored, and nothing is fenced then."""
        if (
            isinstance(reply, list)
            and len(reply) == 2
            and all(isinstance(p, bytes) and p.isdigit() for p in reply)
        ):
            self._ahead_us = int(reply[0]) * 1_000_000 + int(reply[1]) - round(now * 1e6)
            self._until = now + self.LASTS
            self.ahead = int(reply[0]) + int(reply[1]) / 1e6 - time.monotonic()

    def forget(self) -> None:
        """It refused a call as late that was not: the clocks have moved apart."""
        self._until = 0.0

    def deadline(self, at: float) -> int:
        """The monotonic time `at` in microseconds of the server's clock, 0 where that is not known."""
        return round(at * 1e6) + self._ahead_us if self._ahead_us else 0


def pack(commands: Sequence[Command], deadline: int = 0) -> bytes:
    """The commands as one piece of RESP; `deadline` in place of `DEADLINE`."""
    packed = [
        _pack((*command[:-1], deadline) if command[-1] is DEADLINE else command)
        for command in commands
    ]
    return packed[0] if len(packed) == 1 else b"".join(packed)


def pack_one(*command: bytes | str) -> bytes:
    """One command as RESP, to be kept and sent again."""
    return _pack(command)


def pack_argument(argument: str) -> bytes:
    """One argument as RESP, to be kept for `pack_many`."""
    data = argument.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def pack_many(name: str, arguments: Sequence[bytes]) -> bytes:
    """A command of arguments that `pack_argument` made."""
    head = b"*%d\r\n%b" % (1 + len(arguments), pack_argument(name))
    return b"".join([head, *arguments])


def reader() -> hiredis.Reader:
    """A parser of replies: bytes stay bytes, errors come as `ServerError` objects."""
    return hiredis.Reader(protocolError=RemoteUnavailable, replyError=ServerError)


ROLE: Command = ("INFO", "replication")


def greeting(target: Target) -> list[Command]:
    """What a new connection says first. The last two commands are TIME and INFO replication."""
    commands: list[Command] = []
    login = _login(target)
    if login:
        commands.append(("AUTH", *login))
    if target.db:
        commands.append(("SELECT", target.db))
    if target.client_name:
        commands.append(("CLIENT", "SETNAME", target.client_name))
    commands.extend(loading())
    return [*commands, ("TIME",), ROLE]


def listening_greeting(target: Target) -> list[Command]:
    """What a connection that listens says first: RESP3 lets it ask while it is subscribed."""
    login = _login(target)
    hello = ("HELLO", 3, "AUTH", *login) if len(login) == 2 else ("HELLO", 3)
    if len(login) == 1:
        hello = ("HELLO", 3, "AUTH", "default", *login)
    return [hello, ("TIME",), ROLE]


def _login(target: Target) -> tuple[str, ...]:
    try:
        return target.login()
    except (
        Exception
    ) as error:  # a credential provider is the user's code; its failure is the connection's
        raise RemoteUnavailable(
            f"{target.label}: no credentials ({type(error).__name__})"
        ) from error


def node_of(replies: Sequence[Any], target: Target) -> bytes:
    """The node's replication id, 16 bytes; `RemoteUnavailable` if the greeting was refused."""
    for reply in replies:
        if isinstance(reply, ServerError):
            raise RemoteUnavailable(f"{target.label} refused the connection: {reply}")
    return node_in(replies[-1], target)


class _Sense:
    """Holds nothing, so that one is enough: a generator would cost several times as much, and each verb enters one."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, (TypeError, AttributeError, ValueError, LookupError)):
            raise ServerError(f"a reply that makes no sense: {type(error).__name__}") from error


_SENSE = _Sense()


def making_sense() -> _Sense:
    """Replies that are read inside have the shape the commands ask for, or the server is at fault."""
    return _SENSE


def node_in(said: Any, target: Target) -> bytes:
    """The replication id in an answer to `ROLE`, 16 bytes; `RemoteUnavailable` if it is no primary's."""
    if not isinstance(said, bytes):
        raise RemoteUnavailable(f"{target.label} answers nonsense: it is no Redis or Valkey")
    info = dict(line.split(b":", 1) for line in said.split(b"\r\n") if b":" in line)
    if info.get(b"role") != b"master":
        raise RemoteUnavailable(f"{target.label} is a replica: give the address of the primary")
    node = bytes(info.get(b"master_replid", b"")[:16])
    if len(node) < 16:
        raise RemoteUnavailable(
            f"{target.label} does not say which primary it is (INFO replication)"
        )
    return node


def lost_primary(values: Sequence[Any]) -> bool:
    """Whether the node that answered is no longer, or not yet, the one to ask."""
    return _complains(values, ("READONLY", "LOADING", "MASTERDOWN"))


def came_late(values: Sequence[Any]) -> bool:
    """Whether the server refused a command for being late."""
    return _complains(values, ("LATE",))


def lost_scripts(values: Sequence[Any]) -> bool:
    """Whether the server no longer knows the scripts, so that the batch must be sent again."""
    return _complains(values, ("NOSCRIPT",))


def _complains(values: Sequence[Any], words: tuple[str, ...]) -> bool:
    """Whether one of the replies is an error that begins with one of the words."""
    errors = [value for value in values if isinstance(value, ServerError)]
    return bool(errors) and any(str(error).startswith(words) for error in errors)
