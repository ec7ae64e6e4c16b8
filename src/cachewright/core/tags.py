"""Tags, stamps and what this process knows of them. Not how stamps travel; no I/O.

Invariants kept here (design rules 1 and 2; tests/core/test_tags.py and the rig's mutants would catch their loss):
- the clock forgets, it never learns from news: an invalidation erases a stamp, only a read's own reply teaches;
- a reply teaches only if the epoch has not moved since the read was issued;
- stamps are opaque and compared for equality alone; whatever differs or is unknown is a mismatch.

Every tag carries its kind as a prefix, so that no tag of a user spells one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import islice

from cachewright.core.entry import Entry, Stamps
from cachewright.core.keys import as_key, spell

NAMESPACE = "n:"
"""The tag on every entry of a namespace; `clear()` moves its stamp."""

PLACEHOLDER = b"%016d:%b" % (0, b"0" * 12)
"""Where the server writes number and lineage of a stamp into an entry that was packed before the stamp was made."""


def stamp_to_come(random: str, node: bytes) -> bytes:
    """The stamp that the server will make of this random text, as an entry embeds it beforehand."""
    return b"%b:%b@%b" % (PLACEHOLDER, random.encode(), node)


def user_tag(tag: str | tuple[object, ...]) -> str:
    """A tag that the application named; tuples are spelled as keys are, so `("row", 7)` is `row:7`."""
    return "t:" + as_key(tag)


def key_tag(key: str) -> str:
    """The stamp of a key itself, for what is made from its value."""
    return "k:" + key


def prefix_tags(key: str) -> list[str]:
    """`a:b:c` is below `a`, `a:b` and `a:b:c`."""
    parts = key.split(":")
    return ["p:" + ":".join(parts[: n + 1]) for n in range(len(parts))]


def prefix_tag(prefix: str) -> str:
    """The tag that every key at or below `prefix` carries."""
    return "p:" + prefix


def table_tag(table: str) -> str:
    """How every layer spells a dependency on what a whole table holds, before `user_tag`: any write to it moves this."""
    return "table:" + spell(table)


def rows_tag(table: str) -> str:
    """What every cached row of a table carries, for writes that do not name their rows; those that do move `row_tag`."""
    return "rows:" + spell(table)


def row_tag(table: str, *key: object) -> str:
    """How every layer spells a dependency on one row, before `user_tag`: `row:flights:4711`."""
    return ":".join(("row", spell(table), *map(spell, key)))


def match_tag(table: str, values: Mapping[str, object]) -> str:
    """What is made from the rows of a table that have these values: `match:flights:airport=OSL`. Columns in any order.

    Moved by writes that know both images of their rows, old and new; `matches_tag` by all others.
    """
    parts = sorted(f"{_column(name)}={spell(value)}" for name, value in values.items())
    return ":".join(("match", spell(table), *parts))


def _column(name: str) -> str:
    # An "=" of the name must not be taken for the one behind it.
    return spell(name.lower()).replace("=", "%3D")


def matches_tag(table: str) -> str:
    """What every entry with a `match_tag` of the table carries, for writes that do not know both images of their rows."""
    return "matches:" + spell(table)


DEFAULT_SCHEMAS: Mapping[str, str] = {
    "postgresql": "public",
    "postgres": "public",
    "sqlite": "main",
}
"""The schema that tags leave out, by dialect. Of MySQL it is the database, which the connection knows."""


def table_name(name: str, schema: str | None = None, *, default: str | None = None) -> str:
    """How tags call a table: `schema.table`, without the schema where it is the `default` one, in lower case.

    Two tables whose names differ in case alone share their tags: that costs misses, never an old value.
    """
    own, place = name.lower(), (schema or "").lower()
    return own if not place or place == (default or "").lower() else f"{place}.{own}"


class TagClock:
    """The stamps this process knows, and one integer that moves when any of them is forgotten.

    `lock` guards changes; reading needs none. `limit` bounds the known stamps: beyond it the oldest are forgotten,
    which costs round trips and never an old value.
    """

    def __init__(self, lock: AbstractContextManager[object], *, limit: int = 100_000) -> None:
        self.epoch = 0
        self.known: dict[str, bytes] = {}
        self.linked = True
        self._lock = lock
        self.limit = limit

    def matches(self, stamps: Mapping[str, bytes]) -> bool:
        """Whether every stamp is known and equal."""
        known = self.known
        return all(known.get(tag) == stamp for tag, stamp in stamps.items())

    def current(self, epoch: int, stamps: Mapping[str, bytes]) -> bool:
        """Whether stamps that matched at `epoch` still do."""
        return epoch == self.epoch or self.matches(stamps)

    def renew(self, entry: Entry) -> bool:
        """Whether an entry's stamps still match, although the epoch has moved; if so it is taken for the present one."""
        epoch = self.epoch  # before the comparison: what moves meanwhile is seen at the next hit
        known, stamps = self.known, entry.stamps
        for tag in stamps:
            if known.get(tag) != stamps[tag]:
                return False
        entry.epoch = epoch
        return True

    def unknown(self, tags: Iterable[str]) -> list[str]:
        """Those tags whose stamps a read must fetch."""
        return [tag for tag in tags if tag not in self.known]

    def learn(self, issued: int, stamps: Stamps) -> None:
        """Take what a read's reply showed, if nothing moved since the read was issued at epoch `issued`."""
        with self._lock:
            if issued != self.epoch or not self.linked:
                return
            self.make_room(len(stamps))
            self.known.update(stamps)

    def make_room(self, more: int) -> None:
        """Forget the oldest stamps when there would be too many. The caller holds the lock.

        The epoch may stay: entries that matched go on until it moves, and then, unknown, match no more.
        """
        if len(self.known) + more <= self.limit:
            return
        everywhere = self.known.pop(NAMESPACE, None)
        for tag in list(islice(self.known, max(more, self.limit // 8))):
            del self.known[tag]
        if everywhere is not None:
            self.known[NAMESPACE] = everywhere

    def forget(self, tags: Iterable[str]) -> None:
        """An invalidation: erase the stamps and move the epoch. The caller holds the lock."""
        for tag in tags:
            self.known.pop(tag, None)
        self.epoch += 1

    def forget_all(self, *, linked: bool) -> None:
        """The link was lost or is back: know nothing. The caller holds the lock."""
        self.known.clear()
        self.epoch += 1
        self.linked = linked

    def after_fork(self, lock: AbstractContextManager[object]) -> None:
        """The child cannot trust a lock that a thread of its parent may have held."""
        self._lock = lock


class LocalStamps:
    """The stamps of a cache without a server: the clock itself is the authority. The caller holds the clock's lock.

    A stamp is the epoch it was made in and a serial number; `domain`, random bytes, tells it from other caches'.
    """

    def __init__(self, clock: TagClock, domain: bytes) -> None:
        self._clock = clock
        self._domain = domain
        self._made = 0
        self._everywhere: Stamps = {}

    def read(self, tags: Iterable[str]) -> Stamps:
        """The stamps of `tags`; the missing ones are made. What is returned may be shared and must not be changed."""
        known, clock = self._clock.known, self._clock
        wanted = list(tags)
        shared = wanted == [NAMESPACE]
        if shared and self._everywhere.get(NAMESPACE) == known.get(NAMESPACE, b""):
            return self._everywhere  # most entries depend on nothing else: one dict for all of them
        clock.make_room(len(wanted))
        for tag in wanted:
            if tag not in known:
                self._made += 1
                known[tag] = b"%d:%d:%b" % (clock.epoch, self._made, self._domain)
        stamps = {tag: known[tag] for tag in wanted}
        if shared:
            self._everywhere = stamps
        return stamps

    @staticmethod
    def older(stamp: bytes, base: int) -> bool:
        """Whether `stamp` was made before the epoch moved beyond `base`."""
        return int(stamp.partition(b":")[0]) <= base
