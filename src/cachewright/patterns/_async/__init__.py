# The doors of the patterns.
"""The doors of the patterns, over the engine. No second engine: each shapes keys, loaders and policies."""
