"""The code that goes with an advice: complete programs, kept in examples/, for threads or for asyncio.

Written once, for asyncio; the program for threads is made by dropping what waits, as the package itself is made.
What must not be here: which program is right for whom (`advice`).
"""

from __future__ import annotations

import re
from importlib.resources import files

SERVER = "redis://localhost:6379/0"
DURABILITY = "fsync"
"""What the programs are written with."""

_DROPPED = (
    (re.compile(r"\bawait (?=[\w.]+\()"), ""),
    (re.compile(r"\basync (?=def|with|for)"), ""),
    (re.compile(r"\bAsync(?=[A-Z])"), ""),
    (re.compile(r"^import asyncio\n", re.MULTILINE), ""),
    (re.compile(r"\basyncio\.run\(main\(\)\)"), "main()"),
    (re.compile(r"\bcreate_async_engine\b"), "create_engine"),
    (re.compile(r"\bsqlalchemy\.ext\.asyncio\b"), "sqlalchemy"),
    (re.compile(r"\bsqlite\+aiosqlite\b"), "sqlite"),
)


def example(name: str, *, threads: bool, server: str = SERVER, durability: str = DURABILITY) -> str:
    """The program called `name`, on a server of yours."""
    code = (
        files("cachewright.cli")
        .joinpath("examples", name.replace("-", "_") + ".py")
        .read_text(encoding="utf-8")
    )
    if threads:
        for pattern, instead in _DROPPED:
            code = pattern.sub(instead, code)
    code = code.replace(f'durability="{DURABILITY}"', f'durability="{durability}"')
    return code.replace(SERVER, server)
