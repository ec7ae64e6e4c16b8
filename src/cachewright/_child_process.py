"""A child process that does not outlive this one: on Linux not even when this one gets SIGKILL.

What must not be here: what the child is for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from cachewright.errors import ConfigurationError

# Becomes the command by exec, so that no code of ours runs between fork and exec in this, perhaps
# threaded, process. The parent may have died before prctl: then nobody would be left to tell us.
_LAUNCHER: Final = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class ChildProcess:
    """A process and the thread that started it and stays until it has ended.

    Linux sends the parent-death signal when the *thread* that forked ends (prctl(2)), so a child
    started straight from a short-lived worker thread would die with that.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        """Starts `command`, its output in `log`. Raises `ConfigurationError` if that cannot be."""
        self._started = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._keep, args=(command, log), daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise ConfigurationError(f"cannot execute {command[0]}: {self._failure}")

    @property
    def pid(self) -> int:
        """Stays what it was when the process has ended."""
        if self._process is None:
            raise ConfigurationError("the process was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives; in a forked child, whether it lived at the fork."""
        return self._process is not None and self._process.returncode is None

    def join(self, timeout: float) -> None:
        """Waits for the process to end, `timeout` seconds at most."""
        self._thread.join(timeout)

    def _keep(self, command: list[str], log: Path) -> None:
        try:
            self._process = _spawn(command, log)
        except OSError as failure:
            self._failure = failure
        self._started.set()
        if self._process is not None:
            self._process.wait()


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - a list, no shell, and only our callers choose it
            [*_launcher(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the application
        )


def _launcher() -> list[str]:
    """What to put before the command; nothing outside Linux and in hosts such as uWSGI."""
    python = Path(sys.executable or "")
    if sys.platform != "linux" or not python.name.startswith(("python", "pypy")):
        return []
    return [str(python), "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
