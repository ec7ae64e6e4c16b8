"""Secret keys by id: one writes, all read. What must not be here: cryptography."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TypeAlias

from cachewright.errors import CodecError, ConfigurationError

KeyId: TypeAlias = int | str
# Mapping is invariant in its keys: without the first two a dict[int, bytes] would not fit.
Keys: TypeAlias = (
    Mapping[int, bytes] | Mapping[str, bytes] | Mapping[KeyId, bytes] | Iterable[bytes]
)


class KeyRing:
    """Keys that can be rotated: put the new one first, drop the old one when its entries are gone.

    `keys`: id → key, or keys alone, which get a digest of themselves as their id. `write` is the id
    of the key that writes; the first one unless given. `least` and `most` bound the length of each
    key in bytes. Raises `ConfigurationError`. Neither repr nor errors show a key.
    """

    def __init__(
        self, keys: Keys, *, write: KeyId | None = None, least: int = 32, most: int | None = None
    ) -> None:
        self._keys: dict[bytes, bytes] = {}
        for key_id, key in _pairs(keys):
            self._add(_spell(key_id), key, least=least, most=most)
        if not self._keys:
            raise ConfigurationError("keys: at least one key is needed")
        self.write_id = next(iter(self._keys)) if write is None else _spell(write)
        if self.write_id not in self._keys:
            raise ConfigurationError(f"write={write!r} is not the id of one of the keys")

    def _add(self, key_id: bytes, key: bytes, *, least: int, most: int | None) -> None:
        if not isinstance(key, bytes) or len(key) < least or (most is not None and len(key) > most):
            length = f"exactly {least}" if least == most else f"at least {least}"
            raise ConfigurationError(f"keys: a key must be {length} random bytes: os.urandom(32)")
        if key_id in self._keys:
            raise ConfigurationError(f"keys: two keys have the id {key_id.decode()!r}")
        self._keys[key_id] = key

    @property
    def ids(self) -> tuple[bytes, ...]:
        """The ids as they are stored, in the order given."""
        return tuple(self._keys)

    def key(self, key_id: bytes) -> bytes:
        """The key with this id. Raises `CodecError` for an id that is not known."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise CodecError("written with a key that is not among the read keys") from None

    def __repr__(self) -> str:
        return f"KeyRing(ids={[key_id.decode() for key_id in self._keys]})"


def label(key_id: bytes) -> bytes:
    """The id with its length in front: how payloads begin and how ids enter authenticated data."""
    return bytes((len(key_id),)) + key_id


def split_label(data: bytes) -> tuple[bytes, bytes]:
    """The id at the beginning of `data`, and the rest. Raises `CodecError` when it is cut short."""
    size = data[0] + 1 if data else 1
    if len(data) < size:
        raise CodecError("the payload ends inside its key id")
    return data[1:size], data[size:]


def _pairs(keys: Keys) -> list[tuple[KeyId, bytes]]:
    if isinstance(keys, Mapping):
        return list(keys.items())
    if isinstance(keys, (bytes, str)):
        raise ConfigurationError("keys: pass a list of keys or a mapping of id to key, not one key")
    return [(_fingerprint(key), key) for key in keys]


def _fingerprint(key: bytes) -> str:
    if not isinstance(key, bytes):
        raise ConfigurationError("keys: a key must be bytes: os.urandom(32)")
    return blake2b(key, digest_size=6, person=b"cachewright key").hexdigest()


def _spell(key_id: KeyId) -> bytes:
    spelled = str(key_id).encode("utf-8", "replace")
    if not 1 <= len(spelled) <= 255:
        raise ConfigurationError("keys: an id is 1 to 255 bytes long")
    return spelled
