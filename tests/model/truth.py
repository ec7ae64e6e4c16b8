"""What a cache may answer: the source, the values made from it, and what each process must know of them.

Everything that a value is made from is a *name* ("key p", "tag t1", "below p", "all") with a version in the
source. A write commits new versions; when the invalidation that follows it has ended, the versions become the
*floor* of their names, and a value made from an older version may not be served to a read that starts later.
Each process has a *view*: its own invalidations count at once, those of others when its bus is drained. The view
`SERVER` knows all of them, and a verified read is held to it.

What must not be here: caches, servers, Hypothesis.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from cachewright import ABSENT

SERVER = "server"
NEVER = float("inf")
ALL = "all"
"""What `clear` makes wrong: every value is made from it."""

Rows = dict[str, int]
"""Name → the version of it that a value was made from."""


def tag_names(tags: Iterable[str]) -> list[str]:
    """The names of user tags."""
    return [f"tag {tag}" for tag in tags]


def own_names(key: str) -> list[str]:
    """What every value of a key is made from: the key, the prefixes it is below, and everything."""
    parts = key.split(":")
    prefixes = [":".join(parts[: n + 1]) for n in range(len(parts))]
    return [ALL, f"key {key}", *(f"below {prefix}" for prefix in prefixes)]


@dataclass(eq=False, slots=True)
class Made:
    """A value that was loaded or set once: what it was made from, and until when each view may serve it."""

    key: str
    value: object
    rows: Rows
    until: dict[str, float]
    loose: bool = False
    """Whether a part of it was shared in flight (see `Reading.sealed`)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A read, held to what its view knew when it began."""

    view: str
    floors: Mapping[str, int]
    sealed: Mapping[str, int]
    """The floors that commits under a mark have set: a cache has nothing older, but a read may
    share a load that began before the commit."""
    flying: Collection[Made]
    """What was being loaded when the read began."""
    now: float

    def old(self, made: Made) -> dict[str, tuple[int, int]]:
        """What the value is made from that is too old: name → (version, the least that is allowed)."""
        shared = made.loose or made in self.flying
        floors = self.floors if shared else {**self.floors, **self.sealed}
        rows = list(made.rows.items())
        return {name: (it, floors[name]) for name, it in rows if it < floors.get(name, 0)}

    def allows(self, made: Made) -> bool:
        """Whether the value is neither made from something older than the floor, nor expired."""
        return not self.old(made) and self.now < made.until[self.view]


@dataclass(eq=False, slots=True)
class Mark:
    """A two-phase write: which of its names are marked at the server, and which views know it."""

    names: list[str]
    marked: set[str]
    told: set[str]


@dataclass(eq=False)
class Truth:
    """The source, and what was ever made from it. Safe for loaders in other threads."""

    views: Collection[str]
    versions: Counter[str] = field(default_factory=Counter)
    marks: list[Mark] = field(default_factory=list)
    made: dict[str, list[Made]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.views = [*self.views, SERVER]
        self.floors: dict[str, Rows] = {view: {} for view in self.views}
        self.sealed: dict[str, Rows] = {view: {} for view in self.views}
        self.flying: set[Made] = set()
        """What is being loaded."""
        self._serials = count(1)
        self._lock = threading.RLock()

    # ---------------------------------------------------------------- the source

    def commit(self, names: Iterable[str]) -> None:
        """The source changes."""
        with self._lock:
            self.versions.update(dict.fromkeys(names, 1))

    def read(self, names: Iterable[str]) -> Rows:
        """What the source has now."""
        with self._lock:
            return {name: self.versions[name] for name in names}

    def make(self, key: str, tags: Iterable[str], *, until: float = NEVER) -> Made:
        """A value that nothing else equals, made from what the source has now."""
        value = f"{key}#{next(self._serials)}"
        return self.keep(key, value, self.read([*own_names(key), *tag_names(tags)]), until=until)

    def load(self, key: str, tags: Iterable[str], *, absent: bool) -> Made:
        """The same for a value that is being loaded."""
        with self._lock:
            made = self.make(key, tags)
            made.value = ABSENT if absent else made.value
            self.flying.add(made)
        return made

    def landed(self, made: Made, end: float) -> None:
        """Its load has ended; it may be served until `end`."""
        with self._lock:
            self.flying.discard(made)
        for view, until in made.until.items():
            made.until[view] = end if until == NEVER else max(until, end)

    def keep(self, key: str, value: object, rows: Rows, *, until: float = NEVER) -> Made:
        """Remember a value that exists from now on."""
        made = Made(key, value, rows, dict.fromkeys(self.views, until))
        with self._lock:
            self.made.setdefault(key, []).append(made)
        return made

    def drop(self, made: Iterable[Made]) -> None:
        """These values did not come to exist."""
        with self._lock:
            for one in made:
                self.made[one.key].remove(one)

    def last(self, key: str) -> Made | None:
        """The newest value of a key."""
        return next(iter(self.made.get(key, [])[-1:]), None)

    # ---------------------------------------------------------------- who knows what

    def invalidated(self, view: str, names: Iterable[str]) -> None:
        """An invalidation by a process has ended."""
        self._raise(self.floors, (view, SERVER), names)

    def drained(self, view: str) -> None:
        """A process has heard all that was ever published."""
        self.floors[view] |= self.floors[SERVER]
        self.sealed[view] |= self.sealed[SERVER]
        for mark in self.marks:
            mark.told.add(view)
        for made in self._all():
            made.until[view] = made.until[SERVER]

    def committed_under(self, mark: Mark) -> None:
        """A writer commits: what its marks keep from being filled cannot be older where they are known."""
        self.commit(mark.names)
        self._raise(self.sealed, mark.told, mark.marked)

    def marked(self, view: str, names: Collection[str]) -> bool:
        """Whether the view knows of a mark on one of the names."""
        return any(view in mark.told and not mark.marked.isdisjoint(names) for mark in self.marks)

    def unmark(self, name: str) -> None:
        """The server lost a mark, with the tokens of all writers in it."""
        for mark in self.marks:
            mark.marked.discard(name)

    def _raise(self, floors: dict[str, Rows], views: Iterable[str], names: Iterable[str]) -> None:
        now = self.read(names)
        for view in views:
            floors[view] |= now

    def _all(self) -> list[Made]:
        with self._lock:
            return [made for several in self.made.values() for made in several]

    # ---------------------------------------------------------------- reads

    def reading(self, view: str, now: float) -> Reading:
        """A read that starts now."""
        with self._lock:
            flying = set(self.flying)
        return Reading(view, dict(self.floors[view]), dict(self.sealed[view]), flying, now)

    def candidates(self, reading: Reading, key: str) -> list[Made]:
        """What the read may be served."""
        with self._lock:
            return [made for made in self.made.get(key, ()) if reading.allows(made)]

    def check(self, reading: Reading, key: str, value: object) -> list[Made]:
        """The values that a read may have been served. Raises `AssertionError` if there is none."""
        with self._lock:
            equal = [made for made in self.made.get(key, ()) if made.value == value]
        allowed = [made for made in equal if reading.allows(made)]
        assert allowed, self._complaint(reading, key, value, equal)
        return allowed

    @staticmethod
    def _complaint(reading: Reading, key: str, value: object, equal: list[Made]) -> str:
        if not equal:
            return f"{key}: {value!r} never existed"
        made = equal[-1]
        old = reading.old(made)
        if old:
            return f"{key}: {value!r} is old for {reading.view}: {old}"
        return f"{key}: {value!r} ended at {made.until[reading.view]}, it is {reading.now}"

    def adopt(self, whole: Made, reading: Reading, key: str, value: object) -> None:
        """`whole` is made from what a read of `key` was served too; `ABSENT` where that was nothing."""
        several = [] if value is ABSENT else self.check(reading, key, value)
        whole.loose |= any(made.loose or made in reading.flying for made in several)
        names = (
            set.intersection(*(set(made.rows) for made in several)) if several else own_names(key)
        )
        now = self.read(names)
        for name in names:
            version = max((made.rows[name] for made in several), default=now[name])
            whole.rows[name] = min(version, whole.rows.get(name, version))
