# Writes to the source, and what they make wrong.
"""Two-phase writes: dirty before the source commits, fresh after, and no old value at any moment after the commit.

Writers that are killed are in tests/processes/test_fleet.py.
"""

from __future__ import annotations

from typing import Any, Self

import pytest
from _async.mutants import weaken_script
from _async.steps import AsyncSource, AsyncStep, until, until_read

from cachewright import MISSING, AsyncCache
from cachewright._async.writing import AsyncWriting
from cachewright.embedded import EmbeddedServer
from cachewright.errors import ConfigurationError, RemoteError
from cachewright.testing import RecordingListener
from rig.proxy import FaultProxy
from rig.servers import Raw


class AsyncFleet:
    """A writing cache, two reading ones, and the source that all of them load from."""

    def __init__(self, url: str, namespace: str) -> None:
        self.writer = AsyncCache(url, namespace=namespace)
        self.reader = AsyncCache(url, namespace=namespace)
        self.other = AsyncCache(url, namespace=namespace)
        self.source = AsyncSource("old")

    async def __aenter__(self) -> Self:
        for cache in (self.writer, self.reader, self.other):
            await cache.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for cache in (self.writer, self.reader, self.other):
            await cache.aclose()

    async def read(self) -> str:
        """What a user of the reading process sees."""
        return await self.read_in(self.reader)

    async def keeps(self, value: str) -> None:
        """Until the reading process keeps `value`: what it loads before it has heard of the end it does not."""

        async def kept() -> Any:
            assert await self.read() == value
            return await self.reader.get("k")

        await until_read(kept, value)

    async def heard(self, messages: int) -> None:
        """Until the reading process has heard so many messages."""
        await until(lambda: self.reader.stats().heard == messages)

    async def read_in(self, cache: AsyncCache) -> str:
        value: str = await cache.get_or_load("k", self.source.load, tags=["row"])
        return value


WAYS = pytest.mark.parametrize("what", [{"keys": ["k"]}, {"tags": ["row"]}], ids=["key", "tag"])
"""A write may name the key, or a tag that the value was made from."""


@WAYS
async def test_nothing_is_filled_while_a_write_is_under_way(
    server: EmbeddedServer, namespace: str, raw: Raw, what: dict[str, Any]
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        async with fleet.writer.writing(**what):
            for loads in (1, 2):
                assert await fleet.read() == "old"
                assert fleet.source.loads == loads
            for cache in (fleet.reader, fleet.writer, fleet.other):
                assert await cache.get("k") is MISSING
                assert not await cache.set("k", "mine", tags=["row"])
                assert await cache.get("k") is MISSING
            assert not raw(server).exists(fleet.reader.engine.keys.entry("k"))
        await fleet.keeps("old")


@WAYS
async def test_from_the_commit_on_every_process_reads_the_new_value(
    server: EmbeddedServer, namespace: str, what: dict[str, Any]
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        assert await fleet.read() == await fleet.read_in(fleet.other) == "old"
        async with fleet.writer.writing(**what) as write:
            # Elsewhere phase 1 holds from when it is heard, which the bus latency precedes.
            await until(lambda: fleet.reader.stats().heard == fleet.other.stats().heard == 1)
            await write.before_commit()
            fleet.source.value = "new"
            for cache in (fleet.reader, fleet.writer, fleet.other):
                assert await fleet.read_in(cache) == "new"
        for cache in (fleet.reader, fleet.writer, fleet.other):
            assert await fleet.read_in(cache) == "new"


@WAYS
async def test_a_load_that_began_before_the_write_brings_nothing_back(
    server: EmbeddedServer, namespace: str, what: dict[str, Any]
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        fleet.source.gate.clear()
        late = AsyncStep(fleet.read)
        await until(fleet.source.began.is_set)
        async with fleet.writer.writing(**what):
            fleet.source.value = "new"
        fleet.source.gate.set()
        assert await late.result() == "old", "its caller asked before the write ended"
        await fleet.heard(2)  # a read elsewhere may join that load until the news has come
        for cache in (fleet.reader, fleet.writer, fleet.other):
            assert await fleet.read_in(cache) == "new"


async def test_without_phase_1_the_old_value_is_read_after_the_commit(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mark(self: AsyncWriting, **options: Any) -> None:
        """Does nothing."""

    monkeypatch.setattr(AsyncWriting, "_mark", mark)
    async with AsyncFleet(valkey.url, namespace) as fleet:
        assert await fleet.read() == "old"
        async with fleet.writer.writing(keys=["k"], tags=["row"]) as write:
            await write.before_commit()
            fleet.source.value = "new"
            assert await fleet.read() == "old"


# -------------------------------------------------------------------- several writers


async def read_after_the_second_of_two_commits(fleet: AsyncFleet) -> str:
    """Two writers at once; the first ends, and what is read then must not outlive the second's commit."""
    first = fleet.writer.writing(keys=["k"], tags=["row"])
    second = fleet.other.writing(keys=["k"], tags=["row"])
    async with second:
        async with first:
            pass
        await fleet.heard(3)
        assert await fleet.read() == "old"
        fleet.source.value = "new"
        return await fleet.read()


async def test_the_mark_of_one_writer_outlasts_the_end_of_another(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        assert await read_after_the_second_of_two_commits(fleet) == "new"
        assert await fleet.read() == "new"


async def test_a_writer_that_ends_the_marks_of_others_lets_an_old_value_in(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "invalidate", "if left ~= '' then", "if false then")
    async with AsyncFleet(valkey.url, namespace) as fleet:
        assert await read_after_the_second_of_two_commits(fleet) == "old"


async def test_an_invalidation_of_somebody_else_does_not_end_a_write(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        async with fleet.writer.writing(keys=["k"], tags=["row"]):
            await fleet.other.invalidate("k", tags=["row"])
            assert await fleet.read() == "old"
            assert await fleet.reader.get("k") is MISSING
        await fleet.keeps("old")


# -------------------------------------------------------------------- marks that get lost


async def read_after_the_commit_of_a_writer_that_lost_its_marks(
    fleet: AsyncFleet, server: EmbeddedServer, raw: Raw
) -> str:
    keys = fleet.writer.engine.keys
    async with fleet.writer.writing(keys=["k"], tags=["row"]) as write:
        await fleet.heard(1)
        assert raw(server).delete(keys.lease("k"), keys.tag("t:row")) == 2
        assert await fleet.read() == "old" == await fleet.reader.get("k"), "it could be filled"
        await write.before_commit()
        fleet.source.value = "new"
        # What was told on the bus takes its latency, within which it must have been heard.
        heard = fleet.reader.stats().heard
        await fleet.other.invalidate("something else")
        await until(lambda: fleet.reader.stats().heard > heard)
        return await fleet.read()


async def test_before_commit_makes_a_lost_mark_again_and_tells_everybody(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        seen = await read_after_the_commit_of_a_writer_that_lost_its_marks(fleet, server, raw)
        assert seen == "new"


async def test_without_before_commit_a_lost_mark_lets_an_old_value_in(
    valkey: EmbeddedServer, namespace: str, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def before_commit(self: AsyncWriting) -> None:
        """Does nothing."""

    monkeypatch.setattr(AsyncWriting, "before_commit", before_commit)
    async with AsyncFleet(valkey.url, namespace) as fleet:
        seen = await read_after_the_commit_of_a_writer_that_lost_its_marks(fleet, valkey, raw)
        assert seen == "old"


async def test_before_commit_tells_nobody_while_its_marks_are_there(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        async with fleet.writer.writing(keys=["k"]) as write:
            await until(lambda: fleet.reader.stats().heard == 1)
            for _ in range(3):
                await write.before_commit()
        await until(lambda: fleet.reader.stats().heard == 2)


async def test_the_mark_of_a_long_write_is_renewed(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        names = fleet.writer.engine.keys.lease("k"), fleet.writer.engine.keys.tag("t:row")
        client = raw(server)
        async with fleet.writer.writing(keys=["k"], tags=["row"], limit=0.9):
            for name in names:
                # It begins at 900 ms and is seen below 700, so whatever is above 800 was renewed.
                await until(lambda name=name: 0 < client.pttl(name) < 700)  # type: ignore[misc]
                await until(lambda name=name: client.pttl(name) > 800)  # type: ignore[misc]
            assert await fleet.read() == "old"
            assert await fleet.reader.get("k") is MISSING
        assert not client.exists(names[0])


async def test_the_mark_of_a_writer_that_is_gone_runs_out_by_itself(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        store = fleet.writer.engine.store
        assert store is not None
        assert await store.mark(["k"], ["t:row"], "token-of-the-dead", lasting=0.2) == 2
        assert await fleet.read() == "old"
        keys = fleet.reader.engine.keys
        await until(lambda: not raw(server).exists(keys.lease("k"), keys.tag("t:row")))
        assert await fleet.read() == "old" == await fleet.reader.get("k")


async def test_the_mark_of_a_dead_writer_runs_out_while_another_ones_is_renewed(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        store, lease = fleet.other.engine.store, fleet.writer.engine.keys.lease("k")
        assert store is not None
        async with fleet.writer.writing(keys=["k"], limit=0.6):
            assert await store.mark(["k"], [], "token-of-the-dead", lasting=0.1) == 1
            client = raw(server)
            # A renewal, which writes the mark anew, leaves out whoever is dead by then.
            await until(lambda: "token-of-the-dead" not in str(client.get(lease)))
        await fleet.keeps("old")


async def test_a_renewal_that_comes_after_the_end_makes_no_mark(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        store = fleet.writer.engine.store
        assert store is not None
        late = await store.mark(["k"], ["t:row"], "token", lasting=60, renewing=True)
        assert late == 0
        assert await fleet.read() == "old" == await fleet.reader.get("k")


# -------------------------------------------------------------------- writes that fail


class Refused(Exception):
    """What a source raises that refuses a write."""


async def test_an_error_in_the_body_ends_the_write_and_reaches_the_caller(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    async with AsyncFleet(server.url, namespace) as fleet:
        assert await fleet.read() == "old"

        async def write() -> None:
            async with fleet.writer.writing(keys=["k"], tags=["row"]):
                fleet.source.value = "new"
                raise Refused

        with pytest.raises(Refused):
            await write()
        assert not raw(server).exists(fleet.writer.engine.keys.lease("k"))
        await until_read(fleet.read, "new")
        await fleet.keeps("new")


async def test_a_strict_write_does_not_begin_when_the_server_cannot_be_told(
    valkey: EmbeddedServer, namespace: str
) -> None:
    began = False
    with FaultProxy(valkey.url) as proxy:
        async with AsyncFleet(proxy.url, namespace) as fleet:
            proxy.stall()
            with pytest.raises(RemoteError):
                async with fleet.writer.writing(keys=["k"], strict=True):
                    began = True
            proxy.heal()
    assert not began


async def test_a_strict_write_says_before_the_commit_that_its_marks_cannot_be_re_asserted(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        async with AsyncCache(proxy.url, namespace=namespace) as cache:
            write = cache.writing(keys=["k"], strict=True)
            await write.__aenter__()
            proxy.stall()
            with pytest.raises(RemoteError):
                await write.before_commit()
            proxy.heal()
            await write.__aexit__(None, None, None)


async def test_a_write_goes_on_without_the_server_and_is_made_good_afterwards(
    server: EmbeddedServer, namespace: str
) -> None:
    events = RecordingListener()
    source = AsyncSource("old")
    with FaultProxy(server.url) as proxy:
        async with (
            AsyncCache(proxy.url, namespace=namespace, listeners=[events]) as writer,
            AsyncCache(server.url, namespace=namespace) as reader,
        ):
            assert await reader.get_or_load("k", source.load) == "old"
            await writer.get("open the connection")
            proxy.refuse()
            proxy.cut()
            async with writer.writing(keys=["k"]) as write:
                await write.before_commit()
                source.value = "new"
            assert await writer.get_or_load("k", source.load) == "new"
            assert writer.stats().pending_repairs == 1
            assert len(events.of("remote_error")) >= 1
            proxy.heal()
            # Nobody calls the writer any more: what it owes is sent when its link is back.
            await until_read(lambda: reader.get_or_load("k", source.load), "new")
            await until(lambda: writer.stats().pending_repairs == 0)
            assert events.of("repaired")


async def test_a_write_is_bracketed_by_drops_where_there_is_no_server() -> None:
    source = AsyncSource("old")
    async with AsyncCache() as cache:
        assert await cache.get_or_load("k", source.load) == "old"
        async with cache.writing(keys=["k"]):
            source.value = "new"
        assert await cache.get_or_load("k", source.load) == "new"


async def test_a_load_under_way_is_doomed_by_the_end_of_a_local_write() -> None:
    source = AsyncSource("old")
    source.gate.clear()
    async with AsyncCache() as cache:
        async with cache.writing(keys=["k"]):
            late = AsyncStep(cache.get_or_load, "k", source.load)
            await until(source.began.is_set)
            source.value = "new"
        source.gate.set()
        assert await late.result() == "old"
        assert await cache.get_or_load("k", source.load) == "new"


async def test_a_write_that_names_nothing_is_refused() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="give keys= or tags="):
            cache.writing()
