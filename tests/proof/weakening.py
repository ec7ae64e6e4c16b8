"""Takes protections out of the engine in the process that asks, for the controls of the experiments.

What must not be here: the weaknesses; they are those of the tests, in `_sync.weaknesses`.
"""

from __future__ import annotations

import pytest
from _sync import weaknesses


def weaken(*names: str) -> None:
    """Apply the weaknesses of these names, for the rest of this process's life. Call it before making a cache."""
    for name in names:
        getattr(weaknesses, name)(pytest.MonkeyPatch())
