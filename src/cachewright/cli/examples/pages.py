"""Pages: a page inherits the tags of the values that it is rendered from, and goes with any of them."""

import asyncio
from html import escape

from cachewright import AsyncCache, Policy

users = {1: "Ada"}  # your database


async def main() -> None:
    policy = Policy(ttl=300, stale=60, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:

        @cache.cached(key="user:{number}", tags=["user:{number}"])
        async def user(number: int) -> str:
            return users[number]

        @cache.cached(ttl=60)  # the key is made of all arguments: name what the page depends on
        async def page(path: str, language: str, number: int) -> str:
            title = escape(f"{await user(number)} on {path}")
            return f"<html lang={language}><h1>{title}</h1></html>"

        print(await page("/profile", "en", 1))
        async with cache.writing(tags=["user:1"]):
            users[1] = "Grace"
        print(await page("/profile", "en", 1))


asyncio.run(main())
