"""The policies that a trace can be replayed through, by name: ours, plain reference ones, the peers'.

What must not be here: how a policy works (`reference`, `peers`), and OPT, which needs the future.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from cachewright.core.entry import NEVER, Entry
from cachewright.memory import MemoryStore
from cachewright.simulation import peers, reference

Access = Callable[[str], bool]
"""One request: whether its key was there. A key that was not is stored, as a loader's caller does."""


@dataclass(frozen=True, slots=True)
class ReplacementPolicy:
    """`build` makes an empty cache for so many entries; `package` is what must be installed for it."""

    name: str
    title: str
    build: Callable[[int], Access]
    package: str | None = None

    def version(self) -> str | None:
        """The version of the peer; None for what is ours."""
        if self.package is None:
            return None
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def cachewright(entries: int) -> Access:
    """L1 itself: `MemoryStore`, read as the engine's readers do, without a lock."""
    store = MemoryStore(max_entries=entries)
    table, put = store.table, store.put

    def access(key: str) -> bool:
        entry = table.get(key)
        if entry is not None:
            if entry.freq < 3:
                entry.freq += 1
            return True
        put(key, Entry(None, NEVER), 0.0)
        return False

    return access


POLICIES: dict[str, ReplacementPolicy] = {
    policy.name: policy
    for policy in (
        ReplacementPolicy("cachewright", "cachewright L1", cachewright),
        ReplacementPolicy("lru", "LRU", reference.lru),
        ReplacementPolicy("fifo", "FIFO", reference.fifo),
        ReplacementPolicy("lfu", "LFU", reference.lfu),
        ReplacementPolicy("cachebox-lru", "cachebox LRU", peers.cachebox_lru, "cachebox"),
        ReplacementPolicy("cachebox-lfu", "cachebox LFU", peers.cachebox_lfu, "cachebox"),
        ReplacementPolicy("cachetools-lru", "cachetools LRU", peers.cachetools_lru, "cachetools"),
        ReplacementPolicy("theine", "theine", peers.theine, "theine"),
        ReplacementPolicy("moka", "moka-py", peers.moka, "moka-py"),
    )
}


def installed(policy: ReplacementPolicy) -> bool:
    """Whether what the policy needs can be imported here."""
    if policy.package is None:
        return True
    try:
        import_module(policy.package.replace("-", "_"))
    except ImportError:
        return False
    return True
