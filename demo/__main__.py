"""`python -m demo`: the command line of the flights demo. Nothing is decided here but its options."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from subprocess import SubprocessError
from types import FrameType

from cachewright.embedded import EmbeddedServer
from demo import data, questions, sqlite
from demo.asking import Desk
from demo.database import Database, Loaded, ensure_loaded
from demo.report import Report, as_json
from demo.tour import tour

FOLDER = Path(__file__).resolve().parent.parent / ".demo"
LEAST = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every check holds, 1 if one does not, 2 without data, 130 after Ctrl-C."""
    options = _options(arguments)
    report = Report(sys.stderr if options.json else sys.stdout)
    try:
        with _folder(options) as folder, _database(options, folder, report) as database:
            return _run(options, folder, database, report=report)
    except KeyboardInterrupt:
        report.say("Stopped; no server is left running.")
        return 130
    except data.Unavailable as error:
        report.say(f"Cannot start: {error}.")
        return 2


def _run(options: argparse.Namespace, folder: Path, database: Database, *, report: Report) -> int:
    loaded = _loaded(options, folder, database, report=report)
    report.loaded(loaded, database.title)
    plan = questions.plan(database)
    with EmbeddedServer() as server:
        findings = tour(Desk(server.url, database, plan))
    report.findings(findings, plan)
    if options.json:
        print(as_json(findings, loaded, database.title))
    return 0 if findings.all_hold else 1


def _loaded(
    options: argparse.Namespace, folder: Path, database: Database, *, report: Report
) -> Loaded:
    def archive() -> Path:
        if options.archive:
            return data.verified(options.archive)
        if not (folder / data.ARCHIVE).exists():
            report.say(f"Fetching {data.ARCHIVE} (9 MB) with pip.")
        return data.fetch(folder)

    with report.loading() as progress:
        return ensure_loaded(
            database, archive, limit=options.flights, progress=progress, reset=options.reset
        )


@contextmanager
def _folder(options: argparse.Namespace) -> Iterator[Path]:
    """Where archive and database are, for this process alone while the context is open."""
    if not options.keep:
        with tempfile.TemporaryDirectory(prefix="flights-") as folder:
            yield Path(folder)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    with (options.folder / "in-use").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise data.Unavailable(f"another demo is using {options.folder}") from error
        yield options.folder


@contextmanager
def _database(options: argparse.Namespace, folder: Path, report: Report) -> Iterator[Database]:
    # A slice never has the name of the whole.
    name = "flights" if options.flights is None else f"flights_first_{options.flights}"
    if not options.postgres:
        report.say("SQLite answers, because --no-postgres was given.")
        with sqlite.opened(folder / f"{name}.sqlite") as database:
            yield database
        return
    if os.geteuid() == 0:
        report.say(
            "You are root, and PostgreSQL refuses to be: it runs as the user pgserver, who is added "
            f"if need be, and the folders above {folder} become readable for every user."
        )
    with ExitStack() as stack:
        try:
            served = stack.enter_context(_postgres(folder / "postgres", name))
        except (ImportError, OSError, SubprocessError) as error:
            raise data.Unavailable(f"PostgreSQL: {error}; try --no-postgres") from error
        yield served


def _postgres(folder: Path, name: str) -> AbstractContextManager[Database]:
    # Its wheel warns about a variable that servers and containers rarely have.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from demo import postgres  # here, so that --no-postgres works without the wheel

    return postgres.opened(folder, name)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="A year of real flights, asked of a real database through cachewright.",
    )
    add = parser.add_argument
    add(
        "--flights",
        type=_enough,
        metavar="N",
        help=f"load the first N flights only (at least {LEAST})",
    )
    add("--no-postgres", dest="postgres", action="store_false", help="use SQLite instead")
    add("--no-keep", dest="keep", action="store_false", help="leave nothing behind")
    add("--reset", action="store_true", help="load the data again")
    add("--json", action="store_true", help="print the findings as JSON, the rest to stderr")
    add("--folder", type=Path, default=FOLDER, metavar="DIR", help="where data is kept (.demo)")
    add("--archive", type=Path, metavar="FILE", help=f"a copy of {data.ARCHIVE}: no download")
    return parser.parse_args(arguments)


def _enough(text: str) -> int:
    """Fewer flights may lack the second plane that the tour needs."""
    number = int(text)
    if number < LEAST:
        raise argparse.ArgumentTypeError(f"must be at least {LEAST}")
    return number


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())
