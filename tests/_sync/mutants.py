# Generated from _async/mutants.py by tools/unasync.py. Do not edit.
"""Weakened variants of the engine: a consistency test that also passes with one of these shows nothing.

What must not be here: tests, and changes that outlive the test's `monkeypatch`.
"""

from __future__ import annotations

from hashlib import sha1

import pytest

from cachewright.redis import commands, scripts
from cachewright.redis.scripts import Script


def weaken_script(monkeypatch: pytest.MonkeyPatch, name: str, line: str, weaker: str) -> None:
    """Replace `line` of the script `name` for caches made from now on."""
    real = scripts.script
    source = real(name).source
    assert source.count(line.encode()) == 1, f"{name}.lua holds {line!r} not exactly once"
    source = source.replace(line.encode(), weaker.encode())
    weakened = Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())

    def script(wanted: str) -> Script:
        return weakened if wanted == name else real(wanted)

    for module in (scripts, commands):
        monkeypatch.setattr(module, "script", script)
