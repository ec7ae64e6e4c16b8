"""Entities of one class, made from plain columns in the identity map of a session.

An object that the session already has keeps what it holds; only what is not loaded of it is filled in, as a query without
populate_existing would. New objects are made as the ORM's own loader makes them: `ClassManager.new_instance`, the
attributes of `InstanceState` and `IdentityMap.add`, none of them private. Of the ways that were measured it is the fastest;
docs/explanation/query-caching.md has the others. What must not be here: results, the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.attributes import instance_dict, instance_state, set_committed_value

from cachewright.integrations.sqlalchemy.column_values import Unkeepable, restorer
from cachewright.integrations.sqlalchemy.freezing import (
    column_names,
    column_type,
    relationship_names,
)


class Group:
    """How entities of one class with the same attributes are made.

    `path`: where options for lazy loads apply to it, None if there are none. `left`: how what an option left unloaded is
    loaded. Raises `Unkeepable` if the class has other attributes now.
    """

    def __init__(
        self,
        mapper: Mapper[Any],
        names: list[str],
        ways: str,
        relationships: list[str],
        *,
        path: Any,
        left: Mapping[str, Any],
    ) -> None:
        known = column_names(mapper)
        related = relationship_names(mapper)
        if not set(names) <= set(known) or not set(relationships) <= set(related):
            raise Unkeepable(f"{mapper.class_.__name__} has other attributes now")
        self.mapper = mapper
        self.names = names
        self.relationships = relationships
        self._fill = _filler(names)
        self._path = path
        self._left = left
        self._restore = [
            (place, again)
            for place, (way, name) in enumerate(zip(ways, names, strict=True))
            if (again := restorer(way, column_type(mapper, name))) is not None
        ]
        self._key = [names.index(mapper.get_property_by_column(c).key) for c in mapper.primary_key]
        self._class = mapper.identity_key_from_primary_key(tuple(None for _ in self._key))[0]
        # Not loaded, and nothing of the class says how it is: so that it is read when it is asked for.
        self._expired = {
            name
            for name in known
            if name not in names and name not in left and not mapper.column_attrs[name].deferred
        }

    def objects(
        self, columns: Sequence[Any], session: Session, options: tuple[Any, ...]
    ) -> tuple[list[Any], list[bool]]:
        """The session's object of each row, and whether it is a new one. `options`: for lazy loads of new ones."""
        own = list(columns[: len(self.names)])
        for at, again in self._restore:
            own[at] = list(map(again, own[at]))
        keys = [
            (self._class, primary, None)
            for primary in zip(*(own[place] for place in self._key), strict=True)
        ]
        rows = list(zip(*own, strict=True))
        get = session.identity_map.get
        held = [get(key) for key in keys] if len(session.identity_map) else [None] * len(keys)
        new = [each is None for each in held]
        if not all(new):
            return self._some_new((keys, rows, held), session, options), new
        return self._all_new(keys, rows, session, options), new

    def _some_new(
        self, found: Sequence[Sequence[Any]], session: Session, options: tuple[Any, ...]
    ) -> list[Any]:
        keys, rows, held = found
        objects: list[Any] = []
        for key, row, instance in zip(keys, rows, held, strict=True):
            if instance is None:
                objects += self._all_new([key], [row], session, options)
            else:
                self._complete(instance, row)
                objects.append(instance)
        return objects

    def _all_new(
        self, keys: Sequence[Any], rows: Sequence[Any], session: Session, options: tuple[Any, ...]
    ) -> list[Any]:
        new_instance, add = self.mapper.class_manager.new_instance, session.identity_map.add
        session_id = session.hash_key
        objects = [new_instance() for _ in keys]
        self._fill(objects, rows)
        states = list(map(instance_state, objects))
        for key, state in zip(keys, states, strict=True):
            state.key = key
            state.session_id = session_id
            add(state)
        if self._expired or self._left or self._path is not None:
            for state in states:
                self._prepare(state, options)
        return objects

    def _prepare(self, state: Any, options: tuple[Any, ...]) -> None:
        state.expired_attributes.update(self._expired)
        if self._left:
            state.callables = dict(self._left)
        if self._path is not None:
            state.load_options = options
            state.load_path = self._path

    def _complete(self, instance: Any, row: Sequence[Any]) -> None:
        """Fill in what is not loaded of an object that the session already had."""
        dict_, state = instance_dict(instance), instance_state(instance)
        missing = [
            (name, value)
            for name, value in zip(self.names, row, strict=True)
            if name not in dict_ and name not in state.committed_state
        ]
        for name, value in missing:
            set_committed_value(instance, name, value)
        if missing and state.manager.dispatch.refresh:
            state.manager.dispatch.refresh(state, None, {name for name, _ in missing})

    def relate(
        self, objects: Sequence[Any], columns: Sequence[Any], entities: Sequence[Any]
    ) -> None:
        """Set the relationships that are not loaded yet."""
        for name, values in zip(self.relationships, columns[len(self.names) :], strict=True):
            for instance, held in zip(objects, values, strict=True):
                dict_ = instance_dict(instance)
                if name in dict_:
                    continue
                if isinstance(held, list):
                    set_committed_value(instance, name, [entities[number] for number in held])
                else:
                    dict_[name] = None if held is None else entities[held]

    def announce(self, objects: Sequence[Any], new: Sequence[bool], session: Session) -> None:
        """Tell listeners of the new ones, as a load does; mutable and composite attributes are made by such."""
        load = self.mapper.class_manager.dispatch.load
        persistent = session.dispatch.loaded_as_persistent
        if not load and not persistent:
            return
        for instance, is_new in zip(objects, new, strict=True):
            if not is_new:
                continue
            state = instance_state(instance)
            if load:
                load(state, None)
            if persistent:
                persistent(session, state)
            for name in list(
                state.committed_state
            ):  # what listeners set is no change to be written
                set_committed_value(instance, name, state.dict.get(name))


def _filler(names: Sequence[str]) -> Callable[[Sequence[Any], Sequence[Any]], None]:
    """A function that gives each object its attributes: written out, it takes a third of the time of `dict.update`."""
    targets = ", ".join(f"held[{name!r}]" for name in names)
    source = f"""
def fill(objects, rows):
    for each, row in zip(objects, rows, strict=True):
        held = each.__dict__
        {targets}, = row
"""
    made: dict[str, Any] = {}
    exec(source, made)  # noqa: S102 - only names of attributes, as Python writes them, go into this source
    fill: Callable[[Sequence[Any], Sequence[Any]], None] = made["fill"]
    return fill
