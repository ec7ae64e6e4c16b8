# The fill after a write with a protection taken out.
"""Weakened variants of the fill after a write; `protocol.index` says which is which rule of the model.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from typing import Any

import pytest
from _async.mutants import weaken_script

from cachewright._async.filling import AsyncFillingWrite
from cachewright._async.redis import AsyncRedisStore

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
    ready = AsyncFillingWrite._ready

    async def ready_later(self: AsyncFillingWrite, store: AsyncRedisStore, random: str) -> Any:
        stamps, _ = await store.make_stamps(list(self._before))
        self._before = {tag: stamp for tag, stamp in stamps.items() if stamp is not None}
        return await ready(self, store, random)

    patch.setattr(AsyncFillingWrite, "_ready", ready_later)


def overlooks_gaps(patch: Patch) -> None:
    """A mark that had to be made again counts as one that has stood all the time."""
    mark = AsyncFillingWrite._mark_and_read

    async def unnoticed(self: AsyncFillingWrite, store: AsyncRedisStore, *, first: bool) -> Any:
        _, node = await mark(self, store, first=first)
        return 0, node

    patch.setattr(AsyncFillingWrite, "_mark_and_read", unnoticed)
