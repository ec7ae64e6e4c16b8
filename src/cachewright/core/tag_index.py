"""How much is noted of which keys there are, for `cachewright tags`. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from cachewright.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class TagIndex:
    """`Cache(tag_index=TagIndex(...))`: a list at the server of keys that are cached, bounded and sampled.

    `keys`: how many, the ones that live longest. `share`: of all keys, 0 to 1; which ones is settled by the key, so that
    every process samples the same. `every`: seconds between two writes of what was noted. Raises `ConfigurationError`.
    """

    keys: int = 10_000
    share: float = 0.1
    every: float = 1.0

    def __post_init__(self) -> None:
        if type(self.keys) is not int or self.keys < 1:
            raise ConfigurationError(f"keys must be an int of 1 or more, not {self.keys!r}")
        if not 0 < self.share <= 1:
            raise ConfigurationError(f"share must be above 0 and at most 1, not {self.share!r}")
        if not self.every > 0:
            raise ConfigurationError(f"every must be more than 0 seconds, not {self.every!r}")

    def has(self, key: str) -> bool:
        """Whether a key is in the sample."""
        return crc32(key.encode("utf-8", "surrogatepass")) < self.share * 2**32
