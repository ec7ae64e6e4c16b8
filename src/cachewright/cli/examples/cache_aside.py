"""Cache-aside: each call says how its value is loaded; writes say what they make wrong."""

import asyncio
import sqlite3

from cachewright import AsyncCache, Policy
from cachewright.patterns import AsyncCacheAside
from cachewright.types import ABSENT

# Your database. This one is there so that the program runs as it is.
db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
db.execute("INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')")


async def load(number: int) -> object:
    row = db.execute("SELECT id, name FROM users WHERE id = ?", (number,)).fetchone()
    return ABSENT if row is None else {"id": row[0], "name": row[1]}


async def main() -> None:
    policy = Policy(ttl=300, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:
        users = AsyncCacheAside(cache, "users")
        print(await users.get(1, load))
        print(await users.get(99, load, default="nobody"))  # that there is none is cached too
        async with users.writing(1) as write:  # dirty before the commit, fresh after it
            db.execute("UPDATE users SET name = 'Lovelace' WHERE id = 1")
            await write.before_commit()
            db.commit()
        print(await users.get(1, load))


asyncio.run(main())
