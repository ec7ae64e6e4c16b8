"""What queries depend on, one by one: their tables, and the rows that their predicates name."""

from __future__ import annotations

from typing import Any

import pytest
from sql.known import KNOWN, LITE, MY, PG, ROW

from cachewright.sql import Reads

TABLES_READ: list[tuple[str, str, set[str]]] = [
    (PG, "SELECT * FROM users", {"users"}),
    (PG, "select 1", set()),
    (PG, "SELECT * FROM users, orders", {"users", "orders"}),
    (PG, "SELECT * FROM users u, orders AS o WHERE u.id = o.user_id", {"users", "orders"}),
    (PG, "SELECT * FROM public.users", {"users"}),
    (PG, 'SELECT * FROM "public"."users"', {"users"}),
    (PG, "SELECT * FROM USERS", {"users"}),
    (PG, "SELECT * FROM shop.items", {"shop.items"}),
    (PG, 'SELECT * FROM "mixed case"', {"mixed case"}),
    (MY, "SELECT * FROM `mixed case`", {"mixed case"}),
    (LITE, "SELECT * FROM [mixed case]", {"mixed case"}),
    (MY, "SELECT * FROM shopdb.users", {"users"}),
    (LITE, "SELECT * FROM main.users", {"users"}),
    (PG, "SELECT EXTRACT(EPOCH FROM at) FROM ts", {"ts"}),
    (PG, "SELECT 1 -- FROM users\n", set()),
    (PG, "SELECT 1 /* FROM users /* JOIN orders */ */", set()),
    (PG, "SELECT 'FROM users JOIN orders'", set()),
    (PG, "SELECT $$ FROM users $$", set()),
    (PG, "SELECT $x$ FROM users $x$, E'it\\'s FROM users'", set()),
    (PG, "WITH users AS (SELECT * FROM orders) SELECT * FROM users", {"orders"}),
    (PG, "WITH users AS (SELECT * FROM users) SELECT * FROM users", {"users"}),
    (PG, "WITH x AS (SELECT * FROM orders) SELECT * FROM public.users", {"users", "orders"}),
    (
        PG,
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT * FROM t",
        set(),
    ),
    (PG, "SELECT (SELECT count(*) FROM orders) FROM users", {"users", "orders"}),
    (PG, "SELECT * FROM users WHERE id IN (SELECT user_id FROM orders)", {"users", "orders"}),
    (
        PG,
        "SELECT * FROM users WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = users.id)",
        {"users", "orders"},
    ),
    (PG, "SELECT * FROM (SELECT * FROM orders) AS users", {"orders"}),
    (
        PG,
        "SELECT id FROM users UNION SELECT user_id FROM orders EXCEPT SELECT flight FROM seats",
        {"users", "orders", "seats"},
    ),
    (
        PG,
        "SELECT * FROM users u CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id LIMIT 1) x",
        {"users", "orders"},
    ),
    (
        PG,
        "SELECT * FROM (users LEFT JOIN (orders JOIN seats ON true) ON true)",
        {"users", "orders", "seats"},
    ),
    (PG, "TABLE users", {"users"}),
    (PG, "(SELECT id FROM users) UNION ALL (SELECT id FROM orders)", {"users", "orders"}),
    (PG, "SELECT * FROM users NATURAL JOIN orders", {"users", "orders"}),
    (PG, "SELECT * FROM generate_series(1, 3) AS g, users", {"users"}),
    (PG, "SELECT * FROM users ORDER BY (SELECT max(id) FROM orders)", {"users", "orders"}),
    (PG, "SELECT row_number() OVER (PARTITION BY email ORDER BY id) FROM users", {"users"}),
    (PG, "SELECT count(*) FILTER (WHERE active), array_agg(id ORDER BY id) FROM users", {"users"}),
    (PG, "SELECT * FROM active_users", {"users"}),
    (PG, "SELECT * FROM buyers", {"users", "orders"}),
    (LITE, "SELECT * FROM users INDEXED BY orders WHERE email = 'x'", {"users"}),
    (LITE, "SELECT date(name), strftime('%Y', name) FROM users", {"users"}),
    (MY, "SELECT IFNULL(name, 'x') FROM users STRAIGHT_JOIN orders", {"users", "orders"}),
    (MY, "SELECT 'it\\'s FROM orders' FROM users # FROM orders", {"users"}),
]


@pytest.mark.parametrize(("dialect", "sql", "tables"), TABLES_READ)
def test_the_tables_of_a_query_are_found(dialect: str, sql: str, tables: set[str]) -> None:
    found = KNOWN[dialect](sql)
    assert isinstance(found, Reads), found
    assert found.tables == tables


NARROW: list[tuple[str, Any, list[str]]] = [
    ("SELECT * FROM users WHERE id = %s", [7], ROW),
    ("SELECT * FROM users WHERE %s = id", ["7"], ROW),
    ("SELECT * FROM users WHERE id = %(id)s", {"id": 7}, ROW),
    ("SELECT * FROM users WHERE id = 7", None, ROW),
    ("SELECT * FROM users WHERE (id = 7)", None, ROW),
    ("SELECT * FROM users WHERE id = %s::INTEGER", [7], ROW),
    ("SELECT * FROM users WHERE id = CAST(%s AS BIGINT)", [7], ROW),
    ("SELECT * FROM users WHERE id = -7", None, ["row:users:-7", "rows:users"]),
    ("SELECT * FROM users u WHERE u.id = 7 AND name = 'x'", None, ROW),
    (
        "SELECT * FROM users WHERE id IN (7, %s, 8)",
        [7],
        ["row:users:7", "row:users:8", "rows:users"],
    ),
    (
        "SELECT * FROM users WHERE id = 7 OR id = 8",
        None,
        ["row:users:7", "row:users:8", "rows:users"],
    ),
    (
        "SELECT * FROM users WHERE id = ANY(%s)",
        [[7, 8]],
        ["row:users:7", "row:users:8", "rows:users"],
    ),
    ("SELECT * FROM users WHERE email = %s", ["a:b"], ["match:users:email=a%3Ab", "matches:users"]),
    (
        "SELECT count(*) FROM users WHERE email = %s",
        ["x"],
        ["match:users:email=x", "matches:users"],
    ),
    ("SELECT * FROM users WHERE active", None, ["match:users:active=1", "matches:users"]),
    ("SELECT * FROM users WHERE NOT active", None, ["match:users:active=0", "matches:users"]),
    ("SELECT * FROM users WHERE active IS TRUE", None, ["match:users:active=1", "matches:users"]),
    (
        "SELECT * FROM users WHERE token = %s::UUID",
        ["6F9619FF-8B86-D011-B42D-00C04FC964FF"],
        ["match:users:token=u~6f9619ff-8b86-d011-b42d-00c04fc964ff", "matches:users"],
    ),
    (
        "SELECT * FROM seats WHERE place = '1A' AND flight = 4",
        None,
        ["row:seats:4:1A", "rows:seats"],
    ),
    (
        "SELECT * FROM orders WHERE status = 'new' AND user_id = 7",
        None,
        ["match:orders:status=new:user_id=7", "matches:orders"],
    ),
    (
        "SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 7",
        None,
        [*ROW, "match:orders:user_id=7", "matches:orders"],
    ),
    (
        "SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.status = 'new' WHERE u.id = 7",
        None,
        [*ROW, "match:orders:status=new:user_id=7", "matches:orders"],
    ),
    (
        "SELECT * FROM users WHERE id = (SELECT max(user_id) FROM orders WHERE user_id = 7)",
        None,
        ["match:orders:user_id=7", "matches:orders", "table:users"],
    ),
    ("WITH u AS (SELECT * FROM users WHERE id = 7) SELECT * FROM u", None, ROW),
]


@pytest.mark.parametrize(("sql", "params", "tags"), NARROW)
def test_a_predicate_names_the_rows(sql: str, params: Any, tags: list[str]) -> None:
    found = KNOWN[PG](sql)
    assert isinstance(found, Reads), found
    assert sorted(found.tags(params) or ()) == sorted(tags)


WIDE: list[tuple[str, Any]] = [
    ("SELECT * FROM users WHERE id > 7", None),
    ("SELECT * FROM users WHERE id <> 7", None),
    ("SELECT * FROM users WHERE NOT (id = 7)", None),
    ("SELECT * FROM users WHERE id = 7 OR email = 'x'", None),
    ("SELECT * FROM users WHERE id = 7 OR name = 'x'", None),
    ("SELECT * FROM users WHERE id = NULL", None),
    ("SELECT * FROM users WHERE id IS NULL", None),
    ("SELECT * FROM users WHERE id = %s", [None]),
    ("SELECT * FROM users WHERE id = %s", [7.0]),
    ("SELECT * FROM users WHERE id = %s", ["7.0"]),
    ("SELECT * FROM users WHERE id = %s", [2**63]),
    ("SELECT * FROM users WHERE id IN (7, NULL)", None),
    ("SELECT * FROM users WHERE id NOT IN (7)", None),
    ("SELECT * FROM users WHERE id = id", None),
    ("SELECT * FROM users WHERE id + 1 = 7", None),
    ("SELECT * FROM users WHERE id::text = '7'", None),
    ("SELECT * FROM users WHERE id = '7'::numeric", None),
    ("SELECT * FROM users WHERE id = abs(7)", None),
    ("SELECT * FROM users WHERE name = 'x'", None),
    ("SELECT * FROM users WHERE lower(email) = 'x'", None),
    ("SELECT * FROM users WHERE email = 'x'::varchar(1)", None),
    ("SELECT * FROM users WHERE email = 'x' COLLATE \"C\"", None),
    ("SELECT * FROM users WHERE email LIKE 'x'", None),
    ("SELECT * FROM users WHERE email BETWEEN 'x' AND 'x'", None),
    ("SELECT * FROM users WHERE (id = 7) IS NOT TRUE", None),
    ("SELECT * FROM users HAVING max(id) = 7", None),
    ("SELECT * FROM users AS u(id2, id) WHERE u.id = 7", None),
    ("SELECT count(*) FILTER (WHERE id = 7) FROM users", None),
    ("SELECT CASE WHEN id = 7 THEN 1 END FROM users", None),
    ("SELECT * FROM users WHERE id = ANY(%s)", [[]]),
    ("SELECT * FROM users WHERE id IN (" + ", ".join(map(str, range(65))) + ")", None),
    ("SELECT * FROM users a, users b WHERE a.id = 7", None),
    ("SELECT * FROM users WHERE id = 7 UNION SELECT * FROM users", None),
    ("SELECT * FROM ONLY users", None),
]


@pytest.mark.parametrize(("sql", "params"), WIDE)
def test_other_predicates_stand_for_the_table(sql: str, params: Any) -> None:
    found = KNOWN[PG](sql)
    assert isinstance(found, Reads), found
    assert found.tags(params) == ["table:users"]


OUTER: list[tuple[str, set[str]]] = [
    ("a LEFT JOIN orders b ON a.id = 7", {"table:users", "table:orders"}),
    ("a LEFT JOIN orders b ON b.id = 7", {"table:users", "row:orders:7", "rows:orders"}),
    ("a RIGHT JOIN orders b ON a.id = 7", {"row:users:7", "rows:users", "table:orders"}),
    ("a RIGHT JOIN orders b ON b.id = 7", {"table:users", "table:orders"}),
    ("a FULL JOIN orders b ON a.id = 7 AND b.id = 7", {"table:users", "table:orders"}),
    ("a JOIN orders b ON a.id = 7", {"row:users:7", "rows:users", "table:orders"}),
    ("a LEFT JOIN orders b ON b.user_id = a.id", {"table:users", "table:orders"}),
    ("a LEFT JOIN orders b USING (id) WHERE id = 7", {"table:users", "table:orders"}),
    ("a, orders b WHERE id = 7", {"table:users", "table:orders"}),
]


@pytest.mark.parametrize(("rest", "tags"), OUTER)
def test_an_outer_join_fixes_its_optional_side_alone(rest: str, tags: set[str]) -> None:
    found = KNOWN[PG](f"SELECT count(*) FROM users {rest}")
    assert isinstance(found, Reads), found
    assert set(found.tags() or ()) == tags
