"""The pipeline: what is stored round-trips, and what is found raises `CodecError` or decodes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NewType, TypedDict, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachewright.codecs import (
    PayloadCodec,
    Sensitive,
    ValueTooLarge,
    codec_for,
    compressor_for,
)
from cachewright.codecs.aesgcm import Sealer
from cachewright.codecs.json import JsonCodec
from cachewright.codecs.msgpack import MsgpackCodec
from cachewright.codecs.payload import SEALED
from cachewright.codecs.pickle import SignedPickleCodec
from cachewright.errors import CodecError, ConfigurationError
from cachewright.types import Codec

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
FIRED: list[str] = []


def fire(mark: str) -> None:
    FIRED.append(mark)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self) -> Any:
        return fire, ("unpickled",)


@dataclass
class User:
    id: int
    name: str


def payload(codec: str, compressor: str | None, *, sealed: bool) -> PayloadCodec:
    codecs: dict[str, Codec] = {
        "msgpack": MsgpackCodec(),
        "typed": MsgpackCodec(list[User]),
        "json": JsonCodec(),
        "pickle": SignedPickleCodec([KEY]),
    }
    return PayloadCodec(
        codecs[codec],
        compressor=compressor_for(compressor),
        compress_above=100,
        sealer=Sealer([KEY]) if sealed else None,
        max_bytes=100_000,
    )


CONFIGURATIONS = [
    (codec, compressor, sealed)
    for codec in ("msgpack", "typed", "json", "pickle")
    for compressor in (None, "zlib", "lz4", "zstd")
    for sealed in (False, True)
]
ALL = [payload(codec, compressor, sealed=sealed) for codec, compressor, sealed in CONFIGURATIONS]
everywhere = pytest.mark.parametrize(
    "codec", ALL, ids=["-".join(map(str, c)) for c in CONFIGURATIONS]
)


def sample(codec: PayloadCodec) -> Any:
    if codec.codec.name == "msgpack-typed":
        return [User(i, "Grace Hopper") for i in range(40)]
    return [{"id": i, "name": "Grace Hopper"} for i in range(40)]


@everywhere
def test_values_come_back(codec: PayloadCodec) -> None:
    for value in (sample(codec), sample(codec)[:1]):
        code, flags, data = codec.encode(value, b"k")
        assert codec.decode(code, flags, data, b"k") == value
        assert codec.decode(code, flags, memoryview(data), b"k") == value  # type: ignore[arg-type]


@everywhere
@settings(max_examples=40)
@given(
    data=st.binary(max_size=60),
    code=st.integers(0, 255) | st.none(),
    flags=st.integers(0, 255) | st.sampled_from([0, 1, 2, 3, SEALED, SEALED | 1]),
)
def test_security_10_random_bytes_raise_codec_errors_only(
    codec: PayloadCodec, data: bytes, code: int | None, flags: int
) -> None:
    """Security 10 and 11, defect 7: nothing found in the cache reaches the caller as an exception."""
    code = codec.codec.code if code is None else code
    try:
        codec.decode(code, flags, data, b"k")
    except CodecError as error:
        assert str(error)  # noqa: PT017 - nearly every input raises, but not every one


@everywhere
def test_security_11_truncated_and_flipped_payloads_raise_codec_errors_only(
    codec: PayloadCodec,
) -> None:
    """Defect 7. A change that goes unnoticed must at least be one that no check was there to see."""
    value = sample(codec)
    code, flags, data = codec.encode(value, b"k")
    authentic = bool(flags & SEALED) or codec.codec.name == "pickle-signed"
    step = max(1, len(data) // 60)
    changed = [data[:at] for at in range(0, len(data), step)]
    changed += [
        data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
        for at in range(0, len(data), step)
    ]
    for bad in changed:
        try:
            back = codec.decode(code, flags, bad, b"k")
        except CodecError:
            continue
        assert not authentic or back == value


@everywhere
def test_security_10_unknown_codes_and_flags_are_refused(codec: PayloadCodec) -> None:
    code, flags, data = codec.encode(sample(codec), b"k")
    for bad_code in {0, 6, 99, 255, 300, -1} - {code}:
        with pytest.raises(CodecError):
            codec.decode(bad_code, flags, data, b"k")
    for bad_flags in (flags ^ SEALED, flags | 0x10, flags | 0x40, 9, 0x100, -1):
        with pytest.raises(CodecError):
            codec.decode(code, bad_flags, data, b"k")


@everywhere
def test_security_9_bare_pickle_is_never_loaded(codec: PayloadCodec) -> None:
    """Defect 81."""
    FIRED.clear()
    bare = pickle.dumps(Trap())
    for code in range(8):
        for flags in (0, 1, 2, 3, SEALED):
            for data in (bare, b"\x011" + bytes(32) + bare, compressed(bare, flags)):
                with pytest.raises(CodecError):
                    raise_unless_refused(codec, code, flags, data)
    assert FIRED == []
    pickle.loads(bare)
    assert FIRED == ["unpickled"]  # the trap works


def compressed(data: bytes, flags: int) -> bytes:
    name = {1: "zlib", 2: "lz4", 3: "zstd"}.get(flags)
    compressor = compressor_for(name)
    return data if compressor is None else compressor.compress(data)


def raise_unless_refused(codec: PayloadCodec, code: int, flags: int, data: bytes) -> None:
    # 0x80 0x05, how a pickle begins, is an empty msgpack map with bytes behind it: never a value.
    back = codec.decode(code, flags, data, b"k")
    raise AssertionError(back)


@pytest.mark.parametrize("codec", [c for c in ALL if c.codec.code == 5 or c.encode([], b"")[1]])
def test_security_14_a_payload_under_another_key_is_refused(codec: PayloadCodec) -> None:
    code, flags, data = codec.encode(sample(codec), b"ns\x00user:1")
    with pytest.raises(CodecError):
        codec.decode(code, flags, data, b"ns\x00user:2")


def test_security_14_the_codec_and_the_flags_are_authenticated() -> None:
    sealer = Sealer([KEY])
    one = PayloadCodec(MsgpackCodec(), sealer=sealer)
    two = PayloadCodec(MsgpackCodec(dict[str, int]), sealer=sealer)
    _, flags, data = one.encode({"a": 1}, b"k")
    with pytest.raises(CodecError, match="not sealed by a known key"):
        two.decode(6, flags, data, b"k")
    with pytest.raises(CodecError, match="not sealed by a known key"):
        one.decode(1, flags | 1, data, b"k")


def test_with_a_sealer_nothing_unsealed_is_read_and_the_other_way_round() -> None:
    bare, sealed = PayloadCodec(MsgpackCodec()), PayloadCodec(MsgpackCodec(), sealer=Sealer([KEY]))
    with pytest.raises(CodecError, match="unsealed"):
        sealed.decode(*bare.encode(1, b"k"), b"k")
    with pytest.raises(CodecError, match="no sealer"):
        bare.decode(*sealed.encode(1, b"k"), b"k")


def test_security_15_an_unknown_key_id_is_refused() -> None:
    written = PayloadCodec(MsgpackCodec(), sealer=Sealer([OTHER])).encode(1, b"k")
    with pytest.raises(CodecError, match="not among the read keys"):
        PayloadCodec(MsgpackCodec(), sealer=Sealer([KEY])).decode(*written, b"k")
    both = PayloadCodec(MsgpackCodec(), sealer=Sealer([KEY, OTHER]))
    assert both.decode(*written, b"k") == 1


def test_security_13_a_value_above_the_limit_is_refused_before_and_after_compression() -> None:
    for compressor in (None, "zstd"):
        codec = PayloadCodec(
            MsgpackCodec(), compressor=compressor_for(compressor), max_bytes=10_000
        )
        with pytest.raises(ValueTooLarge):
            codec.encode(b"x" * 10_001, b"k")
        written = codec.encode(b"x" * 9_997, b"k")
        assert codec.decode(*written, b"k") == b"x" * 9_997


def test_security_12_a_reader_with_a_smaller_limit_does_not_inflate() -> None:
    big = PayloadCodec(MsgpackCodec(), compressor=compressor_for("zstd"))
    small = PayloadCodec(MsgpackCodec(), compressor=compressor_for("zstd"), max_bytes=10_000)
    for value in (bytes(1_000_000), b"\x00" * 20_000):
        with pytest.raises(CodecError):
            small.decode(*big.encode(value, b"k"), b"k")
    plain = PayloadCodec(MsgpackCodec())
    with pytest.raises(CodecError):
        small.decode(*plain.encode(bytes(20_000), b"k"), b"k")


def test_only_what_gets_smaller_is_stored_compressed() -> None:
    codec = PayloadCodec(MsgpackCodec(), compressor=compressor_for("zstd"), compress_above=10)
    assert codec.encode("short", b"k")[1] == 0
    assert codec.encode("x" * 1000, b"k")[1] == 3
    assert codec.encode(bytes(range(256)), b"k")[1] == 0


@pytest.mark.parametrize("reader", [None, "zlib", "lz4", "zstd"])
@pytest.mark.parametrize("writer", [None, "zlib", "lz4", "zstd"])
def test_payloads_of_every_compressor_are_read_whatever_writes_now(
    writer: str | None, reader: str | None
) -> None:
    written = PayloadCodec(MsgpackCodec(), compressor=compressor_for(writer)).encode(
        "x" * 5_000, b"k"
    )
    back = PayloadCodec(MsgpackCodec(), compressor=compressor_for(reader)).decode(*written, b"k")
    assert back == "x" * 5_000


class Careless:
    """A codec of a user's, which breaks the rule about errors."""

    name = "careless"
    code = 77

    def encode(self, value: Any) -> bytes:
        return str(value["a"]).encode()

    def decode(self, data: bytes) -> Any:
        return data[10]


def test_errors_of_a_users_codec_become_codec_errors() -> None:
    codec = PayloadCodec(Careless())
    with pytest.raises(CodecError):
        codec.encode({}, b"k")
    with pytest.raises(CodecError):
        codec.decode(77, 0, b"", b"k")


T = TypeVar("T")
Secret = NewType("Secret", Annotated[str, Sensitive])


class Card(msgspec.Struct):
    holder: str
    number: Annotated[str, Sensitive]


class Wallet(msgspec.Struct):
    cards: list[Card] | None


@dataclass
class Token:
    __cachewright_sensitive__ = True
    value: str


class Login(TypedDict):
    password: Annotated[str, Sensitive()]


class Box(msgspec.Struct, Generic[T]):
    item: T


@pytest.mark.parametrize(
    "spec",
    [Card, Wallet, Token, Login, list[Card], dict[str, Token | None], Box[Card], Secret,
     Annotated[str, Sensitive], tuple[int, Annotated[str, Sensitive]]],
    ids=repr,
)  # fmt: skip
def test_security_16_a_sensitive_type_needs_a_sealer(spec: Any) -> None:
    for make in (MsgpackCodec, JsonCodec):
        with pytest.raises(ConfigurationError, match="sealer"):
            PayloadCodec(make(spec))
        PayloadCodec(make(spec), sealer=Sealer([KEY]))


def test_security_16_types_without_a_mark_need_none() -> None:
    for spec in (User, list[User], Box[int], dict[str, Any]):
        PayloadCodec(MsgpackCodec(spec))


@pytest.mark.parametrize(
    "value", [Card("a", "4711"), Token("t"), [{"deep": (Token("t"),)}], Wallet([Card("a", "1")])],
    ids=repr,
)  # fmt: skip
def test_security_16_sensitive_values_met_at_run_time_are_refused(value: Any) -> None:
    signed = SignedPickleCodec([KEY])
    with pytest.raises(CodecError):
        PayloadCodec(signed).encode(value, b"k")
    with pytest.raises(CodecError):
        PayloadCodec(MsgpackCodec()).encode(value, b"k")
    sealed = PayloadCodec(signed, sealer=Sealer([KEY]))
    written = sealed.encode(value, b"k")
    assert sealed.decode(*written, b"k") == value


class Shouting:
    """A codec of a user's that takes anything."""

    name = "shouting"
    code = 78

    def encode(self, value: Any) -> bytes:
        return repr(value).encode()

    def decode(self, data: bytes) -> Any:
        return data


def test_security_16_holds_for_a_users_codec_too() -> None:
    with pytest.raises(CodecError, match="sealer"):
        PayloadCodec(Shouting()).encode(Token("t"), b"k")
    PayloadCodec(Shouting(), sealer=Sealer([KEY])).encode(Token("t"), b"k")


def test_names_choose_codecs_and_unknown_ones_list_the_possible() -> None:
    assert codec_for().name == "msgpack"
    assert codec_for("json", list[int]).name == "json-typed"
    own = Careless()
    assert codec_for(own) is own
    assert compressor_for(None) is None
    for bad, match in (
        ("yaml", "json.*msgpack"),
        ("pickle", "SignedPickleCodec"),
        (object(), "name"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            codec_for(bad)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="type="):
        codec_for(own, int)
    with pytest.raises(ConfigurationError, match=r"lz4.*zlib.*zstd"):
        compressor_for("brotli")


def test_importing_the_room_loads_no_third_party_package_and_no_pickle_codec() -> None:
    code = (
        "import sys, cachewright.codecs\n"
        "bad = {'msgspec', 'zstandard', 'lz4', 'cryptography', 'cachewright.codecs.pickle'}\n"
        "sys.exit(str(bad & set(sys.modules)) if bad & set(sys.modules) else 0)"
    )
    path = [entry for entry in sys.path if entry]
    program = f"import sys; sys.path[:0] = {path!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
