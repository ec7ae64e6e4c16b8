# Generated from _async/test_typed.py by tools/unasync.py. Do not edit.
"""A view of one type: objects come back as objects, and what another release or somebody else wrote is a miss."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest
from _sync.steps import PATIENCE, Source, Step

from cachewright import ABSENT, MISSING, Cache, ConfigurationError, Policy, Unstorable
from cachewright.codecs.pickle import SignedPickleCodec
from cachewright.testing import RecordingListener

pytestmark = pytest.mark.usefixtures("patient")


@dataclass(frozen=True)
class User:
    id: int
    name: str
    friends: tuple[User, ...] = ()


@dataclass
class Order:
    id: int


ADA = User(1, "Ada", (User(2, "Grace"),))


def test_objects_come_back_as_objects_by_every_verb(place: Any, namespace: str) -> None:
    with (
        Cache(place, namespace=namespace) as cache,
        Cache(place, namespace=namespace) as other,
    ):
        users = cache.typed(User)
        assert users.set("a", ADA, tags=["user:1"])
        assert users.set_many({"b": ADA}) == {"b": True}
        assert users.add("a", ADA) is False
        assert users.get_or_load("c", lambda: ADA) == ADA
        assert users.get_or_load_many(["c", "d", "e"], lambda keys: {"d": ADA}) == {
            "c": ADA,
            "d": ADA,
            "e": MISSING,
        }
        elsewhere = (other if place else cache).typed(User)
        assert elsewhere.get_many(["a", "b", "c", "d", "e"]) == dict.fromkeys("abcd", ADA)
        assert elsewhere.get("a") == ADA
        assert elsewhere.get("f", None) is None
        users.invalidate(tags=["user:1"])
        assert users.get("a") is MISSING


def test_they_may_be_parts_of_other_values(place: Any, namespace: str) -> None:
    with (
        Cache(place, namespace=namespace) as cache,
        Cache(place, namespace=namespace) as other,
    ):
        for each in (cache, other):
            each.typed(User)
        page = {"by": ADA, "all": [ADA, ADA]}
        assert cache.set("page", page)
        assert (other if place else cache).get("page") == page


def test_defect_97_an_object_comes_back_as_it_was_and_nothing_is_pickled(
    valkey: Any, namespace: str, raw: Any
) -> None:
    with (
        Cache(valkey.url, namespace=namespace) as cache,
        Cache(valkey.url, namespace=namespace) as other,
    ):
        assert cache.typed(User).set("u", ADA)
        back = other.typed(User).get("u")
        assert (type(back), back) == (User, ADA)
        data = raw(valkey).get(cache.engine.keys.entry("u"))
        assert b"Ada" in data
        assert b"User" not in data, "what is stored names no code"


def test_defect_97_what_nobody_declared_is_told_and_not_turned_into_text(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    """The guide's `json.dumps(default=str)` would give back text."""
    with Cache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        assert cache.set("u", ADA) is False
        assert cache.get("u") is MISSING
        assert [event.kind for event in events.events if event.kind == "unstorable"]


class Run:
    """What a hostile payload names."""

    def __reduce__(self) -> Any:
        return exec, ("import os; os.environ['PLANTED'] = 'ran'",)


def test_defect_97_the_guides_formats_run_code_or_lose_the_type(
    valkey: Any, namespace: str, raw: Any
) -> None:
    """The control, beside the same bytes in a cache that has declared its types."""
    pickle.loads(pickle.dumps(Run()))
    assert os.environ.pop("PLANTED") == "ran", (
        "the guide's default: whoever can write to the server runs code"
    )
    assert json.loads(json.dumps({"user": ADA}, default=str)) != {"user": ADA}
    with Cache(valkey.url, namespace=namespace) as cache:
        users = cache.typed(User)
        users.set("u", ADA)
        name = cache.engine.keys.entry("u")
        entry = raw(valkey).get(name)
        raw(valkey).set(name, entry[: -len(entry) // 2] + pickle.dumps(Run()))
        cache.engine.flights.forget_all(linked=True)
        assert users.get("u") is MISSING
        assert "PLANTED" not in os.environ


# -------------------------------------------------------------------- another release


def release(*fields: tuple[str, type]) -> Any:
    """The class of one release; all have one name."""
    made = make_dataclass("Account", fields)
    made.__module__ = "shop"
    return made


OLD, NEW = release(("id", int), ("name", str)), release(("id", int), ("alias", str))


def test_defect_98_after_a_rename_there_is_one_load_and_then_there_are_hits(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    with (
        Cache(valkey.url, namespace=namespace) as old,
        Cache(valkey.url, namespace=namespace, listeners=[events]) as cache,
    ):
        assert old.typed(OLD).set("a", OLD(1, "Ada"))
        accounts = cache.typed(NEW)
        assert accounts.get("a", None) is None
        assert old.typed(OLD).set("a", OLD(1, "Ada"))
        source = Source(NEW(1, "Ada"))
        for _ in range(3):
            assert accounts.get_or_load("a", source.load) == NEW(1, "Ada")
        assert source.loads == 1, "the load replaces the entry"
        assert cache.stats().unreadable >= 1
        assert cache.stats().load_errors == 0


def test_defect_98_all_callers_after_a_release_share_one_load(
    valkey: Any, namespace: str
) -> None:
    with (
        Cache(valkey.url, namespace=namespace) as old,
        Cache(valkey.url, namespace=namespace) as cache,
    ):
        assert old.typed(OLD).set("a", OLD(1, "Ada"))
        accounts = cache.typed(NEW)
        source = Source(NEW(1, "Ada"))
        source.gate.clear()
        steps = [Step(accounts.get_or_load, "a", source.load) for _ in range(10)]
        assert source.began.wait(PATIENCE)
        source.gate.set()
        assert [step.result() for step in steps] == [NEW(1, "Ada")] * 10
        assert source.loads == 1


def test_defect_98_the_naive_check_of_the_type_misses_for_ever(
    valkey: Any, namespace: str
) -> None:
    """The control: the guide's class returns None where the type differs, and its caller never replaces the entry."""
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.typed(OLD)
        cache.typed(NEW)
        cache.set("a", OLD(1, "Ada"))
        source = Source(NEW(1, "Ada"))

        def naive() -> Any:
            value = cache.get_or_load("a", source.load)
            return value if isinstance(value, NEW) else source.load()

        for _ in range(3):
            assert naive() == NEW(1, "Ada")
        assert source.loads == 3


def test_a_key_that_was_used_for_something_else_is_a_miss_that_a_load_replaces(
    place: Any, namespace: str, events: RecordingListener
) -> None:
    with Cache(place, namespace=namespace, listeners=[events]) as cache:
        users, orders = cache.typed(User), cache.typed(Order)
        assert orders.set("k", Order(1))
        assert users.get("k", None) is None
        assert users.get_many(["k"]) == {}
        assert [event.kind for event in events.events].count("unreadable") == 2
        source = Source(ADA)
        for _ in range(3):
            assert users.get_or_load("k", source.load) == ADA
        assert source.loads == 1
        assert orders.set("k", Order(1))
        assert users.get_or_load_many(["k"], lambda keys: {"k": ADA}) == {"k": ADA}
        assert users.get("k") == ADA


def test_defect_100_what_the_source_does_not_have_is_absent_and_no_crash(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        users = cache.typed(User)
        source = Source(ABSENT)
        for _ in range(2):
            assert users.get_or_load("none", source.load, default=None) is None
        assert source.loads == 1
        assert users.get("none", "default") == "default"


def test_defect_100_the_guides_loader_crashes_on_an_absent_row(
    place: Any, namespace: str
) -> None:
    """The control: it builds the object of a row without asking whether there is one."""
    rows: dict[int, dict[str, Any]] = {}
    with Cache(place, namespace=namespace) as cache:

        def naive() -> User:
            row: Any = rows.get(7)
            return User(row["id"], row["name"])

        with pytest.raises(TypeError):
            cache.typed(User).get_or_load("none", naive)


def test_what_is_of_another_type_is_refused_on_its_way_in(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        users: Any = cache.typed(User)
        for store in (
            lambda: users.set("k", Order(1)),
            lambda: users.add("k", None),
            lambda: users.set_many({"k": "text"}),
            lambda: users.get_or_load("k", lambda: Order(1)),
            lambda: users.get_or_load_many(["k"], lambda keys: {"k": Order(1)}),
        ):
            with pytest.raises(Unstorable, match="is kept"):
                store()
        assert users.get("k") is MISSING


def test_containers_and_unions_are_types_as_well(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        lists: Any = cache.typed(list[User])
        assert lists.set("l", [ADA])
        with pytest.raises(Unstorable):
            lists.set("l", ADA)
        maybe: Any = cache.typed(User | None)
        assert maybe.set("m", None)
        assert maybe.get("m", "default") is None


def test_security_16_a_cache_of_classes_that_it_cannot_keep_is_refused(
    valkey: Any, namespace: str
) -> None:
    class Handle:
        """Neither fields nor a schema."""

    with Cache(valkey.url, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="dataclass"):
            cache.typed(Handle)
    with Cache(valkey.url, namespace=namespace, codec="json") as cache:
        with pytest.raises(ConfigurationError, match="msgpack"):
            cache.typed(User)


def test_what_nothing_else_can_hold_is_held_by_signed_pickle(
    valkey: Any, namespace: str
) -> None:
    codec = SignedPickleCodec([b"k" * 32])
    with (
        Cache(valkey.url, namespace=namespace, codec=codec) as cache,
        Cache(valkey.url, namespace=namespace, codec=codec) as other,
    ):
        assert cache.typed(complex).set("z", 1j)
        assert cache.set("range", range(3))
        assert other.get("range") == range(3)
        assert other.typed(complex).get("z") == 1j


def test_with_copy_each_caller_gets_an_object_of_its_own(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace, policy=Policy(copy=True)) as cache:
        orders = cache.typed(Order)
        assert orders.set("o", Order(1))
        (orders.get("o")).id = 2
        assert orders.get("o") == Order(1)
