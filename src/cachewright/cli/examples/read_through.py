"""Read-through: the cache knows how rows are loaded; a batch is one statement for what is missing."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence

from cachewright import AsyncCache, Policy
from cachewright.patterns import AsyncReadThrough
from cachewright.patterns.sources import AsyncCallableSource

# Your database. This one is there so that the program runs as it is.
db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
db.execute("INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')")


async def load_many(ids: Sequence[int]) -> dict[int, dict[str, object]]:
    """One statement for all ids that are not cached; who is not in the answer does not exist."""
    query = "SELECT id, name FROM users WHERE id IN (SELECT value FROM json_each(?))"
    rows = db.execute(query, [json.dumps(list(ids))])
    return {number: {"id": number, "name": name} for number, name in rows}


source: AsyncCallableSource[dict[str, object]] = AsyncCallableSource(
    "users", load_many=load_many, key_types=int
)


async def main() -> None:
    policy = Policy(ttl=300, negative_ttl=30, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:
        users = AsyncReadThrough(cache, source)
        print(await users.get_many(["1", 2, 99]))  # by your keys; 99 is remembered as absent
        async with cache.writing(keys=[users.key(1)], tags=["row:users:1"]) as write:
            db.execute("UPDATE users SET name = 'Lovelace' WHERE id = 1")
            await write.before_commit()
            db.commit()
        print(await users.get(1))


asyncio.run(main())
