"""Write-behind: a write is acknowledged when it is queued safely, and reaches the database in batches."""

import asyncio

from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateTable

from cachewright import AsyncCache, Policy
from cachewright.integrations.sqlalchemy import AsyncTableSource
from cachewright.patterns import AsyncWriteBehind

# Your database. This one is there so that the program runs as it is.
engine = create_async_engine("sqlite+aiosqlite:///users.db")
table = Table("users", MetaData(), Column("id", Integer, primary_key=True), Column("name", String))


async def main() -> None:
    async with engine.begin() as connection:
        await connection.execute(CreateTable(table, if_not_exists=True))
    source = AsyncTableSource(engine, table)
    await source.create_tables()  # the table that records how far the queue was applied
    policy = Policy(ttl=300, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:
        async with AsyncWriteBehind(cache, source, durability="fsync", interval=1.0) as users:
            await users.put({"id": 1, "name": "Ada"})  # acknowledged: it survives a crash
            print(await users.get(1))  # seen at once
            await users.flush()  # not needed; the worker does it every second
        print(await source.load(1))
    await engine.dispose()


asyncio.run(main())
