"""How a row becomes a value, and a value the row to be written. Pure.

A value is a dict, a dataclass, a msgspec Struct or an instance of a mapped class. What must not be here: which columns
there are, statements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from cachewright.errors import ConfigurationError
from cachewright.patterns.sources import Unsavable

Make = Callable[[Sequence[Any]], Any]
"""Makes a value of a row, a sequence in the order of the names that the maker was built for."""


def wanted_fields(into: Any) -> tuple[frozenset[str], frozenset[str]] | None:
    """The fields that a class takes and those among them that it must have; None if it takes whatever there is."""
    if is_dataclass(into):
        taken = [field for field in fields(into) if field.init]
        needed = {
            field.name
            for field in taken
            if field.default is NO_DEFAULT and field.default_factory is NO_DEFAULT
        }
        return frozenset(field.name for field in taken), frozenset(needed)
    if isinstance(into, type) and issubclass(into, msgspec.Struct):
        described = msgspec.structs.fields(into)
        return frozenset(f.name for f in described), frozenset(
            f.name for f in described if f.required
        )
    return None


def maker(into: Any, names: Sequence[str]) -> Make:
    """The function that makes an `into` of a row of these fields; `ConfigurationError` if it could not."""
    names = tuple(names)
    if into is dict:
        return lambda row: dict(zip(names, row, strict=True))
    mapper = inspect(into, raiseerr=False)
    if isinstance(mapper, Mapper):
        return _instances(mapper, names)
    wanted = wanted_fields(into)
    if wanted is None:
        raise ConfigurationError(
            f"into={into!r}: pass dict, a dataclass, a msgspec Struct or a mapped class"
        )
    taken, needed = wanted
    if not needed <= set(names):
        raise ConfigurationError(
            f"into={into.__name__} needs {sorted(needed - set(names))}, which are not among the columns"
        )
    return _keywords(into, names, taken)


def _keywords(into: Any, names: tuple[str, ...], taken: frozenset[str]) -> Make:
    places = [(name, place) for place, name in enumerate(names) if name in taken]
    return lambda row: into(**{name: row[place] for name, place in places})


def _instances(mapper: Mapper[Any], names: tuple[str, ...]) -> Make:
    """Detached instances, as a session leaves them behind: what was not read raises when it is asked for."""
    new = mapper.class_manager.new_instance

    def make(row: Sequence[Any]) -> Any:
        instance = new()
        for name, value in zip(names, row, strict=True):
            set_committed_value(instance, name, value)
        make_transient_to_detached(instance)
        return instance

    return make


def fields_of(value: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """What a value says of its row; of a mapped instance only what is loaded or set. `Unsavable` if that makes no sense.

    `names` are the fields that there are.
    """
    said = _said(value, names)
    if said.keys() <= names.keys():
        return said
    unknown = sorted(map(str, said.keys() - names.keys()))
    raise Unsavable(f"there is no column for {unknown}")


def _said(value: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    if type(value) is dict or isinstance(value, Mapping):
        return dict(value)
    state = inspect(value, raiseerr=False)
    if isinstance(state, InstanceState):
        return {name: item for name, item in state.dict.items() if name in names}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    raise Unsavable(
        f"a {type(value).__name__} is no row: pass a dict, a dataclass, a Struct or a mapped instance"
    )
