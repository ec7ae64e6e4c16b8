# Generated from _async/__init__.py by tools/unasync.py. Do not edit.
"""The doors of raw SQL over a DBAPI connection, and what has to be asked of one."""
