# Servers that lose what was acknowledged.
"""What the look at a server's configuration is for: without it, each of these takes writes and loses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from patterns._async.desk import AsyncHand, AsyncOpened, AsyncPeople, one, person, waiting

from cachewright.errors import ConfigurationError

EVICTING = {"maxmemory": "6mb", "maxmemory-policy": "allkeys-lru"}
ON_DISK = {"appendonly": "yes", "appendfsync": "everysec"}
TRUSTED: dict[str, Any] = {"durability_checked": False}


async def pressed_for_memory(server: Any, client: Any, namespace: str, people: Any) -> Any:
    """What is queued of 20 acknowledged writes when others have filled the server's memory, and what reached the source."""
    async with one(server, namespace, people, **TRUSTED) as writes:
        await writes.put_many([person(n) for n in range(20)])
        for number in range(200):
            client.set(f"others:{number}", b"x" * 100_000)
        queued = (await waiting(writes))[0]
        await (await AsyncHand.take(writes)).drain()
        return queued, len(people.rows())


async def test_defect_38_a_server_that_evicts_is_refused_before_anything_is_queued(
    own_server: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    server = own_server(config=EVICTING)
    with pytest.raises(ConfigurationError, match="noeviction"):
        await AsyncOpened(server, namespace, people).__aenter__()
    assert not raw(server).keys(f"{namespace}:{{q:*:stream")


async def test_defect_38_unless_it_was_looked_at_such_a_server_would_lose_the_queue(
    own_server: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    """The control."""
    server = own_server(config=EVICTING)
    assert await pressed_for_memory(server, raw(server), namespace, people) == (0, 0)


async def test_where_only_what_has_a_ttl_is_evicted_the_queue_stays(
    own_server: Any, raw: Any, namespace: str, people: AsyncPeople
) -> None:
    server = own_server(config={**EVICTING, "maxmemory-policy": "volatile-lru"})
    client = raw(server)

    class Others:
        """What the others write has a TTL."""

        def set(self, name: str, value: bytes) -> None:
            client.set(name, value, ex=600)

    assert await pressed_for_memory(server, Others(), namespace, people) == (20, 20)


async def killed(server: Any, namespace: str, people: AsyncPeople, **options: Any) -> int:
    """What is queued of 20 acknowledged writes when the server was killed and is back."""
    async with one(server, namespace, people, **options) as writes:
        await writes.put_many([person(n) for n in range(20)])
    server.kill()
    server.start()
    async with one(server, namespace, people, **options) as writes:
        return (await waiting(writes))[0]


async def test_what_was_queued_with_a_log_survives_the_server(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    server = own_server(directory=tmp_path, config=ON_DISK)
    assert await killed(server, namespace, people, durability="aof") == 20


async def test_unless_it_was_looked_at_a_server_without_a_log_would_lose_it(
    own_server: Any, namespace: str, people: AsyncPeople, tmp_path: Path
) -> None:
    """The control; that such a server is refused, test_queue.py shows."""
    server = own_server(directory=tmp_path)
    assert await killed(server, namespace, people, durability="aof", **TRUSTED) == 0
