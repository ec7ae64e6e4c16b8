"""What surrounds a call: the load that is under way, and whether reads are bypassed. Context variables, nothing else.

A load collects the tags and stamps of all that is read inside it, so that they travel upward by themselves
(design rule 3; tests/_async/test_dependencies.py would catch its loss). Several threads may hand up to one load: each
step is one operation of a dict or a set. A read hands up before it returns, so whatever a load has made use of is
gathered when it ends; what a straggler reads later cannot be in its value (tests/threads/test_gathering_threads.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto

from cachewright.core.entry import Entry, Stamps
from cachewright.core.tags import user_tag


class Mode(Enum):
    """How a context treats a cache."""

    BYPASS = auto()
    """Reads ask the source, and what they load is not stored."""
    DISABLE = auto()
    """As BYPASS, and `set` stores nothing either. Invalidations still act."""
    REFRESH = auto()
    """Reads ask the source, and what they load is stored."""


class Load:
    """One load under way, and what its value is made from."""

    __slots__ = ("domain", "ended", "gathered", "keys", "late", "parent", "poisoned", "verify")

    def __init__(
        self, keys: Collection[str], domain: object, parent: Load | None, *, verify: bool = False
    ) -> None:
        self.keys = keys
        self.domain = domain
        """Within which stamps mean the same: a server and namespace, or one cache without a server."""
        self.parent = parent
        self.verify = verify
        """Whether its parts are verified at the server as well."""
        self.gathered: Stamps = {}
        self.late: set[str] = set()
        self.poisoned = False
        """Whether some part cannot be vouched for, so that the whole must not be stored."""
        self.ended = False

    def tag(self, *tags: str | tuple[object, ...]) -> None:
        """Name what the value depends on, now that it is known.

        The value is stored only if the server shows that none of these tags was invalidated since the load began.
        """
        late = self.late  # before the look: see `end`
        if not self.ended:
            late.update([user_tag(tag) for tag in tags])

    def gather(self, stamps: Stamps | None) -> None:
        """Take over the stamps of a part; None for a part that cannot be vouched for."""
        gathered = self.gathered  # before the look: see `end`
        if self.ended:
            return
        if stamps is None:
            self.poisoned = True
            return
        for tag, stamp in stamps.items():
            if gathered.setdefault(tag, stamp) != stamp:
                self.poisoned = True

    def take_over(self, inner: Load) -> None:
        """Be made from all that an inner load, which was of nothing that is cached by itself, was made from."""
        self.gather(None if inner.poisoned else inner.gathered)
        late = self.late
        if not self.ended:
            late.update(inner.late)

    def end(self) -> None:
        """Nothing is added from now on, whoever goes on in another thread or task: what was made is made of this.

        Who looked before the end writes into what nobody reads any more.
        """
        self.ended = True
        self.gathered, self.late = self.gathered.copy(), self.late.copy()


LIVE: set[object] = set()
"""The contexts of this module that are open anywhere in the process: while it is empty, the hit path asks no further.

A set, since adding and discarding are atomic where counting is not.
"""
_load: ContextVar[Load | None] = ContextVar("cachewright_load", default=None)
_modes: ContextVar[tuple[tuple[object, Mode], ...]] = ContextVar("cachewright_modes", default=())


def undisturbed() -> bool:
    """Whether this context is in no load and no mode, so that a hit needs no thought. Asked while `LIVE` is not empty."""
    return _load.get() is None and not _modes.get()


def hands_up(entry: Entry, domain: object) -> bool:
    """Whether a hit that is hot needs no further thought in this context: outside of loads, or handed up just now.

    Asked while `LIVE` is not empty, by who would serve `entry` from memory at once. False leaves it to the long way:
    under a mode, in a load that verifies, of another domain or of that very key, and for an entry without the stamp of
    its key (tests/_async/test_dependencies.py and tests/_async/test_hits.py).
    """
    if _modes.get():
        return False
    load = _load.get()
    if load is None:
        return True
    stamps, key = entry.stamps, entry.key
    if load.ended or load.verify or load.domain != domain or "k:" + key not in stamps:
        return False
    around: Load | None = load
    while around is not None:
        if key in around.keys:
            return False
        around = around.parent
    load.gather(stamps)
    return True


def enclosing_load() -> Load | None:
    """The load under way in this context, or None.

    A task that outlives the load it began in is in the one around that, which may yet wait for it.
    """
    load = _load.get()
    while load is not None and load.ended:
        load = load.parent
    return load


def collecting_load(domain: object) -> Load | None:
    """The load that is made from what is read now in `domain`, or None.

    What a load reads from another domain cannot be vouched for there, so it is not stored.
    """
    load = enclosing_load()
    if load is None or load.domain == domain:
        return load
    load.gather(None)
    return None


def is_loading(key: str, domain: object) -> bool:
    """Whether this context is inside a load of that key."""
    load = enclosing_load()
    while load is not None:
        if key in load.keys and load.domain == domain:
            return True
        load = load.parent
    return False


def current_load() -> Load:
    """The load under way, to name tags on; outside of any load, one that forgets."""
    return enclosing_load() or Load((), None, None)


@contextmanager
def collecting(load: Load | None) -> Iterator[None]:
    """Everything read inside belongs to `load`."""
    token = _load.set(load)
    LIVE.add(open_context := object())
    try:
        yield
    finally:
        LIVE.discard(open_context)
        _load.reset(token)
        if load is not None:
            load.end()


@contextmanager
def resumed() -> Iterator[None]:
    """A context that was copied somewhere is run inside: what it is in may have been closed where it was opened."""
    LIVE.add(open_context := object())
    try:
        yield
    finally:
        LIVE.discard(open_context)


@contextmanager
def mode(cache: object, how: Mode) -> Iterator[None]:
    """Treat `cache` so inside."""
    token = _modes.set(((cache, how), *_modes.get()))
    LIVE.add(open_context := object())
    try:
        yield
    finally:
        LIVE.discard(open_context)
        _modes.reset(token)


def mode_of(cache: object) -> Mode | None:
    """How this context treats `cache`; the innermost wins."""
    return next((how for it, how in _modes.get() if it is cache), None)
