"""Pickle behind a message authentication code: nothing is unpickled that a key holder did not write.

MAC: HMAC-SHA256 (RFC 2104), as sealing is optional and this must hold without it. Layout of a
payload: length of the key id (1 byte), key id, MAC (32 bytes), pickle.

Nothing in this package imports this module; to use pickle is to construct `SignedPickleCodec` by
name. What must not be here: a way to load bytes before their MAC was compared.
"""

from __future__ import annotations

import hmac
import io
import pickle
from typing import Any, Final

from cachewright.codecs.keyring import KeyId, KeyRing, Keys, label, split_label
from cachewright.codecs.sensitive import is_sensitive
from cachewright.errors import CodecError

_MAC_SIZE: Final = 32
_PURPOSE: Final = b"cachewright/pickle/1"  # no MAC of another use of the same key is valid here
_PROTOCOL: Final = 5


class SignedPickleCodec:
    """Any picklable value, for applications that cannot do without.

    `keys`: id → key or a list of keys, each at least 32 random bytes; see `KeyRing`. Whoever holds
    a key can run code in every reader. The MAC covers the cache key, so a payload moved to another
    key is refused; it does not reveal that an older payload of the same key was put back.
    """

    name = "pickle-signed"
    code = 5

    def __init__(self, keys: Keys, *, write: KeyId | None = None) -> None:
        self._keys = KeyRing(keys, write=write)

    def encode(self, value: Any) -> bytes:
        """The value as bytes bound to no cache key; raises `CodecError`."""
        return self.encode_bound(value, b"", sealed=False)

    def decode(self, data: bytes) -> Any:
        """The value of `encode`; raises `CodecError`."""
        return self.decode_bound(data, b"")

    def encode_bound(self, value: Any, aad: bytes, *, sealed: bool) -> bytes:
        """The value as bytes that decode only under the same `aad`; raises `CodecError`.

        `sealed`: the caller encrypts the result, so values of `Sensitive` classes may be in it.
        """
        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, _PROTOCOL) if sealed else _OpenPickler(buffer, _PROTOCOL)
        try:
            pickler.dump(value)
        except CodecError:
            raise
        except Exception as error:  # __reduce__ and __getstate__ of a user's class raise anything
            raise CodecError(f"cannot pickle {type(value).__qualname__}: {error}") from error
        body = buffer.getvalue()
        key_id = self._keys.write_id
        return label(key_id) + self._mac(key_id, body, aad) + body

    def decode_bound(self, data: bytes, aad: bytes) -> Any:
        """The value. Raises `CodecError`, before anything is unpickled unless the MAC is right."""
        key_id, rest = split_label(bytes(data))
        mac, body = rest[:_MAC_SIZE], rest[_MAC_SIZE:]
        if not hmac.compare_digest(mac, self._mac(key_id, body, aad)):
            raise CodecError("the payload was not signed for this cache key")
        try:
            return pickle.loads(body)  # noqa: S301 - the MAC above is what makes it safe
        except Exception as error:  # a class that moved or changed since raises anything
            raise CodecError(f"cannot unpickle: {type(error).__name__}: {error}") from error

    def _mac(self, key_id: bytes, body: bytes, aad: bytes) -> bytes:
        # Every part but the last has its length in front: no two inputs spell one message.
        head = _PURPOSE + label(key_id) + len(aad).to_bytes(8, "big") + aad
        return hmac.digest(self._keys.key(key_id), head + body, "sha256")


class _OpenPickler(pickle.Pickler):
    """Refuses values of sensitive classes, however deep they are."""

    def reducer_override(self, obj: Any) -> Any:
        if is_sensitive(type(obj)):
            raise CodecError(
                f"{type(obj).__qualname__} is marked Sensitive: configure a sealer to cache it"
            )
        return NotImplemented
