"""Answers of an API: the body is cached, and a client that has it already gets 304 and no body."""

import asyncio
import json
from hashlib import sha256

from cachewright import AsyncCache, Policy

prices = {"tea": 4, "bread": 3}  # your database


def matches(if_none_match: str, etag: str) -> bool:
    """RFC 9110, section 13.1.2: a list of tags or *, compared weakly."""
    given = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in given or etag in given


async def main() -> None:
    policy = Policy(ttl=300, stale=60, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:

        @cache.cached(key="api:prices", tags=["table:prices"])
        async def body() -> tuple[str, str]:
            text = json.dumps(prices, sort_keys=True)
            return text, f'"{sha256(text.encode()).hexdigest()[:32]}"'

        async def answer(if_none_match: str = "") -> tuple[int, dict[str, str], str]:
            text, etag = await body()
            headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
            return (304, headers, "") if matches(if_none_match, etag) else (200, headers, text)

        status, headers, _ = await answer()
        print(status, (await answer(headers["ETag"]))[0])
        async with cache.writing(tags=["table:prices"]):
            prices["tea"] = 5
        print((await answer(headers["ETag"]))[0])


asyncio.run(main())
