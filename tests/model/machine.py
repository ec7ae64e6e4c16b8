"""One cache without a server against the model: `loads`, and all that stores, invalidates or lets time pass.

What must not be here: what it takes to have two caches on a server (`fleet`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from model.loads import KEY, MOST_AT_ONCE, WHO, LoadingMachine
from model.plans import COUNTERS, KEYS, SOME_KEYS, SOME_TAGS, TAGS, TTLS, Actor, Plan
from model.truth import ALL, SERVER, Made, Reading, own_names, tag_names
from model.worlds import World

from cachewright import MISSING
from cachewright.errors import RemoteError

Death = tuple[dict[str, Any], list[str]]
"""The arguments of an invalidation, and the names that it covers."""

TTL_OR_NONE = st.sampled_from([0.0, *TTLS])
TTL = st.sampled_from(TTLS)
COUNTER_TTL = 60.0


def death_of(name: str) -> Death:
    """The invalidation that covers a name."""
    if name == ALL:
        return {}, [ALL]
    kind, it = name.split(" ")
    if kind == "below":
        return {"prefix": it}, [f"key {it}", name]
    return {"tags": [it]} if kind == "tag" else {"keys": (it,)}, [name]


DEATHS: list[Death] = [
    *(death_of(f"key {key}") for key in (*KEYS, *COUNTERS)),
    *(death_of(f"tag {tag}") for tag in TAGS),
    *(death_of(f"below {top}") for top in ("p", "n")),
    ({"keys": KEYS[:2], "tags": TAGS}, [*(f"key {key}" for key in KEYS[:2]), *tag_names(TAGS)]),
    death_of(ALL),
]


class CacheMachine(LoadingMachine):
    """All verbs of one cache."""

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        self.lossy = len(self.views) == 1
        """Whether a counter may begin anew for no reason that the model knows; a bounded L1 evicts it."""
        self.worn = False
        """Whether the server may have lost a stamp that a cache still knows, which costs misses."""

    # ---------------------------------------------------------------- stores

    @rule(who=WHO, keys=SOME_KEYS, ttl=TTL_OR_NONE, tags=SOME_TAGS, settled=st.booleans())
    def put(
        self, who: int, keys: tuple[str, ...], ttl: float, tags: tuple[str, ...], settled: bool
    ) -> None:
        """`set` and `set_many`: of no effect under a mark that the cache knows of, else always."""
        self.store(self.actor(who), keys, ttl, tags, settled=settled)

    def store(
        self, actor: Actor, keys: Sequence[str], ttl: float, tags: Sequence[str], *, settled: bool
    ) -> None:
        """Write to the source, and store what it has now."""
        if settled:
            self.settle(actor)
        self.truth.commit([f"key {key}" for key in keys])
        made = [self.truth.make(key, tags, until=self.now + ttl) for key in keys]
        stored = self._set(actor, made, ttl=ttl, tags=tags)
        for one in made:
            self._was_set(actor, one, tags, stored=stored[one.key], removed=ttl == 0)
        if ttl and settled and not self.calls and not self.worn and stored[keys[-1]]:
            self._check_there(actor, made[-1])

    def _set(self, actor: Actor, made: list[Made], **options: Any) -> dict[str, bool]:
        values = {one.key: one.value for one in made}
        if len(made) > 1:
            stored: dict[str, bool] = self.do(lambda: actor.cache.set_many(values, **options))
            return stored
        key = made[0].key
        return {key: self.do(lambda: actor.cache.set(key, values[key], **options))}

    def _was_set(
        self, actor: Actor, made: Made, tags: Sequence[str], *, stored: bool, removed: bool
    ) -> None:
        key = f"key {made.key}"
        marked = self.truth.marked(SERVER, [key])
        # A cache that has not heard of a mark stores with stamps that are worth nothing elsewhere.
        dirty = self.truth.marked(actor.view if stored else SERVER, tag_names(tags))
        if not removed:
            assert stored != (marked or dirty), f"{key}: stored {stored}, marked {marked or dirty}"
        if stored or not marked:
            self.truth.invalidated(actor.view, [key])

    def _check_there(self, actor: Actor, made: Made) -> None:
        for verify in {False, len(self.actors) > 1}:
            actor.reads += 1
            found = self.do(lambda verify=verify: actor.cache.get(made.key, verify=verify))
            assert found == made.value, f"{made.key} was not kept: {found}"

    @rule(who=WHO, key=KEY, ttl=TTL, tags=SOME_TAGS)
    def add(self, who: int, key: str, ttl: float, tags: tuple[str, ...]) -> None:
        """`add` stores where the server has nothing, and only there."""
        actor = self.actor(who)
        self.settle(actor)
        actor.reads += 1
        found = self.do(lambda: actor.cache.get(key, verify=len(self.actors) > 1))
        marked = self.truth.marked(SERVER, [f"key {key}", *tag_names(tags)])
        self.truth.commit([f"key {key}"])
        made = self.truth.make(key, tags, until=self.now + ttl)
        added = self.do(lambda: actor.cache.add(key, made.value, ttl=ttl, tags=tags))
        if not self.calls and not self.worn:
            assert added == (found is MISSING and not marked), f"found {found}, added {added}"
        if added:
            self.truth.invalidated(actor.view, [f"key {key}"])

    @rule(who=WHO, key=KEY, ttl=TTL_OR_NONE)
    def touch(self, who: int, key: str, ttl: float) -> None:
        """`touch` gives what lives another life, and revives nothing."""
        actor = self.actor(who)
        reading = self.truth.reading(actor.view, self.now)
        touched = self.do(lambda: actor.cache.touch(key, ttl=ttl))
        found = self.truth.candidates(reading, key)
        assert found or not touched, f"{key} is dead and was touched"
        if not ttl:
            self.truth.invalidated(actor.view, [f"key {key}"])
        elif touched:
            self._was_touched(actor, found, self.now + ttl)

    @staticmethod
    def _was_touched(actor: Actor, found: list[Made], end: float) -> None:
        for made in found:
            for view, until in made.until.items():
                exact = len(found) == 1 and view in (actor.view, SERVER)
                made.until[view] = end if exact else max(until, end)

    # ---------------------------------------------------------------- counters

    @rule(who=WHO, key=st.sampled_from(COUNTERS), delta=st.sampled_from([1, 5]))
    def incr(self, who: int, key: str, delta: int) -> None:
        """A counter goes on from where it was, or begins anew when it is dead."""
        actor = self.actor(who)
        own = self.truth.reading(actor.view, self.now)
        last = self.truth.last(key)
        marked = self.truth.marked(SERVER, [f"key {key}"])
        self.truth.commit([f"key {key}"])
        steps = {delta, delta + int(str(last.value)) if last else delta}
        made = [self.truth.keep(key, step, self.truth.read(own_names(key))) for step in steps]
        try:
            count = self.do(lambda: actor.cache.incr(key, delta, ttl=COUNTER_TTL))
        except RemoteError:
            assert marked, f"{key} could not be counted"
            self.truth.drop(made)
            return
        assert not marked, f"{key} was counted under a mark"
        goes_on = self._goes_on(last, own, count=count, delta=delta)
        until = last.until[SERVER] if goes_on and last else self.now + COUNTER_TTL
        self.truth.drop([one for one in made if one.value != count])
        for one in made:
            one.until = dict.fromkeys(one.until, until)
        self.truth.invalidated(actor.view, [f"key {key}"])

    def _goes_on(self, last: Made | None, own: Reading, *, count: int, delta: int) -> bool:
        """Whether a counter went on from `last`; it may begin anew where that is dead or may be lost."""
        server = self.truth.reading(SERVER, self.now)
        # A cache that has not heard of an invalidation counts under stamps that nobody else takes.
        names = own_names(last.key) if last else []
        self.lossy |= any(own.floors.get(name) != server.floors.get(name) for name in names)
        if last is not None and count == int(str(last.value)) + delta and own.allows(last):
            return True
        anew = last is None or self.lossy or not server.allows(last)
        assert count == delta, f"after {last} comes {count}"
        assert anew, f"after {last} comes {count}"
        return False

    # ---------------------------------------------------------------- invalidations, time

    @rule(who=WHO, death=st.sampled_from(DEATHS))
    def invalidate(self, who: int, death: Death) -> None:
        self.kill(self.actor(who), death)

    @rule(who=WHO, key=KEY, what=st.integers(0, 4))
    def spoil(self, who: int, key: str, what: int) -> None:
        """What a value is made from changes; it is served no more."""
        found = self.truth.candidates(self.truth.reading(SERVER, self.now), key)
        if found:
            # What came from elsewhere first: the keys and tags of parts.
            names = sorted(found[-1].rows, key=lambda name: (name in own_names(key), name))
            self.kill(self.actor(who), death_of(names[what % len(names)]))
            for actor in self.actors:
                self.inspect(actor, key)

    @precondition(lambda self: self.calls)
    @rule(
        who=WHO,
        n=st.integers(0, MOST_AT_ONCE - 1),
        what=st.integers(0, 7),
        sets=st.booleans(),
        follow=st.booleans(),
    )
    def overtake(self, who: int, n: int, what: int, sets: bool, follow: bool) -> None:
        """What a call under way is made from changes; who reads the same now must not get the old."""
        call = self.calls[n % len(self.calls)]
        plan = call.load.plan
        names = [f"key {key}" for key in plan.keys] + tag_names([*plan.late, *plan.tags])
        names += sorted({name for made in call.load.made for name in made.rows}.difference(names))
        name = names[what % len(names)]
        key = name.removeprefix("key ")
        if sets and key in KEYS:
            self.store(self.actor(who), (key,), TTLS[1], plan.tags, settled=False)
        else:
            self.kill(self.actor(who), death_of(name))
        if follow:
            self.call(call.actor, Plan(plan.keys[:1], plan.tags), "plain")

    def kill(self, actor: Actor, death: Death) -> None:
        """Write to the source, and invalidate what depends on it."""
        arguments, names = death
        rest = {name: value for name, value in arguments.items() if name != "keys"}
        self.truth.commit(names)
        if arguments:
            self.do(lambda: actor.cache.invalidate(*arguments.get("keys", ()), **rest))
        else:
            self.do(actor.cache.clear)
        self.truth.invalidated(actor.view, names)

    @rule(seconds=st.sampled_from([1.0, 6.0, 40.0, 400.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
