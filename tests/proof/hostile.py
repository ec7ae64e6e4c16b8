"""Entries as an attacker or a broken machine would leave them, for every codec, compressor and seal.

What must not be here: reading them.
"""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cachewright.codecs import compressor_for
from cachewright.codecs.aesgcm import Sealer
from cachewright.codecs.pickle import SignedPickleCodec
from cachewright.core import envelope as env
from cachewright.core.keys import KeySpace
from cachewright.core.packing import Packer
from cachewright.core.policy import Lifetime
from cachewright.options import Options, payloads_of
from cachewright.types import ABSENT
from rig.mutations import mutate

NOW = 1_000_000.0
MOST = 1024 * 1024
"""Bytes that a value may have."""
BOMB = 64 * 1024 * 1024
SECRET = b"s" * 32
PLAIN, DIGEST = "user:{n}", "url:https://example.org/{n}?" + "q" * 600
"""Keys that are their own name at the server, and keys whose name is a digest."""


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return exec, ("caught = True",)


TRAP = pickle.dumps(Trap())


@dataclass(frozen=True)
class Typed:
    """What a typed codec decodes."""

    name: str
    number: int
    parts: list[str]


@dataclass(frozen=True)
class Config:
    """One way to store values. `authentic`: what was damaged or moved cannot come back as another value."""

    name: str
    options: Mapping[str, Any]
    authentic: bool

    @property
    def packer(self) -> Packer:
        """What a cache with these options packs and opens with."""
        return Packer(payloads_of(Options(max_value_bytes=MOST, **self.options)), KeySpace("fuzz"))


def configs() -> list[Config]:
    """All codecs, bare, with each compressor, and sealed."""
    codecs: dict[str, dict[str, Any]] = {
        "msgpack": {"codec": "msgpack"},
        "typed": {"codec": "msgpack", "type": Typed},
        "json": {"codec": "json"},
        "pickle": {"codec": SignedPickleCodec([SECRET])},
    }
    made = []
    for name, codec in codecs.items():
        for compressor in (None, "zlib", "zstd", "lz4"):
            for seal in (None, Sealer([SECRET])):
                how = {"compress": compressor, "compress_above": 32, "seal": seal}
                label = "+".join([name, *filter(None, [compressor, "sealed" if seal else None])])
                made.append(Config(label, codec | how, seal is not None))
    return made


def _values(config: Config) -> list[Any]:
    if config.options.get("type") is Typed:
        return [Typed("a" * n, n, ["b"] * n) for n in (0, 3, 50)]
    plain = [None, 0, -1.5, "x" * 200, [1, [2, [3]]], {"a": {"b": [True, None]}}, list(range(300))]
    if config.name.startswith("json"):
        return plain
    return [
        *plain,
        b"\0" * 100,
        {1, 2},
        (1, "2"),
        Decimal("1.50"),
        datetime(2013, 1, 1, tzinfo=UTC),
    ]


@dataclass(frozen=True)
class Stored:
    """An entry as the engine wrote it."""

    key: str
    value: Any
    data: bytes


def entries(config: Config) -> list[Stored]:
    """Each value under both kinds of keys; and an absence."""
    values = [*_values(config), ABSENT]
    keys = [key.format(n=n) for n in range(len(values)) for key in (PLAIN, DIGEST)]
    doubled = [value for value in values for _ in range(2)]
    return [
        Stored(key, value, _pack(config, key, value))
        for key, value in zip(keys, doubled, strict=True)
    ]


def _pack(config: Config, key: str, value: Any) -> bytes:
    return config.packer.pack(
        key,
        value,
        Lifetime(60, 120),
        now=NOW,
        fill=os.urandom(env.FILL_BYTES),
        node=b"n" * 16,
        stamps={"t:one": b"1:stamp", "t:two": b"2:stamp"},
    )


def bombs() -> list[tuple[int, bytes]]:
    """(flags, payload) of payloads that are small and ask for much; made where memory does not matter."""
    zeros = bytes(BOMB)
    nested = b"\x91" * 500_000
    return [
        (1, _squeezed("zlib", zeros)),
        (2, _squeezed("lz4", zeros)),
        (2, (2**31).to_bytes(4, "little") + b"\xff" * 1000),
        (3, _squeezed("zstd", zeros)),
        (1, _squeezed("zlib", _squeezed("zlib", zeros))),
        (0, nested),
        (0, b"[" * 500_000),
        (0, b"\xdd\xff\xff\xff\xff" + b"\x01" * 1000),
        (0, b"\xdf\xff\xff\xff\xff" + b"\x01" * 1000),
        (0, b"\xc9\xff\xff\xff\xff\x01"),
        (0, b"9" * 900_000),
        (0, b'"' + b"\\u0000" * 100_000),
        (0, b"\x81" * 100_000),
        (0, TRAP),
        (0, b"\x80\x05\x96" + (2**40).to_bytes(8, "little")),
    ]


def _squeezed(name: str, data: bytes) -> bytes:
    compressor = compressor_for(name)
    assert compressor is not None
    return compressor.compress(data)


@dataclass(frozen=True)
class Hostile:
    """Bytes in the place of the entry of `key`; `truth` is what was stored there."""

    kind: str
    key: str
    data: bytes
    truth: Any
    tied: bool = False
    """Whether the engine promises to see that the entry is another key's."""


def hostile(
    draw: random.Random,
    config: Config,
    stored: Sequence[Stored],
    payloads: Sequence[tuple[int, bytes]],
) -> Iterator[Hostile]:
    """Without end: mostly damaged entries, some that were moved, some with bombs inside."""
    while True:
        one, other = draw.choice(stored), draw.choice(stored)
        lot = draw.random()
        if lot < 0.1 and one.key != other.key:
            tied = config.authentic or len(one.key) > 512
            yield Hostile("moved", other.key, one.data, other.value, tied)
        elif lot < 0.11:
            yield Hostile("bombs", one.key, _armed(draw, one.data, payloads), one.value)
        else:
            data = mutate(draw, one.data, other.data)
            if data != one.data:
                yield Hostile("damaged", one.key, data, one.value)


def _armed(draw: random.Random, data: bytes, payloads: Sequence[tuple[int, bytes]]) -> bytes:
    """The entry with one of these payloads, under every codec's code in turn."""
    flags, payload = draw.choice(payloads)
    end = env.HEAD_BYTES + int.from_bytes(data[44:48], "little")
    head = bytearray(data[:end])
    head[1] = flags | draw.choice((0, 0, 0x80))
    head[2] = draw.choice((head[2], head[2], head[2], draw.randrange(8)))
    head[3] = draw.choice((0, 0, 0, 1, 2, 4))
    return bytes(head) + payload
