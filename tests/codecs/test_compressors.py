"""Compressors give back what they were given and stop at the limit, whatever a payload claims."""

from __future__ import annotations

import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import lz4.block  # type: ignore[import-untyped]  # ships no types
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cachewright.codecs import Compressor, compressor_for
from cachewright.codecs.choose import compressor_by_code
from cachewright.errors import CodecError, ConfigurationError

NAMES = ["zlib", "lz4", "zstd"]
MIB = 1024 * 1024


def make(name: str) -> Compressor:
    compressor = compressor_for(name)
    assert compressor is not None
    return compressor


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=500) | st.binary(min_size=1, max_size=3).map(lambda b: b * 5_000))
def test_data_comes_back_and_fits_a_limit_of_its_own_size(name: str, data: bytes) -> None:
    compressor = make(name)
    packed = compressor.compress(data)
    assert compressor.decompress(packed, max_bytes=max(len(data), 1)) == data
    assert compressor.decompress(memoryview(packed), max_bytes=MIB) == data  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_security_12_one_byte_over_the_limit_is_refused(name: str) -> None:
    compressor = make(name)
    packed = compressor.compress(b"x" * 10_001)
    with pytest.raises(CodecError):
        compressor.decompress(packed, max_bytes=10_000)


def unsized_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


def lying_zstd(data: bytes, claim: int) -> bytes:
    """A frame whose header claims fewer bytes than it inflates to (RFC 8878 section 3.1.1.1)."""
    packed = bytearray(zstandard.ZstdCompressor(write_content_size=True).compress(data))
    size = len(data).to_bytes(4, "little")
    at = packed.index(size, 4, 16)
    packed[at : at + 4] = claim.to_bytes(4, "little")
    return bytes(packed)


def lying_lz4(data: bytes, claim: int) -> bytes:
    block: bytes = lz4.block.compress(data, store_size=False)
    return claim.to_bytes(4, "little") + block


BOMB = bytes(64 * MIB)
BOMBS = {
    "zlib": ("zlib", zlib.compress(BOMB, 9)),
    "lz4": ("lz4", lz4.block.compress(BOMB)),
    "lz4 that claims to be small": ("lz4", lying_lz4(BOMB, 100_000)),
    "lz4 that claims the impossible": ("lz4", b"\xff\xff\xff\x7f" + b"\x00" * 20),
    "zstd": ("zstd", zstandard.compress(BOMB)),
    "zstd that claims to be small": ("zstd", lying_zstd(BOMB, 100_000)),
    "zstd of unknown size": ("zstd", unsized_zstd(BOMB)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_security_12_a_bomb_stops_at_the_limit(bomb: str) -> None:
    """Defect 91: 64 MiB never exist; what is allocated stays near the limit of 1 MiB."""
    name, packed = BOMBS[bomb]
    compressor = make(name)
    compressor.decompress(compressor.compress(b"warm"), max_bytes=10)
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            compressor.decompress(packed, max_bytes=MIB)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * MIB
    finally:
        tracemalloc.stop()


def test_the_measure_of_memory_sees_an_unbounded_inflater() -> None:
    """Were the limit not there, the test above would fail."""
    tracemalloc.start()
    try:
        zlib.decompress(BOMBS["zlib"][1])
        assert tracemalloc.get_traced_memory()[1] > 60 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
def test_a_payload_cut_anywhere_is_refused(name: str) -> None:
    compressor = make(name)
    packed = compressor.compress(b"abcdefgh" * 40 + bytes(range(256)))
    for size in range(len(packed)):
        with pytest.raises(CodecError):
            compressor.decompress(packed[:size], max_bytes=MIB)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=80))
def test_bytes_of_any_kind_raise_codec_errors_only(name: str, data: bytes) -> None:
    compressor = make(name)
    try:
        assert len(compressor.decompress(data, max_bytes=1000)) <= 1000
    except CodecError as error:
        assert str(error)  # noqa: PT017 - nearly every input raises, but not every one


@pytest.mark.parametrize("name", NAMES)
def test_one_compressor_serves_many_threads(name: str) -> None:
    compressor = make(name)

    def work(seed: int) -> bool:
        data = bytes([seed]) * 50_000 + bytes(range(256))
        return all(
            compressor.decompress(compressor.compress(data), max_bytes=MIB) == data
            for _ in range(30)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(32)))


def test_codes_are_found_again_and_unknown_ones_are_not() -> None:
    for name in NAMES:
        assert compressor_by_code(make(name).code).name == name
    with pytest.raises(CodecError, match="unknown compressor 9"):
        compressor_by_code(9)


@pytest.mark.parametrize(("name", "package"), [("lz4", "lz4.block"), ("zstd", "zstandard")])
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"cachewright.codecs.{name}", raising=False)
    with pytest.raises(ConfigurationError, match=rf"cachewright\[{name}\]"):
        compressor_for(name)
