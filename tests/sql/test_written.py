"""What writes make wrong, one by one, and what nobody can read; what the analyser remembers."""

from __future__ import annotations

from typing import Any

import pytest
from sql.known import KNOWN, LITE, MY, ORDERS, PG, USERS

from cachewright.sql import Analyser, Reads, Refused, Tables, Writes, analyse

UNNAMED = ["rows:users", "matches:users", "table:users"]
NAMED = ["row:users:7", "matches:users", "table:users"]
WRITTEN: list[tuple[str, str, Any, list[str]]] = [
    (PG, "UPDATE users SET name = 'x' WHERE id = %s", [7], NAMED),
    (PG, "UPDATE public.users AS u SET name = 'x' WHERE u.id = 7 AND name = 'y'", None, NAMED),
    (PG, "UPDATE users SET name = 'x'", None, UNNAMED),
    (PG, "UPDATE users SET name = 'x' WHERE email = 'y'", None, UNNAMED),
    (PG, "UPDATE users SET id = 8 WHERE id = 7", None, UNNAMED),
    (PG, "UPDATE users SET (id, name) = (8, 'x') WHERE id = 7", None, UNNAMED),
    (LITE, "UPDATE users SET rowid = 8 WHERE id = 7", None, UNNAMED),
    (
        LITE,
        "INSERT INTO users (id, name) VALUES (7, 'x') ON CONFLICT (id) DO UPDATE SET rowid = 8",
        None,
        UNNAMED,
    ),
    (PG, "UPDATE users SET name = o.status FROM orders o WHERE users.id = 7", None, NAMED),
    (PG, "DELETE FROM users WHERE id = 7", None, NAMED),
    (PG, "DELETE FROM users USING orders WHERE users.id = orders.user_id", None, UNNAMED),
    (PG, "DELETE FROM users WHERE id = 7 RETURNING *", None, NAMED),
    (
        PG,
        "INSERT INTO users (id, email, active, token) VALUES (7, 'x', true, NULL)",
        None,
        ["row:users:7", "match:users:email=x", "match:users:active=1", "table:users"],
    ),
    (
        PG,
        "INSERT INTO users (email) VALUES ('x')",
        None,
        ["rows:users", "match:users:email=x", "matches:users", "table:users"],
    ),
    (PG, "INSERT INTO users (id, email) VALUES (7, 'blank ')", None, NAMED),
    (PG, "INSERT INTO users (id, email) VALUES (7, %s)", ["blank "], NAMED),
    (PG, "INSERT INTO users VALUES (7, 'x')", None, UNNAMED),
    (PG, "INSERT INTO users (id, email) SELECT id, status FROM orders", None, UNNAMED),
    (
        PG,
        "INSERT INTO users (id) VALUES (7) ON CONFLICT (id) DO UPDATE SET name = 'x'",
        None,
        NAMED,
    ),
    (
        PG,
        "INSERT INTO users (id) VALUES (7) ON CONFLICT (email) DO UPDATE SET name = 'x'",
        None,
        UNNAMED,
    ),
    (PG, "INSERT INTO users (id) VALUES (7) ON CONFLICT (id) DO UPDATE SET id = 8", None, UNNAMED),
    (PG, "INSERT INTO users (id) VALUES (7) ON CONFLICT DO NOTHING", None, NAMED),
    (
        PG,
        "MERGE INTO users u USING orders o ON o.user_id = u.id WHEN MATCHED THEN DELETE",
        None,
        UNNAMED,
    ),
    (PG, "TRUNCATE users", None, UNNAMED),
    (PG, "COPY users FROM STDIN", None, UNNAMED),
    (
        PG,
        "WITH gone AS (DELETE FROM users WHERE id = 7 RETURNING *) SELECT * FROM gone",
        None,
        NAMED,
    ),
    (
        PG,
        "UPDATE stamped SET id = id WHERE id = 7",
        None,
        ["rows:stamped", "matches:stamped", "table:stamped"],
    ),
    (
        PG,
        "INSERT INTO careful (id, tag) VALUES (7, 'x')",
        None,
        ["row:careful:7", "matches:careful", "table:careful"],
    ),
    (LITE, "INSERT OR REPLACE INTO users (id) VALUES (7)", None, UNNAMED),
    (LITE, "REPLACE INTO users (id) VALUES (7)", None, UNNAMED),
    (
        LITE,
        "INSERT OR IGNORE INTO users (id, email) VALUES (7, ?)",
        ["x"],
        ["row:users:7", "match:users:email=x", "matches:users", "table:users"],
    ),
    (LITE, "UPDATE OR IGNORE users SET name = 'x' WHERE id = 7", None, NAMED),
    (LITE, "UPDATE OR REPLACE users SET email = 'x' WHERE id = 7", None, UNNAMED),
    (MY, "INSERT INTO users (id) VALUES (7) ON DUPLICATE KEY UPDATE name = 'x'", None, UNNAMED),
    (MY, "INSERT INTO users (id) VALUES (0)", None, UNNAMED),
    (MY, "REPLACE INTO users (id) VALUES (7)", None, UNNAMED),
]


@pytest.mark.parametrize(("dialect", "sql", "params", "tags"), WRITTEN)
def test_a_write_names_what_it_makes_wrong(
    dialect: str, sql: str, params: Any, tags: list[str]
) -> None:
    found = KNOWN[dialect](sql)
    assert isinstance(found, Writes), found
    assert sorted(found.tags(params) or ()) == sorted(tags)


def test_a_write_knows_its_rows_and_columns() -> None:
    found = KNOWN[PG]("UPDATE users SET name = 'x', email = %s WHERE id IN (7, %s)")
    assert isinstance(found, Writes)
    assert found.rows(["y", 8]) == [(7,), (8,)]
    assert found.changed == {"name", "email"}
    unnamed = KNOWN[PG]("DELETE FROM users")
    assert isinstance(unnamed, Writes)
    assert unnamed.rows() is None


def test_cascades_reach_as_far_as_they_go() -> None:
    found = KNOWN[PG]("DELETE FROM parents WHERE id = 1")
    assert isinstance(found, Writes)
    assert found.tables == {"parents", "children", "orders"}
    assert "row:parents:1" in (found.tags() or ())
    assert {"rows:children", "rows:orders", "table:orders"} <= set(found.tags() or ())
    spared = KNOWN[PG]("UPDATE parents SET id = id WHERE id = 1")
    assert isinstance(spared, Writes)
    assert spared.tables == {"parents"}


def test_tables_joined_in_an_update_of_mysql_all_count() -> None:
    for sql in (
        "UPDATE users u JOIN orders o ON o.user_id = u.id SET u.name = 'x', o.status = 'y'",
        "DELETE u, o FROM users u JOIN orders o ON o.user_id = u.id",
    ):
        found = KNOWN[MY](sql)
        assert isinstance(found, Writes)
        assert found.everything or {"users", "orders"} <= found.tables


EVERYTHING = [
    (PG, "CALL f()"),
    (PG, "DO $$ BEGIN END $$"),
    (PG, "EXECUTE p"),
    (PG, "CREATE TABLE x (a int)"),
    (PG, "ALTER TABLE users ADD COLUMN x int"),
    (PG, "DROP TABLE users"),
    (PG, "REFRESH MATERIALIZED VIEW v"),
    (PG, "TRUNCATE users CASCADE"),
    (PG, "SELECT * INTO x FROM users"),
    (PG, "INSERT INTO logged (id) VALUES (1)"),
    (PG, "INSERT INTO active_users (id) VALUES (1)"),
    (PG, "UPDATE nowhere SET a = 1"),
    (PG, "UPDATE users SET name = my_own(1)"),
    (PG, "UPDATE users SET a ="),
    (PG, "DELETE FROM users; SELECT 1"),
    (PG, "EXPLAIN ANALYZE DELETE FROM users"),
    (PG, "DELETE FROM users WHERE id = '%s'"),
    (PG, "something nobody knows"),
    (MY, "LOAD DATA INFILE 'x' INTO TABLE users"),
    (LITE, "WITH x AS (SELECT 1) DELETE FROM users WHERE ("),
]


@pytest.mark.parametrize(("dialect", "sql"), EVERYTHING)
def test_what_nobody_can_read_puts_everything_in_doubt(dialect: str, sql: str) -> None:
    found = KNOWN[dialect](sql)
    assert isinstance(found, Writes), found
    assert found.everything
    assert found.tags() is None


def test_an_answer_is_remembered_until_the_catalogue_changes() -> None:
    catalogue = Tables([USERS])
    analyser = Analyser("postgresql", catalogue)
    refused = analyser("SELECT * FROM orders")
    assert isinstance(refused, Refused)
    assert analyser("SELECT * FROM orders") is refused
    catalogue.add(ORDERS)
    assert isinstance(analyser("SELECT * FROM orders"), Reads)


def test_so_many_answers_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachewright.sql.analysis.MOST_ANALYSES", 4)
    analyser = Analyser("postgresql", Tables([USERS]))
    first, used = analyser("SELECT 0 FROM users"), analyser("SELECT 1 FROM users")
    for each in range(2, 9):
        analyser(f"SELECT {each} FROM users")
        assert analyser("SELECT 1 FROM users") is used
    assert analyser("SELECT 0 FROM users") is not first


def test_a_dialect_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="oracle"):
        analyse("SELECT 1", "oracle", Tables())
