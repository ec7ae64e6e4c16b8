"""SQLAlchemy 2: tables as sources of values. Needs the extra `sqlalchemy`; asyncio also `sqlalchemy[asyncio]`."""

from __future__ import annotations

from cachewright.integrations.sqlalchemy import transactions as transactions  # lets doors join them
from cachewright.integrations.sqlalchemy.async_source import AsyncTableSource
from cachewright.integrations.sqlalchemy.source import TableSource

__all__ = ["AsyncTableSource", "TableSource"]
