"""The textbook policies, as short as they can be written. A yardstick; nothing here is meant to be fast.

What must not be here: anything that an application should use.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable


def lru(entries: int) -> Callable[[str], bool]:
    """Least recently used leaves."""
    held: OrderedDict[str, None] = OrderedDict()

    def access(key: str) -> bool:
        if key in held:
            held.move_to_end(key)
            return True
        if len(held) == entries:
            held.popitem(last=False)
        held[key] = None
        return False

    return access


def fifo(entries: int) -> Callable[[str], bool]:
    """The one that came first leaves."""
    held: OrderedDict[str, None] = OrderedDict()

    def access(key: str) -> bool:
        if key in held:
            return True
        if len(held) == entries:
            held.popitem(last=False)
        held[key] = None
        return False

    return access


def lfu(entries: int) -> Callable[[str], bool]:
    """Least often used since it came leaves; of several the one whose last use is longest ago."""
    uses: Counter[str] = Counter()
    ranks: defaultdict[int, OrderedDict[str, None]] = defaultdict(OrderedDict)
    lowest = 1

    def access(key: str) -> bool:
        nonlocal lowest
        used = uses.get(key, 0)
        if used:
            del ranks[used][key]
            lowest += used == lowest and not ranks[used]
        else:
            if len(uses) == entries:
                del uses[ranks[lowest].popitem(last=False)[0]]
            lowest = 1
        uses[key] = used + 1
        ranks[used + 1][key] = None
        return used > 0

    return access
