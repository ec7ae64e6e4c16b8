"""Write-through: the database commits, and the cache holds the stored row when the call returns."""

import asyncio

from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateTable

from cachewright import AsyncCache, Policy
from cachewright.integrations.sqlalchemy import AsyncTableSource
from cachewright.patterns import AsyncWriteThrough

# Your database. This one is there so that the program runs as it is.
engine = create_async_engine("sqlite+aiosqlite:///users.db")
table = Table("users", MetaData(), Column("id", Integer, primary_key=True), Column("name", String))


async def main() -> None:
    async with engine.begin() as connection:
        await connection.execute(CreateTable(table, if_not_exists=True))
    policy = Policy(ttl=300, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:
        users = AsyncWriteThrough(cache, AsyncTableSource(engine, table), consistency="strict")
        print(await users.put({"id": 1, "name": "Ada"}))  # the row as the database stored it
        print(await users.get(1))
        await users.delete(1)
        print(await users.get(1, default="nobody"))
    await engine.dispose()


asyncio.run(main())
