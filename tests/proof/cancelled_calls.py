"""Callers who give up: thousands of asyncio calls, cancelled while they wait for a slow link.

Replies are matched to calls by their order, so a call that vanishes from the queue hands its reply to the next.
What must not be here: loads that are cancelled (tests/aio/test_cancelled_callers.py).
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import hiredis
import redis.asyncio

from cachewright import AsyncCache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run
from rig.proxy import HOST, FaultProxy
from rig.waiting import eventually_async

KEYS = 200
CROWD = 100
"""Calls that are made at once."""
WAY = 0.001
"""Seconds that bytes are on their way, each way."""

Read = Callable[[int], Awaitable[bool]]
"""Asks for the key of this number; whether what came back was its own."""


@dataclass
class Tally:
    """What became of the calls."""

    cancelled: int = 0
    answered: int = 0
    wrong: int = 0


def key_of(number: int) -> str:
    """The key of this number."""
    return f"k{number % KEYS}"


def value_of(number: int) -> str:
    """What the key of this number holds."""
    return f"value of {key_of(number)}"


async def storm(how: Run, proxy: FaultProxy, read: Read, *, most: int = 100_000) -> Tally:
    """Crowds of calls, most of which are cancelled at a drawn moment, until enough were.

    It ends as well when too many were answered: those who are slow to begin are seldom caught while they wait.
    """
    draw, tally = random.Random(how.seed), Tally()
    wanted = min(most, how.pick(ci=5_000, full=100_000))
    while tally.cancelled < wanted and tally.answered < 2 * wanted:
        proxy.delay(WAY * draw.uniform(0.5, 1.5))
        tasks = [asyncio.ensure_future(read(draw.randrange(KEYS))) for _ in range(CROWD)]
        loop = asyncio.get_running_loop()
        for task in tasks:
            if draw.random() < 0.8:
                loop.call_later(draw.uniform(0, 3 * WAY), task.cancel)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            _count(tally, outcome)
    proxy.delay(0)
    return tally


def _count(tally: Tally, outcome: bool | BaseException) -> None:
    if isinstance(outcome, asyncio.CancelledError):
        tally.cancelled += 1
    elif isinstance(outcome, BaseException):
        raise outcome
    else:
        tally.answered += 1
        tally.wrong += not outcome


@contextmanager
def _slow_link() -> Iterator[FaultProxy]:
    with EmbeddedServer() as server, FaultProxy(server.tcp_url) as proxy:
        yield proxy


# -------------------------------------------------------------------- ours


def ours(how: Run) -> Measured:
    """Four verbs through one cache; afterwards nothing may be left of the calls that were given up."""
    with _slow_link() as proxy:
        return asyncio.run(_ours(how, proxy))


async def _ours(how: Run, proxy: FaultProxy) -> Measured:
    # Nothing is kept in memory, so that what is not verified asks the server the short way.
    policy = Policy(l1_ttl=0, timeouts=Timeouts(call=5.0, connect=5.0))
    async with AsyncCache(proxy.url, policy=policy) as cache:
        await cache.set_many({key_of(n): value_of(n) for n in range(KEYS)})
        before = len(asyncio.all_tasks())
        tally = await storm(how, proxy, lambda number: _ask(cache, number))
        leaks = await _left_behind(cache, proxy, tasks=before)
        errors = cache.stats().remote_errors
    left = len(asyncio.all_tasks()) - 1
    await eventually_async(lambda: proxy.open_connections == 0)
    numbers = {
        "cancelled": tally.cancelled,
        "answered": tally.answered,
        "wrong owners": tally.wrong,
        **leaks,
        "tasks after close": left,
        "remote errors": errors,
    }
    return Measured(tally.wrong + sum(leaks.values()) + left + errors, numbers)


async def _ask(cache: AsyncCache, number: int) -> bool:
    verb, key, own = number % 7, key_of(number), value_of(number)
    if verb == 0:
        return bool(await cache.get(key, verify=True) == own)
    if verb == 1:
        both = {key_of(n): value_of(n) for n in (number, number + 1)}
        return await cache.get_many(both, verify=True) == both
    if verb == 2:
        return bool(await cache.get_or_load(key, lambda: own, verify=True) == own)
    if verb == 3:
        return bool(await cache.get(key) == own)
    if verb == 4:
        return bool(await cache.get_or_load(key, lambda: own) == own)
    if verb == 5:
        both = {key_of(n): value_of(n) for n in (number, number + 1)}
        return await cache.get_many(both) == both
    return await cache.set(key, own)


async def _left_behind(cache: AsyncCache, proxy: FaultProxy, *, tasks: int) -> dict[str, int]:
    """What is still there of the calls once all replies have come."""
    engine, store = cache.engine, cache.engine.store
    assert store is not None
    link = store.pipe._link
    assert link is not None
    # The bus asks for nothing, so what is here is the calls' own.
    await eventually_async(lambda: len(asyncio.all_tasks()) <= tasks)
    await eventually_async(lambda: not link.calls)
    return {
        "tasks left": len(asyncio.all_tasks()) - tasks,
        "calls left": len(link.calls),
        "flights left": len(engine.flights._flying) + len(engine.flights.leading),
        "connections left": proxy.open_connections - 2,
    }


# -------------------------------------------------------------------- control


class ForgetfulPipe:
    """A multiplexer that drops a cancelled call from its queue, though the reply is still to come."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._reader = hiredis.Reader()

    async def connect(self, port: int) -> None:
        """Open the connection and begin to listen."""
        incoming, self._out = await asyncio.open_connection(HOST, port)
        self._listening = asyncio.ensure_future(self._listen(incoming))

    async def ask(self, *command: str) -> bytes:
        """The reply to one command, or so it believes."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._out.write(hiredis.pack_command(command))  # type: ignore[arg-type]
        try:
            return await future
        except asyncio.CancelledError:
            if future in self._waiting:
                self._waiting.remove(future)
            raise

    async def _listen(self, incoming: asyncio.StreamReader) -> None:
        while data := await incoming.read(65_536):
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if self._waiting and not (future := self._waiting.popleft()).done():
                    future.set_result(reply)

    async def close(self) -> None:
        """Close the connection."""
        self._listening.cancel()
        self._out.close()


def control(how: Run) -> Measured:
    """The same storm over the forgetful multiplexer."""
    with _slow_link() as proxy:
        return asyncio.run(_control(how, proxy))


async def _control(how: Run, proxy: FaultProxy) -> Measured:
    pipe = ForgetfulPipe()
    await pipe.connect(proxy.port)
    for number in range(KEYS):
        await pipe.ask("SET", key_of(number), value_of(number))

    async def read(number: int) -> bool:
        async with asyncio.timeout(5):
            return await pipe.ask("GET", key_of(number)) == value_of(number).encode()

    tally = await storm(how, proxy, read)
    await pipe.close()
    return _plain(tally)


def _plain(tally: Tally) -> Measured:
    return Measured(
        tally.wrong,
        {
            "cancelled": tally.cancelled,
            "answered": tally.answered,
            "wrong owners": tally.wrong,
        },
    )


# -------------------------------------------------------------------- peer


def redis_py(how: Run) -> Measured:
    """redis.asyncio with its pool, in a short storm: each cancelled call costs it a connection."""
    with _slow_link() as proxy:
        return asyncio.run(_redis_py(how, proxy))


async def _redis_py(how: Run, proxy: FaultProxy) -> Measured:
    async with redis.asyncio.Redis.from_url(proxy.url) as client:
        for number in range(KEYS):
            await client.set(key_of(number), value_of(number))

        async def read(number: int) -> bool:
            return bool(await client.get(key_of(number)) == value_of(number).encode())

        tally = await storm(how, proxy, read, most=500)
        connections = proxy.traffic.connections
    measured = _plain(tally)
    return Measured(tally.wrong, {**measured.numbers, "connections opened": connections})


EXPERIMENT = Experiment(
    name="cancelled_calls",
    what="asyncio calls are cancelled at any moment while they wait for a delaying proxy",
    target="in 100,000 cancelled calls 0 wrong owners, 0 leaks",
    ours=ours,
    control=control,
    control_is="a multiplexer that drops a cancelled call from its queue of waiting calls",
    peers={"redis-py": redis_py},
)
