# Generated from _async/test_writing.py by tools/unasync.py. Do not edit.
"""Two-phase writes: dirty before the source commits, fresh after, and no old value at any moment after the commit.

Writers that are killed are in tests/processes/test_fleet.py.
"""

from __future__ import annotations

from typing import Any, Self

import pytest
from _sync.mutants import weaken_script
from _sync.steps import Source, Step, until, until_read

from cachewright import MISSING, Cache
from cachewright._sync.writing import Writing
from cachewright.embedded import EmbeddedServer
from cachewright.errors import ConfigurationError, RemoteError
from cachewright.testing import RecordingListener
from rig.proxy import FaultProxy
from rig.servers import Raw


class Fleet:
    """A writing cache, two reading ones, and the source that all of them load from."""

    def __init__(self, url: str, namespace: str) -> None:
        self.writer = Cache(url, namespace=namespace)
        self.reader = Cache(url, namespace=namespace)
        self.other = Cache(url, namespace=namespace)
        self.source = Source("old")

    def __enter__(self) -> Self:
        for cache in (self.writer, self.reader, self.other):
            cache.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for cache in (self.writer, self.reader, self.other):
            cache.close()

    def read(self) -> str:
        """What a user of the reading process sees."""
        return self.read_in(self.reader)

    def keeps(self, value: str) -> None:
        """Until the reading process keeps `value`: what it loads before it has heard of the end it does not."""

        def kept() -> Any:
            assert self.read() == value
            return self.reader.get("k")

        until_read(kept, value)

    def heard(self, messages: int) -> None:
        """Until the reading process has heard so many messages."""
        until(lambda: self.reader.stats().heard == messages)

    def read_in(self, cache: Cache) -> str:
        value: str = cache.get_or_load("k", self.source.load, tags=["row"])
        return value


WAYS = pytest.mark.parametrize("what", [{"keys": ["k"]}, {"tags": ["row"]}], ids=["key", "tag"])
"""A write may name the key, or a tag that the value was made from."""


@WAYS
def test_nothing_is_filled_while_a_write_is_under_way(
    server: EmbeddedServer, namespace: str, raw: Raw, what: dict[str, Any]
) -> None:
    with Fleet(server.url, namespace) as fleet:
        with fleet.writer.writing(**what):
            for loads in (1, 2):
                assert fleet.read() == "old"
                assert fleet.source.loads == loads
            for cache in (fleet.reader, fleet.writer, fleet.other):
                assert cache.get("k") is MISSING
                assert not cache.set("k", "mine", tags=["row"])
                assert cache.get("k") is MISSING
            assert not raw(server).exists(fleet.reader.engine.keys.entry("k"))
        fleet.keeps("old")


@WAYS
def test_from_the_commit_on_every_process_reads_the_new_value(
    server: EmbeddedServer, namespace: str, what: dict[str, Any]
) -> None:
    with Fleet(server.url, namespace) as fleet:
        assert fleet.read() == fleet.read_in(fleet.other) == "old"
        with fleet.writer.writing(**what) as write:
            # Elsewhere phase 1 holds from when it is heard, which the bus latency precedes.
            until(lambda: fleet.reader.stats().heard == fleet.other.stats().heard == 1)
            write.before_commit()
            fleet.source.value = "new"
            for cache in (fleet.reader, fleet.writer, fleet.other):
                assert fleet.read_in(cache) == "new"
        for cache in (fleet.reader, fleet.writer, fleet.other):
            assert fleet.read_in(cache) == "new"


@WAYS
def test_a_load_that_began_before_the_write_brings_nothing_back(
    server: EmbeddedServer, namespace: str, what: dict[str, Any]
) -> None:
    with Fleet(server.url, namespace) as fleet:
        fleet.source.gate.clear()
        late = Step(fleet.read)
        until(fleet.source.began.is_set)
        with fleet.writer.writing(**what):
            fleet.source.value = "new"
        fleet.source.gate.set()
        assert late.result() == "old", "its caller asked before the write ended"
        fleet.heard(2)  # a read elsewhere may join that load until the news has come
        for cache in (fleet.reader, fleet.writer, fleet.other):
            assert fleet.read_in(cache) == "new"


def test_without_phase_1_the_old_value_is_read_after_the_commit(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mark(self: Writing, **options: Any) -> None:
        """Does nothing."""

    monkeypatch.setattr(Writing, "_mark", mark)
    with Fleet(valkey.url, namespace) as fleet:
        assert fleet.read() == "old"
        with fleet.writer.writing(keys=["k"], tags=["row"]) as write:
            write.before_commit()
            fleet.source.value = "new"
            assert fleet.read() == "old"


# -------------------------------------------------------------------- several writers


def read_after_the_second_of_two_commits(fleet: Fleet) -> str:
    """Two writers at once; the first ends, and what is read then must not outlive the second's commit."""
    first = fleet.writer.writing(keys=["k"], tags=["row"])
    second = fleet.other.writing(keys=["k"], tags=["row"])
    with second:
        with first:
            pass
        fleet.heard(3)
        assert fleet.read() == "old"
        fleet.source.value = "new"
        return fleet.read()


def test_the_mark_of_one_writer_outlasts_the_end_of_another(
    server: EmbeddedServer, namespace: str
) -> None:
    with Fleet(server.url, namespace) as fleet:
        assert read_after_the_second_of_two_commits(fleet) == "new"
        assert fleet.read() == "new"


def test_a_writer_that_ends_the_marks_of_others_lets_an_old_value_in(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "invalidate", "if left ~= '' then", "if false then")
    with Fleet(valkey.url, namespace) as fleet:
        assert read_after_the_second_of_two_commits(fleet) == "old"


def test_an_invalidation_of_somebody_else_does_not_end_a_write(
    server: EmbeddedServer, namespace: str
) -> None:
    with Fleet(server.url, namespace) as fleet:
        with fleet.writer.writing(keys=["k"], tags=["row"]):
            fleet.other.invalidate("k", tags=["row"])
            assert fleet.read() == "old"
            assert fleet.reader.get("k") is MISSING
        fleet.keeps("old")


# -------------------------------------------------------------------- marks that get lost


def read_after_the_commit_of_a_writer_that_lost_its_marks(
    fleet: Fleet, server: EmbeddedServer, raw: Raw
) -> str:
    keys = fleet.writer.engine.keys
    with fleet.writer.writing(keys=["k"], tags=["row"]) as write:
        fleet.heard(1)
        assert raw(server).delete(keys.lease("k"), keys.tag("t:row")) == 2
        assert fleet.read() == "old" == fleet.reader.get("k"), "it could be filled"
        write.before_commit()
        fleet.source.value = "new"
        # What was told on the bus takes its latency, within which it must have been heard.
        heard = fleet.reader.stats().heard
        fleet.other.invalidate("something else")
        until(lambda: fleet.reader.stats().heard > heard)
        return fleet.read()


def test_before_commit_makes_a_lost_mark_again_and_tells_everybody(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Fleet(server.url, namespace) as fleet:
        seen = read_after_the_commit_of_a_writer_that_lost_its_marks(fleet, server, raw)
        assert seen == "new"


def test_without_before_commit_a_lost_mark_lets_an_old_value_in(
    valkey: EmbeddedServer, namespace: str, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before_commit(self: Writing) -> None:
        """Does nothing."""

    monkeypatch.setattr(Writing, "before_commit", before_commit)
    with Fleet(valkey.url, namespace) as fleet:
        seen = read_after_the_commit_of_a_writer_that_lost_its_marks(fleet, valkey, raw)
        assert seen == "old"


def test_before_commit_tells_nobody_while_its_marks_are_there(
    server: EmbeddedServer, namespace: str
) -> None:
    with Fleet(server.url, namespace) as fleet:
        with fleet.writer.writing(keys=["k"]) as write:
            until(lambda: fleet.reader.stats().heard == 1)
            for _ in range(3):
                write.before_commit()
        until(lambda: fleet.reader.stats().heard == 2)


def test_the_mark_of_a_long_write_is_renewed(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Fleet(server.url, namespace) as fleet:
        names = fleet.writer.engine.keys.lease("k"), fleet.writer.engine.keys.tag("t:row")
        client = raw(server)
        with fleet.writer.writing(keys=["k"], tags=["row"], limit=0.9):
            for name in names:
                # It begins at 900 ms and is seen below 700, so whatever is above 800 was renewed.
                until(lambda name=name: 0 < client.pttl(name) < 700)  # type: ignore[misc]
                until(lambda name=name: client.pttl(name) > 800)  # type: ignore[misc]
            assert fleet.read() == "old"
            assert fleet.reader.get("k") is MISSING
        assert not client.exists(names[0])


def test_the_mark_of_a_writer_that_is_gone_runs_out_by_itself(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Fleet(server.url, namespace) as fleet:
        store = fleet.writer.engine.store
        assert store is not None
        assert store.mark(["k"], ["t:row"], "token-of-the-dead", lasting=0.2) == 2
        assert fleet.read() == "old"
        keys = fleet.reader.engine.keys
        until(lambda: not raw(server).exists(keys.lease("k"), keys.tag("t:row")))
        assert fleet.read() == "old" == fleet.reader.get("k")


def test_the_mark_of_a_dead_writer_runs_out_while_another_ones_is_renewed(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Fleet(server.url, namespace) as fleet:
        store, lease = fleet.other.engine.store, fleet.writer.engine.keys.lease("k")
        assert store is not None
        with fleet.writer.writing(keys=["k"], limit=0.6):
            assert store.mark(["k"], [], "token-of-the-dead", lasting=0.1) == 1
            client = raw(server)
            # A renewal, which writes the mark anew, leaves out whoever is dead by then.
            until(lambda: "token-of-the-dead" not in str(client.get(lease)))
        fleet.keeps("old")


def test_a_renewal_that_comes_after_the_end_makes_no_mark(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Fleet(server.url, namespace) as fleet:
        store = fleet.writer.engine.store
        assert store is not None
        late = store.mark(["k"], ["t:row"], "token", lasting=60, renewing=True)
        assert late == 0
        assert fleet.read() == "old" == fleet.reader.get("k")


# -------------------------------------------------------------------- writes that fail


class Refused(Exception):
    """What a source raises that refuses a write."""


def test_an_error_in_the_body_ends_the_write_and_reaches_the_caller(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    with Fleet(server.url, namespace) as fleet:
        assert fleet.read() == "old"

        def write() -> None:
            with fleet.writer.writing(keys=["k"], tags=["row"]):
                fleet.source.value = "new"
                raise Refused

        with pytest.raises(Refused):
            write()
        assert not raw(server).exists(fleet.writer.engine.keys.lease("k"))
        until_read(fleet.read, "new")
        fleet.keeps("new")


def test_a_strict_write_does_not_begin_when_the_server_cannot_be_told(
    valkey: EmbeddedServer, namespace: str
) -> None:
    began = False
    with FaultProxy(valkey.url) as proxy:
        with Fleet(proxy.url, namespace) as fleet:
            proxy.stall()
            with pytest.raises(RemoteError):
                with fleet.writer.writing(keys=["k"], strict=True):
                    began = True
            proxy.heal()
    assert not began


def test_a_strict_write_says_before_the_commit_that_its_marks_cannot_be_re_asserted(
    valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        with Cache(proxy.url, namespace=namespace) as cache:
            write = cache.writing(keys=["k"], strict=True)
            write.__enter__()
            proxy.stall()
            with pytest.raises(RemoteError):
                write.before_commit()
            proxy.heal()
            write.__exit__(None, None, None)


def test_a_write_goes_on_without_the_server_and_is_made_good_afterwards(
    server: EmbeddedServer, namespace: str
) -> None:
    events = RecordingListener()
    source = Source("old")
    with FaultProxy(server.url) as proxy:
        with (
            Cache(proxy.url, namespace=namespace, listeners=[events]) as writer,
            Cache(server.url, namespace=namespace) as reader,
        ):
            assert reader.get_or_load("k", source.load) == "old"
            writer.get("open the connection")
            proxy.refuse()
            proxy.cut()
            with writer.writing(keys=["k"]) as write:
                write.before_commit()
                source.value = "new"
            assert writer.get_or_load("k", source.load) == "new"
            assert writer.stats().pending_repairs == 1
            assert len(events.of("remote_error")) >= 1
            proxy.heal()
            # Nobody calls the writer any more: what it owes is sent when its link is back.
            until_read(lambda: reader.get_or_load("k", source.load), "new")
            until(lambda: writer.stats().pending_repairs == 0)
            assert events.of("repaired")


def test_a_write_is_bracketed_by_drops_where_there_is_no_server() -> None:
    source = Source("old")
    with Cache() as cache:
        assert cache.get_or_load("k", source.load) == "old"
        with cache.writing(keys=["k"]):
            source.value = "new"
        assert cache.get_or_load("k", source.load) == "new"


def test_a_load_under_way_is_doomed_by_the_end_of_a_local_write() -> None:
    source = Source("old")
    source.gate.clear()
    with Cache() as cache:
        with cache.writing(keys=["k"]):
            late = Step(cache.get_or_load, "k", source.load)
            until(source.began.is_set)
            source.value = "new"
        source.gate.set()
        assert late.result() == "old"
        assert cache.get_or_load("k", source.load) == "new"


def test_a_write_that_names_nothing_is_refused() -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="give keys= or tags="):
            cache.writing()
