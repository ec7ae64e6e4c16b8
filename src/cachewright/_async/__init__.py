# The only hand-written source of everything that waits; `_sync` is generated from it.
"""Everything that waits, for asyncio. `tools/unasync.py` makes the twin for threads."""
