"""Values with a lifetime become entries, in this process and as bytes. Clock readings are arguments; no I/O."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from cachewright.core import envelope as env
from cachewright.core.decision import refresh_point
from cachewright.core.entry import ALWAYS, CachedError, Entry, SlidingEntry, Stamps, StoredEntry
from cachewright.core.envelope import Envelope, Kind, Likeness
from cachewright.core.keys import KeySpace
from cachewright.core.policy import AdaptiveTtl, Lifetime, Policy, as_float
from cachewright.errors import CodecError, ConfigurationError
from cachewright.types import ABSENT

# Operators of an IntFlag cost more than the rest of packing.
_VALUE, _NEGATIVE, _SLIDING, _COUNTER = (
    int(kind) for kind in (Kind.VALUE, Kind.NEGATIVE, Kind.SLIDING, Kind.COUNTER)
)
_DIGITS = re.compile(rb"-?[0-9]{1,16}").fullmatch


class Payloads(Protocol):
    """Values to bytes and back; `aad` binds the bytes to their key."""

    def encode(self, value: Any, aad: bytes) -> tuple[int, int, bytes]:
        """(codec code, flags, data); raises `CodecError`."""

    def decode(self, code: int, flags: int, data: bytes, aad: bytes) -> Any:
        """The value; raises only `CodecError`."""

    @property
    def sealed(self) -> bool:
        """Whether nothing unsealed is believed."""

    @property
    def binds(self) -> bool:
        """Whether `aad` matters."""

    def bare_decoder(self, code: int, flags: int) -> tuple[Callable[[bytes], Any], int] | None:
        """See `codecs.payload.PayloadCodec.bare_decoder`."""

    def encode_absence(self, aad: bytes) -> tuple[int, int, bytes]:
        """As `encode`, for that there is no value."""

    def declare(self, spec: Any) -> None:
        """See `codecs.payload.PayloadCodec.declare`."""

    def check_absence(self, code: int, flags: int, data: bytes, aad: bytes) -> None:
        """Raises `CodecError` unless `encode_absence` made these."""


class Packer:
    """Packs and opens the entries of one namespace."""

    def __init__(self, payloads: Payloads, keys: KeySpace) -> None:
        self._payloads = payloads
        self._keys = keys

    def pack(
        self,
        key: str,
        value: Any,
        life: Lifetime,
        *,
        now: float,
        fill: bytes,
        node: bytes,
        stamps: Stamps,
        cost: float = 0.0,
    ) -> bytes:
        """The bytes of an entry that is stored at wall-clock time `now`. Raises `CodecError`."""
        payloads = self._payloads
        if value is ABSENT:
            kind = _NEGATIVE
            code, flags, payload = payloads.encode_absence(self._aad(key))
        else:
            kind = _SLIDING if life.window else _VALUE
            aad = self._aad(key) if payloads.binds else b""
            code, flags, payload = payloads.encode(value, aad)
        times = now + life.fresh, now + life.usable, life.fresh, cost, life.window
        own = self._own_name(key)
        return env.pack((flags, code, kind, fill, *times, node, stamps, own, payload))

    def pack_unkept(self, named: Iterable[tuple[str, Any]], *, now: float) -> list[bytes]:
        """The bytes of values that no cache keeps: entries with no life, no fill and no stamps. Raises `CodecError`."""
        heads: dict[tuple[int, int], bytes] = {}
        no_life, no_fill = Lifetime(0.0, 0.0), bytes(env.FILL_BYTES)
        payloads, packed = self._payloads, []
        for key, value in named:
            if value is ABSENT or self._keys.is_digest(key):
                packed.append(
                    self.pack(key, value, no_life, now=now, fill=no_fill, node=b"", stamps={})
                )
                continue
            aad = self._aad(key) if payloads.binds else b""
            code, flags, payload = payloads.encode(value, aad)
            head = heads.get((flags, code))
            if head is None:
                times = now, now, 0.0, 0.0, 0.0
                head = env.pack((flags, code, _VALUE, no_fill, *times, b"", {}, None, b""))
                heads[flags, code] = head
            packed.append(head + payload)
        return packed

    def pack_counter(
        self,
        key: str,
        number: int,
        life: Lifetime,
        *,
        now: float,
        fill: bytes,
        node: bytes,
        stamps: Stamps,
    ) -> tuple[bytes, bytes]:
        """A counter's entry, and the part of it that says what it was made from."""
        if self._payloads.sealed:
            raise ConfigurationError("counters cannot be sealed: count in a cache without seal=")
        digits = b"%d" % number
        times = now + life.fresh, now + life.usable, life.fresh, 0.0, 0.0
        own = self._own_name(key)
        data = env.pack((0, 0, _COUNTER, fill, *times, node, stamps, own, digits))
        return data, data[env.HEAD_BYTES : -len(digits)]

    def _own_name(self, key: str) -> str | None:
        """The full key, where the server's name for it is a digest."""
        return key if self._keys.is_digest(key) else None

    def open(self, key: str, data: bytes) -> Envelope:
        """The entry in `data`; `CodecError` if it makes no sense or belongs to another key."""
        envelope = env.unpack(data)
        if envelope.key is None and self._keys.is_digest(key):
            raise CodecError("an entry that does not say whose it is, where a digest is the name")
        if envelope.key is not None and envelope.key != key:
            raise CodecError("an entry of another key that has the same digest")
        return envelope

    def value(self, key: str, envelope: Envelope) -> Any:
        """The value of an entry; `ABSENT` for a negative one. Raises `CodecError`."""
        payloads = self._payloads
        if envelope.kind == _NEGATIVE:
            payloads.check_absence(envelope.code, envelope.flags, envelope.payload, self._aad(key))
            return ABSENT
        if envelope.kind == _COUNTER:
            return self._counted(envelope.payload)
        if envelope.kind not in (_VALUE, _SLIDING):
            raise CodecError("an entry of an unknown kind")
        return self.plain_value(key, envelope.code, envelope.flags, envelope.payload)

    def plain_value(self, key: str, code: int, flags: int, payload: bytes) -> Any:
        """The value of an entry that is neither an absence nor a counter. Raises `CodecError`."""
        aad = self._aad(key) if self._payloads.binds else b""
        return self._payloads.decode(code, flags, payload, aad)

    def declare(self, spec: Any) -> None:
        """Let objects of the classes in `spec` be stored. Raises `ConfigurationError`."""
        self._payloads.declare(spec)

    def likeness(self, data: bytes) -> Likeness | None:
        """What plain entries have in common with this one, if they are decoded without a further thought."""
        code, flags = data[2], data[1]
        decoder = self._payloads.bare_decoder(code, flags)
        return None if decoder is None else Likeness(data, *decoder)

    def _counted(self, digits: bytes) -> int:
        if self._payloads.sealed:
            raise CodecError("a counter, which cannot be sealed, in a cache that seals")
        if not _DIGITS(digits):
            raise CodecError("a counter that is no number")
        return int(digits)

    def _aad(self, key: str) -> bytes:
        return f"{self._keys.namespace}\0{key}".encode("utf-8", "surrogatepass")


def touched(life: Lifetime, now: float) -> tuple[bytes, bytes]:
    """The header bytes of another life: fresh and usable until; lifetime."""
    return struct.pack("<dd", now + life.fresh, now + life.usable), struct.pack("<f", life.fresh)


def remaining(envelope: Envelope, now: float) -> Lifetime:
    """What is left of an entry's life at wall-clock time `now`.

    Never more than it had in all, so that a writer whose clock is ahead cannot lend it extra life.
    """
    fresh = min(envelope.fresh_until - now, envelope.lifetime)
    extra = max(0.0, envelope.usable_until - envelope.fresh_until)
    return Lifetime(fresh, fresh + extra, envelope.window)


def to_entry(
    value: Any,
    life: Lifetime,
    policy: Policy,
    *,
    now: float,
    stamps: Stamps,
    ttl: float,
    cost: float = 0.0,
    fill: bytes = b"",
    draw: float = 1.0,
    careful: bool = False,
) -> Entry:
    """The entry for this process at monotonic time `now`. `ttl` is the whole freshness lifetime, for early refresh.

    Entries that need a thought at each hit are never hot: negative ones, kept errors, copies, and `careful` ones.
    """
    fresh = now + life.fresh
    usable = fresh if life.usable == life.fresh else now + life.usable  # one float, kept once
    early = refresh_point(policy, fresh, ttl=ttl, cost=cost, draw=draw)
    thoughtful = (
        careful
        or policy.copy
        or value is ABSENT
        or isinstance(value, CachedError)
        or isinstance(policy.ttl, AdaptiveTtl)
    )
    entry = Entry(value, usable)
    if fill:
        entry = stored = StoredEntry(value, usable)
        stored.cost, stored.fill = cost, fill
    entry.hot_until = ALWAYS if thoughtful else min(fresh, early)
    entry.refresh_from = early
    entry.fresh_until = fresh
    entry.stamps = stamps
    return entry


def clip(entry: Entry, policy: Policy, now: float) -> bool:
    """Limit an entry's stay in L1 to the policy's `l1_ttl`; False if it may not stay at all."""
    if policy.l1_ttl is None:
        return True
    end = now + as_float(policy.l1_ttl)
    # At both ends, so that what comes after is a read of L2 and not a refresh.
    entry.usable_until = min(entry.usable_until, end)
    entry.fresh_until = min(entry.fresh_until, end)
    entry.hot_until = min(entry.hot_until, end)
    return end > now


def to_sliding(value: Any, life: Lifetime, *, now: float, stamps: Stamps) -> SlidingEntry:
    """An entry of a cache without a server whose life each access extends."""
    limit = now + life.usable
    end = min(now + life.window, limit)
    entry = SlidingEntry(value, end)
    entry.hot_until = ALWAYS
    entry.stamps = stamps
    entry.window = life.window
    entry.age_limit = limit
    return entry
