# The verbs of L2.
"""The server's verbs: read, acquire, fill, store, invalidate and their kin, each one round trip within a time budget.

What is sent is in redis/lua; what a reply means for a read is decided elsewhere. Every failure is a `RemoteError`.
Invariant (design rule 9): a dead server costs its budget a few times, then the breaker answers for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from cachewright._waits import aio_pipe
from cachewright.core.keys import KeySpace
from cachewright.core.policy import Timeouts
from cachewright.errors import RemoteError, RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.breaker import Breaker
from cachewright.redis.commands import Commands
from cachewright.redis.repairs import Pending, Repairs
from cachewright.redis.replies import Acquired, Ask, Fill, Found, acquired
from cachewright.redis.scripts import loading
from cachewright.redis.target import Target

Tell = Callable[..., None]


class AsyncRedisStore:
    """L2: bytes that are waited for."""

    def __init__(
        self,
        target: Target,
        keys: KeySpace,
        *,
        timeouts: Timeouts,
        monotonic: Callable[[], float],
        tell: Tell,
        process: str,
    ) -> None:
        self.target = target
        self.keys = keys
        self.process = process
        self.breaker = Breaker()
        self.repairs = Repairs()
        self._commands = Commands(keys, process)
        self._timeouts = timeouts
        self._monotonic = monotonic
        self._tell = tell
        self.pipe = aio_pipe.Pipe(target, connect_timeout=timeouts.connect)
        """For glances as well, while `is_calm`; the errors that it raises are for `failed`."""

    # ---------------------------------------------------------------- sending

    def outlive(self, seconds: float) -> bool:
        """Stamps made from now on last longer than an entry of that life; whether they did not before."""
        return self._commands.outlive(seconds)

    async def ask(self, commands: Sequence[wire.Command]) -> wire.Replies:
        """The replies to a batch, after whatever is still to be repaired. Raises `RemoteError`."""
        if self.repairs.is_empty:
            return await self._send(commands) if commands else wire.Replies([], b"")
        pending = self.repairs.pending()
        repairs = self._repairs(pending)
        if not commands and not repairs:
            return wire.Replies([], b"")
        replies = await self._send([*repairs, *commands])
        failed = next(
            (v for v in replies.values[: len(repairs)] if isinstance(v, RemoteError)), None
        )
        if failed is not None:
            raise failed
        self.repairs.confirm(pending.serial)
        self._tell("repaired", detail=f"{len(pending.keys)} keys and {len(pending.tags)} tags")
        return wire.Replies(replies.values[len(repairs) :], replies.node)

    def _repairs(self, pending: Pending) -> list[wire.Command]:
        """One invalidation of all that is pending for each writer whose mark has to end with it."""
        return [
            command
            for token in pending.tokens
            for command in self._commands.invalidations(pending.keys, pending.tags, token=token)
        ]

    async def _send(self, commands: Sequence[wire.Command]) -> wire.Replies:
        if not self.breaker.is_calm and not self.breaker.allows(self._monotonic()):
            raise RemoteUnavailable(
                f"{self.target.label} failed repeatedly and is left alone for a moment"
            )
        try:
            replies = await self.pipe.call(commands, self._timeouts.call)
            if wire.lost_scripts(replies.values):
                # A script that was not found was not run, and the rest of such a batch may run twice.
                await self.pipe.call(loading(), self._timeouts.connect)
                replies = await self.pipe.call(commands, self._timeouts.call)
        except wire.Crowded:
            raise
        except RemoteError as error:
            self.failed(error)
            raise
        self.breaker.succeeded()
        return replies

    def failed(self, error: RemoteError) -> None:
        """The server gave no answer."""
        # A server that takes no connection would cost each caller the longest of all budgets.
        at_once = isinstance(error, wire.Unreachable)
        if self.breaker.failed(self._monotonic(), at_once=at_once):
            self._tell("breaker_opened", error=error)

    @property
    def commands(self) -> Commands:
        """What this process sends, for `ask`."""
        return self._commands

    @property
    def is_calm(self) -> bool:
        """Whether nothing has to be thought of before a read: no repair, no failure."""
        return self.breaker.is_calm and self.repairs.is_empty

    async def one(self, command: wire.Command) -> Any:
        """The reply to one command; an error reply is raised."""
        value = (await self.ask([command])).values[0]
        if isinstance(value, RemoteError):
            raise value
        return value

    # ---------------------------------------------------------------- reading

    async def read(
        self,
        keys: Sequence[str],
        tags: Sequence[str] = (),
        *,
        make: Sequence[str] = (),
        slide_at: float | None = None,
    ) -> list[Found]:
        """Each key's bytes with the stamps of `tags`; the stamps of `make` are made where they are missing.

        The stamps are read before the entries. With `slide_at`, wall-clock seconds, sliding entries are extended.
        """
        commands: list[wire.Command] = []
        if make:
            commands.append(self._commands.stamps(make))
        if tags:
            commands.append(("MGET", *self.keys.tags(tags)))
        if slide_at is not None:
            commands.extend(
                self._commands.run("slide", [self.keys.entry(key)], repr(slide_at)) for key in keys
            )
        elif len(keys) == 1:
            commands.append(("GET", self.keys.entry(keys[0])))
        elif keys:
            commands.append(("MGET", *self.keys.entries(keys)))
        replies = await self.ask(commands)
        values = iter(replies.values)
        stamps: dict[str, bytes | None] = {}
        with wire.making_sense():
            if make:
                stamps.update(self._stamped(make, _good(next(values))[1:], replies.node))
            if tags:
                stamps.update(self._stamped(tags, _good(next(values)), replies.node))
            rest = list(values)
            if slide_at is None and len(keys) > 1:
                rest = _good(rest[0])
            return [
                self._found(data, stamps, replies.node) for _, data in zip(keys, rest, strict=True)
            ]

    @staticmethod
    def _found(data: Any, stamps: dict[str, bytes | None], node: bytes) -> Found:
        if isinstance(data, wire.ServerError):
            if "WRONGTYPE" not in str(data):
                raise data
            return Found(None, stamps, node, wrong_type=True)
        if not (data is None or isinstance(data, bytes)):
            raise TypeError(type(data))
        return Found(data, stamps, node)

    async def stamps(self, tags: Sequence[str]) -> dict[str, bytes | None]:
        """The stamps of tags, as they are; for an entry that turned out to depend on more than was declared."""
        replies = await self.ask([("MGET", *self.keys.tags(tags))])
        with wire.making_sense():
            return self._stamped(tags, _good(replies.values[0]), replies.node)

    async def make_stamps(self, tags: Sequence[str]) -> tuple[dict[str, bytes | None], bytes]:
        """The stamps of tags, made where they are missing, and the sequence."""
        replies = await self.ask([self._commands.stamps(tags)])
        with wire.making_sense():
            base, *raw = _good(replies.values[0])
            return self._stamped(tags, raw, replies.node), base

    @staticmethod
    def _stamped(tags: Sequence[str], raw: Sequence[Any], node: bytes) -> dict[str, bytes | None]:
        # The node's replication id is part of each stamp: a replica that took over may have lost the newest ones.
        return {
            tag: None if stamp is None or stamp.startswith(b"!") else stamp + b"@" + node
            for tag, stamp in zip(tags, raw, strict=True)
        }

    # ---------------------------------------------------------------- filling

    async def acquire(self, asks: Sequence[Ask], lease: float, *, wait: bool) -> list[Acquired]:
        """For each key its entry, or the lease to load it; and the stamps that what is loaded will carry."""
        tags = list(dict.fromkeys(tag for ask in asks for tag in ask.tags))
        waiter = self.process if wait else ""
        asking = self._commands.acquisitions(asks, lease=lease, waiter=waiter)
        replies = await self.ask([self._commands.stamps(tags), *asking])
        with wire.making_sense():
            base, *raw = _good(replies.values[0])
            stamps = self._stamped(tags, raw, replies.node)
            said = [reply for portion in replies.values[1:] for reply in _good(portion)]
            return [
                acquired(ask, _good(reply), stamps=stamps, base=base, node=replies.node)
                for ask, reply in zip(asks, said, strict=True)
            ]

    async def fill(self, items: Sequence[Fill]) -> list[bool]:
        """For each (key, token, bytes, ttl): store it if its lease stands; b"" gives the lease back."""
        portions = (await self.ask(self._commands.fills(items))).values
        with wire.making_sense():
            said = [reply for portion in portions for reply in _good(portion)]
            return [_good(reply) == 1 for reply, _ in zip(said, items, strict=True)]

    async def renew(self, leases: Sequence[tuple[str, str, float]]) -> None:
        """Keep the leases of loads that go on: (key, token, seconds)."""
        await self.ask(
            [
                self._commands.run("renew", [self.keys.lease(key)], token, round(lease * 1000))
                for key, token, lease in leases
            ]
        )

    def covered(self, stamp: bytes, base: bytes) -> bool:
        """Whether the server shows that a stamp is not newer than the sequence `base`."""
        number, _, rest = stamp.partition(b":")
        at, _, lineage = base.partition(b":")
        if not (number.isdigit() and at.isdigit()) or lineage == b"none":
            return False
        return rest.partition(b":")[0] == lineage and int(number) <= int(at)

    # ---------------------------------------------------------------- changing

    async def invalidate(
        self, keys: Sequence[str], tags: Sequence[str], *, token: str = ""
    ) -> None:
        """Drop keys and leases, move tags, tell everybody. What fails is kept for repair, and raised."""
        try:
            for value in (
                await self.ask(self._commands.invalidations(keys, tags, token=token))
            ).values:
                _good(value)
        except BaseException:  # a caller that is cancelled has not told the server either
            self.repairs.add(keys, tags, token)
            raise

    async def mark(
        self,
        keys: Sequence[str],
        tags: Sequence[str],
        token: str,
        *,
        lasting: float,
        renewing: bool = False,
    ) -> int:
        """Put the writer's token in the place of entries and stamps; how many marks had to be made.

        The token lives `lasting` seconds. `renewing` makes none where it is gone.
        """
        commands = self._commands.marks(keys, tags, token=token, lasting=lasting, renewing=renewing)
        values = (await self.ask(commands)).values
        with wire.making_sense():
            return sum(int(_good(value)) for value in values)

    async def store(
        self, items: Sequence[tuple[str, bytes, float]], condition: bytes = b"*"
    ) -> list[int]:
        """For each (key, bytes, ttl): 1 stored, 0 refused by the condition, -1 a write is under way."""
        commands = [
            self._commands.run(
                "store",
                self._commands.names([key], [])[:3],
                data,
                max(1, round(ttl * 1000)),
                condition,
                self.keys.bus,
                self._commands.message([key], []),
            )
            for key, data, ttl in items
        ]
        return [_good(value) for value in (await self.ask(commands)).values]

    async def count(
        self, key: str, delta: int, *, begin: bytes, meta: bytes, ttl: float, now: float
    ) -> tuple[bool, bytes]:
        """Add to the counter at `key`, or begin it with the entry `begin`: (done, digits or why not)."""
        command = self._commands.run(
            "count",
            self._commands.names([key], [])[:3],
            delta,
            begin,
            max(1, round(ttl * 1000)),
            meta,
            repr(now),
            secrets.token_bytes(12),
            self.keys.bus,
            self._commands.message([key], []),
        )
        reply = await self.one(command)
        with wire.making_sense():
            done, said = reply
            return done == 1, bytes(memoryview(said))

    async def touch(
        self, key: str, *, now: float, times: bytes, lifetime: bytes, ttl: float
    ) -> bool:
        """Give a living entry another life."""
        arguments = (repr(now), times, lifetime, max(1, round(ttl * 1000)))
        command = self._commands.run(
            "touch",
            [self.keys.entry(key)],
            *arguments,
            self.keys.bus,
            self._commands.message([key], []),
        )
        return bool(await self.one(command) == 1)

    async def left(self, key: str) -> float | None:
        """Seconds until the server drops the entry, None where there is none."""
        left = await self.one(("PTTL", self.keys.entry(key)))
        with wire.making_sense():
            return left / 1000 if left >= 0 else None

    async def discard(self, key: str, start: bytes | None) -> None:
        """Remove an entry that nobody can read, if it is still the one that was read; None: it is no string."""
        await self.one(
            self._commands.run(
                "discard",
                [self.keys.entry(key)],
                *(("", "other") if start is None else (start[:64], "")),
            )
        )

    def reset(self) -> None:
        """Use none of the present connections again: they may lead to a node that is not what it was."""
        self.pipe.reset()

    async def close(self) -> None:
        """Close the connections."""
        await self.pipe.close()

    def restart(self, process: str) -> None:
        """In a forked child or another event loop: the connections belong elsewhere."""
        self.process = self._commands.process = process
        self.breaker = Breaker()
        self.repairs.after_fork()
        self.pipe = aio_pipe.Pipe(self.target, connect_timeout=self._timeouts.connect)


def _good(value: Any) -> Any:
    if isinstance(value, RemoteError):
        raise value
    return value
