"""How applications run: workers forked from one parent, threads, event loops, and the end of the interpreter.

Every caller knows what its key holds, so a reply that went to the wrong one is seen.
What must not be here: cancelled calls (`cancelled_calls`), and forks amid calls (tests/processes).
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hiredis

from cachewright import AsyncCache, Cache, Policy, Timeouts
from cachewright._sync import engine
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run
from rig.processes import Fleet

WORKERS = 8
THREADS = 32
LOOPS = 4
PATIENCE = 60.0
"""Seconds after which a worker counts as hung."""
EXIT = 10.0
"""Seconds after which a program counts as hung that has nothing more to do."""
POLICY = Policy(timeouts=Timeouts(call=2.0, connect=2.0))

Read = Callable[[str], Any]


def crossed(read: Read, who: str, times: int) -> int:
    """How many of so many reads brought what is not the caller's own."""
    return sum(read(f"{who}-{n % 10}") != f"{who}-{n % 10}" for n in range(times))


def everybodys_keys() -> dict[Any, str]:
    """Each key holds its own name."""
    whos = [f"w{n}" for n in range(WORKERS + 1)] + [f"t{n}" for n in range(THREADS)]
    whos += [f"l{n}" for n in range(LOOPS)]
    return {f"{who}-{n}": f"{who}-{n}" for who in whos for n in range(10)}


# -------------------------------------------------------------------- prefork


def prefork(index: int, *, url: str, times: int, weakened: bool) -> list[Any]:
    """In a process of its own: a cache is used, then forked with; [crossed, inodes in use] of all, None if it hung."""
    with Cache(url, policy=POLICY) as cache:
        cache.set_many(everybodys_keys())
        if weakened:
            _shares_its_connections()
        start_reads, start_writes = os.pipe()
        children = [_fork(cache, f"w{n}", times, start_reads) for n in range(WORKERS)]
        os.write(start_writes, b"x" * WORKERS)
        own = _use(cache, f"w{WORKERS}", times)
        return [_said(*child) for child in children] + [own]


def _shares_its_connections() -> None:
    """Take out what notices a fork."""
    engine._after_fork_in_child.clear()
    engine.Engine.open = lambda self: self.store  # type: ignore[method-assign]


def _fork(cache: Cache, who: str, times: int, start: int) -> tuple[int, int]:
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(start, 1)
        os.write(writes, json.dumps(_use(cache, who, times)).encode())
        os._exit(0)
    os.close(writes)
    return pid, reads


def _use(cache: Cache, who: str, times: int) -> Any:
    try:
        wrong = crossed(lambda key: cache.get(key, verify=True), who, times)
        return [wrong, sorted(_inodes_in_use(cache))]
    except BaseException as error:  # noqa: BLE001 - a worker that dies must be seen
        return [repr(error), []]


def _inodes_in_use(cache: Cache) -> set[int]:
    store, bus = cache.engine.store, cache.engine.bus
    assert store is not None
    links = list(store.pipe._idle)
    if bus is not None and bus._subscription is not None:
        links.append(bus._subscription._link)
    return {os.fstat(link._socket.fileno()).st_ino for link in links}


def _said(pid: int, reads: int) -> Any:
    ready, _, _ = select.select([reads], [], [], PATIENCE)
    said = os.read(reads, 65_536) if ready else b"null"
    if not ready:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reads)
    return json.loads(said or b"null")


def _forked(how: Run, url: str, *, weakened: bool) -> Counter[str]:
    """One parent and eight children."""
    times = how.pick(ci=200, full=20_000)
    with Fleet() as fleet:
        fleet.start(prefork, 1, url=url, times=times, weakened=weakened)
        said = fleet.results(WORKERS * PATIENCE)[0]
    answers = [one for one in said if one is not None and isinstance(one[0], int)]
    inodes = Counter(inode for _, used in answers for inode in used)
    return Counter(
        {
            "shared sockets": sum(n - 1 for n in inodes.values()),
            "crossed or lost replies": sum(wrong for wrong, _ in answers),
            "hung or died": len(said) - len(answers),
        }
    )


# -------------------------------------------------------------------- threads and loops


def _together(work: Sequence[Callable[[], int]]) -> int:
    """The sum of what they return, run by a thread each that start at once."""
    barrier = threading.Barrier(len(work))

    def run(one: Callable[[], int]) -> int:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(work)) as pool:
        return sum(pool.map(run, work))


def _threads(read: Read, times: int) -> int:
    def caller(n: int) -> Callable[[], int]:
        return lambda: crossed(read, f"t{n}", times)

    return _together([caller(n) for n in range(THREADS)])


async def _in_loop(cache: AsyncCache, who: str, times: int) -> int:
    """Crossed replies of ten tasks that read at once."""

    async def read(n: int) -> int:
        key = f"{who}-{n}"
        return sum([await cache.get(key, verify=True) != key for _ in range(times // 10)])

    return sum(await asyncio.gather(*[read(n) for n in range(10)]))


def _loops(url: str, times: int) -> int:
    """A loop and a cache for each of four threads, then four loops after each other for one cache."""

    def one(n: int) -> int:
        async def alone() -> int:
            async with AsyncCache(url, policy=POLICY) as cache:
                return await _in_loop(cache, f"l{n}", times)

        return asyncio.run(alone())

    crowd = _together([lambda n=n: one(n) for n in range(LOOPS)])  # type: ignore[misc]
    passed_on = AsyncCache(url, policy=POLICY)
    return crowd + sum(asyncio.run(_in_loop(passed_on, f"l{n}", times)) for n in range(LOOPS))


# -------------------------------------------------------------------- exit

ENDINGS = {
    "never closed": "c.set('k', 1); c.get_or_load('l', lambda: 2)",
    "amid a load": "threading.Thread(target=c.get_or_load, args=('k', lambda: time.sleep(60)), daemon=True).start(); time.sleep(0.2)",
    "amid a refresh": "c.get_or_load('k', lambda: 1, ttl=0.01); time.sleep(0.05); c.get_or_load('k', lambda: time.sleep(60))",
    "by an exception": "c.set('k', 1); sys.exit(0)",
    "in asyncio": "asyncio.run(a.set('k', 1))",
    "in a child": "c.set('k', 1)\nif not os.fork(): c.set('k', 2); sys.exit(0)\nos.wait()",
}
"""What a program does last."""
_PROGRAM = """
import asyncio, os, sys, threading, time
from cachewright import AsyncCache, Cache, Policy
c, a = Cache({url!r}, policy=Policy(stale=60)), AsyncCache({url!r})
{ending}
"""
_LINGERS = """
import socket, threading
link = socket.create_connection({address!r})
threading.Thread(target=link.recv, args=(1,)).start()
"""


def _exits(programs: Sequence[str], *, within: float) -> int:
    """How many of the programs do not end in time, or not cleanly."""
    return sum(not _ends(program, within) for program in programs)


def _ends(program: str, within: float) -> bool:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=within, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and not done.stderr


# -------------------------------------------------------------------- ours and the control


def ours(how: Run) -> Measured:
    """All four ways to run."""
    times = how.pick(ci=300, full=5_000)
    with EmbeddedServer() as server:
        counts = _forked(how, server.url, weakened=False)
        with Cache(server.url, policy=POLICY) as cache:
            counts["crossed or lost replies"] += _threads(
                lambda key: cache.get(key, verify=True), times
            )
        counts["crossed or lost replies"] += _loops(server.url, times)
        programs = [_PROGRAM.format(url=server.url, ending=ending) for ending in ENDINGS.values()]
        counts["hung at exit"] = _exits(programs, within=EXIT)
    return Measured(sum(counts.values()), dict(counts))


def control(how: Run) -> Measured:
    """Forked without noticing, one plain socket for all threads, a thread that keeps the interpreter."""
    times = how.pick(ci=100, full=1_000)
    with EmbeddedServer() as server:
        counts = _forked(how, server.url, weakened=True)
        with socket.create_connection(("127.0.0.1", server.port)) as link:
            link.settimeout(0.05)
            counts["crossed or lost replies"] += _threads(_over_one_socket(link), times)
        programs = [_LINGERS.format(address=("127.0.0.1", server.port))]
        counts["hung at exit"] = _exits(programs, within=2.0)
    return Measured(sum(counts.values()), dict(counts))


def _over_one_socket(link: socket.socket) -> Read:
    """Asks for the type of a name, which nothing protects from what others ask at the same time."""

    def read(key: str) -> str:
        link.sendall(hiredis.pack_command(("ECHO", key)))  # type: ignore[arg-type]
        reader = hiredis.Reader()
        while (reply := reader.gets()) is False:
            try:
                reader.feed(link.recv(65_536))
            except TimeoutError:
                return ""  # somebody else took it
        return reply.decode() if isinstance(reply, bytes) else ""

    return read


EXPERIMENT = Experiment(
    name="workers",
    what="8 forked workers and their parent, 32 threads, event loops beside and after each other, the interpreter's end",
    target="0 shared sockets, 0 crossed replies, no hang",
    ours=ours,
    control=control,
    control_is="the engine without its check of the process; one plain socket for all threads; a thread that is no daemon",
)
