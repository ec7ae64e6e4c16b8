# Generated from _async/test_races.py by tools/unasync.py. Do not edit.
"""A value loaded before an invalidation does not come back after it, wherever the two meet.

Who was reading already may still get the old value; who reads next does not. Each test has a twin on a weakened engine
on which the old value does come back.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync import weaknesses
from _sync.racing import (
    KEY,
    TAG,
    WRITES,
    HeldBus,
    behind_reply,
    cache_on,
    during,
    heard_by,
    read,
    read_many,
)
from _sync.steps import Source
from _sync.weaknesses import Weakness

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from rig.processes import Counter, Fleet
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")

NOWHERE = "no server"
READS = {"one": read, "many": read_many}
reads = pytest.mark.parametrize("verb", READS)
writes = pytest.mark.parametrize("write", WRITES)


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
def url(request: pytest.FixtureRequest, server_pool: Pool) -> str | None:
    """Each kind of server, and none."""
    return None if request.param == NOWHERE else server_pool.get(request.param).url


# -------------------------------------------------------------------- while it is being loaded


def overtaken_load(url: str | None, namespace: str, *, verb: str, write: str) -> list[Any]:
    """What a load's caller, the next reader and a new process see after an invalidation by the loading process."""
    source = Source("old")
    with cache_on(url, namespace) as cache, cache_on(url, namespace) as other:
        reading = READS[verb]
        first = during(source, lambda: reading(cache, source), lambda: WRITES[write](cache))
        return [first, reading(cache, source), reading(other, source)]


@reads
@writes
def test_what_is_invalidated_while_it_is_loaded_is_loaded_again(
    url: str | None, namespace: str, verb: str, write: str
) -> None:
    seen = overtaken_load(url, namespace, verb=verb, write=write)
    assert seen == ["old", "new", "new"]


@pytest.mark.parametrize(
    ("write", "weakness"),
    [
        ("key", weaknesses.fills_without_lease),
        ("key", weaknesses.deletes_but_keeps_the_lease),
        ("tag", weaknesses.stamps_after_the_load),
        ("clear", weaknesses.stamps_after_the_load),
        ("prefix", weaknesses.stamps_after_the_load),
    ],
)
@reads
def test_without_this_protection_at_the_server_a_load_revives_the_old_value(
    valkey: EmbeddedServer,
    namespace: str,
    verb: str,
    *,
    write: str,
    weakness: Weakness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weakness(monkeypatch)
    seen = overtaken_load(valkey.url, namespace, verb=verb, write=write)
    assert seen == ["old", "old", "old"]


@reads
@writes
def test_without_dooming_a_load_revives_the_old_value_in_memory(
    namespace: str, verb: str, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.lands_doomed_at_todays_epoch(monkeypatch)
    assert (overtaken_load(None, namespace, verb=verb, write=write))[1] == "old"


# -------------------------------------------------------------------- by another process


def overtaken_elsewhere(
    url: str, namespace: str, *, verb: str, write: str, late: bool
) -> list[Any]:
    """The same for an invalidation by another process. `late`: its message arrives after the load has ended."""
    source = Source("old")
    with cache_on(url, namespace) as cache, cache_on(url, namespace) as other:
        reading = READS[verb]

        def invalidate() -> None:
            WRITES[write](other)

        def invalidate_and_tell() -> None:
            heard_by(cache, invalidate)

        bus = HeldBus(cache) if late else None
        first = during(
            source, lambda: reading(cache, source), invalidate if late else invalidate_and_tell
        )
        if bus is not None:
            bus.deliver()
        return [first, reading(cache, source), reading(other, source)]


@pytest.mark.parametrize("late", [False, True], ids=["heard at once", "heard late"])
@reads
@writes
def test_what_another_process_invalidates_while_it_is_loaded_is_loaded_again(
    server: EmbeddedServer, namespace: str, verb: str, *, write: str, late: bool
) -> None:
    seen = overtaken_elsewhere(server.url, namespace, verb=verb, write=write, late=late)
    assert seen == ["old", "new", "new"]


@pytest.mark.parametrize(
    ("write", "late", "weakness"),
    [
        ("key", False, weaknesses.fills_without_lease),
        ("key", True, weaknesses.deletes_but_keeps_the_lease),
        ("tag", False, weaknesses.stamps_after_the_load),
        ("tag", True, weaknesses.epoch_stands_still),
        ("clear", True, weaknesses.epoch_stands_still),
        ("prefix", True, weaknesses.epoch_stands_still),
    ],
)
def test_without_this_protection_another_processs_invalidation_is_undone(
    valkey: EmbeddedServer,
    namespace: str,
    write: str,
    *,
    late: bool,
    weakness: Weakness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weakness(monkeypatch)
    seen = overtaken_elsewhere(valkey.url, namespace, verb="one", write=write, late=late)
    assert seen[:2] == ["old", "old"]


PATIENT = Policy(timeouts=Timeouts(call=5, connect=5))


def invalidate_from_here(index: int, *, url: str, namespace: str, write: str) -> None:
    """A member of a fleet: one process, one invalidation."""
    from cachewright import Cache

    with Cache(url, namespace=namespace, hierarchy=True, policy=PATIENT) as cache:
        WRITES_OF_A_PROCESS[write](cache)


def load_here(
    index: int, *, url: str, namespace: str, began: Counter, written: Counter, weak: bool
) -> list[str]:
    """A member of a fleet: what its load brings, and what it reads next."""
    from cachewright import Cache

    values = ["new", "old"]

    def load() -> str:
        value = values.pop()
        began.add()
        written.reach(1)
        return value

    with pytest.MonkeyPatch.context() as patch:
        if weak:
            from _sync.weaknesses import fills_without_lease

            fills_without_lease(patch)
        with Cache(url, namespace=namespace, policy=PATIENT) as cache:
            return [cache.get_or_load(KEY, load) for _ in range(2)]


WRITES_OF_A_PROCESS: dict[str, Any] = {
    "key": lambda cache: cache.invalidate(KEY),
    "tag": lambda cache: cache.invalidate(tags=[TAG]),
}


def overtaken_by_a_process(server: EmbeddedServer, namespace: str, write: str) -> list[Any]:
    source = Source("old")
    with Fleet() as fleet:
        with cache_on(server.url, namespace) as cache:

            def run() -> None:
                fleet.start(
                    invalidate_from_here, 1, url=server.url, namespace=namespace, write=write
                )
                fleet.results()

            first = during(source, lambda: read(cache, source), lambda: heard_by(cache, run))
            return [first, read(cache, source)]


@pytest.mark.parametrize("write", ["key", "tag"])
def test_an_invalidation_by_a_process_of_its_own_meets_a_load_here(
    valkey: EmbeddedServer, namespace: str, write: str
) -> None:
    assert overtaken_by_a_process(valkey, namespace, write) == ["old", "new"]


def test_without_leases_a_process_of_its_own_cannot_stop_a_load_here(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.fills_without_lease(monkeypatch)
    assert overtaken_by_a_process(valkey, namespace, "key") == ["old", "old"]


@pytest.mark.parametrize(("weak", "seen"), [(False, ["old", "new"]), (True, ["old", "old"])])
def test_an_invalidation_here_meets_a_load_in_a_process_of_its_own_unless_leases_are_off(
    valkey: EmbeddedServer, namespace: str, weak: bool, seen: list[str]
) -> None:
    with Fleet() as fleet:
        began, written = fleet.counter("began"), fleet.counter("written")
        fleet.start(
            load_here,
            1,
            url=valkey.url,
            namespace=namespace,
            began=began,
            written=written,
            weak=weak,
        )
        began.reach(1)
        with cache_on(valkey.url, namespace) as cache:
            cache.invalidate(KEY)
        written.add()
        assert fleet.results() == [seen]


# -------------------------------------------------------------------- set, and what it meets


def set_during_load(url: str | None, namespace: str, *, here: bool) -> list[Any]:
    source = Source("old")
    with cache_on(url, namespace) as cache, cache_on(url, namespace) as other:

        def store() -> None:
            if here:
                cache.set(KEY, "set")
            else:
                heard_by(cache, lambda: other.set(KEY, "set"))

        first = during(source, lambda: read(cache, source), store)
        return [first, read(cache, source), read(other, source)]


@pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])
def test_a_value_that_is_set_during_a_load_stays(
    server: EmbeddedServer, namespace: str, here: bool
) -> None:
    assert set_during_load(server.url, namespace, here=here) == ["old", "set", "set"]


def test_a_value_that_is_set_during_a_load_stays_without_a_server(namespace: str) -> None:
    assert (set_during_load(None, namespace, here=True))[:2] == ["old", "set"]


@pytest.mark.parametrize(
    "weakness", [weaknesses.fills_without_lease, weaknesses.sets_but_keeps_the_lease]
)
@pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])
def test_without_this_protection_a_load_overwrites_what_was_set(
    valkey: EmbeddedServer,
    namespace: str,
    here: bool,
    *,
    weakness: Weakness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weakness(monkeypatch)
    seen = set_during_load(valkey.url, namespace, here=here)
    assert seen[2 if here else 1] == "old"  # in the process that did not set it


# -------------------------------------------------------------------- between a reply and memory


def overtaken_reply(url: str, namespace: str, verb: str, *, here: bool) -> Any:
    """What is read after a write that came between the server's reply to `verb` and memory."""
    source = Source("old")
    # In debug mode each read goes the long way; test_glances.py is about the short one.
    with (
        Cache(url, namespace=namespace, debug=True) as cache,
        Cache(url, namespace=namespace) as other,
    ):
        if verb == "read":
            heard_by(cache, lambda: other.set(KEY, "old"))
        # The clock knows the namespace's stamp, so that dooming alone can keep the entry out.
        cache.get_or_load("warm", source.load)

        def write() -> None:
            (cache if here else other).set(KEY, "new")

        def write_and_tell() -> None:
            heard_by(cache, write)

        behind_reply(cache, verb, write if here else write_and_tell)
        if verb == "store":
            cache.set(KEY, "old")
        else:
            assert cache.get_or_load(KEY, source.load) == "old"
        return cache.get(KEY)


VERBS = pytest.mark.parametrize("verb", ["read", "fill", "store"])
PLACES = pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])


@VERBS
@PLACES
def test_what_was_overtaken_behind_its_reply_does_not_enter_memory(
    server: EmbeddedServer, namespace: str, verb: str, here: bool
) -> None:
    assert overtaken_reply(server.url, namespace, verb, here=here) == "new"


@VERBS
@PLACES
def test_without_dooming_an_overtaken_reply_stays_in_memory(
    valkey: EmbeddedServer,
    namespace: str,
    verb: str,
    *,
    here: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weaknesses.dooms_nothing(monkeypatch)
    assert overtaken_reply(valkey.url, namespace, verb, here=here) == "old"


def overtaken_stamps(url: str, namespace: str) -> list[Any]:
    source = Source("new")
    with cache_on(url, namespace) as cache, cache_on(url, namespace) as other:
        heard_by(cache, lambda: other.set(KEY, "old", tags=[TAG]))
        behind_reply(cache, "read", lambda: heard_by(cache, lambda: other.invalidate(tags=[TAG])))
        return [read(cache, source), read(cache, source)]


def test_a_reply_that_was_overtaken_teaches_the_clock_nothing(
    server: EmbeddedServer, namespace: str
) -> None:
    assert overtaken_stamps(server.url, namespace) == ["old", "new"]


def test_a_clock_that_learns_from_every_reply_serves_the_old_value(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.learns_from_overtaken_replies(monkeypatch)
    assert overtaken_stamps(valkey.url, namespace) == ["old", "old"]
