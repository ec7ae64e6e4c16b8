"""Queries: a result is cached under the tables that it reads, and a write names the table that it changes."""

import asyncio
import sqlite3

from cachewright import AsyncCache, Policy

# Your database. This one is there so that the program runs as it is.
db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)")
db.execute("INSERT INTO products VALUES (1, 'tea', 4), (2, 'bread', 3)")


async def cheapest() -> list[tuple[str, int]]:
    return db.execute("SELECT name, price FROM products ORDER BY price LIMIT 10").fetchall()


async def main() -> None:
    policy = Policy(ttl=300, stale=60, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:
        print(await cache.get_or_load("cheapest", cheapest, tags=["table:products"]))
        async with cache.writing(tags=["table:products"]) as write:
            db.execute("UPDATE products SET price = 2 WHERE id = 1")
            await write.before_commit()
            db.commit()
        print(await cache.get_or_load("cheapest", cheapest, tags=["table:products"]))


asyncio.run(main())
