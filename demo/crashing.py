"""Kills processes that write, and the cache server with them, and counts what the database lacks afterwards.

`python -m demo.crashing` is such a process: told to go, it writes without end and says of each write that it was
acknowledged. What must not be here: doors, printing for people.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count, cycle
from pathlib import Path
from typing import IO, cast

import sqlalchemy as sa

from cachewright.embedded import EmbeddedServer
from demo.doors import ASIDE, BEHIND, THROUGH, Flight, Place, Plain, opened, stored
from demo.guide import MemoryQueue
from demo.matrix import Crash

ENOUGH = 200
"""Acknowledged writes after which a process is killed; it goes on writing until then."""
ROWS = 200
"""Flights that each of the processes writes, again and again."""
PATIENCE = 30.0
"""Seconds after which a process that says nothing is killed anyway."""
GUIDE = "queue in memory"
KILLED = (ASIDE, THROUGH, BEHIND, GUIDE)
_FIRST = 10_000


def crashes(server: EmbeddedServer, place: Place, engine: sa.Engine) -> dict[str, Crash]:
    """What each kind of process lost. The server starts again from its log, and another worker goes on."""
    acknowledged: dict[str, list[tuple[int, int]]] = {}
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(_child(name, place, n)) for n, name in enumerate(KILLED)
        }
        for name, child in children.items():
            acknowledged[name] = _killed(child)
    server.kill()
    server.restart()
    with opened(BEHIND, place, engine) as door:
        door.settle()
    with engine.connect() as connection:
        found = {flight["id"]: flight["arr_delay"] or 0 for flight in stored(connection)}
    return {name: _judged(told, found) for name, told in acknowledged.items()}


def _judged(told: Sequence[tuple[int, int]], found: dict[int, int]) -> Crash:
    """A write is lost if the row is older than it."""
    lost = sum(found[number] < delay for number, delay in told)
    return Crash(acknowledged=len(told), lost=lost)


@contextmanager
def _child(name: str, place: Place, turn: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "demo.crashing", name, place.database, place.cache, str(turn)]
    root = Path(__file__).resolve().parent.parent
    # Ctrl-C is for the one who tells what happened; it ends these by itself.
    with subprocess.Popen(
        command,
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def _killed(child: subprocess.Popen[str]) -> list[tuple[int, int]]:
    """Let it write, and kill it in the midst of it. All that it had said until then."""
    into, out = cast(IO[str], child.stdin), cast(IO[str], child.stdout)
    into.write("go\n")
    into.flush()
    watch = threading.Timer(PATIENCE, child.kill)
    watch.start()
    said = []
    for line in out:
        said.append(line)
        if len(said) == ENOUGH:
            child.send_signal(signal.SIGKILL)
    watch.cancel()
    # What was cut off in the middle of a line had not been said.
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(int(number), int(delay)) for number, delay in whole]


# ---------------------------------------------------------------- the process that is killed


def _main(name: str, database: str, cache: str, turn: str) -> None:
    place, start = Place(database, cache), int(turn) * ROWS
    with place.engine() as engine, _writer(name, place, engine) as write:
        with engine.connect() as connection:
            rows = stored(connection)
        if not sys.stdin.readline():
            return  # whoever started this is gone
        for flight, delay in zip(cycle(rows[start : start + ROWS]), count(_FIRST), strict=False):
            write(flight | {"arr_delay": delay})
            print(flight["id"], delay, flush=True)


@contextmanager
def _writer(name: str, place: Place, engine: sa.Engine) -> Iterator[Callable[[Flight], object]]:
    if name == GUIDE:
        yield MemoryQueue(place.cache, Plain(engine)).put
        return
    with opened(name, place, engine) as door:
        yield door.write


if __name__ == "__main__":
    _main(*sys.argv[1:])
