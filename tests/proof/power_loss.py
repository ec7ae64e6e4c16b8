"""Experiment: the power fails under the server of a write-behind, and its log is as long as it was at the last sync.

`strace` logs what the server writes to its append-only file and when each fdatasync of it began and ended. Then the server is
killed, the file is cut back to what had been written before the last sync that ended had begun, and the server started again.
A call returns to the server only when strace has written its line, so whatever was said after a sync is later than that line;
and a trace that does not tell of the server's end is not used.
What must not be here: kills that leave the kernel its memory (`write_behind_crashes`).
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cachewright.errors import CacheError, ConfigurationError
from proof import behind
from proof.behind import EVERY_SECOND, SYNCED, Notes, Shop, opened_database, opened_shop
from proof.experiment import Experiment, Measured, Number, Run
from rig.waiting import eventually

ALLOWED, THREADS = 2.0, 4
"""Seconds of writes that `aof` may lose, and threads that write."""
TRIES = 5
"""Of a control whose server may have synced just before it was killed."""
SPAN = "lost, seconds of writes"
COUNTS = ("acknowledged", "lost")
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
_END = "+++ killed by SIGKILL +++"
NO_STRACE = "strace is not installed"


@dataclass(frozen=True)
class Way:
    """How the writes of one run are kept. `checked` False: the server's setup is taken on trust."""

    durability: str
    config: dict[str, str]
    checked: bool = True


WAYS = {"fsync": Way("fsync", SYNCED), "aof": Way("aof", EVERY_SECOND)}
UNSAFE = {
    "no log": Way("aof", {"appendonly": "no"}, checked=False),
    "everysec": Way("fsync", EVERY_SECOND, checked=False),
}


@dataclass
class Disk:
    """What strace says about the log that is written: `written` bytes, of them `synced` for certain."""

    path: str = ""
    written: int = 0
    synced: int = 0
    synced_at: float = 0.0
    """When the last sync that ended had begun, in seconds since the Unix epoch."""
    ended: bool = False
    """Whether the server was killed before the eyes of strace."""
    _under_way: dict[str, tuple[str, str, int, float]] = field(default_factory=dict)

    def heard(self, lines: Iterable[str]) -> Disk:
        """One line after the other."""
        for line in lines:
            self.ended |= line.endswith(_END)
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
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(5)  # it ends with the server, when it has told all
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


def measure(run: Run, way: Way, database: str) -> Measured:
    """One power loss."""
    options = {"durability": way.durability, "durability_checked": way.checked, "partitions": 4}
    config = {**way.config, **NOT_REWRITTEN}
    with opened_shop(config, database=database, **options) as (shop, server):
        place = shop.place
        sizes = {path: path.stat().st_size for path in (place / "server").rglob("*.incr.aof")}
        with traced(server, place) as trace:
            # Anywhere between two syncs of a server that syncs once a second.
            seconds = run.pick(1.5, 8.0) + random.Random(run.seed).random()
            acknowledged = write_for(seconds, shop, server)
        disk = Disk().heard(trace.read_text().splitlines())
        assert disk.ended, "strace did not see the server's end"
        assert acknowledged, "nothing was acknowledged"
        cut = _cut(disk, sizes)
        server.start()
        assert behind.drain(shop, within=60)
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


def refused(database: str) -> bool:
    """Whether a server that syncs once a second is refused for `fsync`."""
    with opened_shop(EVERY_SECOND, database=database, durability="fsync") as (shop, _):
        door = shop.door(worker=False)
        try:
            door.open()
        except ConfigurationError:
            return True
        finally:
            door.close(0)
            door.cache.close()
        return False


def _ours(run: Run) -> Measured:
    if shutil.which("strace") is None:
        return Measured(0, {"left out": NO_STRACE}, (NO_STRACE,))
    with opened_database() as database:
        fit = refused(database)
        numbers: dict[str, Number] = {"everysec for fsync": "refused" if fit else "accepted"}
        violations = 0 if fit else 1
        for name, way in WAYS.items():
            found = measure(run, way, database)
            excused = way.durability == "aof" and float(found.numbers[SPAN]) <= ALLOWED
            violations += 0 if excused else found.violations
            numbers |= {f"{name}: {what}": number for what, number in found.numbers.items()}
    return Measured(violations, numbers)


def _control(run: Run) -> Measured:
    if shutil.which("strace") is None:
        return Measured(1, {"left out": NO_STRACE})
    numbers: dict[str, Number] = {}
    with opened_database() as database:
        for name, way in UNSAFE.items():
            for tried in range(1, TRIES + 1):
                found = measure(replace(run, seed=run.seed + tried), way, database)
                numbers |= {f"{name}: {what}": found.numbers[what] for what in COUNTS}
                if found.violations:
                    break
    losses = {name: int(numbers[f"{name}: lost"]) for name in UNSAFE}
    unbroken = tuple(name for name, lost in losses.items() if not lost)
    return Measured(sum(losses.values()), numbers, unbroken=unbroken)


EXPERIMENT = Experiment(
    name="power_loss",
    what="the server is killed and its log cut back to its length at the last fdatasync, as strace logged it",
    target="fsync: 0 lost; aof: at most 2 s of writes; fsync of a server that syncs once a second: refused",
    ours=_ours,
    control=_control,
    control_is="the same writes to a server with appendonly no; and with fsync to one that syncs once a second and is believed",
)
