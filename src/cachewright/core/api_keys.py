"""One key for one request to an API, however its parameters were written. Pure.

Method, URL, parameters and body are brought to one form and digested, so that nothing secret in them can be read in a
key. What an API takes for equal and HTTP does not (`page=1` and no page) is for the caller to say. What must not be
here: keys of responses that a server stores for others, which follow RFC 9111.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cachewright.core.keys import spell
from cachewright.errors import InvalidKey

DIGEST = 20
"""Bytes: 160 bits of the whole canonical form."""

_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

Params = Mapping[str, Any] | Iterable[tuple[str, Any]]


def api_key(
    method: str,
    url: str,
    params: Params = (),
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    pepper: bytes = b"",
) -> tuple[str, ...]:
    """The cache key of one request: `("api", "GET", "api.example.com", digest)`.

    `params`: a mapping, or pairs for names that come several times. Names are sorted, values of one name keep their
    order; lists and mappings in them may be nested, and types differ: 1 is not "1". What stands in the URL's query
    counts as text, beside them. `body`: what is sent, any value that a key can hold. `headers`: those that change the
    answer, such as Accept-Language; their names' case does not matter. `pepper`: at most 64 secret bytes, without which
    nobody can try out short secrets, such as a PIN, against the digest. Raises `InvalidKey`.
    """
    scheme, host, path, query = _parts(url)
    form = spell(
        (
            method.upper(),
            scheme,
            host,
            path,
            _sorted(query),
            _sorted(params.items() if isinstance(params, Mapping) else params),
            body,
            _sorted((name.lower(), value) for name, value in (headers or {}).items()),
        )
    )
    digest = blake2b(form.encode(), digest_size=DIGEST, key=pepper).hexdigest()
    return "api", method.upper(), host.rpartition("@")[2] or "-", digest


def _parts(url: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Scheme, authority with its user, path and query, in the one form of RFC 3986, section 6.2."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise InvalidKey(f"a URL that cannot be read: {error}") from None
    host = (split.hostname or "").lower().rstrip(".")
    if port is not None and port != _PORTS.get(split.scheme):
        host = f"{host}:{port}"
    user = split.netloc.rpartition("@")[0]
    path = _without_dots(_ESCAPE.sub(_unescaped, split.path)) or "/"
    # Bytes that are no UTF-8 must not all become one replacement character.
    query = parse_qsl(split.query, keep_blank_values=True, errors="surrogateescape")
    return split.scheme, f"{user}@{host}" if user else host, path, query


def _unescaped(match: re.Match[str]) -> str:
    """An escape that need not be one as its character, any other in upper case (section 6.2.2)."""
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """Section 5.2.4: `/a/./b/../c` is `/a/c`. Doubled slashes stay, since they are another path."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _sorted(pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """By name; pairs of one name keep their order, since it may mean something."""
    try:
        listed = [(name, value) for name, value in pairs]
        return sorted(listed, key=lambda pair: pair[0])
    except (TypeError, ValueError):
        raise InvalidKey("parameters are a mapping, or pairs of a name and a value") from None
