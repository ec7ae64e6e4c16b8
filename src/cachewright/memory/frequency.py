"""How often a key was asked for lately, for any number of keys in a fixed number of bytes.

What must not be here: eviction (S3-FIFO keeps its own two bits in the entry) and what to do with an
estimate, such as a longer TTL.
"""

from __future__ import annotations

from cachewright.errors import ConfigurationError

_ROWS = 4
_MOST = 255
_PERIOD = 10
_HALVES = bytes(count >> 1 for count in range(256))


class FrequencySketch:
    """A count-min sketch of 8-bit counters that forgets: all are halved every `10 * capacity` adds.

    Source: Einziger, Friedman & Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM
    ToS 2017, section 3.2 (reset), 3.3 (small counters); conservative update after Estan & Varghese,
    SIGCOMM 2002. An estimate is never below the true count since the last halvings, up to 255,
    when one thread adds; threads that add at once may lose increments and nothing else.

    `capacity` is the number of distinct keys to tell apart, at least 1; memory is four bytes for
    each, rounded up to a power of two. Raises `ConfigurationError`.
    """

    __slots__ = ("_added", "_counters", "_mask", "_period")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ConfigurationError(
                f"capacity={capacity!r} tells no keys apart: give the number of keys, 1 or more"
            )
        width = 1 << (capacity - 1).bit_length()
        self._mask = width - 1
        self._counters = bytearray(_ROWS * width)
        self._period = _PERIOD * capacity
        self._added = 0

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self._counters.__sizeof__()

    def add(self, key: str) -> int:
        """Count one use of `key` and return the new estimate, 1 to 255."""
        self._added += 1
        if self._added >= self._period:
            self._halve()
        counters, places = self._counters, self._places(key)
        a, b, c, d = places
        lowest = min(counters[a], counters[b], counters[c], counters[d])
        if lowest == _MOST:
            return lowest
        for place in places:
            if counters[place] == lowest:
                counters[place] = lowest + 1
        return lowest + 1

    def estimate(self, key: str) -> int:
        """Uses of `key` since about the last period, 0 to 255; may be too high, see the class."""
        return min(self._counters[place] for place in self._places(key))

    def _places(self, key: str) -> tuple[int, int, int, int]:
        """One counter in each of the four rows, by double hashing (Kirsch & Mitzenmacher, 2006)."""
        digest, mask = hash(key), self._mask
        step, width = digest >> 32 | 1, mask + 1
        return (
            digest & mask,
            width + (digest + step & mask),
            2 * width + (digest + 2 * step & mask),
            3 * width + (digest + 3 * step & mask),
        )

    def _halve(self) -> None:
        self._added >>= 1
        self._counters[:] = self._counters.translate(_HALVES)
