"""The row on bytes: our envelope with the default codec beside codecs alone."""

from __future__ import annotations

import json
import pickle
import time
from typing import Any

import msgspec

from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.values import HUNDRED, SMALL, TTL
from cachewright import Cache
from cachewright.core.entry import Stamps
from cachewright.core.policy import Lifetime

_LIFE = Lifetime(float(TTL), float(TTL))
_STAMPS: Stamps = {"ns": b"17:0123456789abcdef0123456789"}
_WHOLE: dict[str, Any] = {
    "now": time.time(),
    "fill": b"0123456789ab",
    "node": b"0123456789abcdef0123456789abcdef01234567",
    "stamps": _STAMPS,
}


def _parts(stage: Stage) -> dict[str, Any]:
    """What the engine packs and opens entries with."""
    cache = Cache()
    stage.closing(cache.close)
    packer = cache.engine.packer

    def pack(key: str) -> bytes:
        return packer.pack(key, SMALL, _LIFE, **_WHOLE)

    def open_fully(key: str, data: bytes) -> Any:
        return packer.value(key, packer.open(key, data))

    data = pack(HUNDRED[0])
    likeness = packer.likeness(data)
    if likeness is None:
        raise RuntimeError("the default codec's entries can be opened the short way")
    read, now = likeness.read, time.time()

    def open_(key: str, data: bytes) -> Any:
        """What a hit does with an entry that is like the last one; else it does `open_fully`."""
        found = read(data, now)
        return open_fully(key, data) if found is None else found[0]

    if open_(HUNDRED[0], data) != SMALL or open_fully(HUNDRED[0], data) != SMALL:
        raise RuntimeError("the value did not come back")
    return {"pack": pack, "open_": open_, "open_fully": open_fully, "data": data}


def _both(stage: Stage) -> Measure:
    parts = _parts(stage)
    return stage.timed("open_(key, pack(key))", HUNDRED, open_=parts["open_"], pack=parts["pack"])


def _pack(stage: Stage) -> Measure:
    return stage.timed("pack(key)", HUNDRED, pack=_parts(stage)["pack"])


def _open(stage: Stage) -> Measure:
    parts = _parts(stage)
    return stage.timed("open_(key, data)", HUNDRED, open_=parts["open_"], data=parts["data"])


def _open_fully(stage: Stage) -> Measure:
    parts = _parts(stage)
    return stage.timed("open_(key, data)", HUNDRED, open_=parts["open_fully"], data=parts["data"])


def _roundtrip(encode: Any, decode: Any) -> Any:
    def prepare(stage: Stage) -> Measure:
        if decode(encode(SMALL)) != SMALL:
            raise RuntimeError("the value did not come back")
        return stage.timed(
            "decode(encode(value))", HUNDRED, encode=encode, decode=decode, value=SMALL
        )

    return prepare


def _msgpack(stage: Stage) -> Measure:
    import msgpack

    measure: Measure = _roundtrip(msgpack.packb, msgpack.unpackb)(stage)
    return measure


_ENCODE, _DECODE = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def _encoding(stage: Stage) -> Measure:
    return stage.timed("encode(value)", HUNDRED, encode=_ENCODE, value=SMALL)


def _decoding(stage: Stage) -> Measure:
    return stage.timed("decode(data)", HUNDRED, decode=_DECODE, data=_ENCODE(SMALL))


BOTH = Row(
    number=11,
    name="codec",
    title="Envelope and default codec, a dict of 200 bytes, there and back",
    unit="ns",
    reference="msgspec msgpack",
    clock="cpu",
    note="Our entries carry a lifetime, stamps and the id of the server's node; the codecs carry the value alone.",
    cases=(
        ours("pack + open", _both),
        ours("pack alone", _pack),
        ours("open alone", _open),
        ours("open alone, unlike the last", _open_fully),
        floor("msgspec msgpack", _roundtrip(_ENCODE, _DECODE)),
        floor("msgspec msgpack, encode alone", _encoding),
        floor("msgspec msgpack, decode alone", _decoding),
        Case("pickle 5", _roundtrip(lambda value: pickle.dumps(value, 5), pickle.loads)),
        Case("msgpack", _msgpack),
        Case("json", _roundtrip(json.dumps, json.loads)),
    ),
    targets=(
        Target(case="cachewright pack + open", limit=1.5, against=("msgspec msgpack",)),
        Target(
            case="cachewright open alone", limit=1.5, against=("msgspec msgpack, decode alone",)
        ),
        Target(
            case="cachewright pack alone", limit=1.5, against=("msgspec msgpack, encode alone",)
        ),
    ),
)

ROWS = (BOTH,)
