"""The commands of L2, built: names, arguments, scripts. Nothing is sent from here; replies are read elsewhere."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping, Sequence

from cachewright.core.keys import KeySpace
from cachewright.redis import messages
from cachewright.redis.replies import Ask, Ended, Fill
from cachewright.redis.scripts import FENCED, script
from cachewright.redis.wire import DEADLINE, Command

DAY_MS = 86_400_000
_LIFE, _PLACE, _SIZE = struct.Struct("<QH"), struct.Struct("<HI"), struct.Struct("<I")


class Commands:
    """Commands for one namespace, sent by one process. `stamp_ms`: how long stamps last, in ms."""

    def __init__(self, keys: KeySpace, process: str) -> None:
        self.keys = keys
        self.process = process
        self.stamp_ms = DAY_MS

    def outlive(self, seconds: float) -> bool:
        """Stamps made from now on last longer than an entry of that life; whether they did not before."""
        wanted = round(2000 * seconds)
        if wanted <= self.stamp_ms:
            return False
        self.stamp_ms = wanted
        return True

    @staticmethod
    def run(name: str, keys: Sequence[str], *arguments: bytes | str | float) -> Command:
        """A script call; one that must not run late gets its deadline when it is sent."""
        command = ("EVALSHA", script(name).sha, len(keys), *keys, *arguments)
        return (*command, DEADLINE) if name in FENCED else command

    def stamps(self, tags: Sequence[str]) -> Command:
        """Read stamps, and make the missing ones."""
        names = [*self.keys.tags(tags), self.keys.sequence]
        return self.run("stamps", names, len(tags), secrets.token_hex(12), self.stamp_ms)

    def acquisitions(self, asks: Sequence[Ask], *, lease: float, waiter: str) -> list[Command]:
        """Ask for leases of so many seconds; `waiter`: the process to wake where somebody else has one."""
        commands = []
        for some in messages.portions(asks, lambda ask: len(ask.key)):
            names: list[str] = []
            words: list[bytes | str | float] = [round(lease * 1000), waiter]
            for ask, entry in zip(some, self.keys.entries([it.key for it in some]), strict=True):
                names += (entry, f"{entry}:lease")
                words += (ask.token, ask.seen)
            commands.append(self.run("acquire", names, *words))
        return commands

    def fills(self, items: Sequence[Fill]) -> list[Command]:
        """Store what was loaded under leases, or give them back."""
        commands = []
        for some in messages.portions(items, lambda item: len(item[2])):
            names: list[str] = []
            words: list[bytes | str | float] = [self.keys.wake]
            entries = self.keys.entries([it[0] for it in some])
            for (key, token, data, ttl), entry in zip(some, entries, strict=True):
                names += (entry, f"{entry}:lease")
                words += (token, data, max(1, round(ttl * 1000)), messages.waking(key))
            commands.append(self.run("fill", names, *words))
        return commands

    def names(self, keys: Sequence[str], tags: Sequence[str]) -> list[str]:
        """What a change of these keys and tags touches, in the order that the scripts expect."""
        names: list[str] = []
        for entry in self.keys.entries(keys):
            names += (entry, f"{entry}:lease", f"{entry}:stamp")
        return [*names, *self.keys.tags(tags), self.keys.sequence]

    def message(self, keys: Sequence[str], tags: Sequence[str]) -> bytes:
        """What everybody is told."""
        return messages.encode(
            messages.Invalidation(messages.VERSION, self.process, list(keys), list(tags))
        )

    def invalidations(
        self, keys: Sequence[str], tags: Sequence[str], *, token: str
    ) -> list[Command]:
        """Drop keys and move tags; ends the mark of `token`, "" for none."""
        return self._changes("invalidate", keys, tags, token, "")

    def endings(
        self, ended: Sequence[Ended], tags: Sequence[str], *, token: str, random: str
    ) -> list[tuple[list[str], list[str], Command]]:
        """The same with the entries of what was written: (keys, tags, command) for each call.

        `random`: of the stamps that the server makes. A tag that an entry embeds moves in the call that stores it.
        """
        found = []
        for some, others in messages.endings(ended, tags):
            keys, numbers = [each.key for each in some], {tag: n for n, tag in enumerate(others, 1)}
            blob = b"".join([part for each in some for part in _written(each, numbers)])
            command = self.run(
                "invalidate",
                self.names(keys, others),
                len(keys),
                len(others),
                random,
                self.stamp_ms,
                token,
                self.keys.bus,
                self.message(keys, others),
                blob,
            )
            found.append((keys, others, command))
        return found

    def marks(
        self,
        keys: Sequence[str],
        tags: Sequence[str],
        *,
        token: str,
        lasting: float,
        renewing: bool,
    ) -> list[Command]:
        """Put a writer's token in the place of entries and stamps, or renew it where it is."""
        how = (round(lasting * 1000), "renew" if renewing else "")
        return self._changes("mark", keys, tags, token, *how)

    def _changes(
        self, verb: str, keys: Sequence[str], tags: Sequence[str], *arguments: str | int
    ) -> list[Command]:
        token, *more = arguments
        return [
            self.run(
                verb,
                self.names(some, others),
                len(some),
                len(others),
                secrets.token_hex(12),
                self.stamp_ms,
                token,
                self.keys.bus,
                self.message(some, others),
                *more,
            )
            for some, others in messages.batches(keys, tags)
        ]


def _written(ended: Ended, numbers: Mapping[str, int]) -> tuple[bytes, ...]:
    """One key as invalidate.lua reads it."""
    ttl = max(1, round(ended.ttl * 1000)) if ended.data else 0
    places = [_PLACE.pack(numbers[tag], place) for tag, place in ended.places.items()]
    return _LIFE.pack(ttl, len(places)), *places, _SIZE.pack(len(ended.data)), ended.data
