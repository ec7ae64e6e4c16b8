# The doors of raw SQL.
"""The doors of raw SQL over a DBAPI connection, and what has to be asked of one."""
