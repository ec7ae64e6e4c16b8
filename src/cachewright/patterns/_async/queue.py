# The queue of one write-behind, on the server.
"""The queue as its writers and readers see it: enqueue, the pending overlay, its length, a look at the server's setup.

Invariants kept here (tests/patterns/_async/test_queue.py and its mutants would catch their loss):
- a change is acknowledged only when the server has said that it is queued; whether its log is on disk by then is
  what its configuration is looked at for (`durability`), since WAITAOF cannot be relied on;
- cached value, pending overlay and queue entry change in one step (enqueue.lua), under the caller's deadline;
- all names of a partition lie in one slot, and no key that a user can spell has one of them.
What must not be here: what workers do (`partitions`, `draining`), what a change means to a source.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from cachewright._async.engine import AsyncEngine
from cachewright._waits import aio_pipe
from cachewright.core.keys import KeySpace
from cachewright.core.policy import seconds
from cachewright.core.tags import PLACEHOLDER
from cachewright.errors import ConfigurationError, RemoteError
from cachewright.patterns.changes import CODES, Backlog, Record, numbers_of, records, version_of
from cachewright.patterns.durability import ASKED, parse_info, refuse_unfit
from cachewright.patterns.queue_options import QueueOptions
from cachewright.patterns.sources import Kind
from cachewright.redis import wire
from cachewright.redis.commands import Commands
from cachewright.redis.scripts import loading

GROUP = "cachewright"
PORTION = 200
"""Changes in one call of the script, of any partitions: their keys and tags fit into one message of the bus."""
CALLS = 16
"""Calls in one pipeline."""
_CHANGE, _SIZE = struct.Struct("<HQIBI"), struct.Struct("<I")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,70}").fullmatch


@dataclass(slots=True)
class Write:
    """One change on its way in. `tag`: of its row, spelled with its kind. `ttl`: of the entry in seconds, 0 for none."""

    name: str
    kind: Kind
    identity: bytes
    data: bytes
    tag: str
    ttl: float = 0.0


@dataclass(slots=True)
class Enqueued:
    """What became of a change. `id` b"": its partition is full. `stamp`: the row's, b"" where nothing was cached."""

    id: bytes
    stamp: bytes = b""
    pending: bool = False
    """Of a change that was refused: whether an older one of its key waits."""

    @property
    def version(self) -> str:
        """The change's version, "" for one that was refused. Raises `CodecError` for an id that makes no sense."""
        return version_of(self.id) if self.id else ""


class Place:
    """The names of one partition."""

    def __init__(self, namespace: str, queue: str, number: int) -> None:
        start = f"{namespace}:{{q:{queue}:{number}}}"
        self.number = number
        self.stream = f"{start}:stream"
        self.pending = f"{start}:pending"
        self.parked = f"{start}:parked"
        self.dead = f"{start}:dead"
        self.tries = f"{start}:tries"
        self.holder = f"{start}:holder"  # ":lease" and ":stamp" belong to an entry's key


class AsyncQueue:
    """The queue called `name`, on the server of a cache. `table`: the tag, with its kind, that every write moves."""

    def __init__(
        self, engine: AsyncEngine, name: str, options: QueueOptions, *, table: str
    ) -> None:
        if engine.target is None:
            raise ConfigurationError(
                "write-behind needs a server: Cache('redis://...'); without one a crash would lose what was acknowledged"
            )
        if not _NAME(name):
            raise ConfigurationError(
                f"name must be 1 to 70 letters, digits or any of '_.-', not {name!r}"
            )
        self.name = name
        self.table = table
        self.keys: KeySpace = engine.keys
        self.label = engine.target.label
        self.places = [
            Place(self.keys.namespace, name, number) for number in range(options.partitions)
        ]
        self.workers = f"{self.keys.namespace}:{{q:{name}}}:workers"
        self.asked = f"{self.keys.namespace}:{{q:{name}}}:flush"
        self._layout = f"{self.keys.namespace}:{{q:{name}}}:partitions"
        self._durability = options.durability
        self._limit = max(1, options.limit // options.partitions)
        self._timeout = seconds("timeout", options.timeout)
        self._engine = engine
        self._target = engine.target
        self._open()
        engine.on_leave.append(self._open)

    def _open(self) -> None:
        """A connection of its own: a long batch must not hold up the cache's reads."""
        connect = self._engine.policy.timeouts.connect
        self._pipe = aio_pipe.Pipe(self._target, connect_timeout=max(connect, 1.0))

    def reset(self) -> None:
        """Close the present connection; another is opened when it is needed."""
        self._pipe.reset()

    async def close(self) -> None:
        """Close the connection."""
        await self._pipe.close()

    def partition(self, name: str) -> int:
        """Where the changes of a key are queued: all of them in one partition, in every process."""
        return crc32(name.encode("utf-8", "surrogatepass")) % len(self.places)

    # ---------------------------------------------------------------- sending

    async def ask(self, commands: Sequence[wire.Command]) -> list[Any]:
        """The replies, an error among them raised."""
        values = list(await self._send(commands))
        lost = [n for n, value in enumerate(values) if wire.lost_scripts([value])]
        if lost:
            # Only what was not run is sent again.
            await self._send(loading())
            again = await self._send([commands[n] for n in lost])
            for n, value in zip(lost, again, strict=True):
                values[n] = value
        for value in values:
            if isinstance(value, RemoteError):
                raise value
        return values

    async def _send(self, commands: Sequence[wire.Command]) -> Sequence[Any]:
        return (await self._pipe.call(commands, self._timeout)).values

    @property
    def commands(self) -> Commands:
        """What this process sends."""
        store = self._engine.store
        return Commands(self.keys, store.process if store is not None else "")

    # ---------------------------------------------------------------- writing

    async def enqueue(self, writes: Sequence[Write], random: str) -> list[Enqueued]:
        """Put changes of different keys into the queue. `random`: fresh hex, which their rows' stamps end in.

        Raises `RemoteError` when the server did not say that all of them are queued.
        """
        found: list[Enqueued] = []
        portions = [writes[n : n + PORTION] for n in range(0, len(writes), PORTION)]
        for start in range(0, len(portions), CALLS):
            some = portions[start : start + CALLS]
            commands = self.commands
            replies = await self.ask([self._enqueue(portion, random, commands) for portion in some])
            with wire.making_sense():
                for portion, reply in zip(some, replies, strict=True):
                    outcomes = _enqueued(reply)
                    if len(outcomes) != len(portion):
                        raise ValueError("it is not about as many changes")
                    found += outcomes
        return found

    def _enqueue(self, writes: Sequence[Write], random: str, commands: Commands) -> wire.Command:
        """One call of the script, whatever partitions the writes belong to."""
        names, tags = [write.name for write in writes], [write.tag for write in writes]
        entries = self.keys.entries(names)
        marks = [self.keys.tag(self.table)]
        for entry, tag in zip(entries, self.keys.tags(tags), strict=True):
            marks += (f"{entry}:lease", f"{entry}:stamp", tag)
        changes, numbers = self._changes(writes, PLACEHOLDER + b":" + random.encode())
        places = [self.places[number] for number in numbers]
        theirs = [name for it in places for name in (it.stream, it.pending, it.parked)]
        return commands.run(
            "enqueue",
            [self.keys.sequence, *theirs, *marks, *entries],
            changes,
            len(places),
            self._limit,
            random,
            max(commands.stamp_ms, round(2000 * max(write.ttl for write in writes))),
            self.keys.bus,
            commands.message(names, [*tags, self.table]),
        )

    def _changes(self, writes: Sequence[Write], marker: bytes) -> tuple[bytes, list[int]]:
        """Writes as the script reads them, and their partitions. `marker`: what is where a row's stamp will be."""
        blob: list[bytes] = []
        numbers: dict[int, int] = {}
        for write in writes:
            data, identity, key = write.data, write.identity, write.name.encode()
            at = data.find(marker) + 1 if write.ttl else 0
            ttl = max(1, round(write.ttl * 1000)) if at else 0
            # As `partition` has it.
            number = numbers.setdefault(crc32(key) % len(self.places), len(numbers))
            blob += (
                *(_CHANGE.pack(number, ttl, at, CODES[write.kind], len(key)), key),
                *(_SIZE.pack(len(identity)), identity, _SIZE.pack(len(data)), data),
            )
        return b"".join(blob), list(numbers)

    # ---------------------------------------------------------------- reading

    async def pending(self, names: Iterable[str]) -> dict[str, list[Record]]:
        """The changes of these keys that may not have reached the source, oldest first."""
        groups: dict[int, list[str]] = {}
        for name in names:
            groups.setdefault(self.partition(name), []).append(name)
        commands: list[wire.Command] = [
            ("HMGET", self.places[n].pending, *some) for n, some in groups.items()
        ]
        if not commands:
            return {}
        found: dict[str, list[Record]] = {}
        for some, logs in zip(groups.values(), await self.ask(commands), strict=True):
            with wire.making_sense():
                found |= {
                    name: list(records(log)) for name, log in zip(some, logs, strict=True) if log
                }
        return found

    async def backlog(self) -> list[Backlog]:
        """Each partition as it is now."""
        commands: list[wire.Command] = [("TIME",)]
        for place in self.places:
            commands += [
                ("XLEN", place.stream),
                ("XRANGE", place.stream, "-", "+", "COUNT", 1),
                ("XLEN", place.parked),
                ("XLEN", place.dead),
            ]
        (seconds, micros), *rest = await self.ask(commands)
        now = int(seconds) + int(micros) / 1e6
        return [
            Backlog(n, *self._state(now, *rest[4 * n : 4 * n + 4])) for n in range(len(self.places))
        ]

    @staticmethod
    def _state(
        now: float, entries: int, first: list[Any], *counts: int
    ) -> tuple[int, float, int, int]:
        age = now - numbers_of(version_of(first[0][0]))[0] / 1000 if first else 0.0
        return entries, max(0.0, age), counts[0], counts[1]

    async def ends(self) -> list[str]:
        """The version of the newest entry of each partition, "" where there is none."""
        replies = await self.ask(
            [("XREVRANGE", place.stream, "+", "-", "COUNT", 1) for place in self.places]
        )
        return [version_of(reply[0][0]) if reply else "" for reply in replies]

    async def begins(self) -> list[tuple[str, str]]:
        """The versions of the oldest entries that wait and that are parked in each partition, "" for none."""
        commands: list[wire.Command] = []
        for place in self.places:
            commands.append(("XRANGE", place.stream, "-", "+", "COUNT", 1))
            commands.append(("XRANGE", place.parked, "-", "+", "COUNT", 1))
        found = [version_of(reply[0][0]) if reply else "" for reply in await self.ask(commands)]
        return list(zip(found[::2], found[1::2], strict=True))

    async def ask_to_flush(self) -> None:
        """Tell the workers, wherever they are, that all that is queued by now is wanted at once."""
        now = (await self.ask([("TIME",)]))[0]
        ms = int(now[0]) * 1000 + int(now[1]) // 1000
        await self.ask([("SET", self.asked, ms, "PX", 600_000)])

    # ---------------------------------------------------------------- the server

    async def check(self, *, look: bool) -> None:
        """Raises `ConfigurationError` for a server that could lose the queue, and for another number of partitions.

        `look` False takes the server's setup on trust.
        """
        said = (await self._send([("INFO",)]))[0]
        info = parse_info(said) if isinstance(said, bytes) else {}
        config = await self._config()
        if look:
            refuse_unfit(self.label, self._durability, config, info)
        count = len(self.places)
        await self.ask([("SET", self._layout, count, "NX")])
        found = (await self.ask([("GET", self._layout)]))[0]
        if found != str(count).encode():
            raise ConfigurationError(
                f"queue {self.name!r} has {found.decode()} partitions: say partitions={found.decode()}, or drain it, "
                f"delete {self._layout} and begin anew"
            )

    async def _config(self) -> dict[str, str] | None:
        """The lines that matter, None where the server does not show them."""
        replies = await self._send([("CONFIG", "GET", name) for name in ASKED])
        if any(isinstance(reply, RemoteError) for reply in replies):
            return None
        flat = [text.decode() for reply in replies for text in reply]
        return dict(zip(flat[::2], flat[1::2], strict=True))


def _enqueued(reply: Any) -> list[Enqueued]:
    head, *changes = reply
    return [
        Enqueued(change)
        if isinstance(change, bytes)
        else Enqueued(b"", pending=change == 1)
        if isinstance(change, int)
        else Enqueued(change[0], bytes(head))
        for change in changes
    ]
