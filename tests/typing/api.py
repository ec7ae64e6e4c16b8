"""The public types, as a user's type checker sees them. Never run: `mypy --strict` reads it, and every line must hold.

What must not be here: behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import redis
import redis.asyncio

from cachewright import (
    ABSENT,
    MISSING,
    AdaptiveTtl,
    AsyncCache,
    Cache,
    CacheError,
    ConfigurationError,
    Policy,
    QueueFull,
    TagIndex,
    Timeouts,
    current_load,
)
from cachewright.gathering import carry
from cachewright.objects import api_key, plain_row
from cachewright.observe.events import Event
from cachewright.observe.stats import Snapshot
from cachewright.testing import FakeClock
from cachewright.types import Clock, Codec


@dataclass
class User:
    """A value."""

    id: int


def load_user() -> User:
    """A plain loader."""
    return User(1)


async def load_user_later() -> User:
    """A coroutine function as a loader."""
    return User(1)


def load_users(keys: list[Any]) -> Mapping[Any, User]:
    """A batch loader."""
    return {key: User(1) for key in keys}


def listener(event: Event) -> None:
    """A listener."""
    assert_type(event.kind, str)
    assert_type(event.digest, str)
    assert_type(event.error, BaseException | None)


class Reversed:
    """A codec of the user's own."""

    name = "reversed"
    code = 200

    def encode(self, value: Any) -> bytes:
        """To bytes."""
        return bytes(reversed(value))

    def decode(self, data: bytes) -> Any:
        """And back."""
        return bytes(reversed(data))


def servers_and_options() -> None:
    """What a cache is made of."""
    codec: Codec = Reversed()
    clock: Clock = FakeClock()
    policy = Policy(
        ttl=timedelta(minutes=5),
        stale=600,
        jitter=0.1,
        refresh_ahead=0.8,
        cache_errors=(LookupError,),
        timeouts=Timeouts(call=0.2),
    )
    assert_type(policy.but(ttl=AdaptiveTtl(low=1, high=10)), Policy)
    Policy(ttl=lambda user: user.id)
    assert_type(Cache(), Cache)
    assert_type(Cache("redis://localhost:6379/0", namespace="shop", policy=policy), Cache)
    assert_type(AsyncCache(redis.asyncio.Redis(), codec=codec, clock=clock), AsyncCache)
    assert_type(Cache(redis.Redis(), listeners=[listener], type=User, compress="zstd"), Cache)
    assert_type(Cache.from_env({"CACHEWRIGHT_TTL": "60"}, max_entries=5), Cache)
    error: CacheError = ConfigurationError("an option that cannot work")
    value_error: ValueError = ConfigurationError("the same")
    error = QueueFull("no room")
    raise error from value_error


def blocking(cache: Cache) -> None:
    """Every verb, in threads."""
    assert_type(cache.set("user:42", User(1), ttl=60, tags=["user:42", ("row", 42)]), bool)
    assert_type(cache.set(("user", 42), User(1), expires_at=datetime.now(UTC)), bool)
    assert_type(cache.set("user:42", ABSENT, sliding=timedelta(hours=1)), bool)
    assert_type(cache.set_many({"a": 1, "b": 2}), dict[str | tuple[Any, ...], bool])
    assert_type(cache.add("k", 1), bool)
    assert_type(cache.incr("n", 5, initial=1, ttl=60), int)
    assert_type(cache.touch("k", ttl=60), bool)
    assert_type(cache.ttl("k"), float | None)
    assert_type(cache.contains("k"), bool)
    assert_type("k" in cache, bool)
    assert_type(cache.get_many(["a", ("b", 1)]), dict[str | tuple[Any, ...], Any])
    cache.get_or_load_many(["a", "b"], load_users, tags=lambda key: [("row", key)])
    user: User = cache.get("user:42", default=None)
    if cache.get("user:42") is MISSING:
        user = cache.get_or_load("user:42", load_user, tags=["user:42"], default=None)
    assert_type(user, User)
    cache.invalidate("user:42", tags=["table:users"], prefix="user", scope=7)
    cache.delete("user:42")
    cache.clear()
    with cache.writing(keys=["user:42"], tags=["user:42"], strict=True) as write:
        write.before_commit()
    with cache.bypassed(), cache.disabled(), cache.refreshed(), cache.scoped("ann"):
        current_load().tag("row:1")
    assert_type(cache.stats(), Snapshot)
    assert_type(cache.stats().hit_ratio, float)
    with Cache() as opened:
        assert_type(opened, Cache)


def objects(cache: Cache) -> None:
    """Views of one type keep it."""
    users = cache.typed(User)
    assert_type(users.set("user:42", User(1), ttl=60), bool)
    assert_type(users.get_many(["user:42"]), dict[str | tuple[Any, ...], User])
    assert_type(api_key("GET", "https://a/", {"page": 1}), tuple[str, ...])
    assert_type(plain_row(object()), dict[str, Any])
    assert_type(carry(load_user)(), User)
    assert_type(cache.explain("k").state == "fresh", bool)
    Cache(tag_index=TagIndex(share=0.5), max_tags=500)


async def waiting(cache: AsyncCache) -> None:
    """The same with `await`."""
    assert_type(await cache.set("k", 1), bool)
    assert_type(await cache.incr("n"), int)
    assert_type(await cache.ttl("k"), float | None)
    await cache.get_or_load("user:42", load_user_later)
    await cache.get_or_load("user:42", load_user)
    async with cache.writing(tags=["user:42"]) as write:
        await write.before_commit()
    async with AsyncCache() as opened:
        assert_type(opened, AsyncCache)


def decorated(cache: Cache) -> None:
    """A decorated function keeps its signature, and its verbs take the same arguments."""

    @cache.cached(ttl=60, key="user:{user_id}", tags=["user:{user_id}"])
    def get_user(user_id: int, *, lang: str = "en") -> User:
        return User(user_id)

    @cache.cached
    def bare(user_id: int) -> User:
        return User(user_id)

    @cache.fragment("badge", ttl=60, tags=["user:{user_id}"])
    def badge(user_id: int) -> str:
        return str(user_id)

    assert_type(badge(42), str)
    badge("42")  # type: ignore[arg-type]
    assert_type(get_user(42), User)
    assert_type(get_user(user_id=42, lang="fr"), User)
    assert_type(get_user.refresh(42), User)
    assert_type(get_user.key(42), str)
    assert_type(bare(42), User)
    get_user.invalidate(42, lang="fr")
    get_user("42")  # type: ignore[arg-type]
    get_user()  # type: ignore[call-arg]
    get_user.invalidate("42")  # type: ignore[arg-type]
    get_user.key(42, lang=43)  # type: ignore[arg-type]
    bare.refresh()  # type: ignore[call-arg]


async def decorated_and_awaited(cache: AsyncCache, blocking_cache: Cache) -> None:
    """The same for coroutine functions, on either cache."""

    @cache.cached(ttl=60)
    async def get_user(user_id: int) -> User:
        return User(user_id)

    @blocking_cache.cached(ttl=60)
    async def on_threads(user_id: int) -> User:
        return User(user_id)

    assert_type(await get_user(42), User)
    assert_type(await get_user.refresh(42), User)
    assert_type(await on_threads(42), User)
    await get_user.invalidate(42)
    await get_user("42")  # type: ignore[arg-type]
    await get_user.invalidate()  # type: ignore[call-arg]
