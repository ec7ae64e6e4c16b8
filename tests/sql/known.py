"""The catalogue that the tests of single statements share, and an analyser of it for each dialect."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cachewright.sql import Analyser, Opaque, Table, Tables, View

USERS = Table(
    "users",
    {"id": int, "email": str, "name": None, "active": bool, "token": UUID},
    ("id",),
    [("email",), ("token",), ("active",)],
)
ORDERS = Table(
    "orders",
    {"id": int, "user_id": int, "status": str, "total": None},
    ("id",),
    [("user_id",), ("user_id", "status")],
)
TABLES: list[Any] = [
    USERS,
    ORDERS,
    Table("seats", {"flight": int, "place": str, "paid": bool}, ("flight", "place")),
    Table("shop.items", {"id": int, "tag": str}, ("id",), [("tag",)]),
    Table("mixed case", {"Id": int}, ("Id",)),
    Table("ts", {"at": None}),
    Table("logged", {"id": int}, ("id",), also={"insert": None}),
    Table("parents", {"id": int}, ("id",), also={"delete": [("delete", "children")]}),
    Table("children", {"id": int, "parent": int}, ("id",), also={"delete": [("update", "orders")]}),
    Table("stamped", {"id": int}, ("id",), rewrites=True),
    Table("careful", {"id": int, "tag": str}, ("id",), [("tag",)], complete=False),
    View("active_users", "SELECT id, email FROM users WHERE active"),
    View("buyers", "SELECT a.id FROM active_users a JOIN orders o ON o.user_id = a.id"),
    View("moving", "SELECT id FROM users WHERE now() > '2020-01-01'"),
    View("endless", "SELECT * FROM endless"),
    Opaque("feed", "a foreign table"),
]
KNOWN = {
    "postgresql": Analyser("postgresql", Tables(TABLES, default="public")),
    "sqlite": Analyser("sqlite", Tables(TABLES, default="main")),
    "mysql": Analyser("mysql", Tables(TABLES, default="shopdb")),
}
PG, LITE, MY = "postgresql", "sqlite", "mysql"
ROW = ["row:users:7", "rows:users"]
