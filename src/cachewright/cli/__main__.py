"""`python -m cachewright.cli` is the `cachewright` command."""

from __future__ import annotations

from cachewright.cli import main

if __name__ == "__main__":
    main()
