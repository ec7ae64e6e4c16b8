"""Refresh-ahead: rows that are read often are loaded anew before they expire."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence

from cachewright import AsyncCache, Policy
from cachewright.patterns import AsyncRefreshAhead
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
    policy = Policy(ttl=60, stale=600, jitter=0.1)  # stale: served while one refresh runs
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:
        users = AsyncRefreshAhead(cache, source, ahead=0.8, hot=2)
        await users.schedule(every=30)  # rows in use, read or not, by one process of the fleet
        print(await users.get(1))
        print(await users.get(1))


asyncio.run(main())
