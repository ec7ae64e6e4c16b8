"""The Lua scripts of this package: their sources and digests. Nothing is sent from here."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """One verb. `sha` is what EVALSHA names it by."""

    name: str
    source: bytes
    sha: bytes


QUEUE = ("enqueue", "move", "muster", "settle", "take")
"""Verbs of write-behind."""

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
    *QUEUE,
)


PARTS: dict[str, tuple[str, ...]] = {
    "acquire": ("fence",),
    "count": ("fence",),
    "enqueue": ("fence", "marks"),
    "invalidate": ("marks",),
    "mark": ("fence", "marks"),
    "store": ("fence", "marks"),
    "touch": ("fence",),
}
"""What several verbs begin with."""

FENCED = frozenset(verb for verb, parts in PARTS.items() if "fence" in parts)
"""Verbs whose last argument is a deadline, which the connection fills in."""


def _read(name: str) -> bytes:
    return files("cachewright.redis").joinpath("lua", f"{name}.lua").read_bytes()


def _compose(name: str) -> Script:
    source = b"".join(map(_read, (*(f"{part}.part" for part in PARTS.get(name, ())), name)))
    # The server names scripts by SHA-1; nothing rests on its strength.
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())


# Read when this module is imported: a call that imports something would hang in a child that was forked meanwhile.
_SCRIPTS = {name: _compose(name) for name in NAMES}


def script(name: str) -> Script:
    """The script of a verb."""
    return _SCRIPTS[name]


def loading() -> list[tuple[bytes | str, ...]]:
    """The commands that make every script known to a server."""
    return [("SCRIPT", "LOAD", script(name).source) for name in NAMES]
