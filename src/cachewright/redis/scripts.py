"""The Lua scripts of this package: their sources and digests. Nothing is sent from here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """One verb. `sha` is what EVALSHA names it by."""

    name: str
    source: bytes
    sha: bytes


NAMES = (
    "acquire",
    "count",
    "discard",
    "fill",
    "invalidate",
    "mark",
    "renew",
    "slide",
    "stamps",
    "store",
    "touch",
)


@cache
def script(name: str) -> Script:
    """The script of a verb."""
    source = files("cachewright.redis").joinpath("lua", f"{name}.lua").read_bytes()
    # The server names scripts by SHA-1; nothing rests on its strength.
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())


def loading() -> list[tuple[bytes | str, ...]]:
    """The commands that make every script known to a server."""
    return [("SCRIPT", "LOAD", script(name).source) for name in NAMES]
