"""Raw SQL over any DBAPI connection, through a cache: `QueryCache` for threads, `AsyncQueryCache` for asyncio.

Needs sqlglot (the extra `sql`). What must not be here: the rooms behind it.
"""

from cachewright.integrations.dbapi._async.queries import AsyncQueryCache
from cachewright.integrations.dbapi._async.work import AsyncUnitOfWork
from cachewright.integrations.dbapi._sync.queries import QueryCache
from cachewright.integrations.dbapi._sync.work import UnitOfWork
from cachewright.integrations.dbapi.results import Result

__all__ = ["AsyncQueryCache", "AsyncUnitOfWork", "QueryCache", "Result", "UnitOfWork"]
