"""Entries as bytes: what is packed comes back, and whatever else arrives is a `CodecError` and nothing more."""

from __future__ import annotations

import contextlib
import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cachewright.codecs import PayloadCodec, codec_for, compressor_for
from cachewright.codecs.aesgcm import Sealer
from cachewright.core import envelope as env
from cachewright.core.envelope import Envelope, Kind
from cachewright.core.keys import KeySpace
from cachewright.core.packing import Packer, clip, remaining, to_entry, to_sliding, touched
from cachewright.core.policy import AdaptiveTtl, Lifetime, Policy
from cachewright.errors import CodecError
from cachewright.types import ABSENT

FILL = b"fill-fill-12"
NODE = b"0123456789abcdef"
SECRETS = [("a", "one"), ("b", "two"), ("c", ABSENT)]


def single(value: float) -> float:
    """As the header's 32-bit fields keep it."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def an_envelope(**changes: Any) -> Envelope:
    fields = {
        "fill": FILL,
        "fresh_until": 100.0,
        "usable_until": 150.0,
        "lifetime": 60.0,
        "cost": 0.5,
        "stamps": {"n:": b"1:a:b@node"},
        "node": NODE,
        "payload": b"payload",
        "flags": 0,
        "code": 0,
        "kind": 0,
        "window": 0.0,
        "key": None,
    }
    return Envelope(**{**fields, **changes})


@given(
    fill=st.binary(min_size=12, max_size=12),
    fresh_until=st.floats(-1e12, 1e12),
    extra=st.floats(0, 1e6),
    lifetime=st.floats(0, 1e9).map(single),
    cost=st.floats(0, 1e6).map(single),
    window=st.floats(0, 1e6).map(single),
    stamps=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.binary(), max_size=4
    ),
    node=st.binary(max_size=40),
    payload=st.binary(max_size=200),
    code=st.integers(0, 255),
    flags=st.integers(0, 255),
    kind=st.integers(0, 255),
    key=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)
def test_every_field_comes_back(extra: float, fresh_until: float, **fields: Any) -> None:
    packed = Envelope(fresh_until=fresh_until, usable_until=fresh_until + extra, **fields)
    assert env.unpack(env.pack(packed)) == packed


@given(st.binary(max_size=300))
@example(b"")
@example(b"\x01")
def test_any_bytes_raise_codec_errors_only(data: bytes) -> None:
    with pytest.raises(CodecError):
        env.unpack(data)


def head(size: int, **changes: float) -> bytes:
    fields: dict[str, float] = {
        "fresh": 1.0,
        "usable": 2.0,
        "lifetime": 1.0,
        "cost": 0.0,
        "window": 0.0,
    }
    return struct.pack("<BBBB12sddfffI", 1, 0, 1, 0, FILL, *(fields | changes).values(), size)


@given(st.binary(max_size=60), st.binary(max_size=20))
@example(msgspec.msgpack.encode((b"n", {"t": b"s"}, None)).replace(b"t", b"\xff"), b"")
@example(b"\x93\xc4\x01n\x80\xa1\xff", b"")
@example(b"\x91" * 60, b"")
def test_any_meta_under_a_good_header_raises_codec_errors_only(meta: bytes, payload: bytes) -> None:
    """Meta is MessagePack from the server: text that is no UTF-8, too deep, of other types."""
    try:
        opened = env.unpack(head(len(meta)) + meta + payload)
    except CodecError:
        return
    assert isinstance(opened.stamps, dict)
    assert opened.payload == payload


@given(st.data())
def test_security_11_an_entry_cut_or_changed_anywhere_raises_codec_errors_only(data: Any) -> None:
    packed = env.pack(an_envelope(key="full key"))
    end = data.draw(st.integers(0, len(packed)))
    at = data.draw(st.integers(0, len(packed) - 1))
    changed = packed[:at] + bytes([data.draw(st.integers(0, 255))]) + packed[at + 1 :]
    for broken in (packed[:end], changed):
        with contextlib.suppress(CodecError):
            env.unpack(broken)
    with pytest.raises(CodecError):
        env.unpack(packed[: env.HEAD_BYTES])


@pytest.mark.parametrize(
    "nonsense",
    [
        {"usable": math.nan},
        {"usable": math.inf},
        {"fresh": math.nan},
        {"fresh": 3.0},
        {"lifetime": -1.0},
        {"lifetime": math.nan},
        {"cost": -1.0},
        {"cost": math.nan},
    ],
    ids=str,
)
def test_a_header_that_makes_no_sense_is_refused(nonsense: dict[str, float]) -> None:
    meta = msgspec.msgpack.encode((NODE, {}, None))
    assert env.unpack(head(len(meta)) + meta).lifetime == 1
    with pytest.raises(CodecError):
        env.unpack(head(len(meta), **nonsense) + meta)


def test_a_meta_length_beyond_the_end_is_refused() -> None:
    with pytest.raises(CodecError):
        env.unpack(head(2**32 - 1) + b"x" * 100)


@pytest.mark.parametrize("version", [0, 2, 3, 255])
def test_another_version_is_unreadable_so_that_two_releases_share_a_server(version: int) -> None:
    with pytest.raises(CodecError, match="version"):
        env.unpack(bytes([version]) + env.pack(an_envelope())[1:])


def test_the_offsets_that_the_scripts_rely_on() -> None:
    data = env.pack(an_envelope(kind=Kind.COUNTER, window=7.0))
    assert env.HEAD_BYTES == 48
    assert (data[0], data[3], data[env.FILL]) == (env.VERSION, 4, FILL)
    assert struct.unpack_from("<dd", data, 16) == (100.0, 150.0)
    assert struct.unpack_from("<fff", data, 32) == (60.0, 0.5, 7.0)
    size = struct.unpack_from("<I", data, 44)[0]
    assert data[48 + size :] == b"payload"


def packer(**options: Any) -> Packer:
    return Packer(PayloadCodec(codec_for(), **options), KeySpace("ns"))


def packed(keys: Packer, key: str, value: Any, life: Lifetime | None = None) -> bytes:
    lasting = life or Lifetime(60, 90)
    return keys.pack(key, value, lasting, now=1000.0, fill=FILL, node=NODE, stamps={"n:": b"s"})


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, b"", 0.0, (), {"a": [1]}], ids=repr)
def test_a_value_comes_back_from_its_bytes_whatever_its_truth(value: Any) -> None:
    keys = packer()
    envelope = keys.open("k", packed(keys, "k", value))
    got = keys.value("k", envelope)
    assert (type(got), got) == (type(value), value)


@pytest.mark.parametrize("options", [{}, {"compressor": compressor_for("zlib")}], ids=["", "zlib"])
def test_what_nobody_keeps_is_packed_as_an_entry_without_a_life(options: dict[str, Any]) -> None:
    keys = packer(**options)
    named = [
        ("a", {"a": 1}),
        ("b", "x" * 5_000),
        ("c", ABSENT),
        ("é", 1),
        ("x" * 600, [2]),
        ("d", 3),
    ]
    packed_alone = [
        keys.pack(key, value, Lifetime(0, 0), now=9.0, fill=bytes(12), node=b"", stamps={})
        for key, value in named
    ]
    assert keys.pack_unkept(named, now=9.0) == packed_alone


def test_what_nobody_keeps_is_sealed_for_its_key() -> None:
    keys = packer(sealer=Sealer({"k1": bytes(32)}))
    for (key, value), data in zip(SECRETS, keys.pack_unkept(SECRETS, now=9.0), strict=True):
        assert keys.value(key, keys.open(key, data)) == value
        with pytest.raises(CodecError):
            keys.value("other", keys.open("other", data))


def test_what_is_absent_comes_back_as_absent_without_a_payload() -> None:
    keys = packer()
    envelope = keys.open("k", packed(keys, "k", ABSENT))
    assert keys.value("k", envelope) is ABSENT
    assert envelope.payload == b""


def test_a_counter_is_digits_at_the_end() -> None:
    keys = packer()
    begin, meta = keys.pack_counter(
        "k", -7, Lifetime(60, 60), now=0.0, fill=FILL, node=NODE, stamps={"n:": b"s"}
    )
    assert begin[48:] == meta + b"-7"
    assert keys.value("k", keys.open("k", begin)) == -7


@pytest.mark.parametrize("kind", [3, 5, 6, 8, 255])
def test_a_kind_of_a_later_release_is_a_codec_error(kind: int) -> None:
    with pytest.raises(CodecError, match="kind"):
        packer().value("k", an_envelope(kind=kind))


@pytest.mark.parametrize("digits", [b"", b"x", b"1.5", b"\xff"])
def test_a_counter_that_is_no_number_is_a_codec_error(digits: bytes) -> None:
    with pytest.raises(CodecError):
        packer().value("k", an_envelope(kind=Kind.COUNTER, payload=digits))


@pytest.mark.parametrize("key", ["long" * 200, "with space", "é"])
def test_security_04_where_the_name_is_a_digest_the_full_key_is_compared(key: str) -> None:
    keys = packer()
    data = packed(keys, key, 1)
    assert keys.value(key, keys.open(key, data)) == 1
    with pytest.raises(CodecError, match="another key"):
        keys.open(key + "2", data)


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e5), st.floats(0, 1e5))
def test_a_writer_whose_clock_is_ahead_lends_no_extra_life(
    skew: float, fresh: float, extra: float
) -> None:
    envelope = an_envelope(
        fresh_until=skew + fresh, usable_until=skew + fresh + extra, lifetime=single(fresh)
    )
    left = remaining(envelope, 0.0)
    assert left.fresh <= single(fresh)
    assert left.usable - left.fresh <= extra + 1e-3


def test_a_touched_header_is_another_life() -> None:
    data = bytearray(env.pack(an_envelope()))
    times, lifetime = touched(Lifetime(10, 20), 1000.0)
    data[16:36] = times + lifetime
    opened = env.unpack(bytes(data))
    assert (opened.fresh_until, opened.usable_until, opened.lifetime) == (1010, 1020, 10)
    assert opened.payload == b"payload"


def test_the_stay_in_l1_is_clipped_at_both_ends() -> None:
    policy = Policy(l1_ttl=5)
    entry = to_entry(1, Lifetime(60, 90), policy, now=100.0, stamps={}, ttl=60)
    assert clip(entry, policy, 100.0)
    assert (entry.hot_until, entry.fresh_until, entry.usable_until) == (105, 105, 105)
    longer = Policy(l1_ttl=500)
    entry = to_entry(1, Lifetime(60, 90), longer, now=100.0, stamps={}, ttl=60)
    assert clip(entry, longer, 100.0)
    assert (entry.hot_until, entry.fresh_until, entry.usable_until) == (160, 160, 190)
    assert not clip(entry, Policy(l1_ttl=0), 100.0)


def test_every_hit_of_an_adaptive_entry_is_counted_so_none_is_hot() -> None:
    entry = to_entry(1, Lifetime(9, 9), Policy(ttl=AdaptiveTtl()), now=0.0, stamps={}, ttl=9)
    assert entry.hot_until < 0


def test_a_sliding_entry_ends_after_one_window_and_never_after_its_age_limit() -> None:
    entry = to_sliding(1, Lifetime(240, 240, 10), now=100.0, stamps={})
    assert (entry.fresh_until, entry.usable_until, entry.age_limit) == (110, 110, 340)
    assert to_sliding(1, Lifetime(5, 5, 10), now=100.0, stamps={}).usable_until == 105
