# Generated from _async/explaining.py by tools/unasync.py. Do not edit.
"""Reads what entries say of themselves: the tree of what one was made of, and which ones carry a tag.

Nothing here is for a path that has to be quick, decodes a value, or changes what is cached. What must not be here: how
it is printed (`cli`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from cachewright._sync.indexing import AT_ONCE, index_name
from cachewright._sync.redis import RedisStore
from cachewright.core import envelope as env
from cachewright.core.entry import Entry, SlidingEntry
from cachewright.core.envelope import HEAD_BYTES, Envelope, Kind
from cachewright.core.explained import Dependency, Explained, Holds, State, own_parts
from cachewright.core.packing import remaining
from cachewright.core.tags import key_tag, user_tag
from cachewright.errors import CodecError, ConfigurationError, RemoteError
from cachewright.redis import wire
from cachewright.types import ABSENT, Key

if TYPE_CHECKING:
    from cachewright._sync.cache import Cache

MOST_PARTS = 1_000
"""Entries that are looked at for one tree."""
_HEAD = 4_096
"""Bytes of an entry that hold its tags, mostly."""


class Explainer:
    """Explains the entries of one cache."""

    def __init__(self, cache: Cache) -> None:
        self._engine = cache.engine

    def explain(self, name: str, *, parts: bool) -> Explained:
        """The entry of a key, as the server has it, or memory where there is none. Raises `RemoteError`."""
        store = self._engine.open()
        if store is None:
            return self._tree(name, _Memory(self._engine), parts=parts)
        return self._tree(name, self._look(store, name, parts=parts), parts=parts)

    def carrying(self, tag: str) -> list[Explained]:
        """The entries of the sample that carry a tag, by key. Raises `RemoteError`, and `ConfigurationError` without a server."""
        store = self._engine.open()
        if store is None:
            raise ConfigurationError("the index of tags is at the server, and this cache has none")
        members = store.one(("ZRANGE", index_name(store.keys), 0, -1))
        with wire.making_sense():
            names = [bytes(member).decode("utf-8", "surrogatepass") for member in members]
        found: list[Explained] = []
        for start in range(0, len(names), AT_ONCE):
            found += self._page(store, names[start : start + AT_ONCE], tag)
        return sorted(found, key=lambda one: one.key)

    def sampled(self) -> int:
        """How many keys the index has. Raises `RemoteError`."""
        store = self._engine.open()
        if store is None:
            return 0
        members = store.one(("ZRANGE", index_name(store.keys), 0, -1))
        with wire.making_sense():
            return len(members)

    def _page(
        self, store: RedisStore, names: Sequence[str], tag: str
    ) -> list[Explained]:
        heads = _heads(store, names)
        entries = {
            name: entry
            for name, head in heads.items()
            if (entry := _opened(name, head)) is not None
        }
        named = {name: it for name, it in entries.items() if tag in it.stamps}
        look = self._looked(store, named, {name: len(heads[name] or b"") for name in named})
        return [look.explained(name, (), size=None) for name in named]

    # ---------------------------------------------------------------- reading

    def _look(self, store: RedisStore, name: str, *, parts: bool) -> _Server:
        data: dict[str, bytes | None] = {}
        todo = [name]
        while todo and len(data) < MOST_PARTS:
            names = todo[: MOST_PARTS - len(data)]
            values = _ask(store, [("GET", store.keys.entry(it)) for it in names])
            data |= dict(zip(names, values, strict=True))
            entries = [_opened(it, data[it]) for it in names]
            below = {it for entry in entries if entry is not None for it in _keys(entry.stamps)}
            todo = sorted(below - data.keys()) if parts else []
        entries_by_name = {it: entry for it in data if (entry := _opened(it, data[it])) is not None}
        look = self._looked(
            store, entries_by_name, {it: len(raw or b"") for it, raw in data.items()}
        )
        look.unreadable = {
            it for it, raw in data.items() if raw is not None
        } - entries_by_name.keys()
        return look

    def _looked(
        self, store: RedisStore, entries: dict[str, Envelope], sizes: dict[str, int]
    ) -> _Server:
        tags = list(dict.fromkeys(tag for entry in entries.values() for tag in entry.stamps))
        stamps: dict[str, bytes | None] = {}
        node = b""
        for start in range(0, len(tags), AT_ONCE):
            some = tags[start : start + AT_ONCE]
            replies = store.ask([("MGET", *map(store.keys.tag, some))])
            with wire.making_sense():
                raw = _good(replies.values[0])
                stamps |= dict(zip(some, raw, strict=True))
            node = replies.node
        return _Server(entries, sizes, stamps, node=node, now=self._engine.server_time())

    # ---------------------------------------------------------------- building

    def _tree(self, name: str, look: _Server | _Memory, *, parts: bool) -> Explained:
        made_of = look.made_of()

        def below(key: str, above: frozenset[str]) -> tuple[Explained, ...]:
            if not parts:
                return ()
            names = [it for it in own_parts(key, made_of) if it not in above]
            return tuple(look.explained(it, below(it, above | {it})) for it in names)

        return look.explained(name, below(name, frozenset({name})))


class _Server:
    """What the server has of some entries, at one moment."""

    def __init__(
        self,
        entries: dict[str, Envelope],
        sizes: dict[str, int],
        stamps: dict[str, bytes | None],
        *,
        node: bytes,
        now: float,
    ) -> None:
        self._entries = entries
        self._sizes = sizes
        self._stamps = stamps
        self._node = node
        self._now = now
        self.unreadable: set[str] = set()

    def made_of(self) -> dict[str, frozenset[str]]:
        return {name: frozenset(_keys(entry.stamps)) for name, entry in self._entries.items()}

    def explained(
        self, name: str, parts: tuple[Explained, ...], *, size: int | None = -1
    ) -> Explained:
        entry = self._entries.get(name)
        if entry is None:
            state: State = "unreadable" if name in self.unreadable else "absent"
            return Explained(key=name, state=state, parts=parts)
        left = remaining(entry, self._now)
        dependencies = [
            Dependency(tag=tag, holds=self._holds(tag, stamp))
            for tag, stamp in entry.stamps.items()
        ]
        valid = entry.node == self._node and all(it.holds == "same" for it in dependencies)
        return Explained(
            key=name,
            state=_state(left.fresh, left.usable, valid=valid),
            kind=_kind(entry),
            age=max(0.0, self._now - (entry.fresh_until - entry.lifetime)),
            fresh=left.fresh,
            usable=left.usable,
            cost=entry.cost,
            size=self._sizes[name] if size == -1 else size,
            dependencies=tuple(dependencies),
            parts=parts,
        )

    def _holds(self, tag: str, stamp: bytes) -> Holds:
        now = self._stamps.get(tag)
        if now is None:
            return "missing"
        if now.startswith(b"!"):
            return "written"
        return "same" if now + b"@" + self._node == stamp else "moved"


class _Memory:
    """What memory has, in a cache without a server."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def _entry(self, name: str) -> Entry | None:
        return cast("Entry | None", self._engine.memory.table.get(name))

    def made_of(self) -> dict[str, frozenset[str]]:
        return {
            name: frozenset(_keys(entry.stamps))
            for name, entry in list(self._engine.memory.table.items())
        }

    def explained(self, name: str, parts: tuple[Explained, ...]) -> Explained:
        entry, now = self._entry(name), self._engine.monotonic()
        if entry is None:
            return Explained(key=name, state="absent", parts=parts)
        known = self._engine.tags.known
        dependencies = [
            Dependency(tag=tag, holds="same" if known.get(tag) == stamp else "moved")
            for tag, stamp in entry.stamps.items()
        ]
        valid = all(it.holds == "same" for it in dependencies)
        fresh, usable = entry.fresh_until - now, entry.usable_until - now
        sliding = isinstance(entry, SlidingEntry)
        return Explained(
            key=name,
            state=_state(fresh, usable, valid=valid),
            kind="absence" if entry.value is ABSENT else "sliding" if sliding else "value",
            fresh=fresh,
            usable=usable,
            dependencies=tuple(dependencies),
            parts=parts,
        )


def _state(fresh: float, usable: float, *, valid: bool) -> State:
    if not valid:
        return "invalid"
    return "fresh" if fresh > 0 else "stale" if usable > 0 else "ended"


def _kind(entry: Envelope) -> str:
    names = {Kind.NEGATIVE: "absence", Kind.SLIDING: "sliding", Kind.COUNTER: "counter"}
    return next((name for kind, name in names.items() if entry.kind == kind), "value")


def _keys(tags: Iterable[str]) -> list[str]:
    """The keys whose stamps are among these."""
    return [tag[2:] for tag in tags if tag == key_tag(tag[2:])]


def _opened(name: str, data: bytes | None) -> Envelope | None:
    try:
        entry = None if data is None else env.unpack(data)
    except CodecError:
        return None
    return None if entry is None or entry.key not in (None, name) else entry


def _heads(store: RedisStore, names: Sequence[str]) -> dict[str, bytes | None]:
    """As much of each entry as holds its tags."""
    first = _ask(store, [("GETRANGE", store.keys.entry(it), 0, _HEAD - 1) for it in names])
    heads = dict(zip(names, first, strict=True))
    wanted = {
        name: int.from_bytes(head[44:48], "little") + HEAD_BYTES
        for name, head in heads.items()
        if head is not None and len(head) == _HEAD
    }
    longer = {name: size for name, size in wanted.items() if _HEAD < size < 2**24}
    more = _ask(
        store, [("GETRANGE", store.keys.entry(it), 0, size - 1) for it, size in longer.items()]
    )
    return heads | dict(zip(longer, more, strict=True))


def _ask(store: RedisStore, commands: Sequence[wire.Command]) -> list[bytes | None]:
    """The replies; None where there is nothing, or nothing of ours."""
    if not commands:
        return []
    values = (store.ask(commands)).values
    return [
        None if not value or isinstance(value, RemoteError) else bytes(memoryview(value))
        for value in values
    ]


def _good(value: Any) -> Any:
    if isinstance(value, RemoteError):
        raise value
    return value


class Explainable:
    """What `Cache` has of it."""

    def explain(self, key: Key, *, parts: bool = True) -> Explained:
        """What is cached under a key and what it was made of, with whether each of its tags still holds.

        Of the server's entry; of memory's in a cache without a server. `parts`: those as well, and theirs. For people:
        it costs round trips, counts as no read and decodes nothing. Raises `RemoteError`.
        """
        cache = cast("Cache", self)
        return Explainer(cache).explain(cache.reads.name(key), parts=parts)

    def carrying(self, tag: str | tuple[Any, ...]) -> list[Explained]:
        """The entries that carry a tag, of those in the index that `tag_index=` keeps: a sample, of every process.

        It reads up to as many entries as the index has keys. Raises `RemoteError`, `ConfigurationError` without a server.
        """
        return Explainer(cast("Cache", self)).carrying(user_tag(tag))

    def sampled_keys(self) -> int:
        """How many keys that index has now. Raises `RemoteError`."""
        return Explainer(cast("Cache", self)).sampled()
