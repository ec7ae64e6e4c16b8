# What a worker does at the server.
"""The queue as its workers see it: who lives, who holds which partition, entries taken, moved and settled.

Invariants kept here (tests/patterns/_async/test_queue.py and its mutants would catch their loss):
- whoever takes or moves entries holds the partition's lease at that moment: the look and the deed are one step;
- an entry leaves the queue only by `settle`, or by a move that has put it elsewhere in the same step.
What must not be here: decisions about when and what (`draining`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cachewright.errors import RemoteError
from cachewright.patterns._async.queue import GROUP, AsyncQueue, Place
from cachewright.patterns.changes import Queued, numbers_of, queued, version_of
from cachewright.redis import wire

_packed = msgspec.msgpack.Encoder().encode
# Of text only: what the server's scripts unpack with knows no byte strings.
PAGE = 1000


class Overtaken(Exception):
    """Another worker has taken the partition over, or has applied what this one was about to apply."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A partition in passing. Versions; "" for none."""

    entries: int
    oldest: str
    newest_parked: str


class AsyncPartitions:
    """The partitions of one queue, for one worker, or for what it takes at a time. `token` is what its leases hold."""

    def __init__(self, queue: AsyncQueue, *, lease: float) -> None:
        self.queue = queue
        self.token = secrets.token_hex(12)
        self._ms = round(lease * 1000)

    async def muster(self, *, leaving: bool = False) -> int:
        """Say that this worker lives, or leaves; how many live."""
        command = self.queue.commands.run(
            "muster", [self.queue.workers], self.token, 0 if leaving else self._ms
        )
        return int((await self.queue.ask([command]))[0])

    async def acquire(self, places: Sequence[Place]) -> list[bool]:
        """Take the leases of partitions that nobody holds; whether each is this worker's now."""
        if not places:
            return []
        replies = await self.queue.ask(
            [("SET", place.holder, self.token, "NX", "PX", self._ms) for place in places]
        )
        return [reply is not None for reply in replies]

    async def renew(self, places: Sequence[Place]) -> list[bool]:
        """Keep leases; whether each is still this worker's."""
        if not places:
            return []
        run = self.queue.commands.run
        replies = await self.queue.ask(
            [run("renew", [place.holder], self.token, self._ms) for place in places]
        )
        return [reply == 1 for reply in replies]

    async def release(self, places: Sequence[Place]) -> None:
        """Give leases back; those that are another's are left alone."""
        if places:
            run = self.queue.commands.run
            await self.queue.ask(
                [run("discard", [place.holder], self.token, "") for place in places]
            )

    async def glance(self, places: Sequence[Place]) -> tuple[float, list[Glimpse]]:
        """The server's time in seconds, or when a flush was asked for if that is later; and each partition."""
        commands: list[wire.Command] = [("TIME",)]
        for place in places:
            commands += [
                ("XLEN", place.stream),
                ("XRANGE", place.stream, "-", "+", "COUNT", 1),
                ("XREVRANGE", place.parked, "+", "-", "COUNT", 1),
            ]
        (seconds, micros), *rest = await self.queue.ask(commands)
        found = [
            Glimpse(rest[n], _version(rest[n + 1]), _version(rest[n + 2]))
            for n in range(0, len(rest), 3)
        ]
        return int(seconds) + int(micros) / 1e6, found

    async def flush_asked(self) -> float:
        """Up to when, in seconds of the server's time, everything is wanted at once; 0.0 when nobody asks."""
        found = (await self.queue.ask([("GET", self.queue.asked)]))[0]
        return int(found or 0) / 1000

    async def prepare(self, place: Place) -> None:
        """Make the stream and its group, if they are not there."""
        try:
            await self.queue.ask([("XGROUP", "CREATE", place.stream, GROUP, "0", "MKSTREAM")])
        except wire.ServerError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def catch_up(self, place: Place, position: str) -> bool:
        """Have the stream's next ids lie behind `position`; whether they might not have.

        Then the server has lost the end of the stream, and its clock may have been set back: what was queued from now on
        would be taken for what the source already has.
        """
        flat = (await self.queue.ask([("XINFO", "STREAM", place.stream)]))[0]
        last = version_of(dict(zip(flat[::2], flat[1::2], strict=True))[b"last-generated-id"])
        if last >= position:
            return False
        ms, seq = numbers_of(position)
        await self.queue.ask([("XSETID", place.stream, f"{ms}-{seq}")])
        return True

    async def take(self, place: Place, count: int, *, again: bool) -> list[Queued]:
        """The next entries: `again` those that were handed out to anybody and never settled, else new ones.

        Raises `Overtaken` when the lease is another's.
        """
        command = self.queue.commands.run(
            "take",
            [place.stream, place.holder],
            self.token,
            GROUP,
            GROUP,  # one consumer: who takes is said by the lease, and consumers are never forgotten
            count,
            "again" if again else "new",
        )
        return [queued(entry) for entry in await self._holding(command)]

    async def move(
        self,
        entries: Sequence[Queued],
        origin: str,
        target: str,
        *,
        place: Place,
        cause: str = "",
        held: bool = True,
    ) -> list[bytes]:
        """Move entries between two streams of a partition; their new ids. What is gone from `origin` is left out.

        Raises `Overtaken` where the partition is not `held` by this worker.
        """
        group = GROUP if origin == place.stream else ""
        command = self.queue.commands.run(
            "move",
            [origin, target, place.holder],
            self.token if held else "",
            group,
            cause,
            max((entry.deliveries for entry in entries), default=0),
            _packed([entry.id.decode() for entry in entries]),
        )
        return [bytes(moved) for moved in await self._holding(command)]

    async def _holding(self, command: wire.Command) -> Any:
        try:
            return (await self.queue.ask([command]))[0]
        except RemoteError as error:
            if str(error).startswith("LOST"):
                raise Overtaken(str(error)) from None
            raise

    # ---------------------------------------------------------------- what is done

    async def uncover(self, place: Place, last: dict[str, str]) -> None:
        """Take changes out of the overlay: by key the version of the last one that has reached the source."""
        if last:
            flat = [part for name, version in last.items() for part in (name, *numbers_of(version))]
            await self._settle(place, place.stream, "", _packed(flat), _packed([]))

    async def remove(self, place: Place, stream: str, ids: Sequence[bytes]) -> None:
        """Take entries out of a stream for good."""
        if ids:
            group = GROUP if stream == place.stream else ""
            await self._settle(
                place, stream, group, _packed([]), _packed([entry_id.decode() for entry_id in ids])
            )

    async def _settle(self, place: Place, stream: str, *arguments: bytes | str) -> None:
        await self.queue.ask(
            [self.queue.commands.run("settle", [stream, place.pending], *arguments)]
        )

    # ---------------------------------------------------------------- parked and dead

    async def lying(self, stream: str, after: str = "-") -> list[Queued]:
        """All entries of a stream of parked or dead changes, behind the id `after`."""
        found: list[Queued] = []
        while True:
            page = (await self.queue.ask([("XRANGE", stream, after, "+", "COUNT", PAGE)]))[0]
            found += [queued(entry) for entry in page]
            if len(page) < PAGE:
                return found
            after = f"({page[-1][0].decode()}"

    async def tries(self, place: Place) -> dict[str, int]:
        """How often the changes of each parked key were delivered."""
        flat = (await self.queue.ask([("HGETALL", place.tries)]))[0]
        return {
            name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)
        }

    async def count_try(self, place: Place, name: str) -> int:
        """One delivery more; how many there were."""
        return int((await self.queue.ask([("HINCRBY", place.tries, name, 1)]))[0])

    async def forget_tries(self, place: Place, names: Sequence[str]) -> None:
        """The keys are well, or given up."""
        if names:
            await self.queue.ask([("HDEL", place.tries, *names)])


def _version(reply: Any) -> str:
    return version_of(reply[0][0]) if reply else ""
