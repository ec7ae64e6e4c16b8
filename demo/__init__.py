"""The flights demo: a year of real flights, a real database, a real Valkey, and every answer checked.

Run it with `make demo` or `python -m demo`; `python -m demo --help` lists the options. It lives
outside the wheel, and nothing in `cachewright` may import it.
"""
