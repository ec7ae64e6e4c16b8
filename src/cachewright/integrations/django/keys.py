"""How the key of a query is spelled: which database, which statement, which parameters, whose view of it. Pure.

What must not be here: connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from cachewright.core.keys import spell

LONGEST = 400
"""Characters of parameters that a key shows; of longer ones it holds a digest."""
_BYTES = 20


def head_of(*about: Any) -> str:
    """160 bits of a statement and its database, which its keys begin with."""
    return blake2b(":".join(map(spell, about)).encode(), digest_size=_BYTES).hexdigest()


def key_of(head: str, params: Iterable[Any]) -> str:
    """The key of one set of parameters. Raises `InvalidKey` for one that has no spelling."""
    parts = ":".join([spell(each if type(each) in _EXACT else plain(each)) for each in params])
    if len(parts) > LONGEST:
        parts = "d~" + blake2b(parts.encode(), digest_size=_BYTES).hexdigest()
    return f"{head}:{parts}"


_EXACT = frozenset({int, str})


def plain(value: Any) -> Any:
    """A parameter without the class that Django or the application gave it: safe strings, members of choices."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and type(value) is not bool:
        return int(value)
    if isinstance(value, memoryview):
        return bytes(value)
    return value
