"""The `cachewright` command. Its own modules are loaded only when it runs.

What must not be here: commands (one a file, listed in `group`), and anything that the library needs.
"""

from __future__ import annotations

import sys
from importlib import import_module

_NEEDED = ("click", "rich")


def main() -> None:
    """Run the command line and exit: 0 when all went well, 1 on failure, 2 when it was asked wrongly."""
    for package in _NEEDED:
        try:
            import_module(package)
        except ModuleNotFoundError:
            print(
                f"The cachewright command needs {package}: pip install 'cachewright[cli]'",
                file=sys.stderr,
            )
            sys.exit(1)
    from cachewright.cli.group import cachewright

    cachewright(prog_name="cachewright")
