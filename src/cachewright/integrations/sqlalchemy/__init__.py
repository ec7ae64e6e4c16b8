"""SQLAlchemy 2: tables as sources of values, and queries as cached results.

Needs the extra `sqlalchemy`; asyncio also `sqlalchemy[asyncio]`, `QueryCache` and `cached` also the extra `sql`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachewright.integrations.sqlalchemy import transactions as transactions  # lets doors join them
from cachewright.integrations.sqlalchemy.async_source import AsyncTableSource
from cachewright.integrations.sqlalchemy.source import TableSource

if TYPE_CHECKING:
    from cachewright.integrations.sqlalchemy.caching import cached
    from cachewright.integrations.sqlalchemy.query_cache import QueryCache

__all__ = ["AsyncTableSource", "QueryCache", "TableSource", "cached"]


def __getattr__(name: str) -> Any:
    """The query cache is imported when it is asked for: tables need no parser of SQL."""
    if name == "QueryCache":
        from cachewright.integrations.sqlalchemy.query_cache import QueryCache

        return QueryCache
    if name == "cached":
        from cachewright.integrations.sqlalchemy.caching import cached

        return cached
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
