"""Results as plain data: rows, and the entities in them with what was loaded of each, relationships included.

A frozen result is lists, dicts and values that the codecs know: no object of the ORM, no name that could run code.
`{"keys": names, "row": how each element is kept, "columns": values by element, "groups": entities}`; an entity stands in
a row as its number. A group holds entities of one class with the same attributes loaded: `[mapper, path, columns, ways,
relationships, left, values]`: one list for each column and then one for each relationship, with a number, a list of numbers or
None for each entity. Columns and not rows: a thousand rows are a few lists, which costs less to keep, to encode and to look through for
garbage. What must not be here: sessions, the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty, class_mapper
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.exc import UnmappedClassError

from cachewright.integrations.sqlalchemy.column_values import Unkeepable, keep, way_of

Frozen: TypeAlias = dict[str, Any]
ENTITY = "e"
"""How an element of a row is kept that is an entity."""

Shape: TypeAlias = tuple[Any, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
Loaders: TypeAlias = dict[tuple[str, str, str], dict[str, Any]]
"""How attributes that options left unloaded are loaded, by (mapper, path, names of the attributes): objects of this process."""


def freeze(
    keys: Sequence[str | None],
    rows: Sequence[Sequence[Any]],
    types: Sequence[Any],
    loaders: Loaders,
) -> Frozen:
    """The result as plain data. `types`: of each element that is a column; `loaders` is added to. Raises `Unkeepable`."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in keys]
    entities = _Entities(loaders)
    ways: list[str] = []
    kept: list[Sequence[Any]] = []
    for key, values, of in zip(keys, columns, types, strict=True):
        if any(_is_mapped(kind) for kind in set(map(type, values))):
            ways.append(ENTITY)
            kept.append([entities.number(value) for value in values])
        else:
            way = way_of(values, of, f"the element {key}")
            ways.append(way)
            kept.append(keep(values, way, of))
    entities.follow()
    order, groups = entities.grouped()
    for place, way in enumerate(ways):
        if way == ENTITY:
            kept[place] = [None if number is None else order[number] for number in kept[place]]
    return {
        "keys": [None if key is None else str.__str__(key) for key in keys],
        "row": ways,
        "columns": [list(values) for values in kept],
        "groups": groups,
    }


def _is_mapped(kind: type) -> bool:
    found = _MAPPED.get(kind)
    if found is None:
        try:
            class_mapper(kind, configure=False)
        except (UnmappedClassError, sa.exc.ArgumentError):
            found = False
        else:
            found = True
        if len(_MAPPED) > 10_000:
            _MAPPED.clear()
        _MAPPED[kind] = found
    return found


_MAPPED: dict[type, bool] = {}


class _Entities:
    """The entities of one result, each once, and what is reachable from them without asking the database."""

    def __init__(self, loaders: Loaders) -> None:
        self._loaders = loaders
        self._numbers: dict[int, int] = {}
        self._states: list[InstanceState[Any]] = []
        self._instances: list[Any] = []  # kept alive: the session holds them weakly

    def number(self, instance: Any) -> int | None:
        """The entity's number in order of discovery."""
        if instance is None:
            return None
        number = self._numbers.get(id(instance))
        if number is None:
            number = self._numbers[id(instance)] = len(self._states)
            self._states.append(instance_state(instance))
            self._instances.append(instance)
        return number

    def follow(self) -> None:
        """Number all that the relationships hold."""
        place = 0
        while place < len(self._states):
            state = self._states[place]
            for name in _relationships(state):
                for each in _related(state, name):
                    self.number(each)
            place += 1

    def grouped(self) -> tuple[dict[int, int], list[Any]]:
        """(place of each number among all rows of all groups, the groups)."""
        groups: dict[Shape, list[int]] = {}
        for number, state in enumerate(self._states):
            groups.setdefault(_shape(state), []).append(number)
        order: dict[int, int] = {}
        for numbers in groups.values():
            for number in numbers:
                order[number] = len(order)
        return order, [self._group(shape, numbers, order) for shape, numbers in groups.items()]

    def _group(self, shape: Shape, numbers: Sequence[int], order: Mapping[int, int]) -> list[Any]:
        mapper, path, names, relationships, left = shape
        dicts = [self._states[number].dict for number in numbers]
        ways: list[str] = []
        columns: list[Sequence[Any]] = []
        for name in names:
            values = [dict_[name] for dict_ in dicts]
            of = column_type(mapper, name)
            way = way_of(values, of, f"{mapper.class_.__name__}.{name}")
            ways.append(way)
            columns.append(keep(values, way, of))
        columns += [
            [self._reference(dict_[name], mapper, name, order) for dict_ in dicts]
            for name in relationships
        ]
        if left:
            about = mapper_name(mapper), path, ",".join(left)
            self._loaders[about] = dict(self._states[numbers[0]].callables)
        return [
            mapper_name(mapper),
            path,
            ",".join(names),
            "".join(ways),
            ",".join(relationships),
            ",".join(left),
            [list(values) for values in columns],
        ]

    def _reference(
        self, held: Any, mapper: Mapper[Any], name: str, order: Mapping[int, int]
    ) -> Any:
        if held is None:
            return None
        if not mapper.relationships[name].uselist:
            return order[self._numbers[id(held)]]
        if isinstance(held, dict):
            held = held.values()
        return [order[self._numbers[id(each)]] for each in held]


def mapper_name(mapper: Mapper[Any]) -> str:
    """What a mapper is called in cached data: looked up among those there are, never imported."""
    return f"{mapper.class_.__module__}.{mapper.class_.__qualname__}"


def column_type(mapper: Mapper[Any], name: str) -> sa.types.TypeEngine[Any]:
    """The type of a mapped column or column expression."""
    return mapper.column_attrs[name].columns[0].type


def column_names(mapper: Mapper[Any]) -> list[str]:
    """The attributes of columns and column expressions."""
    return [attr.key for attr in mapper.column_attrs]


def relationship_names(mapper: Mapper[Any]) -> list[str]:
    """The attributes that hold other entities."""
    return [each.key for each in mapper.relationships]


def _shape(state: InstanceState[Any]) -> Shape:
    if state.key is None or state.identity_token is not None:
        raise Unkeepable(f"a {state.class_.__name__} of a sharded session")
    mapper, dict_ = state.mapper, state.dict
    names = tuple([name for name in column_names(mapper) if name in dict_])
    for column in mapper.primary_key:
        if mapper.get_property_by_column(column).key not in dict_:
            raise Unkeepable(f"a {state.class_.__name__} whose primary key was not loaded")
    return mapper, _path(state), names, tuple(_relationships(state)), _left(state)


def _left(state: InstanceState[Any]) -> tuple[str, ...]:
    """The attributes that an option of the statement left unloaded, in a way of its own."""
    for each in state.callables.values():
        if getattr(each, "extra_criteria", ()):
            raise Unkeepable("an option with criteria for a later load")
    return tuple(sorted(state.callables))


def _path(state: InstanceState[Any]) -> str:
    """How the entity was reached, which is where options for lazy loads apply; "" where there are none."""
    if not state.load_options:
        return ""
    words: list[str] = []
    for step in state.load_path.path:
        if isinstance(step, Mapper):
            words.append(mapper_name(step))
        elif isinstance(step, RelationshipProperty):
            words.append(step.key)
        else:
            raise Unkeepable("loader options on an aliased entity")
    return ">".join(words)


def _relationships(state: InstanceState[Any]) -> Iterable[str]:
    dict_ = state.dict
    return [name for name in relationship_names(state.mapper) if name in dict_]


def _related(state: InstanceState[Any], name: str) -> Iterable[Any]:
    held = state.dict[name]
    if held is None:
        return ()
    if not state.mapper.relationships[name].uselist:
        return (held,)
    return held.values() if isinstance(held, dict) else held
