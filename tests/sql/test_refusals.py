"""What is not cached and why, what a session and a transaction are told, and parameters in every style."""

from __future__ import annotations

from typing import Any

import pytest
from sql.known import KNOWN, LITE, MY, PG, ROW, TABLES

from cachewright.sql import Analyser, Reads, Refused, Tables

REFUSED: list[tuple[str, str, str]] = [
    (PG, "SELECT now()", "current_timestamp"),
    (PG, "SELECT * FROM users WHERE name > CURRENT_DATE", "current_date"),
    (PG, "SELECT random()", "rand"),
    (PG, "SELECT gen_random_uuid()", "uuid"),
    (PG, "SELECT clock_timestamp()", "clock_timestamp"),
    (PG, "SELECT age(at) FROM ts", "age"),
    (PG, "SELECT nextval('s')", "nextval"),
    (PG, "SELECT current_user", "current_user"),
    (PG, "SELECT current_setting('x')", "current_setting"),
    (PG, "SELECT set_config('a', 'b', false)", "set_config"),
    (PG, "SELECT pg_sleep(1)", "pg_sleep"),
    (PG, "SELECT * FROM ts WHERE at > 'now'", "moment"),
    (PG, "SELECT timestamp 'today'", "moment"),
    (PG, "SELECT 'users'::regclass", "ObjectIdentifier"),
    (PG, "SELECT my_own(1)", "my_own"),
    (PG, "SELECT shop.lower('X')", "shop.lower"),
    (PG, "SELECT (u).id FROM users u", "composite"),
    (PG, "SELECT * FROM my_rows(1)", "my_rows"),
    (PG, "SELECT * FROM ROWS FROM (my_rows(1)) z", "my_rows"),
    (PG, "SELECT * FROM users FOR UPDATE", "locks"),
    (PG, "SELECT * FROM (SELECT * FROM users FOR SHARE) x", "locks"),
    (PG, "SELECT * FROM users TABLESAMPLE SYSTEM (10)", "TableSample"),
    (PG, "SELECT * FROM nowhere", "nowhere"),
    (PG, "SELECT * FROM pg_class", "pg_class"),
    (PG, "SELECT * FROM information_schema.tables", "information_schema"),
    (PG, "SELECT * FROM other.public.users", "knows no relation"),
    (PG, "SELECT * FROM feed", "foreign"),
    (PG, "SELECT * FROM moving", "current_timestamp"),
    (PG, "SELECT * FROM endless", "without an end"),
    (PG, "SELECT 1; SELECT 2", "several"),
    (PG, "", "no statement"),
    (PG, "-- nothing", "no statement"),
    (PG, "SELECT FROM WHERE", "parsed"),
    (PG, "SELECT '%s'", "inside a string"),
    (PG, "SELECT 1 % 2", "begins no parameter"),
    (PG, "SELECT * FROM users WHERE id = :cwprm0", "begins with"),
    (PG, "EXPLAIN SELECT 1", "explain"),
    (PG, "SHOW search_path", "show"),
    (PG, "VACUUM users", "vacuum"),
    (PG, "LOCK TABLE users", "lock"),
    (PG, "COPY users TO STDOUT", "COPY TO"),
    (LITE, "SELECT date('now')", "moment"),
    (LITE, 'SELECT date("now")', "moment"),
    (LITE, "SELECT datetime()", "date function"),
    (LITE, "SELECT strftime('%s')", "date function"),
    (LITE, "SELECT julianday(name, ?) FROM users", "parameter"),
    (LITE, "SELECT date(name, 'localtime') FROM users", "time zone"),
    (LITE, "SELECT CURRENT_TIMESTAMP", "current_timestamp"),
    (LITE, "SELECT last_insert_rowid()", "last_insert_rowid"),
    (LITE, "SELECT changes()", "changes"),
    (LITE, "SELECT random()", "rand"),
    (LITE, "SELECT * FROM sqlite_master", "sqlite_master"),
    (LITE, "SELECT * FROM pragma_table_info('users')", "pragma_table_info"),
    (PG, "SELECT 5 AS id INTO TEMP users", "temporary table"),
    (MY, "SELECT NOW()", "not known to be pure"),
    (MY, "SELECT RAND()", "rand"),
    (MY, "SELECT UUID()", "uuid"),
    (MY, "SELECT @x", "Parameter"),
    (MY, "SELECT @@version", "not known"),
    (MY, "SELECT /*!40001 SQL_NO_CACHE */ * FROM users", "MySQL executes"),
    (MY, "SELECT * FROM users LOCK IN SHARE MODE", "locks"),
    (MY, "SELECT LAST_INSERT_ID()", "last_insert_id"),
]


@pytest.mark.parametrize(("dialect", "sql", "reason"), REFUSED)
def test_what_must_not_be_cached_is_refused_with_its_reason(
    dialect: str, sql: str, reason: str
) -> None:
    found = KNOWN[dialect](sql)
    assert isinstance(found, Refused), found
    assert reason.lower() in found.reason.lower()
    assert not found.control


@pytest.mark.parametrize(
    ("sql", "may_write"),
    [
        ("SELECT my_own(1)", True),
        ("SELECT * FROM my_rows(1)", True),
        ("SELECT shop.now()", True),
        ("SELECT now()", False),
        ("SELECT nextval('s'), pg_sleep(0)", False),
        ("SELECT * FROM nowhere", False),
        ("SELECT my_own(1) FROM users FOR UPDATE", True),
    ],
)
def test_an_unknown_function_may_have_written(sql: str, may_write: bool) -> None:
    found = KNOWN[PG](sql)
    assert isinstance(found, Refused)
    assert found.may_write == may_write


def test_functions_may_be_declared() -> None:
    sql = "SELECT my_own(id), shop.other(id) FROM users WHERE id = 7"
    known = Tables(TABLES, default="public", harmless=["my_own", "shop.other"])
    harmless = Analyser("postgresql", known)(sql)
    assert isinstance(harmless, Refused)
    assert not harmless.may_write
    pure = Analyser("postgresql", known, pure=["My_Own", "shop.other"])(sql)
    assert isinstance(pure, Reads)
    assert pure.tags() == ROW


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("BEGIN", "begin"),
        ("commit;", "commit"),
        ("ROLLBACK TO s", "rollback"),
        ("savepoint s", "savepoint"),
    ],
)
def test_control_of_transactions_is_told(sql: str, word: str) -> None:
    found = KNOWN[PG](sql)
    assert isinstance(found, Refused)
    assert found.control == word


@pytest.mark.parametrize(
    "sql",
    [
        "SET search_path = x",
        "RESET ALL",
        "CREATE TEMP TABLE x (a int)",
        "CREATE TEMPORARY VIEW x AS SELECT 1",
        "LISTEN x",
        "SELECT set_config('a', 'b', true)",
    ],
)
def test_what_changes_the_session_is_told(sql: str) -> None:
    found = KNOWN[PG](sql)
    assert isinstance(found, Refused)
    assert found.session


@pytest.mark.parametrize("word", ["now", " Today ", "TOMORROW"])
def test_a_parameter_that_postgresql_reads_the_clock_for_is_not_cached(word: str) -> None:
    found = KNOWN[PG]("SELECT * FROM ts WHERE at > %s")
    assert isinstance(found, Reads)
    assert found.tags([word]) is None
    assert "moment" in (found.why_not([word]) or "")
    assert found.why_not(["2024-01-01"]) is None


@pytest.mark.parametrize("params", [[], {}, {"x": 1}, None])
def test_a_missing_parameter_is_no_error_of_ours(params: Any) -> None:
    found = KNOWN[PG]("SELECT * FROM users WHERE id = %s")
    assert isinstance(found, Reads)
    assert found.tags(params) is None
    assert "missing" in (found.why_not(params) or "")


@pytest.mark.parametrize(
    ("dialect", "style", "sql", "params"),
    [
        ("sqlite", "qmark", "id = ?", [7]),
        ("sqlite", "qmark", "name = ?2 AND id = ?1", [7, "x"]),
        ("sqlite", "named", "id = :id", {"id": 7}),
        ("sqlite", "named", "id = @id", {"id": 7}),
        ("sqlite", "named", "id = $id", {"id": 7}),
        ("postgresql", "format", "name = '%%s ?' AND id = %s", [7]),
        ("postgresql", "pyformat", "name = '%%' AND id = %(the id)s", {"the id": 7}),
        ("postgresql", "numeric_dollar", "name = $2 AND id = $1", [7, "x"]),
        ("postgresql", "numeric", "name = '12:30' AND id = :1", [7]),
        ("postgresql", "named", "name = 'x'::text AND id = :id", {"id": 7}),
        ("postgresql", "none", "name LIKE '%s' AND id = 7", None),
        ("mysql", "pyformat", "name = 'it\\'s' AND id = %s", [7]),
        ("mysql", "format", '`name` = "?" AND id = %s # %%', [7]),
    ],
)
def test_parameters_are_found_in_every_style(
    dialect: str, style: Any, sql: str, params: Any
) -> None:
    found = KNOWN[dialect](f"SELECT * FROM users WHERE {sql}", style)
    assert isinstance(found, Reads), found
    assert found.tags(params) == ROW
