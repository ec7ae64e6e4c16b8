"""Traces as files: what is read, and what is refused with a message that says why."""

from __future__ import annotations

import gzip
import lzma
import os
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cachewright.simulation import TraceError, read_trace
from cachewright.simulation.trace import LONGEST_LINE, Layout

IDS = [70_000, 5, 70_000, 9, 5, 2**32 - 1]
NUMBERED = [0, 1, 0, 2, 1, 3]
RAW = b"".join(number.to_bytes(4, "little") for number in IDS)


def plain(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("pack", [plain, lzma.compress, gzip.compress])
def test_ids_are_numbered_as_they_appear(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "t.u32.xz").write_bytes(pack(RAW))
    trace = read_trace(tmp_path / "t.u32.xz")
    assert trace.ids == array("I", NUMBERED)
    assert trace.unique == 4
    assert len(set(trace.keys())) == 4


@pytest.mark.parametrize("pack", [plain, lzma.compress, gzip.compress])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_log_has_one_key_a_line(
    tmp_path: Path, pack: Callable[[bytes], bytes], end: bytes
) -> None:
    (tmp_path / "log").write_bytes(pack(end.join([b"a", b"b b", b"", b"a", b"\xff\xfe"])))
    trace = read_trace(tmp_path / "log")
    assert trace.ids == array("I", [0, 1, 0, 2])


def test_ids_are_known_by_their_bytes_when_the_name_is_silent(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(RAW)
    assert read_trace(tmp_path / "trace").ids == array("I", NUMBERED)


def test_the_layout_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "digits").write_bytes(b"abcdefghabcd")
    assert read_trace(tmp_path / "digits", layout="u32").ids == array("I", [0, 1, 0])
    assert read_trace(tmp_path / "digits").ids == array("I", [0])


@pytest.mark.parametrize("pack", [plain, lzma.compress])
def test_what_is_longer_than_a_piece_is_read_whole(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = array("I", (number * number % 1009 for number in range(5000)))
    (tmp_path / "t.u32").write_bytes(pack(ids.tobytes()))
    (tmp_path / "log").write_bytes(pack(b"\n".join(b"%d" % number for number in ids)))
    whole = read_trace(tmp_path / "t.u32"), read_trace(tmp_path / "log")
    monkeypatch.setattr("cachewright.simulation.trace._PIECE", 7)  # cuts ids and lines in two
    assert (read_trace(tmp_path / "t.u32"), read_trace(tmp_path / "log")) == whole
    assert whole[0].ids == whole[1].ids
    assert len(whole[0].ids) == 5000


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    packed = lzma.compress(RAW * 1000)
    (tmp_path / "t.u32.xz").write_bytes(packed)
    told: list[tuple[int, int]] = []
    read_trace(tmp_path / "t.u32.xz", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(packed), len(packed))


@pytest.mark.parametrize("pack", [plain, lzma.compress, gzip.compress])
def test_a_pipe_is_read_as_a_file_is(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as beside:
        writing = beside.submit(pipe.write_bytes, pack(RAW * 5000))
        trace = read_trace(pipe, progress=lambda done, total: pytest.fail(f"{done} of {total}?"))
        writing.result()
    assert len(trace.ids) == 30_000
    assert trace.ids[:6] == array("I", NUMBERED)


@pytest.mark.parametrize(
    ("data", "layout", "says"),
    [
        (b"", "auto", "holds no request"),
        (b"\n\r\n\n", "auto", "holds no request"),
        (RAW[:-1], "auto", "23 bytes are not a whole number of 32-bit ids"),
        (lzma.compress(RAW[:-1]), "u32", "23 bytes are not a whole number"),
        (lzma.compress(RAW * 99)[:-20], "auto", "xz data ends too early"),
        (gzip.compress(RAW * 99)[:-20], "auto", "gzip data ends too early"),
        (lzma.compress(RAW * 99)[:30] + bytes(99), "auto", "corrupt xz data"),
        (gzip.compress(RAW)[:-8] + bytes(8), "auto", "corrupt gzip data"),
        (b"a\n" + b"b" * (LONGEST_LINE + 1), "auto", "line 2 is longer than 65,536 bytes"),
        (b"b" * (1 << 22), "auto", "line 1 is longer than 65,536 bytes"),
    ],
    ids=lambda it: "data" if isinstance(it, bytes) else None,  # gzip data holds the time of day
)
def test_what_is_no_trace_is_refused(
    tmp_path: Path, data: bytes, layout: Layout, says: str
) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(TraceError, match=says) as caught:
        read_trace(tmp_path / "bad", layout=layout)
    assert str(tmp_path / "bad") in str(caught.value)


def test_a_raw_file_of_odd_length_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.u32").write_bytes(bytes((8 << 20) + 1))
    told: list[int] = []
    with pytest.raises(TraceError, match="whole number"):
        read_trace(tmp_path / "t.u32", progress=lambda done, _: told.append(done))
    assert max(told) <= 1 << 20  # the piece that shows what it is


def test_a_file_that_cannot_be_read_is_a_trace_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        read_trace(tmp_path / "absent")
    with pytest.raises(TraceError, match="directory"):
        read_trace(tmp_path)
