# Generated from _async/test_overflow.py by tools/unasync.py. Do not edit.
"""A whole with more tags than `max_tags` depends on the tables of its rows instead, or is not stored, and is never stale.

Each test of consistency has a twin on an engine that trusts the tables, where the old value stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _sync.racing import HeldBus, behind_reply, heard_by

from cachewright import Cache, ConfigurationError, current_load
from cachewright._sync import bounding
from cachewright._sync import cache as verbs
from cachewright._sync.redis import RedisStore
from cachewright.core.overflow import collapsed
from cachewright.core.reads import spell_tags
from cachewright.core.tags import row_tag, rows_tag, table_tag
from cachewright.embedded import EmbeddedServer
from cachewright.testing import RecordingListener
from rig.servers import CHOICE, Pool

pytestmark = pytest.mark.usefixtures("patient")

NOWHERE = "no server"
PARTS, ROWS = 6, 5


class Shop:
    """Two processes, a table, and a page made of several queries of several rows each."""

    def __init__(self, url: str | None, namespace: str) -> None:
        self.events = RecordingListener()
        self.cache = Cache(url, namespace=namespace, max_tags=10, listeners=[self.events])
        self.other = self.cache if url is None else Cache(url, namespace=namespace)
        self.rows = dict.fromkeys(range(PARTS * ROWS), 1)
        self.pages = 0
        self.during: Any = None

    def query(self, part: int) -> int:
        mine = range(part * ROWS, (part + 1) * ROWS)

        def load() -> int:
            return sum(self.rows[n] for n in mine)

        tags = [*(row_tag("flights", n) for n in mine), rows_tag("flights")]
        value: int = self.cache.get_or_load(("query", part), load, tags=tags)
        return value

    def page(self) -> int:
        def load() -> int:
            self.pages += 1
            total = sum([self.query(part) for part in range(PARTS)])
            if self.during is not None:
                work, self.during = self.during, None
                work()
            return total

        value: int = self.cache.get_or_load("page", load)
        return value

    def write(self, n: int, *, here: bool = True) -> None:
        """As every writer of a named row does: its tag and the table's."""
        self.rows[n] = 2
        cache = self.cache if here else self.other
        cache.invalidate(tags=[row_tag("flights", n), table_tag("flights")])

    def write_elsewhere(self, n: int) -> None:
        """Done, and heard of."""
        if self.other is self.cache:
            self.write(n)
        else:
            heard_by(self.cache, lambda: self.write(n, here=False))

    @property
    def told(self) -> list[str]:
        return [event.detail for event in self.events.events if event.kind == "too_many_tags"]

    def close(self) -> None:
        self.other.close()
        if self.other is not self.cache:
            self.cache.close()


@pytest.fixture(params=[NOWHERE, *CHOICE.chosen])
def shop(
    request: pytest.FixtureRequest, server_pool: Pool, namespace: str
) -> Iterator[Shop]:
    """Each kind of server, and none."""
    url = None if request.param == NOWHERE else server_pool.get(request.param).url
    made = Shop(url, namespace)
    yield made
    made.close()


@pytest.fixture
def served(valkey: EmbeddedServer, namespace: str) -> Iterator[Shop]:
    """A server, and news that can be late."""
    made = Shop(valkey.url, namespace)
    made.cache.engine.open()
    made.other.engine.open()
    yield made
    made.close()


def trusts_the_table(patch: pytest.MonkeyPatch) -> None:
    """The naive rule: a table's stamp that was read after the load is as good as those of its rows."""

    def replaced(stamps: Any, gone: Any, tables: Any, now: Any) -> Any:
        return collapsed(stamps, gone, tables)

    patch.setattr(bounding, "_replaced", replaced)


TOTAL = PARTS * ROWS


def test_a_whole_of_too_many_rows_carries_their_table(shop: Shop) -> None:
    assert [shop.page(), shop.page()] == [TOTAL, TOTAL]
    assert shop.pages == 1, "and is stored"
    keys = {f"k:query:{part}" for part in range(PARTS)}
    assert set(shop.cache.engine.memory.table["page"].stamps) == {
        *keys,
        "n:",
        "t:rows:flights",
        "t:table:flights",
    }
    assert shop.told == []


@pytest.mark.parametrize("row", [0, TOTAL - 1])
def test_it_falls_with_any_of_its_rows(shop: Shop, row: int) -> None:
    shop.page()
    shop.write_elsewhere(row)
    assert shop.page() == TOTAL + 1


def test_it_falls_with_a_row_that_is_invalidated_by_hand(shop: Shop) -> None:
    """Whoever names a row names its table, though he may not know that there are entries which carry that alone."""
    shop.page()
    shop.rows[3] = 2
    shop.cache.invalidate(tags=["row:flights:3"])
    assert shop.page() == TOTAL + 1
    shop.rows[4] = 2
    with shop.cache.writing(tags=["row:flights:4"]):
        """The commit."""
    assert shop.page() == TOTAL + 2


def test_an_invalidation_that_names_no_table_leaves_it_old(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "dead_tags", spell_tags)
    shop.page()
    shop.rows[3] = 2
    shop.cache.invalidate(tags=["row:flights:3"])
    assert shop.page() == TOTAL


def test_it_falls_with_a_row_that_is_none_of_its_own(shop: Shop) -> None:
    """What collapsing costs."""
    shop.page()
    shop.write_elsewhere(1000)
    shop.page()
    assert shop.pages == 2


def test_it_falls_with_the_key_of_a_part(shop: Shop) -> None:
    shop.page()
    shop.rows[7] = 2
    shop.cache.invalidate(("query", 1))
    assert shop.page() == TOTAL + 1


def test_a_write_in_the_middle_of_the_load_leaves_nothing_old(shop: Shop) -> None:
    shop.during = lambda: shop.write_elsewhere(3)
    assert shop.page() == TOTAL
    assert shop.page() == TOTAL + 1


def test_a_table_that_is_trusted_keeps_what_a_write_in_the_middle_made_old(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusts_the_table(monkeypatch)
    shop.during = lambda: shop.write_elsewhere(3)
    assert shop.page() == TOTAL
    assert shop.page() == TOTAL


def late_news(shop: Shop) -> list[int]:
    """The page made of a part whose row was written before the load began, and the news came after it ended."""
    (
        shop.page()
    )  # inside a load, so that the parts are in memory with the stamps of their keys
    shop.cache.invalidate("page")
    bus = HeldBus(shop.cache)
    shop.write(3, here=False)
    first = shop.page()
    bus.deliver()
    return [first, shop.page()]


def test_a_part_from_memory_whose_write_is_not_heard_of_yet_leaves_nothing_old(
    served: Shop,
) -> None:
    """The table's stamp is older than the lease here, so that its age alone would tell nothing."""
    assert late_news(served) == [TOTAL, TOTAL + 1]


def test_a_table_that_is_trusted_keeps_what_late_news_made_old(
    served: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusts_the_table(monkeypatch)
    assert late_news(served) == [TOTAL, TOTAL]


def written_between_the_looks(shop: Shop, first: str) -> list[int]:
    """The page when a row is written between the look at the table's stamp and that at the rows', and a read later."""
    shop.page()
    shop.cache.invalidate("page")
    behind_reply(shop.cache, first, lambda: shop.write_elsewhere(3))
    return [shop.page(), shop.page()]


def test_a_write_behind_the_look_at_the_table_leaves_nothing_old(served: Shop) -> None:
    assert written_between_the_looks(served, "make_stamps") == [TOTAL, TOTAL + 1]


def test_rows_that_are_looked_at_before_their_table_leave_an_old_value(
    served: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stamps, stamps = RedisStore.make_stamps, RedisStore.stamps
    rows: dict[str, Any] = {}

    def rows_first(self: RedisStore, tags: Any) -> Any:
        if "t:table:flights" in tags:
            names = [f"t:row:flights:{n}" for n in range(TOTAL)]
            rows.update(self.stamps(names))
        return make_stamps(self, tags)

    def as_they_were(self: RedisStore, tags: Any) -> Any:
        return rows if rows.keys() >= set(tags) else stamps(self, tags)

    monkeypatch.setattr(RedisStore, "make_stamps", rows_first)
    monkeypatch.setattr(RedisStore, "stamps", as_they_were)
    assert written_between_the_looks(served, "stamps") == [TOTAL, TOTAL]


def test_tags_that_no_table_stands_for_are_told_and_cost_the_storing(shop: Shop) -> None:
    def load() -> int:
        shop.pages += 1
        current_load().tag(*(("mine", n) for n in range(20)))
        return 1

    assert [shop.cache.get_or_load("of mine", load) for _ in range(2)] == [1, 1]
    assert shop.pages == 2
    assert shop.told
    assert "max_tags=10" in shop.told[0]


def test_rows_named_during_the_load_collapse_as_well(shop: Shop) -> None:
    def load() -> int:
        shop.pages += 1
        current_load().tag(*(row_tag("flights", n) for n in range(20)), rows_tag("flights"))
        return sum(shop.rows[n] for n in range(20))

    def read() -> Any:
        return shop.cache.get_or_load("late", load)

    read()
    read()  # tags that nobody has used yet may look newer than the load
    assert "t:table:flights" in shop.cache.engine.memory.table["late"].stamps
    shop.write_elsewhere(19)
    assert read() == 21


def test_of_a_batch_each_value_is_bounded(shop: Shop) -> None:
    def load_many(keys: list[Any]) -> dict[Any, Any]:
        total = sum([shop.query(part) for part in range(PARTS)])
        return dict.fromkeys(keys, total)

    def read() -> dict[Any, Any]:
        return shop.cache.get_or_load_many(["a", "b"], load_many)

    assert read() == {"a": TOTAL, "b": TOTAL}
    assert {"a", "b"} <= set(shop.cache.engine.memory.table)
    shop.write_elsewhere(3)
    assert read() == {"a": TOTAL + 1, "b": TOTAL + 1}


def test_the_limit_must_be_a_number() -> None:
    with pytest.raises(ConfigurationError, match="max_tags"):
        Cache(max_tags=0)
