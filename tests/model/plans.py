"""What a load does: which keys and tags, what it is made from, when it stands still, what it comes to.

What must not be here: the order of events, which the machine decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hypothesis import strategies as st
from model.truth import Made, Truth
from model.worlds import Gate, Script, World

from cachewright import ABSENT, current_load

KEYS = ("p", "p:q", "r")
"""Few, so that what happens meets. A value may be made from those that come later."""
COUNTERS = ("n:m",)
TAGS = ("t1", "t2")
TTLS = (5.0, 60.0)
USUAL_TTL = 300.0
NEGATIVE_TTL = 30.0

Outcome = Literal["value", "absent", "error"]
Hold = Literal["", "middle", "end", "reply 1", "reply 2", "reply 3"]


class Boom(Exception):
    """The source is down."""


@dataclass(frozen=True)
class Part:
    """Another key that a load reads."""

    how: Literal["load", "get", "load_many", "get_many"]
    key: str


@dataclass(frozen=True, repr=False)
class Plan:
    """One call of `get_or_load`, or of `get_or_load_many` where it has several keys."""

    keys: tuple[str, ...]
    tags: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    late_first: bool = False
    """Whether the late tags are named as soon as the source was read, or at the end."""
    part: Part | None = None
    comes_to: Outcome = "value"
    ttl: float = USUAL_TTL
    hold: Hold = ""
    """Where the call stands still: before the load reads its part, or after, or when the server has
    given its first, second or third reply and nobody has looked at it."""

    def __repr__(self) -> str:
        said = {
            name: value
            for name, value in self.__dict__.items()
            if value != type(self).__dataclass_fields__[name].default
        }
        return f"Plan({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    @property
    def touches(self) -> set[str]:
        """All keys that the load may lead or wait for."""
        return {*self.keys, self.part.key} if self.part else set(self.keys)

    @property
    def is_plain(self) -> bool:
        """Whether what it comes to is stored, if nothing else happens."""
        return self.comes_to == "value" and not self.late and self.part is None

    def life(self, made: Made) -> float:
        """Seconds that a value made by it lives."""
        ttl = self.ttl if made.key in self.keys else USUAL_TTL
        return min(ttl, NEGATIVE_TTL) if made.value is ABSENT else ttl


PARTS = [
    *[None] * 5,
    *(Part(how, key) for key in KEYS[1:] for how in ("load", "get", "load_many", "get_many")),
    *(Part("get", key) for key in COUNTERS),
]
HOLDS: list[Hold] = ["middle", "end", "end", "reply 1", "reply 2", "reply 3"]
SOME_TAGS = st.sampled_from([(), TAGS[:1], TAGS[1:]])
SOME_KEYS = st.sampled_from([KEYS[:1], KEYS[1:2], KEYS[2:], KEYS[:2], KEYS[1:], KEYS])
LATE = st.sampled_from([(), TAGS[:1], TAGS[1:]])


def _possible(plan: Plan) -> Plan:
    part, last = plan.part, max(KEYS.index(key) for key in plan.keys)
    if part is None or part.key in COUNTERS or KEYS.index(part.key) > last:
        return plan
    return replace(plan, part=None)


def plans(*, many: bool = False, held: bool = False) -> st.SearchStrategy[Plan]:
    """Plans for one key or several, that stand still or not."""
    return st.builds(
        Plan,
        keys=SOME_KEYS if many else st.sampled_from([(key,) for key in KEYS]),
        tags=SOME_TAGS,
        late=LATE,
        late_first=st.booleans(),
        part=st.sampled_from(PARTS),
        comes_to=st.sampled_from(["value", "value", "value", "value", "absent", "error"]),
        ttl=st.sampled_from(TTLS),
        hold=st.sampled_from(HOLDS) if held else st.just(""),
    ).map(_possible)


@dataclass(eq=False)
class Actor:
    """A cache that stands for a process."""

    view: str
    cache: Any
    reads: int = 0
    loads: list[Plan] = field(default_factory=list)
    errors: list[Plan] = field(default_factory=list)


SLOW: ContextVar[Load | None] = ContextVar("slow", default=None)
"""The load whose caller runs in this context, if its replies may be held back."""


def after_reply() -> Script:
    """Runs after each reply of the server."""
    load = SLOW.get()
    if load is not None:
        yield from load.replied()


@dataclass(eq=False)
class Load:
    """A loader that keeps to a plan, and what it made."""

    world: World
    truth: Truth
    actor: Actor
    plan: Plan
    now: Any
    """Reads the clock."""
    anew: bool = False
    """Whether it runs inside `refreshed()`, where a `get` finds nothing and is not counted."""
    gate: Gate = field(init=False)
    parked: bool = False
    """Whether it stands still now."""
    replies: int = 0
    raised: bool = False
    made: list[Made] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate = self.world.gate()

    def one(self) -> Script:
        """For `get_or_load`."""
        return (yield from self._run(self.plan.keys))[0].value

    def many(self, keys: list[str]) -> Script:
        """For `get_or_load_many`; what is absent is left out."""
        values = {made.key: made.value for made in (yield from self._run(keys))}
        return {key: value for key, value in values.items() if value is not ABSENT}

    def _run(self, keys: Iterable[str]) -> Script:
        self.actor.loads.append(self.plan)
        made = [self._make(key) for key in keys]
        self.made += made
        try:
            yield from self._work(made)
        except Boom:
            self.raised = True
            self.actor.errors.append(self.plan)
            raise
        return made

    def _work(self, made: list[Made]) -> Script:
        plan = self.plan
        if plan.late_first:
            current_load().tag(*plan.late)
        yield from self._stand_still("middle")
        if plan.part is not None:
            yield from self._read_part(plan.part, made)
        yield from self._stand_still("end")
        if not plan.late_first:
            current_load().tag(*plan.late)
        if plan.comes_to == "error":
            raise Boom

    def _make(self, key: str) -> Made:
        tags = [*self.plan.tags, *self.plan.late]
        return self.truth.load(key, tags, absent=self.plan.comes_to == "absent")

    def _stand_still(self, where: str) -> Script:
        if self.plan.hold == where:
            self.parked = True
            yield self.gate.wait
            self.parked = False

    def replied(self) -> Script:
        """The server has replied to its caller."""
        self.replies += 1
        yield from self._stand_still(f"reply {self.replies}")

    def _read_part(self, part: Part, wholes: list[Made]) -> Script:
        """Read another key; what is made here is made from what that read was served."""
        inner = Load(self.world, self.truth, self.actor, Plan((part.key,), TAGS[:1]), self.now)
        reading = self.truth.reading(self.actor.view, self.now())
        self.actor.reads += part.how.startswith("load") or not self.anew
        try:
            value = yield from self._served(part, inner)
        finally:
            self.made += inner.made
        for whole in wholes:
            self.truth.adopt(whole, reading, part.key, value)

    def _served(self, part: Part, inner: Load) -> Script:
        cache, key = self.actor.cache, part.key
        load = self.world.loader(inner.one)
        load_many = self.world.loader(inner.many)
        if part.how == "load":
            return (yield lambda: cache.get_or_load(key, load, tags=TAGS[:1], default=ABSENT))
        if part.how == "get":
            return (yield lambda: cache.get(key, default=ABSENT))
        if part.how == "get_many":
            return (yield lambda: cache.get_many([key])).get(key, ABSENT)
        found = yield lambda: cache.get_or_load_many(
            [key], load_many, tags=TAGS[:1], default=ABSENT
        )
        return found[key]
