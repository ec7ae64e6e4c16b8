"""Finds what a user names as MODULE:NAME, such as `shop.caches:users`, from the current folder or from what is installed.

What must not be here: what is done with it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import click


class Named(click.ParamType[Any]):
    """An object by the name of its module and its own, with a colon between."""

    name = "MODULE:NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The object. What its module raises when it is imported reaches the user as it is."""
        if not isinstance(value, str):
            return value
        module, colon, name = value.partition(":")
        if not (module and colon and name):
            self.fail(f"{value!r} names nothing: write it as package.module:name", param, ctx)
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
        try:
            return attrgetter(name)(import_module(module))
        except ModuleNotFoundError as error:
            if error.name and module.startswith(error.name):
                self.fail(f"there is no module {error.name!r} here", param, ctx)
            raise
        except AttributeError:
            self.fail(f"module {module!r} has no {name!r}", param, ctx)


NAMED = Named()
