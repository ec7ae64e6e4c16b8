"""Takes protections out of the engine in the process that asks, for the controls of the experiments.

What must not be here: the weaknesses that tests have as well; they are in `_sync.weaknesses` and its source in `_async`.
"""

from __future__ import annotations

from types import ModuleType

import pytest
from _async import weaknesses as of_tasks
from _sync import weaknesses as of_threads
from _sync.mutants import weaken_script

from cachewright._async.engine import AsyncEngine
from cachewright._sync.engine import Engine


def weaken(*names: str, tasks: bool = False) -> None:
    """Apply the weaknesses of these names, for the rest of this process's life. Call it before making a cache.

    `tasks`: to the engine for asyncio instead of the one for threads.
    """
    room: ModuleType = of_tasks if tasks else of_threads
    for name in names:
        (OWN.get(name) or getattr(room, name))(pytest.MonkeyPatch())


def tells_only_of_what_the_server_holds(patch: pytest.MonkeyPatch) -> None:
    """An invalidation of what the server does not have is told to nobody, as with key events and client tracking."""
    counts = "local nk, nt = tonumber(ARGV[1]), tonumber(ARGV[2])"
    held = (
        "local held = 0\nfor i = 1, 3 * nk + nt do held = held + redis.call('EXISTS', KEYS[i]) end"
    )
    weaken_script(patch, "invalidate", counts, f"{counts}\n{held}")
    weaken_script(
        patch, "invalidate", "if ARGV[7] ~= '' then", "if ARGV[7] ~= '' and held > 0 then"
    )


def hears_nothing(patch: pytest.MonkeyPatch) -> None:
    """What others invalidate stays in memory."""
    patch.setattr(Engine, "heard", lambda self, message: None)
    patch.setattr(AsyncEngine, "heard", lambda self, message: None)


OWN = {
    "tells_only_of_what_the_server_holds": tells_only_of_what_the_server_holds,
    "hears_nothing": hears_nothing,
}
