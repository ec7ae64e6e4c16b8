# Generated from _async/__init__.py by tools/unasync.py. Do not edit.
"""Everything that waits, for asyncio. `tools/unasync.py` makes the twin for threads."""
