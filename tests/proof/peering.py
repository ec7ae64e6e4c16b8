"""Peers from PyPI in the experiments: whether each is installed, and what to say of one that lacks the feature.

What must not be here: how a peer is used; that is in `rig.peers` and in the experiments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from proof.experiment import Measured, Peer, Run

PACKAGES = {
    "dogpile": "dogpile.cache",
    "Django": "django.core.cache",
    "aiocache": "aiocache",
    "cashews": "cashews",
}


def peer(name: str, measure: Callable[[Run], Measured]) -> Peer:
    """`measure`, once the package is known to be here: from a fleet no `ImportError` would come through."""

    def measured(run: Run) -> Measured:
        import_module(PACKAGES[name])
        return measure(run)

    return measured


def others_have_none(of: Iterable[str], reason: str) -> dict[str, Peer]:
    """For each peer but these the reason for which it has no number."""
    return {name: f"has none: {reason}" for name in PACKAGES if name not in set(of)}
