# Generated from _async/weakened_fills.py by tools/unasync.py. Do not edit.
"""Weakened variants of the fill after a write; `protocol.index` says which is which rule of the model.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from typing import Any

import pytest
from _sync.mutants import weaken_script

from cachewright._sync.filling import FillingWrite
from cachewright._sync.redis import RedisStore

Patch = pytest.MonkeyPatch


def flags_nobody(patch: Patch) -> None:
    """Who ends, or invalidates, leaves the tokens that stand as they are."""
    weaken_script(patch, "invalidate", "'!' .. flagged(left)", "'!' .. left")


def refused_stores_flag_nobody(patch: Patch) -> None:
    weaken_script(patch, "store", "flagged(string.sub(held, 2))", "string.sub(held, 2)")


def fills_beside_others(patch: Patch) -> None:
    """Who ends first fills, and takes the marks of the others away with it."""
    weaken_script(
        patch,
        "invalidate",
        "if left ~= '' then",
        "if left ~= '' and written ~= '' and own == 'clean' then\n"
        "    if value then redis.call('SET', key, value, 'PX', ms) else gone[#gone + 1] = key end\n"
        "    return true\n"
        "  elseif left ~= '' then",
    )


def forgets_who_ran_out(patch: Patch) -> None:
    """A token that ran out without an end leaves no flag."""
    weaken_script(patch, "invalidate", "ran_out = true", "ran_out = false")


def rereads_the_carried_stamps(patch: Patch) -> None:
    """The stamps that the write does not move, as they are at its end and not before its commit."""
    ready = FillingWrite._ready

    def ready_later(self: FillingWrite, store: RedisStore, random: str) -> Any:
        stamps, _ = store.make_stamps(list(self._before))
        self._before = {tag: stamp for tag, stamp in stamps.items() if stamp is not None}
        return ready(self, store, random)

    patch.setattr(FillingWrite, "_ready", ready_later)


def overlooks_gaps(patch: Patch) -> None:
    """A mark that had to be made again counts as one that has stood all the time."""
    mark = FillingWrite._mark_and_read

    def unnoticed(self: FillingWrite, store: RedisStore, *, first: bool) -> Any:
        _, node = mark(self, store, first=first)
        return 0, node

    patch.setattr(FillingWrite, "_mark_and_read", unnoticed)
