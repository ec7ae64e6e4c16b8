# Generated from _async/test_sessions.py by tools/unasync.py. Do not edit.
"""Within a session a key gives one object, as long as what is cached is one value."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.racing import heard_by
from _sync.steps import Source

from cachewright import ABSENT, MISSING, Cache, Policy

pytestmark = pytest.mark.usefixtures("patient")

POLICIES = {"as it is": Policy(), "copies": Policy(copy=True), "no memory": Policy(l1_ttl=0)}


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    return POLICIES[request.param]


def test_a_key_gives_the_same_object_by_every_verb(
    valkey: Any, namespace: str, policy: Policy
) -> None:
    with Cache(valkey.url, namespace=namespace, policy=policy) as cache:
        source = Source(["value"])
        with cache.session() as session:
            one = session.get_or_load("k", source.load)
            again = [
                session.get("k"),
                session.get_or_load("k", source.load),
                (session.get_many(["k", "none"]))["k"],
                session.get("k", verify=True),
            ]
            assert all(each is one for each in again)
            assert source.loads == 1


def test_without_a_session_copies_are_each_callers_own(valkey: Any, namespace: str) -> None:
    """The control, and what a session is for."""
    with Cache(valkey.url, namespace=namespace, policy=POLICIES["copies"]) as cache:
        cache.set("k", ["value"])
        assert cache.get("k") is not cache.get("k")


def test_two_sessions_share_no_copy(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace, policy=POLICIES["copies"]) as cache:
        cache.set("k", ["value"])
        one, other = cache.session(), cache.session()
        (one.get("k")).append("mine")
        assert one.get("k") == ["value", "mine"]
        assert other.get("k") == ["value"]
        one.clear()
        assert one.get("k") == ["value"]


def test_what_is_invalidated_or_set_anew_is_another_object(
    place: Any, namespace: str, policy: Policy
) -> None:
    with Cache(place, namespace=namespace, policy=policy) as cache:
        with cache.session() as session:
            source = Source(["old"])
            assert session.get_or_load("k", source.load, tags=["t"]) == ["old"]
            source.value = ["new"]
            cache.invalidate(tags=["t"])
            assert session.get("k", "gone") == "gone"
            assert session.get_or_load("k", source.load, tags=["t"]) == ["new"]
            cache.set("k", ["set"])
            if policy.l1_ttl is None or place:
                assert session.get("k") == ["set"]
            cache.set("k", ABSENT)
            assert session.get("k", None) is None


def test_what_another_process_invalidates_is_another_object(
    valkey: Any, namespace: str
) -> None:
    with (
        Cache(valkey.url, namespace=namespace) as cache,
        Cache(valkey.url, namespace=namespace) as other,
    ):
        other.engine.open()
        with cache.session() as session:
            cache.set("k", ["old"], tags=["t"])
            assert session.get("k") == ["old"]
            heard_by(cache, lambda: other.invalidate(tags=["t"]))
            assert session.get("k") is MISSING


def test_what_a_load_reads_in_a_session_is_a_part_of_it(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        session = cache.session()
        source = Source("old")

        def whole() -> Any:
            def load() -> Any:
                return session.get_or_load("part", source.load, tags=["t"])

            return cache.get_or_load("whole", load)

        session.get_or_load("part", source.load, tags=["t"])
        assert [whole(), whole()] == ["old", "old"]
        source.value = "new"
        cache.invalidate(tags=["t"])
        assert whole() == "new"
