"""Who left the small queue lately, by fingerprint: two bytes for each entry held and never a key or a value.

What must not be here: the queues, and any decision. A lost or false memory costs a little hit
ratio and nothing else, which is why collisions push out and a fingerprint may be one byte.
"""

from __future__ import annotations

FINGERPRINT_BITS = 8
FINGERPRINT = (1 << FINGERPRINT_BITS) - 1

_SLOTS_EACH = 2
"""Slots for each entry that is held. With more, too much is remembered where popularity stands still;
with fewer, what returns is forgotten where it moves (docs/explanation/hit-ratios.md)."""

_FIRST_SLOTS = 64


class Ghost:
    """A table of fingerprints, each in the one slot that its key names, until another takes that.

    With two slots for each entry held, a key is remembered for twice as many departures on average:
    memory fades as `e ** (-departures / slots)`, where that of the paper (`memory.eviction`) ends at
    once. So there is neither order nor clock, and a departure costs one read and one write. One
    stranger in 256 is taken for somebody who was here before.

    A hash modulo `span` is the number of the slot and, in its lowest bits, the fingerprint.
    """

    __slots__ = ("slots", "span")

    def __init__(self) -> None:
        self.slots = bytearray()
        self.span = 0

    def __len__(self) -> int:
        """The number of slots, of one byte each."""
        return len(self.slots)

    def fit(self, entries: int) -> None:
        """Have room for so many entries at least. Growing forgets what was remembered."""
        held, wanted = len(self.slots), max(_SLOTS_EACH * entries, _FIRST_SLOTS)
        if wanted > held:  # by half more when it grows again, so that it does not grow often
            self.slots = bytearray(wanted * 3 // 2 if held else wanted)
            self.span = len(self.slots) << FINGERPRINT_BITS

    def meet(self, key: str) -> bool:
        """Whether `key` was met lately; from now on it was. Needs `fit` first."""
        digest = hash(key) % self.span
        slot, fingerprint = digest >> FINGERPRINT_BITS, digest & FINGERPRINT
        known = self.slots[slot] == fingerprint
        self.slots[slot] = fingerprint
        return known
