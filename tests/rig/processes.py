"""Fleets: one function in several fresh Python processes, which can be killed and paused.

A fleet's members get nothing from this process but the function's name, its arguments and sys.path,
as real workers would. What must not be here: forking, which would copy locks and connections.
"""

from __future__ import annotations

import importlib
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rig.waiting import eventually

# The thread ends the member when the fleet's process dies: then the pipe behind stdin closes.
_MEMBER = """
import os, sys, threading
def watch():
    sys.stdin.buffer.raw.read(1)
    os._exit(99)
threading.Thread(target=watch, daemon=True).start()
import pickle
with open(sys.argv[1], "rb") as order:
    sys.path[:] = pickle.load(order)
    from rig.processes import run_member
    run_member(sys.argv[1], sys.argv[2])
"""


class MemberFailed(Exception):
    """A member raised or ended without a result; the message holds what it printed."""


class Member:
    """One process of a fleet."""

    def __init__(self, order: Path, result: Path, log: Path) -> None:
        self._result = result
        self._log = log
        self.killed = False
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MEMBER, str(order), str(result)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self.killed = True
        self._process.kill()
        self._process.wait(10)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def pause(self) -> None:
        """SIGSTOP: as a long garbage collection or a suspended machine."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def result(self, timeout: float = 30.0) -> Any:
        """What the function returned. Raises `MemberFailed`, or `TimeoutError` after `timeout` s."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"member {self.pid} still runs\n{self._printed()}") from error
        if not self._result.exists():
            code = self._process.returncode
            raise MemberFailed(f"member {self.pid} ended with {code}\n{self._printed()}")
        return pickle.loads(self._result.read_bytes())

    def _printed(self) -> str:
        return self._log.read_text(errors="replace")


class Fleet:
    """Starts members and leaves none behind: `with Fleet() as fleet: fleet.start(work, 3, url=url)`."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._place = tempfile.TemporaryDirectory(prefix="cachewright-fleet-")

    @property
    def place(self) -> Path:
        """A directory for the members' files, gone with the fleet."""
        return Path(self._place.name)

    def start(self, fn: Callable[..., Any], n: int, **kwargs: Any) -> list[Member]:
        """Runs `fn(index, **kwargs)` in `n` new processes, `index` from 0.

        `fn` is a module-level function; arguments and results must pickle. Returns the new members.
        """
        new = [self._member(fn, index, kwargs) for index in range(n)]
        self.members += new
        return new

    def results(self, timeout: float = 30.0) -> list[Any]:
        """Of all members that were not killed, in the order of their start; `timeout` s for all."""
        deadline = time.monotonic() + timeout
        alive = [member for member in self.members if not member.killed]
        return [member.result(max(0.0, deadline - time.monotonic())) for member in alive]

    def counter(self, name: str) -> Counter:
        """A counter that members can be given as an argument."""
        return Counter(self.place / f"{name}.counter")

    def barrier(self, name: str, parties: int) -> Barrier:
        """A barrier that members can be given as an argument."""
        return Barrier(self.counter(f"{name}.barrier"), parties)

    def close(self) -> None:
        for member in self.members:
            member.kill()
        self._place.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _member(self, fn: Callable[..., Any], index: int, kwargs: dict[str, Any]) -> Member:
        stem = self.place / f"member-{len(self.members)}-{index}"
        order = stem.with_suffix(".order")
        call = (fn.__module__, fn.__qualname__, index, kwargs)
        order.write_bytes(pickle.dumps(sys.path) + pickle.dumps(call))
        return Member(order, stem.with_suffix(".result"), stem.with_suffix(".log"))


@dataclass(frozen=True)
class Counter:
    """Counts across processes: every step is one byte appended, which the kernel makes atomic."""

    path: Path

    @property
    def value(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, steps: int = 1) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(b"x" * steps)

    def reach(self, value: int, *, within: float = 10.0) -> None:
        """Waits until it is at `value`. Raises `AssertionError` after `within` seconds."""
        eventually(lambda: self.value >= value, within=within)


@dataclass(frozen=True)
class Barrier:
    """Lets nobody on before `parties` have arrived. It works once."""

    arrivals: Counter
    parties: int

    def wait(self, *, within: float = 10.0) -> None:
        """Raises `AssertionError` if the others have not come within that many seconds."""
        self.arrivals.add()
        self.arrivals.reach(self.parties, within=within)


def is_alive(pid: int) -> bool:
    """Whether the process runs or is paused. A zombie, not yet reaped by its parent, does not."""
    return process_state(pid)[:1] not in {"", "Z"}


def process_state(pid: int) -> str:
    """As `ps` writes it: "T" for a paused process, "" for none."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return shown.stdout.decode().strip()


def run_member(order: str, result: str) -> None:
    """Inside the member: makes the call and leaves its result, whole or not at all."""
    with open(order, "rb") as file:
        pickle.load(file)
        module, name, index, kwargs = pickle.load(file)
    value = getattr(importlib.import_module(module), name)(index, **kwargs)
    draft = Path(f"{result}.draft")
    draft.write_bytes(pickle.dumps(value))
    draft.rename(result)
