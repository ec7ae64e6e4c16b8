"""The server dies under a steady stream of reads: what the source has to bear then, and how soon all is well again.

What must not be here: the stream (`streams`), and a server that freezes or comes back at once (`frozen_server`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from urllib.parse import urlsplit

import redis
import redis.asyncio

from cachewright import AsyncCache
from cachewright.embedded import EmbeddedServer
from cachewright.observe.events import Event
from proof.experiment import Experiment, Measured, Run
from proof.peering import peer
from proof.streams import MOST_LOADS, Read, Source, Stream

WANTED_RATIO, WANTED_WITHIN = 0.95, 10.0
WINDOW = 0.5
"""Seconds over which a hit ratio is taken."""


async def through_a_death(
    how: Run, server: EmbeddedServer, read: Read, *, source: Source | None = None
) -> Measured:
    """Healthy, dead, and back, empty."""
    stream = Stream(read, source or Source(), random.Random(how.seed))
    await stream.run(how.pick(ci=1.0, full=10.0))
    healthy = await stream.run(how.pick(ci=1.0, full=10.0))
    server.kill()
    before = stream.source.loads
    await stream.run(how.pick(ci=3.0, full=60.0))
    amid = stream.source.loads - before
    restarting = asyncio.ensure_future(asyncio.to_thread(server.restart))
    while not restarting.done():
        await stream.run(0.05)
    recovered = await _recover(stream)
    await stream.settle()
    return _measured(stream, healthy=healthy, amid=amid, recovered=recovered)


async def _recover(stream: Stream) -> float:
    """Seconds until a window has the wanted ratio; infinite if none has."""
    began = time.monotonic()
    while time.monotonic() - began < 2 * WANTED_WITHIN:
        if await stream.run(WINDOW) >= WANTED_RATIO:
            return time.monotonic() - began
    return float("inf")


def _measured(stream: Stream, *, healthy: float, amid: int, recovered: float) -> Measured:
    source, raised = stream.source, stream.raised.total()
    numbers = {
        "reads": stream.begun,
        "raised": raised,
        "wrong values": stream.wrong,
        "most loads at once": source.most,
        "loads beyond 16": source.too_many,
        "loads of a key under way": source.doubled,
        "of them since the link came back": source.repeated,
        "loads while dead": amid,
        "hit ratio before": healthy,
        "95 % again after s": recovered,
        "slowest read ms": 1000 * stream.slowest,
    }
    doubled = source.doubled - source.repeated
    never = recovered == float("inf")
    missed: tuple[str, ...] = ()
    if recovered > WANTED_WITHIN:
        missed += ("95 % of hits ≤ 10 s after recovery",)
    if source.repeated:
        missed += (f"≤ 1 load per key at once: {source.repeated} more as the link came back",)
    return Measured(raised + stream.wrong + source.too_many + doubled + never, numbers, missed)


# -------------------------------------------------------------------- ours and the control


def ours(how: Run) -> Measured:
    """With `max_loads`, which is how a user bounds what the source has to bear."""
    return _ours(how, MOST_LOADS)


def unbounded(how: Run) -> Measured:
    """The engine as it comes, which loads each key once at a time and any number of keys."""
    return _ours(how, None)


def _ours(how: Run, max_loads: int | None) -> Measured:
    async def measure(server: EmbeddedServer) -> Measured:
        source = Source()

        def note(event: Event) -> None:
            if event.kind == "link_up":
                source.linked = time.monotonic()

        async with AsyncCache(server.tcp_url, max_loads=max_loads, listeners=[note]) as cache:

            async def read(source: Source, key: str) -> str:
                value: str = await cache.get_or_load(key, lambda: source.load(key), tags=[key])
                return value

            return await through_a_death(how, server, read, source=source)

    with EmbeddedServer() as server:
        return asyncio.run(measure(server))


def control(how: Run) -> Measured:
    """Cache-aside that asks the source whenever the server fails."""

    async def measure(server: EmbeddedServer) -> Measured:
        url = server.tcp_url
        async with redis.asyncio.Redis.from_url(
            url, socket_timeout=0.1, retry=None, decode_responses=True
        ) as client:

            async def read(source: Source, key: str) -> str:
                try:
                    found = await client.get(key)
                    if found is not None:
                        return str(found)
                except redis.RedisError:
                    return await source.load(key)
                value = await source.load(key)
                await client.set(key, value, ex=300)
                return value

            return await through_a_death(how, server, read)

    with EmbeddedServer() as server:
        return asyncio.run(measure(server))


# -------------------------------------------------------------------- peers

TIMEOUT = 0.1
"""Seconds that a peer's call may take: as ours."""


async def _load(key: str, source: Source) -> str:
    return await source.load(key)


def cashews(how: Run) -> Measured:
    """`@cache`, which lets one task load each key and swallows what the server fails with."""

    async def measure(server: EmbeddedServer) -> Measured:
        cache = import_module("cashews").Cache()
        cache.setup(server.tcp_url, socket_timeout=TIMEOUT)

        value = cache(ttl=300, key="{key}")(_load)

        async def read(source: Source, key: str) -> str:
            return str(await value(key, source=source))

        try:
            return await through_a_death(how, server, read)
        finally:
            await cache.close()

    with EmbeddedServer() as server, _quiet("cashews"):
        return asyncio.run(measure(server))


def aiocache(how: Run) -> Measured:
    """`@cached`, which takes a failure for a miss; `cached_stampede` would hand it to its caller."""

    async def measure(server: EmbeddedServer) -> Measured:
        module, address = import_module("aiocache"), urlsplit(server.tcp_url)

        cached = module.cached(
            ttl=300,
            key_builder=lambda _, key, source: key,
            cache=module.Cache.REDIS,
            endpoint=address.hostname,
            port=address.port,
            timeout=TIMEOUT,
        )
        value = cached(_load)

        async def read(source: Source, key: str) -> str:
            return str(await value(key, source))

        return await through_a_death(how, server, read)

    with EmbeddedServer() as server, _quiet("aiocache"):
        return asyncio.run(measure(server))


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Each failure would be printed with its trace."""
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logging.getLogger(name).setLevel(logging.NOTSET)


TASKS = {"cashews": cashews, "aiocache": aiocache}

EXPERIMENT = Experiment(
    name="dead_server",
    what="the server is killed under 2,000 reads a second of 500 keys, and comes back empty",
    target="≤ 16 concurrent loads, ≤ 1 per key at once; 95 % hit ratio ≤ 10 s after recovery",
    ours=ours,
    control=control,
    control_is="cache-aside over redis-py that loads when the server fails",
    peers={
        "the engine without max_loads": unbounded,
        **{name: peer(name, measure) for name, measure in TASKS.items()},
        "dogpile": "has none: no calls for asyncio, of whose tasks the stream consists",
        "Django": "has none: its calls for asyncio run the blocking ones in a thread, one by one",
    },
)
