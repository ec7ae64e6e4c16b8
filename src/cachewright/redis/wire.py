"""Commands to bytes, bytes to replies, and what is said first on a connection. No sockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import hiredis

from cachewright.errors import RemoteError, RemoteUnavailable
from cachewright.redis.scripts import loading
from cachewright.redis.target import Target

_One = tuple[
    str | int | float | bytes | memoryview
]  # hiredis' stub says one argument and takes any number
Command = tuple[bytes | str | int | float, ...]


class ServerError(RemoteError):
    """An error reply. In a list of replies it stands where the reply would be."""


@dataclass(frozen=True, slots=True)
class Replies:
    """What the server said to a batch, and the replication id of the node that said it."""

    values: list[Any]
    node: bytes


def pack(commands: Sequence[Command]) -> bytes:
    """The commands as one piece of RESP."""
    return b"".join([hiredis.pack_command(cast(_One, command)) for command in commands])


def reader() -> hiredis.Reader:
    """A parser of replies: bytes stay bytes, errors come as `ServerError` objects."""
    return hiredis.Reader(protocolError=RemoteUnavailable, replyError=ServerError)


def greeting(target: Target, *, scripts: bool = True) -> list[Command]:
    """What a new connection says first. The last command is INFO replication."""
    commands: list[Command] = []
    try:
        login = target.login()
    except (
        Exception
    ) as error:  # a credential provider is the user's code; its failure is the connection's
        raise RemoteUnavailable(
            f"{target.label}: no credentials ({type(error).__name__})"
        ) from error
    if login:
        commands.append(("AUTH", *login))
    if target.db:
        commands.append(("SELECT", target.db))
    if target.client_name:
        commands.append(("CLIENT", "SETNAME", target.client_name))
    if scripts:
        commands.extend(loading())
    commands.append(("INFO", "replication"))
    return commands


def node_of(replies: Sequence[Any], target: Target) -> bytes:
    """The node's replication id, 16 bytes; `RemoteUnavailable` if the greeting was refused."""
    for reply in replies:
        if isinstance(reply, ServerError):
            raise RemoteUnavailable(f"{target.label} refused the connection: {reply}")
    info = dict(line.split(b":", 1) for line in replies[-1].split(b"\r\n") if b":" in line)
    if info.get(b"role") != b"master":
        raise RemoteUnavailable(f"{target.label} is a replica: give the address of the primary")
    return bytes(info.get(b"master_replid", b"")[:16])


def lost_scripts(values: Sequence[Any]) -> bool:
    """Whether the server no longer knows the scripts, so that the batch must be sent again."""
    return any(isinstance(v, ServerError) and str(v).startswith("NOSCRIPT") for v in values)
