"""Who left the small queue lately, by fingerprint: eight bytes a slot and never a key or a value.

What must not be here: the queues, and any decision. A lost or false memory costs a little hit
ratio and nothing else, which is why collisions push out.
"""

from __future__ import annotations

from array import array

_LOW = 0xFFFF_FFFF
_HIGH = _LOW << 32
_FIRST_PAIRS = 32


class Ghost:
    """A table of 32-bit fingerprints, each with a 32-bit sequence number that tells its age.

    Age is the weight that has left since, in units of `2 ** shift`, so one number serves caches
    bounded by entries and caches bounded by bytes. Slots go in pairs, the younger first; a third
    fingerprint for a pair pushes the older out. Source: the ghost of fingerprints in Yang et
    al., "FIFO queues are all you need for cache eviction", SOSP 2023, section 4.2.
    """

    __slots__ = ("_clock", "_shift", "_slots")

    def __init__(self, shift: int = 0) -> None:
        self._shift = shift
        self._clock = 0
        self._slots: array[int] = array("Q")

    def __len__(self) -> int:
        """The number of slots; the table weighs eight bytes times this."""
        return len(self._slots)

    def fit(self, entries: int) -> None:
        """Have at least one slot for each of `entries`. Growing forgets what was remembered."""
        held = len(self._slots)
        if entries > held:
            pairs = max(entries if held else (entries + 1) // 2, _FIRST_PAIRS)
            self._slots = array("Q", bytes(16 * pairs))

    def add(self, key: str, weight: int) -> None:
        """Remember `key`, which just left. Needs `fit` first."""
        slots, digest = self._slots, hash(key)
        self._clock = clock = self._clock + weight
        slot = digest % len(slots) | 1
        slots[slot] = slots[slot - 1]
        slots[slot - 1] = digest & _HIGH | clock >> self._shift & _LOW

    def recalls(self, key: str, span: int) -> bool:
        """Whether `key` left within the last `span` of weight."""
        slots = self._slots
        if not slots:
            return False
        digest = hash(key)
        slot = digest % len(slots) | 1
        fingerprint = digest & _HIGH
        sequence = slots[slot - 1] ^ fingerprint
        if sequence > _LOW:
            sequence = slots[slot] ^ fingerprint
            if sequence > _LOW:
                return False
        return (self._clock >> self._shift) - sequence & _LOW <= span >> self._shift
