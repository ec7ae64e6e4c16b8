# A filter of the rows that there are.
"""Existing: what the filter rules out asks nobody; additions from anywhere reach it; rebuilds leave no gap; doubt asks."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from _async.steps import until
from patterns._async.existing_process import AsyncProcess
from patterns._async.recording import AsyncRecording, people

from cachewright import MISSING, AsyncCache, ConfigurationError
from cachewright.embedded import EmbeddedServer
from cachewright.errors import RemoteUnavailable
from cachewright.patterns import bloom
from cachewright.patterns._async.additions import AsyncAdditions
from cachewright.patterns._async.existing import AsyncExisting
from cachewright.patterns._async.read_through import AsyncReadThrough
from cachewright.patterns._async.write_through import AsyncWriteThrough

pytestmark = pytest.mark.usefixtures("patient")
pytest.importorskip("rbloom")


async def test_what_is_ruled_out_asks_neither_the_source_nor_the_cache(
    server: EmbeddedServer, namespace: str
) -> None:
    source = AsyncRecording(people(*range(1, 6)))
    async with AsyncProcess(server.url, namespace, source) as one:
        assert await one.existing.rebuild() == 5
        before = one.cache.stats()
        asked = range(1000, 1500)
        assert await one.users.get_many(asked) == {}
        misses = len(source.statements[0]) if source.statements else 0
        assert misses < 25, "one in a hundred"
        assert one.cache.stats().misses - before.misses == misses
        assert await one.users.get("3") == source.rows[3]


async def test_without_a_filter_each_absent_id_is_asked_for_once() -> None:
    source = AsyncRecording(people(1))
    async with AsyncCache() as cache:
        users = AsyncReadThrough(cache, source)
        for number in range(1000, 1100):
            assert await users.get(number) is MISSING
        assert len(source.statements) == 100


@pytest.mark.parametrize("wanted", [0.1, 0.01, 0.001])
async def test_the_filter_is_sized_for_its_share_of_false_positives(wanted: float) -> None:
    source = AsyncRecording(dict.fromkeys(range(20_000)))
    async with AsyncProcess(None, "n", source, false_positives=wanted, page=7000) as one:
        await one.existing.rebuild()
        assert source.pages == 3
        assert not any([await one.existing.rules_out(key) for key in range(0, 20_000, 7)])
        absent = range(10**6, 10**6 + 20_000)
        passed = 20_000 - sum([await one.existing.rules_out(key) for key in absent])
        assert passed < 20_000 * wanted * 1.3
        # 1.44 log2(1/p) bits a row (Bloom 1970), with a quarter to grow and 1,000 rows more.
        assert one.existing.bytes < 26_500 * 1.45 * -math.log2(wanted) / 8


async def test_before_the_first_build_nothing_is_ruled_out_and_one_begins() -> None:
    source = AsyncRecording(people(1))
    async with AsyncProcess(None, "n", source) as one:
        assert await one.users.get(1) == source.rows[1]
        await until(lambda: one.existing.builds == 1)
        assert await one.existing.rules_out(99)
        assert one.existing.age == 0


async def test_reads_that_find_no_filter_begin_one_build_together() -> None:
    source = AsyncRecording(people(1))
    source.gate.clear()
    async with AsyncProcess(None, "n", source) as one:
        for number in range(20):
            assert not await one.existing.rules_out(number)
        await until(lambda: source.pages == 1)
        source.gate.set()
        await until(lambda: one.existing.builds == 1 and not one.existing._wanted)
        assert source.pages == 1


async def test_options_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Listless:
        name = "users"

    for source, options in (
        (Listless(), {}),
        (AsyncRecording(), {"false_positives": 0}),
        (AsyncRecording(), {"false_positives": 1}),
        (AsyncRecording(), {"max_age": 0}),
        (AsyncRecording(name=""), {}),
    ):
        with pytest.raises(ConfigurationError):
            AsyncExisting(AsyncCache(), source, **options)
    monkeypatch.setitem(sys.modules, "rbloom", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'cachewright\[bloom\]'"):
        bloom.require()


# -------------------------------------------------------------------- additions


async def test_a_row_that_is_added_here_is_found_at_once() -> None:
    source = AsyncRecording(people(1))
    async with AsyncProcess(None, "n", source) as one:
        await one.existing.rebuild()
        assert await one.users.get(2) is MISSING
        await one.existing.add("2")
        source.rows |= people(2)
        assert await one.users.get(2) == source.rows[2]


async def test_a_row_that_another_process_adds_is_found(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await row_added_elsewhere(server, namespace) == people(2)[2]


async def test_a_filter_that_hears_no_news_does_not_find_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(self: AsyncExisting, built: Any) -> bool:
        return True

    monkeypatch.setattr(AsyncExisting, "_is_current", deaf)
    assert await row_added_elsewhere(valkey, namespace) is MISSING


async def row_added_elsewhere(server: EmbeddedServer, namespace: str) -> Any:
    source = AsyncRecording(people(1))
    async with (
        AsyncProcess(server.url, namespace, source) as here,
        AsyncProcess(server.url, namespace, source) as there,
    ):
        await here.existing.rebuild()
        await there.existing.rebuild()
        assert await here.users.get(2) is MISSING
        heard = here.cache.stats().heard
        await there.existing.add(2)
        source.rows |= people(2)
        await until(lambda: here.cache.stats().heard > heard)
        return await here.users.get(2)


async def test_news_that_are_read_once_cost_nothing_afterwards(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    since = AsyncAdditions.since

    async def counted(self: AsyncAdditions, *args: Any, **options: Any) -> Any:
        reads.append(1)
        return await since(self, *args, **options)

    source = AsyncRecording(people(1))
    async with AsyncProcess(server.url, namespace, source) as one:
        await one.existing.rebuild()
        await one.existing.add(2)
        monkeypatch.setattr(AsyncAdditions, "since", counted)
        for number in range(100, 150):
            await one.existing.rules_out(number)
        assert len(reads) == 1


async def test_an_addition_is_known_before_its_commit_so_a_reader_in_between_hides_nothing(
    server: EmbeddedServer, namespace: str
) -> None:
    source = AsyncRecording(people(1))
    async with AsyncProcess(server.url, namespace, source) as one:
        await one.existing.rebuild()
        await one.existing.add(2)
        assert await one.users.get(2) is MISSING, "not committed yet, and remembered as absent"
        source.rows |= people(2)
        await one.users.invalidate(2)
        assert await one.users.get(2) == source.rows[2]


# -------------------------------------------------------------------- doubt


async def test_where_the_log_has_a_gap_the_filter_is_not_believed_and_built_anew(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await row_behind_a_gap(server, namespace) == people(2)[2]


async def test_a_filter_that_sees_no_gap_hides_the_row(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = AsyncAdditions.since

    async def trusting(self: AsyncAdditions, store: Any, mark: Any, **options: Any) -> Any:
        return await since(self, store, mark, **options) or ([], mark)

    monkeypatch.setattr(AsyncAdditions, "since", trusting)
    assert await row_behind_a_gap(valkey, namespace) is MISSING


async def row_behind_a_gap(server: EmbeddedServer, namespace: str) -> Any:
    """The server has lost the log, as by a failover, and with it an addition."""
    source = AsyncRecording(people(1))
    async with (
        AsyncProcess(server.url, namespace, source) as here,
        AsyncProcess(server.url, namespace, source) as there,
    ):
        await here.existing.rebuild()
        heard = here.cache.stats().heard
        await there.existing.add(2)
        source.rows |= people(2)
        await until(lambda: here.cache.stats().heard > heard)
        store = here.cache.engine.store
        assert store is not None
        await store.one(("UNLINK", here.existing._log._stream))
        found = await here.users.get(2)
        await until(lambda: not here.existing._building)
        return found


async def test_while_the_link_is_down_nothing_is_ruled_out_unasked(
    server: EmbeddedServer, namespace: str
) -> None:
    source = AsyncRecording(people(1))
    async with (
        AsyncProcess(server.url, namespace, source) as here,
        AsyncProcess(server.url, namespace, source) as there,
    ):
        await here.existing.rebuild()
        here.cache.engine.flights.forget_all(linked=False)
        assert await here.existing.rules_out(2), "the server says that nothing was added"
        bus, here.cache.engine.bus = here.cache.engine.bus, None  # hears nothing
        await there.existing.add(2)
        assert not await here.existing.rules_out(2), "it is asked each time"
        here.cache.engine.bus = bus


async def test_where_the_server_does_not_answer_nothing_is_ruled_out(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = AsyncRecording(people(1))
    async with AsyncProcess(server.url, namespace, source) as one:
        await one.existing.rebuild()
        assert await one.existing.rules_out(2)

        async def silent(*_: Any, **__: Any) -> Any:
            raise RemoteUnavailable("nobody there")

        monkeypatch.setattr(AsyncAdditions, "since", silent)
        one.cache.engine.flights.forget_all(linked=True)
        assert not await one.existing.rules_out(2)
        monkeypatch.undo()
        assert await one.existing.rules_out(2)


async def test_what_the_server_could_not_be_told_is_told_later(
    server: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = AsyncRecording(people(1))
    async with (
        AsyncProcess(server.url, namespace, source) as here,
        AsyncProcess(server.url, namespace, source) as there,
    ):
        await here.existing.rebuild()

        async def silent(*_: Any, **__: Any) -> Any:
            raise RemoteUnavailable("nobody there")

        with monkeypatch.context() as broken:
            broken.setattr(AsyncAdditions, "append", silent)
            await there.existing.add(2)
        assert there.events.of("remote_error")
        heard = here.cache.stats().heard
        await there.existing.add(3)
        await until(lambda: here.cache.stats().heard > heard)
        assert not await here.existing.rules_out(2)
        assert not await here.existing.rules_out(3)


async def row_inserted_through_the_door(server: EmbeddedServer, namespace: str, **how: Any) -> Any:
    """What another process reads of a row that write-through inserts, after both have built their filters."""
    source = AsyncRecording(people(1))
    async with (
        AsyncProcess(server.url, namespace, source) as here,
        AsyncProcess(server.url, namespace, source) as there,
    ):
        await here.existing.rebuild()
        await there.existing.rebuild()
        assert await there.users.get(2, "nobody") == "nobody"
        announced = {"existing": here.existing} if how.get("announced", True) else {}
        door = AsyncWriteThrough(here.cache, source, **announced)
        heard = there.cache.stats().heard
        await door.put(people(2)[2])
        await until(lambda: there.cache.stats().heard > heard)
        return await there.users.get(2, "nobody")


async def test_a_row_that_write_through_inserts_is_announced_to_every_filter(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await row_inserted_through_the_door(server, namespace) == people(2)[2]


async def test_one_that_nobody_announces_would_be_ruled_out(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await row_inserted_through_the_door(server, namespace, announced=False) == "nobody"
