"""Fragments: parts that many pages share are rendered once, and the pages inherit their tags."""

import asyncio
from html import escape

from cachewright import AsyncCache, Policy

menu = ["tea", "bread"]  # your database


async def main() -> None:
    policy = Policy(ttl=300, stale=60, jitter=0.1)
    async with AsyncCache("redis://localhost:6379/0", namespace="shop", policy=policy) as cache:

        @cache.cached(tags=["menu"])
        async def sidebar(language: str) -> str:
            return "".join(f"<li lang={language}>{escape(item)}</li>" for item in menu)

        @cache.cached()
        async def page(path: str, language: str) -> str:
            return f"<ul>{await sidebar(language)}</ul><main>{escape(path)}</main>"

        print(await page("/a", "en"), await page("/b", "en"))
        async with cache.writing(tags=["menu"]):
            menu.append("jam & butter")
        print(await page("/a", "en"))


asyncio.run(main())
