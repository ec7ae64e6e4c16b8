# Generated from _async/__init__.py by tools/unasync.py. Do not edit.
"""The doors of the patterns, over the engine. No second engine: each shapes keys, loaders and policies."""
