"""The three dialects that are understood, and how each folds names. Pure.

What must not be here: anything about one statement.
"""

from __future__ import annotations

from typing import Any

from cachewright.errors import ConfigurationError

_NAMES = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "sqlite": "sqlite",
    "mysql": "mysql",
    "mariadb": "mysql",
}


def known_dialect(name: str) -> str:
    """`postgres`, `sqlite` or `mysql`. Raises `ConfigurationError` for any other."""
    found = _NAMES.get(name.lower())
    if found is None:
        raise ConfigurationError(f"SQL of {name} is not understood: {sorted(_NAMES)} are")
    return found


def folded(identifier: Any, dialect: str) -> str:
    """A parsed identifier as the database compares it; only quoted names of PostgreSQL keep their case."""
    text: str = identifier.name
    return text if dialect == "postgres" and identifier.args.get("quoted") else text.lower()
