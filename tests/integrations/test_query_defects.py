"""The defects of the guide's query cache that are not ours: lines 81 to 91 of the list, on raw SQL.

Each control is what the guide does, and must go wrong in the same place.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from integrations.raw import Raw
from sql.guide import tables_by_regex

from cachewright import Cache
from cachewright.codecs import compressor_for
from cachewright.embedded import EmbeddedServer
from cachewright.errors import CodecError, InvalidKey
from cachewright.integrations.dbapi import QueryCache
from cachewright.integrations.dbapi.keys import QueryKeys
from cachewright.sql import Analyser, Reads, Refused, Table, Tables
from cachewright.testing import FakeClock

pytest.importorskip("sqlglot")

SESSION = ("shop",)


@pytest.fixture
async def raw(tmp_path: Path) -> Any:
    """An SQLite database of a few users, for threads."""
    found = Raw(str(tmp_path / "raw.db"), dialect="sqlite", asynchronous=False)
    await found.build()
    yield found
    await found.close()


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A server of its own."""
    with EmbeddedServer() as found:
        yield found


# -------------------------------------------------------------------- 81


async def test_defect_81_results_travel_without_pickle(raw: Raw, server: EmbeddedServer) -> None:
    cache = Cache(server.url, namespace="shop")
    connection = await raw.connect()
    QueryCache(cache).cached_query("SELECT email FROM users WHERE id = 1", None, connection)
    store = server_values(server)
    assert any(b"ann" in value for value in store.values())
    assert not any(b"\x80\x04\x95" in value or b"\x80\x05\x95" in value for value in store.values())
    cache.close()


def server_values(server: EmbeddedServer) -> dict[bytes, bytes]:
    """Every entry of the server that is a string."""
    import redis

    with redis.Redis.from_url(server.url) as client:
        return {
            key: client.get(key) for key in client.keys("shop:{*}") if client.type(key) == b"string"
        }


# -------------------------------------------------------------------- 82


def guide_key(sql: str, params: Any, db_name: str) -> str:
    """The guide's `hash_query` before it hashes."""
    text = f"{db_name}:{sql}"
    return text + f":{json.dumps(params, sort_keys=True)}" if params else text


def our_key(sql: str, params: Any, db_name: str) -> str:
    """Ours."""
    return QueryKeys("sqlite").key(sql, params, style="qmark", session=(db_name,))


PAIRS = [
    (("SELECT 1", None, "a:SELECT 2"), ("SELECT 2:SELECT 1", None, "a")),
    (("SELECT ?", ["1"], "a"), ('SELECT ?:["1"]', None, "a")),
    (("SELECT ?", (), "a"), ("SELECT ?", None, "a")),
    (("SELECT ?", [True], "a"), ("SELECT ?", ["b~1"], "a")),
    (("SELECT ?", [(1, 2)], "a"), ("SELECT ?", [[1, 2]], "a")),
    (("SELECT ?", {1: 2}, "a"), ("SELECT ?", {"1": 2}, "a")),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_defect_82_two_queries_never_share_a_key(one: Any, other: Any) -> None:
    assert our_key(*one) != our_key(*other)


def test_defect_82_the_guides_keys_collide() -> None:
    assert sum(guide_key(*one) == guide_key(*other) for one, other in PAIRS) >= 4


VALUES = [
    1, "1", True, 1.0, Decimal(1), Decimal("1.0"), None, b"1", date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None), UUID(int=1), "2024-01-01", [1], (1,),
]  # fmt: skip


def test_defect_82_every_type_of_parameter_has_keys_of_its_own() -> None:
    keys = {our_key("SELECT ?", [value], "a") for value in VALUES}
    assert len(keys) == len(VALUES)
    assert our_key("SELECT :a, :b", {"a": 1, "b": 2}, "x") == our_key(
        "SELECT :a, :b", {"b": 2, "a": 1}, "x"
    )


async def test_defect_82_a_parameter_without_a_spelling_is_read_and_not_cached(raw: Raw) -> None:
    class Odd(str):
        """A text of some product's own."""

        __slots__ = ()

    with pytest.raises(InvalidKey):
        our_key("SELECT ?", [object()], "a")
    connection = await raw.connect()
    for _ in range(2):
        assert await raw.query("SELECT email FROM users WHERE email = ?", [Odd("ann")], connection)
    assert (raw.loads, len(raw.uncached)) == (0, 2)


# -------------------------------------------------------------------- 83


@pytest.fixture
async def tenants(postgresql: str) -> Any:
    """A database of two tenants, each with a schema; and a table of which each role sees its own rows."""
    address = postgresql.replace("+psycopg", "")
    found = Raw(address, dialect="postgresql", asynchronous=False)
    await found.build()
    connection = await found.connect(autocommit=True)
    for tenant in ("red", "blue"):
        await found.plain(connection, f"DROP SCHEMA IF EXISTS {tenant} CASCADE")
        await found.plain(connection, f"CREATE SCHEMA {tenant}")
        await found.plain(
            connection, f"CREATE TABLE {tenant}.bills (id int PRIMARY KEY, owner text)"
        )
        await found.plain(connection, f"INSERT INTO {tenant}.bills VALUES (1, '{tenant}')")
    for text in (
        "CREATE TABLE secrets (id int PRIMARY KEY, owner text)",
        "INSERT INTO secrets VALUES (1, 'red'), (2, 'blue')",
        "ALTER TABLE secrets ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE secrets FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own ON secrets USING (owner = current_setting('app.tenant', true))",
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader",
        "GRANT ALL ON secrets TO reader",
        "GRANT USAGE ON SCHEMA public TO reader",
    ):
        await found.plain(connection, text)
    yield found
    await found.plain(connection, "DROP SCHEMA red, blue CASCADE")
    await found.plain(connection, "DROP OWNED BY reader")
    await found.plain(connection, "DROP ROLE reader")
    await found.close()


async def test_defect_83_a_search_path_is_part_of_the_key(tenants: Raw) -> None:
    sql = "SELECT owner FROM bills WHERE id = 1"
    connection = await tenants.connect(autocommit=True)
    for through in (tenants.plain, lambda c, text: tenants.execute(text, None, c)):
        for tenant in ("red", "blue", "red"):
            await through(connection, f"SET search_path = {tenant}")
            assert await tenants.query(sql, None, connection) == [(tenant,)]
    assert guide_key(sql, None, "default") == guide_key(sql, None, "default")  # one key for both
    assert tenants.loads == 2


async def test_defect_83_a_write_of_one_tenant_spares_the_other(tenants: Raw) -> None:
    red, blue = await tenants.connect(autocommit=True), await tenants.connect(autocommit=True)
    await tenants.execute("SET search_path = red", None, red)
    await tenants.execute("SET search_path = blue", None, blue)
    for each in (red, blue):
        await tenants.query("SELECT owner FROM bills", None, each)
    await tenants.execute("UPDATE bills SET owner = 'new' WHERE id = 1", None, red)
    assert await tenants.query("SELECT owner FROM bills", None, red) == [("new",)]
    assert await tenants.query("SELECT owner FROM bills", None, blue) == [("blue",)]
    assert tenants.loads == 3


async def test_defect_83_rows_that_the_database_hides_need_a_scope(tenants: Raw) -> None:
    connection = await tenants.connect(autocommit=True)
    await tenants.execute("SET ROLE reader", None, connection)
    for tenant in ("red", "blue"):
        await tenants.plain(connection, f"SET app.tenant = {tenant}")
        for _ in range(2):
            assert await tenants.query("SELECT owner FROM secrets", None, connection) == [(tenant,)]
    assert (tenants.loads, len(tenants.uncached)) == (0, 4)
    assert "row-level security" in tenants.uncached[0]
    for tenant in ("red", "blue"):
        await tenants.plain(connection, f"SET app.tenant = {tenant}")
        for _ in range(2):
            found = await tenants.query("SELECT owner FROM secrets", None, connection, scope=tenant)
            assert found == [(tenant,)]
    assert tenants.loads == 2


async def test_defect_83_a_role_is_part_of_the_key(tenants: Raw) -> None:
    connection = await tenants.connect(autocommit=True)
    await tenants.query("SELECT owner FROM red.bills", None, connection)
    await tenants.execute("SET ROLE reader", None, connection)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await tenants.query("SELECT owner FROM red.bills", None, connection)


# -------------------------------------------------------------------- 84

SHOP = Tables(
    [
        Table("users", {"id": int}),
        Table("orders", {"id": int}),
        Table("ts", {"at": None}),
        Table("shop.items"),
    ],
    default="public",
)
MISLEADING = {
    "SELECT * FROM users, orders": {"users", "orders"},
    "SELECT * FROM shop.items": {"shop.items"},
    'SELECT * FROM "users"': {"users"},
    "SELECT EXTRACT(EPOCH FROM at) FROM ts": {"ts"},
    "SELECT 1 -- FROM users": set(),
    "SELECT 'FROM users'": set(),
    "WITH recent AS (SELECT * FROM orders) SELECT * FROM recent": {"orders"},
    "SELECT * FROM (users CROSS JOIN orders)": {"users", "orders"},
    "TABLE users": {"users"},
}


@pytest.mark.parametrize("sql", MISLEADING)
def test_defect_84_the_tables_of_a_statement_are_those_that_it_reads(sql: str) -> None:
    found = Analyser("postgresql", SHOP)(sql)
    assert isinstance(found, Reads)
    assert found.tables == MISLEADING[sql]


@pytest.mark.parametrize("sql", MISLEADING)
def test_defect_84_the_regex_of_the_guide_finds_others(sql: str) -> None:
    assert tables_by_regex(sql) != MISLEADING[sql]


def test_defect_84_what_is_not_known_is_not_cached() -> None:
    found = Analyser("postgresql", SHOP)("SELECT * FROM nowhere")
    assert isinstance(found, Refused)


# -------------------------------------------------------------------- 85


async def test_defect_85_a_write_ends_results_of_any_age(raw: Raw) -> None:
    clock = FakeClock()
    queries = QueryCache(Cache(clock=clock))
    connection = await raw.connect()
    sql = "SELECT count(*) FROM users"
    assert queries.cached_query(sql, None, connection, ttl=1800).scalar() == 2
    clock.advance(
        700
    )  # longer than the 300 or 600 seconds for which the guide remembers who depends on the table
    with queries.writing(connection) as unit:
        unit.execute("DELETE FROM users WHERE id = 2")
    assert queries.cached_query(sql, None, connection, ttl=1800).scalar() == 1


# -------------------------------------------------------------------- 87


def count_of_users(status: str, limit: int = 10) -> str:
    """A function that is decorated in two ways below."""
    return f"{status} {limit}"


def test_defect_87_keys_come_from_bound_arguments() -> None:
    cache = Cache()
    counted = cache.cached(ttl=60)(count_of_users)
    calls = []
    watched = cache.cached(ttl=60)(lambda status, limit=10: calls.append(status))
    watched("a")
    watched(status="a")
    watched("a", 10)
    assert calls == ["a"]
    assert counted("a") == counted(limit=10, status="a")
    with pytest.raises(InvalidKey):
        watched(object())


def test_defect_87_the_guides_keys_differ_for_one_call_and_agree_for_two() -> None:
    def key(name: str, args: Any, kwargs: Any) -> str:
        return json.dumps(
            {"func": name, "args": str(args), "kwargs": json.dumps(kwargs, sort_keys=True)}
        )

    assert key("f", ("a",), {}) != key("f", (), {"status": "a"})
    assert key("f", ("a",), {}) == key("f", ("a",), {})  # of any two modules


# -------------------------------------------------------------------- 88


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT random()",
        "SELECT CURRENT_TIMESTAMP",
        "SELECT date('now')",
        "SELECT last_insert_rowid()",
        "PRAGMA user_version",
    ],
)
async def test_defect_88_what_moves_by_itself_is_not_cached(raw: Raw, sql: str) -> None:
    connection = await raw.connect()
    for _ in range(2):
        await raw.query(sql, None, connection)
    assert raw.loads == 0
    assert len(raw.uncached) == 2


async def test_defect_88_locks_and_open_transactions_are_not_cached(tenants: Raw) -> None:
    here, there = await tenants.connect(), await tenants.connect(autocommit=True)
    await tenants.query("SELECT * FROM users FOR UPDATE", None, here)
    assert "locks rows" in tenants.uncached[0]
    await tenants.plain(here, "UPDATE users SET visits = 77 WHERE id = 1")
    assert await tenants.query("SELECT visits FROM users WHERE id = 1", None, here) == [(77,)]
    assert await tenants.query("SELECT visits FROM users WHERE id = 1", None, there) == [(0,)]


# -------------------------------------------------------------------- 90, 91


async def test_defect_90_a_result_that_shrinks_replaces_the_compressed_one(
    raw: Raw, server: EmbeddedServer
) -> None:
    cache = Cache(server.url, namespace="shop", compress="zlib", compress_above=256)
    queries, connection = QueryCache(cache), await raw.connect()
    sql = "SELECT note FROM audits"
    with queries.writing(connection) as unit:
        unit.executemany("INSERT INTO audits VALUES (?, ?)", [[n, "long " * 50] for n in range(50)])
    large = len(queries.cached_query(sql, None, connection))
    keys = set(server_values(server))
    with queries.writing(connection) as unit:
        unit.execute("DELETE FROM audits WHERE id > 0")
    with Cache(server.url, namespace="shop", compress="zlib") as other:
        small = len(QueryCache(other).cached_query(sql, None, connection))
    assert (large, small) == (50, 1)
    mine = {key for key in server_values(server) if b"query" in key}
    assert mine == {key for key in keys if b"query" in key}
    assert len(mine) == 1
    cache.close()


def test_defect_91_what_is_unpacked_is_bounded() -> None:
    compressor = compressor_for("zlib")
    assert compressor is not None
    bomb = zlib.compress(bytes(50_000_000))
    with pytest.raises(CodecError):
        compressor.decompress(bomb, max_bytes=1_000_000)


async def test_defect_91_a_result_beyond_the_limit_is_returned_and_not_kept(
    raw: Raw, server: EmbeddedServer
) -> None:
    cache = Cache(server.url, namespace="shop", compress="zlib", max_value_bytes=1000)
    queries, connection = QueryCache(cache), await raw.connect()
    with queries.writing(connection) as unit:
        unit.executemany("INSERT INTO audits VALUES (?, ?)", [[n, "long " * 50] for n in range(50)])
    for _ in range(2):
        assert len(queries.cached_query("SELECT note FROM audits", None, connection)) == 50
    assert not [key for key in server_values(server) if b"query" in key]
    cache.close()
