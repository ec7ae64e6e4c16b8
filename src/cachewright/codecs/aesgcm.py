"""AES-256-GCM (NIST SP 800-38D): payloads that nobody without a key reads, changes or moves.

Layout: length of the key id (1 byte), key id, nonce (12 bytes), ciphertext with its tag (16 bytes).
The key id and the caller's associated data are authenticated. Needs the extra `cachewright[crypto]`.

What must not be here: what the associated data is made of (`payload` and the engine).
"""

from __future__ import annotations

import os
from itertools import count
from typing import Final

from cachewright.codecs.keyring import KeyId, KeyRing, Keys, label, split_label
from cachewright.errors import CodecError, ConfigurationError

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as missing:
    raise ImportError("Sealing needs a package: pip install 'cachewright[crypto]'") from missing

_NONCE_SIZE: Final = 12
REKEY_AFTER: Final = 2**32
"""Seals under one key after which random nonces may repeat: SP 800-38D section 8.3."""


class Sealer:
    """Seals with one key and opens with several.

    `keys`: id → key or a list of keys, each exactly 32 random bytes; `write` is the id of the one
    that seals, the first unless given. After `rekey_after` seals `seal` refuses until the process
    is given another key. The standard counts all seals under a key, of every process and restart:
    a large fleet gives each process its share. Raises `ConfigurationError`.
    """

    def __init__(
        self, keys: Keys, *, write: KeyId | None = None, rekey_after: int = REKEY_AFTER
    ) -> None:
        if not 1 <= rekey_after <= REKEY_AFTER:
            raise ConfigurationError(f"rekey_after must be between 1 and {REKEY_AFTER}")
        ring = KeyRing(keys, write=write, least=32, most=32)
        self._ciphers = {key_id: AESGCM(ring.key(key_id)) for key_id in ring.ids}
        self._label = label(ring.write_id)
        self._writer = self._ciphers[ring.write_id]
        self._seals = count()
        self._rekey_after = rekey_after

    def seal(self, data: bytes, aad: bytes) -> bytes:
        """The data, encrypted; opens only under the same `aad`. Raises `CodecError` past the limit."""
        if next(self._seals) >= self._rekey_after:
            raise CodecError(
                f"this key has sealed {self._rekey_after} payloads: put a new key first in keys="
            )
        nonce = os.urandom(_NONCE_SIZE)
        return self._label + nonce + self._writer.encrypt(nonce, data, self._label + aad)

    def open(self, data: bytes, aad: bytes) -> bytes:
        """What was sealed. Raises `CodecError`: unknown key, changed, or sealed under another aad."""
        key_id, rest = split_label(bytes(data))
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CodecError("sealed with a key that is not among the read keys")
        nonce, sealed = rest[:_NONCE_SIZE], rest[_NONCE_SIZE:]
        try:
            return cipher.decrypt(nonce, sealed, label(key_id) + aad)
        except (InvalidTag, ValueError) as error:  # ValueError: a nonce that is cut short
            raise CodecError("not sealed by a known key for this cache key") from error
