"""Experiment: the power fails under the server of a write-behind, and its log is as long as it was at the last sync.

`strace` logs what the server writes to its append-only file and when each fdatasync of it began and ended. Then the server is
killed, the file is cut back to what had been written before the last sync that ended had begun, and the server started again.
What must not be here: kills that leave the kernel its memory (`write_behind_crashes`).
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cachewright.errors import CacheError
from proof import behind
from proof.behind import EVERY_SECOND, SYNCED, Notes, Shop, opened_database, opened_shop
from proof.experiment import Experiment, Measured, Number, Run
from rig.waiting import eventually

ALLOWED, THREADS = 2.0, 4
"""Seconds of writes that `aof` may lose, and threads that write."""
SPAN = "lost, seconds of writes"
NOT_REWRITTEN = {"auto-aof-rewrite-percentage": "0"}
"""The log stays one file, whose length can be followed."""
CALLS = "trace=write,fdatasync,fsync"
_LINE = re.compile(
    r"^(?P<pid>\d+) +(?P<at>[\d.]+) (?:"
    r"(?P<call>write|fdatasync|fsync)\(\d+<(?P<path>[^>]*)>"
    r"|<\.\.\. (?P<resumed>write|fdatasync|fsync) resumed>)"
    r".*?(?:= (?P<result>-?\d+)|(?P<unfinished><unfinished \.\.\.>))"
).match
_LOG = re.compile(r".*\.incr\.aof$").match


@dataclass
class Disk:
    """What strace says about the log that is written: `written` bytes, of them `synced` for certain."""

    path: str = ""
    written: int = 0
    synced: int = 0
    synced_at: float = 0.0
    """When the last sync that ended had begun, in seconds since the Unix epoch."""
    _under_way: dict[str, tuple[str, str, int, float]] = field(default_factory=dict)

    def heard(self, lines: Iterable[str]) -> Disk:
        """One line after the other."""
        for line in lines:
            found = _LINE(line)
            if found is None:
                continue
            pid, at = found["pid"], float(found["at"])
            if found["call"]:
                begun = (found["call"], found["path"], self.written, at)
            else:
                begun = self._under_way.pop(pid, ("", "", 0, 0.0))
            if found["unfinished"]:
                self._under_way[pid] = begun
            else:
                self._ended(*begun, result=int(found["result"]))
        return self

    def _ended(self, call: str, path: str, before: int, at: float, *, result: int) -> None:
        if not _LOG(path) or result < 0:
            return
        self.path = path
        if call == "write":
            self.written += result
        else:
            self.synced, self.synced_at = max(self.synced, before), max(self.synced_at, at)


@contextlib.contextmanager
def traced(server: Any, place: Path) -> Iterator[Path]:
    """The trace of a running server."""
    log = place / "trace"
    command = ["strace", "-f", "-ttt", "-y", "-s", "0", "-e", CALLS, "-o", str(log)]
    tracer = subprocess.Popen([*command, "-p", str(server.pid)], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _is_traced(server.pid), within=10)
        yield log
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)


def _is_traced(pid: int) -> bool:
    statuses = Path(f"/proc/{pid}/task").glob("*/status")
    return all("TracerPid:\t0" not in status.read_text() for status in statuses)


def write_for(seconds: float, shop: Shop, server: Any) -> dict[int, float]:
    """Rows one after the other, of several threads, until the server is gone; by row when it was acknowledged."""
    acknowledged: dict[int, float] = {}
    begun, ended = Notes(shop, 0, "begun"), Notes(shop, 0, "acknowledged")
    lock, gone = threading.Lock(), threading.Event()
    door = shop.door(worker=False, partitions=4)

    def write(thread: int) -> None:
        number = thread
        while not gone.is_set():
            one = [behind.row(number, 1)]
            with lock:
                begun.add(one)
            with contextlib.suppress(CacheError):
                door.put_many(one)
                with lock:
                    acknowledged[number] = time.time()
                    ended.add(one)
            number += THREADS

    threads = [threading.Thread(target=write, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    server.kill()
    gone.set()
    for thread in threads:
        thread.join()
    door.cache.close()
    return acknowledged


def measure(run: Run, durability: str, config: dict[str, str], **options: Any) -> Measured:
    """One power loss."""
    with opened_shop({**config, **NOT_REWRITTEN}, durability=durability, **options) as (
        shop,
        server,
    ):
        place = shop.place
        sizes = {path: path.stat().st_size for path in (place / "server").rglob("*.incr.aof")}
        with traced(server, place) as trace:
            acknowledged = write_for(run.pick(1.5, 8.0), shop, server)
        disk = Disk().heard(trace.read_text().splitlines())
        cut = _cut(disk, sizes)
        server.start()
        assert behind.drain(shop.with_options(partitions=4), within=60)
        lost, count = behind.lost_rows(shop)
        held = shop.content()
        gone = [at for row, at in acknowledged.items() if row not in held]
        span = max(acknowledged.values()) - min(gone) if gone else 0.0
        numbers: dict[str, Number] = {
            "acknowledged": count,
            "lost": lost,
            "bytes cut off": cut,
            "bytes of the log": disk.written,
            SPAN: round(span, 2),
        }
        return Measured(lost, numbers)


def _cut(disk: Disk, sizes: dict[Path, int]) -> int:
    """Cut the log back; by how many bytes."""
    if not sizes:
        return 0  # no log at all
    ((path, before),) = sizes.items()
    # The end of a write during which the server was killed is not in the trace; nothing was acknowledged by it.
    assert path.stat().st_size >= before + disk.written, "strace has seen more than there is"
    with path.open("r+b") as file:
        file.truncate(before + disk.synced)
    return disk.written - disk.synced


def _ours(run: Run) -> Measured:
    if shutil.which("strace") is None:
        return Measured(0, {"left out": "strace is not installed"}, ("strace is not installed",))
    ways = {"fsync": ("fsync", SYNCED), "aof": ("aof", EVERY_SECOND)}
    if run.size == "full":
        ways["fsync by WAITAOF"] = ("fsync", EVERY_SECOND)
    numbers: dict[str, Number] = {}
    violations = 0
    with opened_database() as database:
        for way, (durability, config) in ways.items():
            found = measure(run, durability, config, database=database)
            excused = way == "aof" and float(found.numbers[SPAN]) <= ALLOWED
            violations += 0 if excused else found.violations
            numbers |= {f"{way}: {name}": number for name, number in found.numbers.items()}
    return Measured(violations, numbers)


def _control(run: Run) -> Measured:
    if shutil.which("strace") is None:
        return Measured(1, {"left out": "strace is not installed"})
    return measure(run, "aof", {"appendonly": "no"}, durability_checked=False)


EXPERIMENT = Experiment(
    name="power_loss",
    what="the server is killed and its log cut back to its length at the last fdatasync, as strace logged it",
    target="fsync: 0 lost; aof: at most 2 s of writes",
    ours=_ours,
    control=_control,
    control_is="the same writes to a server with appendonly no",
)
