"""Queued changes as values: their bytes, their order, what several of one key come to. Pure.

A version is the id of a stream entry with leading zeros, so that versions compare as text.
What must not be here: a server, a source, a clock.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, NamedTuple

import msgspec

from cachewright.errors import CodecError, ConfigurationError
from cachewright.patterns.sources import Change, Kind
from cachewright.types import ABSENT

KINDS: dict[str, Kind] = {"1": "put", "2": "patch", "3": "delete"}
CODES: dict[Kind, int] = {kind: int(code) for code, kind in KINDS.items()}
_RECORD, _SIZE = struct.Struct("<QIBI"), struct.Struct("<I")
_ID = re.compile(rb"(\d{1,15})-(\d{1,10})").fullmatch
_OUTAGES = frozenset({"OperationalError", "InterfaceError", "DisconnectionError", "TimeoutError"})
"""What drivers call a database that cannot be had (PEP 249), a deadlock or a locked file; and pools without a connection."""
_STATES = ("08", "25006", "28", "3D", "40", "53", "55006", "55P03", "57", "58")
"""Of PostgreSQL, where its driver tells: connections, read only, log-ins, no such database, serialization and deadlocks,
resources, locks, an operator's or a time-out's cancelling, the system. asyncpg has no OperationalError for any of them."""


class Record(NamedTuple):
    """One change in the pending overlay. `data`: the bytes that its stream entry has."""

    version: str
    kind: Kind
    data: bytes


@dataclass(slots=True)
class Queued:
    """One entry of a stream. `id` is where it lies now, `version` where it was first. `identity`: b"" for a whole value."""

    id: bytes
    version: str
    name: str
    identity: bytes
    kind: Kind
    data: bytes
    cause: str = ""
    deliveries: int = 0


class Backlog(msgspec.Struct, frozen=True):
    """A partition: entries that wait, the age of the oldest in seconds, and how many are parked and dead."""

    partition: int
    entries: int
    age: float
    parked: int
    dead: int


class DeadLetter(msgspec.Struct, frozen=True):
    """One change that was given up. `id` names it: partition and place. `died`: seconds since the Unix epoch.

    `written`: when it was acknowledged, likewise. `cause`: what the source raised. `deliveries`: tries.
    """

    id: str
    key: str
    kind: str
    written: float
    died: float
    deliveries: int
    cause: str


def row_tag_of(name: str, table: str | None = None) -> str:
    """The tag of the row that the key `name` stands for, with its kind; what a scope puts before the key is no part of it.

    `table`: the tag of its table, with its kind, where the key begins with another name.
    """
    key = name.rpartition("|")[2]
    if table is None:
        return "t:row:" + key
    return f"t:row:{table.removeprefix('t:table:')}:{key.partition(':')[2]}"


def matches_of(table: str) -> str:
    """The tag of all matches in a table, with its kind, given the tag of the table."""
    return "t:matches:" + table.removeprefix("t:table:")


def version_of(entry_id: bytes) -> str:
    """The version that a stream id stands for; `CodecError` for what is none."""
    parts = _ID(entry_id)
    if parts is None:
        raise CodecError("a stream id that makes no sense")
    return f"{int(parts[1]):015d}-{int(parts[2]):010d}"


def numbers_of(version: str) -> tuple[int, int]:
    """(milliseconds since the Unix epoch, sequence number) of a version."""
    ms, _, seq = version.partition("-")
    return int(ms), int(seq)


def queued(reply: Sequence[Any]) -> Queued:
    """The entry in a server's reply: an id, then names and values in turn. Raises `CodecError` for nonsense."""
    try:
        entry_id, flat = reply
        field = dict(zip(flat[::2], flat[1::2], strict=True))
        change = field[b"v"]
        name, identity, data = _texts(change)
        return Queued(
            bytes(entry_id),
            version_of(field.get(b"o", entry_id)),
            name.decode(),
            identity,
            KINDS[str(change[0])],
            data,
            field.get(b"c", b"").decode(errors="replace"),
            int(field.get(b"n", 0)),
        )
    except (TypeError, ValueError, LookupError, AttributeError, struct.error) as error:
        raise CodecError(f"a queue entry that makes no sense: {type(error).__name__}") from None


def _texts(change: bytes) -> list[bytes]:
    """Key, identity and bytes of a change, each behind its length. The kind comes first."""
    found, at = [], 1
    for _ in range(3):
        (size,) = _SIZE.unpack_from(change, at)
        at += _SIZE.size + size
        found.append(change[at - size : at])
    if at != len(change):
        raise ValueError("cut short, or followed by something")
    return found


def records(log: bytes) -> Iterator[Record]:
    """The changes in an overlay's log, oldest first. Raises `CodecError` for nonsense."""
    at = 0
    while at < len(log):
        try:
            ms, seq, code, size = _RECORD.unpack_from(log, at)
            kind = KINDS[str(code)]
        except (struct.error, KeyError):
            raise CodecError("a pending overlay that makes no sense") from None
        at += _RECORD.size + size
        yield Record(f"{ms:015d}-{seq:010d}", kind, log[at - size : at])


def merge(value: Any, fields: Mapping[str, Any]) -> Any:
    """A value with some fields changed: a mapping, a dataclass or a msgspec Struct; absence stays absence."""
    if value is ABSENT:
        return ABSENT
    if isinstance(value, Mapping):
        return {**value, **fields}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **fields)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **fields)
    raise ConfigurationError(
        f"a {type(value).__name__} cannot be patched: values must be mappings, dataclasses or Structs, "
        "or the source needs a method merge(value, fields)"
    )


def coalesce(earlier: Change | None, later: Change, merging: Any = merge) -> Change:
    """What two changes of one key come to: the last whole value, with the patches that came after it.

    A patch of what was deleted before it changes nothing, as UPDATE of an absent row does.
    """
    if earlier is None or later.kind != "patch":
        return later
    if earlier.kind == "delete":
        return Change(later.key, "delete", None, later.version)
    if earlier.kind == "patch":
        return Change(later.key, "patch", {**earlier.value, **later.value}, later.version)
    return Change(later.key, "put", merging(earlier.value, later.value), later.version)


def is_outage(error: BaseException) -> bool:
    """Whether an error says that the source cannot be had now, and nothing about what it was given.

    States and names are looked at, so that no driver has to be imported.
    """
    if isinstance(error, OSError):
        return True
    if getattr(error, "connection_invalidated", False):
        return True
    state = _state_of(error)
    if state:
        return state.startswith(_STATES)
    return any(kind.__name__ in _OUTAGES for kind in type(error).__mro__)


def _state_of(error: BaseException) -> str:
    """The SQLSTATE that a driver's error has, by itself or within SQLAlchemy's or Django's; "" for none."""
    for each in (error, getattr(error, "orig", None), error.__cause__):
        state = getattr(each, "sqlstate", None)
        if isinstance(state, str):
            return state
    return ""


def pause(failures: int, *, first: float, most: float, draw: float) -> float:
    """Seconds until the next try: doubling, at most `most`, and of that between half and all, by `draw` (0 to 1)."""
    return float(min(first * 2.0 ** min(failures, 30), most) * (0.5 + 0.5 * draw))
