"""How keys are spelled: from parts, from templates, from arguments, and on the server. No hashing of secrets, no I/O.

A key is a string of parts joined by ":". No two inputs spell one key:
- a part's text is escaped, so `("a:b", "c")` is `a%3Ab:c` and `("a", "b:c")` is `a:b%3Ac`;
- a part that is not a plain string or int says its type: `1` is `1`, `"1"` is `s~1`, `True` is `b~1`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from string import Formatter
from typing import Any
from uuid import UUID

from cachewright.errors import ConfigurationError, InvalidKey
from cachewright.types import Key

MAX_KEY_BYTES = 512
LONGEST_KEY = 65_536
_PLAIN = re.compile(r"(?!-?\d+$)[A-Za-z0-9_.@/+=,;!$&'()-]+").fullmatch
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@/+=,;!$&'()-]")
_SEPARATES = re.compile(r"[^A-Za-z0-9_.@/+=,;!$&'()%~-]").search
"""A character that `spell` never writes."""
_ON_SERVER = re.compile(r"[!-z|~]+").fullmatch
_NAMESPACE = re.compile(r"[A-Za-z0-9_./-]{1,100}").fullmatch


def as_key(key: Key) -> str:
    """A key as the string that names it. Tuples are spelled part by part; anything else is `InvalidKey`."""
    if type(key) is str and key.isascii() and 0 < len(key) <= LONGEST_KEY:
        return key  # nearly all of them, and several for each read
    if isinstance(key, str):
        if not key:
            raise InvalidKey("a key must not be empty")
        return _checked(str.__str__(key))  # of an enum that is a string, its text
    if isinstance(key, tuple) and key:
        return _checked(":".join(map(spell, key)))
    raise InvalidKey(
        f"a key is a string or a tuple of parts, not {type(key).__name__}: write it as ('name', part)"
    )


def _checked(key: str) -> str:
    if len(key) > LONGEST_KEY:
        raise InvalidKey(
            f"a key of {len(key)} characters: use a digest of it ({LONGEST_KEY} at most)"
        )
    if key.isascii():
        return key
    try:
        key.encode()
    except UnicodeEncodeError:
        raise InvalidKey(
            "a key with lone surrogates is no text: pass it as a part of a tuple"
        ) from None
    return key


def spell(part: Any) -> str:
    """One part of a key. Equal inputs of one type spell alike, all others differ; `InvalidKey` if there is no way."""
    if type(part) is str:
        return part if _PLAIN(part) else _spell_text(part)
    if type(part) is int:
        return str(part)
    how = _SPELLINGS.get(type(part))
    return how(part) if how is not None else _spell_object(part)


def _escape(text: str) -> str:
    return _UNSAFE.sub(
        lambda m: "".join(f"%{b:02X}" for b in m[0].encode("utf-8", "surrogatepass")), text
    )


def _spell_text(text: str) -> str:
    # Digits alone would read as an int, and nothing at all as no part.
    return ("s~" if not text or _INT(text) else "") + _escape(text)


_INT = re.compile(r"-?\d+", re.ASCII).fullmatch


def _tagged(kind: str, text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda part: f"{kind}~{_escape(text(part))}"


def _each(kind: str, *, ordered: bool) -> Callable[[Iterable[Any]], str]:
    def spelled(parts: Iterable[Any]) -> str:
        texts = [spell(part) for part in parts]
        # Escaped once more, so that a nested part cannot close the list it stands in.
        return f"{kind}~" + "~".join(_escape(t) for t in (texts if ordered else sorted(texts)))

    return spelled


def _spell_mapping(mapping: Mapping[Any, Any]) -> str:
    return "m~" + "~".join(
        sorted(f"{_escape(spell(k))}~{_escape(spell(v))}" for k, v in mapping.items())
    )


def _spell_object(part: Any) -> str:
    name = f"{type(part).__module__}.{type(part).__qualname__}"
    if isinstance(part, Enum):
        return f"e~{_escape(name)}~{_escape(part.name)}"
    if isinstance(part, str) and hasattr(part, "__html__"):
        # Markup and its like: a page shows it as it is, and a plain text of the same letters escaped.
        return f"h~{_escape(str.__str__(part))}"
    if is_dataclass(part) and not isinstance(part, type) and type(part).__hash__ is not None:
        values = (getattr(part, f.name) for f in fields(part))
        return f"o~{_escape(name)}~" + "~".join(_escape(spell(v)) for v in values)
    raise InvalidKey(
        f"{name} has no spelling as a part of a key: pass its id, make it a frozen dataclass, "
        "or leave it out with ignore="
    )


_SPELLINGS: dict[type, Callable[[Any], str]] = {
    bool: lambda part: "b~1" if part else "b~0",
    type(None): lambda part: "n~",
    float: _tagged("f", repr),
    complex: _tagged("c", repr),
    Decimal: _tagged("d", str),
    bytes: lambda part: "x~" + part.hex(),
    UUID: _tagged("u", str),
    datetime: _tagged("t", lambda part: part.isoformat() + f"/{part.fold}"),
    date: _tagged("D", date.isoformat),
    time: _tagged("T", lambda part: part.isoformat() + f"/{part.fold}"),
    timedelta: _tagged("P", lambda part: f"{part.days}/{part.seconds}/{part.microseconds}"),
    tuple: _each("l", ordered=True),
    list: _each("L", ordered=True),
    set: _each("S", ordered=False),
    frozenset: _each("S", ordered=False),
    dict: _spell_mapping,
}


class Template:
    """A key such as `user:{user_id}` or `order:{order.id}`, filled from the arguments of a call."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[tuple[str, str | None]] = []
        self.names: set[str] = set()
        self._formatter = Formatter()
        try:
            parsed = list(self._formatter.parse(text))
        except ValueError as error:
            raise ConfigurationError(f"the template {text!r} cannot be read: {error}") from None
        for literal, field, spec, conversion in parsed:
            if field is not None and (not field or field[0].isdigit() or spec or conversion):
                raise ConfigurationError(
                    f"the template {text!r} may hold names only, as in 'user:{{user_id}}'"
                )
            if self.names and field is not None and not _SEPARATES(literal):
                raise ConfigurationError(
                    f"the template {text!r} needs a ':' between its fields: what stands before and after "
                    f"{literal!r} could be divided in another way"
                )
            self._parts.append((literal, field))
            if field:
                self.names.add(re.split(r"[.\[]", field)[0])

    def fill(self, arguments: Mapping[str, Any]) -> str:
        """The key for these arguments; `InvalidKey` if one of them cannot be spelled."""
        out = []
        for literal, field in self._parts:
            out.append(literal)
            if field is not None:
                out.append(spell(self._formatter.get_field(field, (), arguments)[0]))
        return "".join(out)


OWN = "cachewright"
"""What the keys of leaders and positions begin with, so that no key of a user's spells one."""


def own_key(*words: str) -> str:
    """The name below the public verbs of something that belongs to the cache itself, such as a leader's lease."""
    return as_key((OWN, *words))


class KeySpace:
    """The names of one namespace on the server. Entries, leases, stamps and tags cannot spell one another.

    An entry's name is `namespace:{key}`, and `namespace#{start~digest}` where the key is long or holds characters
    that are not plain ASCII. The braces are a cluster's hash tag: what belongs to a key lies in its slot.
    """

    def __init__(self, namespace: str) -> None:
        if not isinstance(namespace, str) or not _NAMESPACE(namespace):
            raise ConfigurationError(
                f"namespace must be 1 to 100 letters, digits or any of '_./-', not {namespace!r}"
            )
        self.namespace = namespace
        self.bus = f"{namespace}:bus:1"
        self.wake = f"{namespace}:wake:1:"
        self.sequence = f"{namespace}:seq"

    def is_digest(self, key: str) -> bool:
        """Whether the key's name on the server is a digest, so that the entry must carry the key itself."""
        return len(key) > MAX_KEY_BYTES or not _ON_SERVER(key)

    def entry(self, key: str) -> str:
        """The name of the entry of `key`."""
        if len(key) <= MAX_KEY_BYTES and _ON_SERVER(key):  # as `_name`, without the calls
            return f"{self.namespace}:{{{key}}}"
        return f"{self.namespace}{self._name(key)}"

    def lease(self, key: str) -> str:
        """The name of its lease."""
        return f"{self.entry(key)}:lease"

    def pair(self, key: str) -> tuple[str, str]:
        """The names of its entry and of its lease, at the price of one."""
        entry = self.entry(key)
        return entry, f"{entry}:lease"

    def tag(self, tag: str) -> str:
        """The name of a tag's stamp. The stamp of a key lies beside its entry."""
        if tag.startswith("k:"):
            return f"{self.entry(tag[2:])}:stamp"
        if len(tag) <= MAX_KEY_BYTES and _ON_SERVER(tag):
            return f"{self.namespace}:tag:{{{tag}}}"
        return f"{self.namespace}:tag{self._name(tag)}"

    def entries(self, keys: Sequence[str]) -> list[str]:
        """The names of many entries."""
        return [self.namespace + name for name in self._names(keys)]

    def tags(self, tags: Sequence[str]) -> list[str]:
        """The names of many tags' stamps."""
        if any(tag.startswith("k:") for tag in tags):
            return [self.tag(tag) for tag in tags]
        return [f"{self.namespace}:tag{name}" for name in self._names(tags)]

    def _names(self, keys: Sequence[str]) -> list[str]:
        # One look at all of them, which rarely holds a digest.
        if all(keys) and _ON_SERVER("".join(keys)) and max(map(len, keys)) <= MAX_KEY_BYTES:
            return [f":{{{key}}}" for key in keys]
        return [self._name(key) for key in keys]

    def _name(self, key: str) -> str:
        if not self.is_digest(key):
            return f":{{{key}}}"
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        start = re.sub(r"[^A-Za-z0-9_.:-]", "_", key[:40])
        return f"#{{{start}~{digest}}}"
