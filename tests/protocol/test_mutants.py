"""Rules that are taken out of the engine nowhere else: with each the right value is read, without it the old one.

What must not be here: the rules that other tests take out; `index` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _async.racing import KEY, TAG, behind_reply, cache_on, during, heard_by, read
from _async.steps import AsyncSource, AsyncStep, until
from _async.test_writing import (
    AsyncFleet,
    read_after_the_commit_of_a_writer_that_lost_its_marks,
    read_after_the_second_of_two_commits,
)

from cachewright import AsyncCache, Policy
from cachewright._waits import aio
from cachewright.embedded import EmbeddedServer
from protocol import mutants
from rig.servers import Raw

pytestmark = pytest.mark.usefixtures("patient")
Mutant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine must not look like a slow server."""
    from cachewright import Timeouts

    defaults: Any = Timeouts.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "call", 5.0)
    monkeypatch.setitem(defaults, "connect", 5.0)


def with_and_without(mutant: Mutant) -> pytest.MarkDecorator:
    """Once as the engine is, once without the rule."""
    return pytest.mark.parametrize("mutant", [None, mutant], ids=["as it is", mutant.__name__])


@pytest.fixture
def weak(mutant: Mutant | None, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the engine is weakened in this test."""
    if mutant is not None:
        mutant(monkeypatch)
    return mutant is not None


# -------------------------------------------------------------------- who waits for a lease


async def waiter_is_released(server: EmbeddedServer, namespace: str, *, fills: bool) -> bool:
    """Whether one who waits for another's lease goes on at once when it ends, by a fill or by an invalidation."""
    held, own = AsyncSource("value"), AsyncSource("value")
    held.gate.clear()
    async with cache_on(server.url, namespace) as a, cache_on(server.url, namespace) as b:
        holder = AsyncStep(a.get_or_load, KEY, held.load)
        await until(held.began.is_set)
        waiter = AsyncStep(b.get_or_load, KEY, own.load)
        await until(lambda: any(flight.woken for flight in b.engine.flights._flying.get(KEY, ())))
        # Its name stands behind the holder's token once it waits.
        await until_waiting(a, b.engine.store)
        if fills:
            held.gate.set()
            await holder.result()
        else:
            await a.invalidate(KEY)
        try:
            await until(lambda: waiter.done, within=1.0)
        except AssertionError:
            return False
        finally:
            held.gate.set()
            await b.invalidate(KEY)
            b.engine.flights.wake(KEY)
            await waiter.result()
            await holder.result()
        return True


async def until_waiting(cache: AsyncCache, store: Any) -> None:
    """Until the process of `store` has asked to be woken."""
    name = cache.engine.keys.lease(KEY)

    async def asked() -> bool:
        assert cache.engine.store is not None
        return store.process.encode() in (await cache.engine.store.one(("GET", name)) or b"")

    while not await asked():
        await aio.wall_sleep(0.005)


@with_and_without(mutants.fills_wake_nobody)
async def test_who_waits_for_a_lease_is_woken_by_the_fill(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    assert await waiter_is_released(valkey, namespace, fills=True) is not weak


@with_and_without(mutants.dooms_in_silence)
async def test_who_waits_for_a_lease_is_woken_when_it_is_revoked(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    assert await waiter_is_released(valkey, namespace, fills=False) is not weak


# -------------------------------------------------------------------- what is read


@with_and_without(mutants.prefixes_are_scanned_for)
async def test_a_prefix_reaches_what_is_being_loaded(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    source = AsyncSource("old")
    async with cache_on(valkey.url, namespace) as cache, cache_on(valkey.url, namespace) as other:
        await during(source, lambda: read(cache, source), lambda: other.invalidate(prefix="a"))
        assert await read(other, source) == ("old" if weak else "new")


@with_and_without(mutants.tells_before_the_server_has_moved)
async def test_news_do_not_arrive_before_what_they_tell(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    source = AsyncSource("old")
    async with cache_on(valkey.url, namespace) as cache, cache_on(valkey.url, namespace) as other:
        await read(cache, source)
        source.value = "new"
        heard = cache.stats().heard

        early = []

        async def read_when_heard() -> None:
            await until(lambda: cache.stats().heard > heard)
            early.append(await read(cache, source))

        behind_reply(other, "one" if weak else "invalidate", read_when_heard)
        await other.invalidate(tags=[TAG])
        assert early == [await read(cache, source)] == ["old" if weak else "new"]


@with_and_without(mutants.reads_entries_before_their_stamps)
async def test_the_stamp_of_a_parts_key_is_read_before_its_entry(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    source = AsyncSource("old")
    async with cache_on(valkey.url, namespace) as cache, cache_on(valkey.url, namespace) as other:
        # No tag: only the stamp of its key can tell the whole that the part has moved.
        await heard_by(cache, lambda: other.set("part", "old"))

        async def whole() -> list[Any]:
            return ["whole", await cache.get_or_load("part", source.load)]

        async def write() -> None:
            source.value = "new"
            await heard_by(cache, lambda: other.invalidate("part"))

        write_behind_the_entry(cache, write, weak=weak)
        assert await cache.get_or_load("whole", whole) == ["whole", "old"]
        assert source.value == "new", "nothing was written meanwhile"
        assert await cache.get_or_load("whole", whole) == ["whole", "old" if weak else "new"]


def write_behind_the_entry(cache: AsyncCache, write: Callable[[], Any], *, weak: bool) -> None:
    """Run `write()` when the entry of the part has been read: the second look, as the first is for the whole."""
    store = cache.engine.store
    assert store is not None
    if weak:
        make = store.make_stamps

        async def written_first(tags: Any) -> Any:
            store.make_stamps = make  # type: ignore[method-assign]
            await write()
            return await make(tags)

        store.make_stamps = written_first  # type: ignore[method-assign]
        return

    async def next_look() -> None:
        behind_reply(cache, "read", write)

    behind_reply(cache, "read", next_look)


@with_and_without(mutants.news_set_the_clock)
async def test_the_clock_forgets_and_does_not_learn_from_its_own_invalidation(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    source = AsyncSource("old")
    async with cache_on(valkey.url, namespace) as cache, cache_on(valkey.url, namespace) as other:

        async def overtake() -> None:
            """Another process fills under the stamp that was just made, and then moves it."""
            await read(other, source)
            source.value = "new"
            await heard_by(cache, lambda: other.invalidate(tags=[TAG]))

        behind_reply(cache, "make_stamps" if weak else "invalidate", overtake)
        await cache.get_or_load("warm", source.load)
        await cache.invalidate(tags=[TAG])
        assert source.value == "new", "nothing came between"
        assert await read(cache, source) == ("old" if weak else "new")


@with_and_without(mutants.restamps_with_todays_epoch)
async def test_an_entry_is_re_stamped_with_the_epoch_from_before_the_comparison(
    valkey: EmbeddedServer, namespace: str, weak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = AsyncSource("old")
    async with cache_on(valkey.url, namespace) as cache:
        await read(cache, source)
        await read(cache, source)
        await cache.invalidate(tags=["of something else"])
        source.value = "new"
        moved: list[str] = []

        class Overtaken(dict[str, bytes]):
            """Known stamps: an invalidation has been carried out when one of them is compared."""

            def get(self, tag: str, default: Any = None) -> Any:
                found = super().get(tag, default)
                if tag == "t:" + TAG and not moved:
                    moved.append(tag)
                    cache.engine.flights.invalidate([], [tag])
                return found

        cache.engine.tags.known = Overtaken(cache.engine.tags.known)
        assert await read(cache, source) == "old"
        assert moved, "it was not re-stamped"
        await raw_move(cache)
        assert await read(cache, source) == ("old" if weak else "new")


async def raw_move(cache: AsyncCache) -> None:
    """What the server had done before the news came."""
    assert cache.engine.store is not None
    await cache.engine.store.invalidate([], ["t:" + TAG])


@with_and_without(mutants.falls_back_on_what_was_invalidated)
async def test_stale_is_old_by_time_and_never_by_a_stamp_that_differs(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    source = AsyncSource("old")
    policy = Policy(ttl=10, stale_if_error=600)
    async with (
        cache_on(valkey.url, namespace, policy=policy) as cache,
        cache_on(valkey.url, namespace, policy=policy) as other,
    ):
        await read(other, source)
        await heard_by(cache, lambda: other.invalidate(tags=[TAG]))
        source.error = ConnectionError("the source is down")
        if weak:
            assert await read(cache, source) == "old"
        else:
            with pytest.raises(ConnectionError):
                await read(cache, source)


# -------------------------------------------------------------------- two-phase writes


@with_and_without(mutants.marks_beside_the_stamp)
async def test_a_mark_destroys_the_stamp(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    async with AsyncFleet(valkey.url, namespace) as fleet:
        write = fleet.writer.writing(tags=["row"])
        await write.__aenter__()
        await fleet.heard(1)
        assert await fleet.read() == "old"
        await write.before_commit()
        fleet.source.value = "new"
        assert await fleet.read() == ("old" if weak else "new")
        await write.__aexit__(None, None, None)


@with_and_without(mutants.ends_the_marks_of_others)
async def test_a_writer_ends_its_own_mark_only(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    async with AsyncFleet(valkey.url, namespace) as fleet:
        seen = await read_after_the_second_of_two_commits(fleet)
        assert seen == ("old" if weak else "new")


@with_and_without(mutants.marks_in_silence)
async def test_phase_1_is_told_to_everybody(
    valkey: EmbeddedServer, namespace: str, weak: bool
) -> None:
    async with AsyncFleet(valkey.url, namespace) as fleet:
        assert await fleet.read() == "old"
        async with fleet.writer.writing(tags=["row"]):
            fleet.source.value = "new"
            await fleet.other.invalidate("something else")
            await fleet.heard(1 if weak else 2)
            assert await fleet.read() == ("old" if weak else "new")


@pytest.mark.parametrize(
    "mutant", [None, mutants.asserts_nothing_again, mutants.asserts_again_in_silence]
)
async def test_a_mark_that_was_lost_is_made_and_told_again_before_the_commit(
    valkey: EmbeddedServer, namespace: str, raw: Raw, weak: bool
) -> None:
    async with AsyncFleet(valkey.url, namespace) as fleet:
        seen = await read_after_the_commit_of_a_writer_that_lost_its_marks(fleet, valkey, raw)
        assert seen == ("old" if weak else "new")
