"""Plain functions and asyncio caches: refused where they would silently become something else."""

from __future__ import annotations

import pytest

from cachewright import AsyncCache, ConfigurationError


async def test_a_plain_function_is_refused_by_an_asyncio_cache() -> None:
    async with AsyncCache() as cache:

        def plain() -> int:
            return 1

        with pytest.raises(ConfigurationError, match=r"plain is not a coroutine function.*Cache"):
            cache.cached(plain)


async def test_an_asyncio_cache_does_not_answer_to_in() -> None:
    """It cannot wait there, and a coroutine would be true whatever it comes to."""
    async with AsyncCache() as cache:
        with pytest.raises(TypeError):
            assert "k" in cache


async def test_a_plain_loader_may_be_given_to_an_asyncio_cache() -> None:
    async with AsyncCache() as cache:
        assert await cache.get_or_load("k", lambda: 1) == 1
        assert await cache.get_or_load_many(["m"], lambda keys: {"m": 2}) == {"m": 2}
