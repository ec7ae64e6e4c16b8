"""One cache against the model of what it may answer. See `fleet` for two caches on a server.

What must not be here: what a cache may answer (`truth`) and what a load does (`plans`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cachewright import ABSENT, MISSING, Cache, Policy, Timeouts
from cachewright.errors import RemoteError
from cachewright.testing import FakeClock, RecordingListener
from model.plans import COUNTERS, KEYS, SOME_KEYS, SOME_TAGS, TAGS, TTLS, Actor, Boom, Load, Plan, plans
from model.truth import ALL, NEVER, SERVER, Reading, Truth, own_names, tag_names
from model.worlds import PATIENCE, Job, Script, World

How = Literal["plain", "settled", "verified", "anew"]

WHO = st.sampled_from([0, 1])
KEY = st.sampled_from(KEYS)
POLICY = Policy(lease=3.0, timeouts=Timeouts(call=5.0, connect=5.0))
"""Budgets that a loaded machine keeps; a lease that the server loses holds others up for so long."""
SOON = 2.5
"""Seconds for what need not wait for another load: less than a lease."""
MOST_AT_ONCE = 4
DEATHS: list[tuple[dict[str, Any], list[str]]] = [
    *(({"keys": (key,)}, [f"key {key}"]) for key in (*KEYS, *COUNTERS)),
    *(({"tags": [tag]}, [f"tag {tag}"]) for tag in TAGS),
    *(({"prefix": top}, [f"key {top}", f"below {top}"]) for top in ("p", "r", "n")),
    ({"keys": KEYS[:2], "tags": TAGS}, [*(f"key {key}" for key in KEYS[:2]), *tag_names(TAGS)]),
]


@dataclass(eq=False)
class Call:
    """A call of `get_or_load` or `get_or_load_many`."""

    actor: Actor
    load: Load
    reading: Reading
    many: bool
    open: bool
    """Whether its load stands still no more."""
    job: Job | None = None


class CacheMachine(RuleBasedStateMachine):
    """Reads, stores and invalidations of one cache without a server; loads that stand still meanwhile."""

    views: tuple[str, ...] = ("alone",)

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__()
        self.world = world
        self.clock = FakeClock()
        self.truth = Truth(self.views)
        self.events = RecordingListener()
        self.actors = [
            Actor(view, self._make_cache(view, 3 + 3 * n, options))
            for n, view in enumerate(self.views)
        ]
        self.calls: list[Call] = []
        self.alone = True
        """Whether no two calls were ever under way at once."""
        self.worn = False
        """Whether the server may have lost a stamp that a cache still knows, which costs misses."""
        self.exact = True
        """Whether every read is counted once."""
        self.lossy = len(self.views) == 1
        """Whether a counter may begin anew for no reason that the model knows."""

    def _make_cache(self, view: str, max_entries: int, options: dict[str, Any]) -> Cache:
        cache: Cache = self.world.make_cache(
            *self.server(view), **options, max_entries=max_entries, hierarchy=True, policy=POLICY, clock=self.clock
        )
        return cache

    def server(self, view: str) -> tuple[str, ...]:
        """What the cache connects to: nothing."""
        return ()

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def do(self, effect: Callable[[], Any]) -> Any:
        """Call something on a cache, and complain if it takes as long as waiting for a lost lease."""

        def script() -> Script:
            return (yield effect)

        began = time.monotonic()
        try:
            return self.world.run(script())
        finally:
            assert time.monotonic() - began < SOON, "it waited for what does not come"

    def actor(self, who: int) -> Actor:
        return self.actors[who % len(self.actors)]

    def reading(self, actor: Actor, how: How, reads: int = 1) -> Reading:
        """A read that starts now; one that is settled has its bus drained first."""
        if how == "settled":
            self.settle(actor)
        actor.reads += reads
        return self.truth.reading(SERVER if how == "verified" else actor.view, self.now)

    def settle(self, actor: Actor) -> None:
        """Wait until the cache has heard everything."""
        self.truth.drained(actor.view)

    # ---------------------------------------------------------------- reads

    @rule(who=WHO, key=st.sampled_from([*KEYS, *COUNTERS]), how=st.sampled_from(["plain", "settled", "verified"]))
    def get(self, who: int, key: str, how: How) -> None:
        actor = self.actor(who)
        reading = self.reading(actor, how)
        value = self.do(lambda: actor.cache.get(key, verify=how == "verified"))
        if value is not MISSING:
            self.truth.check(reading, key, value)

    @rule(who=WHO, keys=SOME_KEYS, how=st.sampled_from(["plain", "settled", "verified"]))
    def get_many(self, who: int, keys: tuple[str, ...], how: How) -> None:
        actor = self.actor(who)
        reading = self.reading(actor, how, len(keys))
        found = self.do(lambda: actor.cache.get_many(keys, verify=how == "verified"))
        for key, value in found.items():
            self.truth.check(reading, key, value)

    @rule(who=WHO, key=KEY)
    def look(self, who: int, key: str) -> None:
        """`contains` and `ttl` promise no more than a read may be served."""
        actor = self.actor(who)
        reading = self.reading(actor, "plain")
        if self.do(lambda: actor.cache.contains(key)):
            assert any(made.value is not ABSENT for made in self.truth.candidates(reading, key))
        left = self.do(lambda: actor.cache.ttl(key))
        if left is not None:
            ends = [made.until[reading.view] for made in self.truth.candidates(reading, key)]
            assert ends, f"{key} has {left} s to live and should be dead"
            assert left <= max(ends) - self.now + 0.001

    # ---------------------------------------------------------------- loads

    @rule(who=WHO, plan=plans(), how=st.sampled_from(["plain", "settled", "verified", "anew"]))
    def get_or_load(self, who: int, plan: Plan, how: How) -> None:
        self.call(self.actor(who), plan, how)

    @rule(who=WHO, plan=plans(many=True), how=st.sampled_from(["plain", "settled", "anew"]))
    def get_or_load_many(self, who: int, plan: Plan, how: How) -> None:
        self.call(self.actor(who), plan, how, many=True)

    @precondition(lambda self: len(self.calls) < MOST_AT_ONCE)
    @rule(who=WHO, plan=plans(held=True), how=st.sampled_from(["plain", "anew"]))
    def hold(self, who: int, plan: Plan, how: How) -> None:
        """A load that stands still until `release`."""
        self.call(self.actor(who), plan, how)

    @precondition(lambda self: len(self.calls) < MOST_AT_ONCE)
    @rule(who=WHO, plan=plans(many=True, held=True))
    def hold_many(self, who: int, plan: Plan) -> None:
        self.call(self.actor(who), plan, "plain", many=True)

    @precondition(lambda self: any(not call.open for call in self.calls))
    @rule(n=st.integers(0, MOST_AT_ONCE - 1))
    def release(self, n: int) -> None:
        """A load goes on; whoever waited for it alone is done soon."""
        held = [call for call in self.calls if not call.open]
        self._open(held[n % len(held)])
        self._collect()

    def call(self, actor: Actor, plan: Plan, how: How, *, many: bool = False) -> None:
        """Load here, or beside the machine where the load stands still or may have to wait for one."""
        busy = any(plan.touches & call.load.plan.touches for call in self.calls)
        if busy and len(self.calls) >= MOST_AT_ONCE:
            return
        # A batch inside `refreshed()` is loaded key by key, and the first error ends it.
        reading = self.reading(actor, how, 1 if how == "anew" else len(plan.keys))
        self.exact &= how != "anew" or not many
        load = Load(self.world, self.truth, actor, plan, lambda: self.now, how == "anew")
        call = Call(actor, load, reading, many, open=not plan.hold)
        script = self._script(call, how)
        if not busy and call.open:
            call.job = Job()
            began = time.monotonic()
            try:
                call.job.end(self.world.run(script), None)
            except Boom as error:
                call.job.end(None, error)
            assert time.monotonic() - began < SOON, "it waited for what does not come"
            self._check(call)
            if how == "settled":
                self._check_kept(call)
        else:
            self._start(call, script, busy=busy)

    def _script(self, call: Call, how: How) -> Script:
        cache, plan = call.actor.cache, call.load.plan
        options: dict[str, Any] = {"tags": plan.tags, "ttl": plan.ttl, "default": ABSENT}
        load = self.world.loader(call.load.many if call.many else call.load.one)

        def effect() -> Any:
            if call.many:
                return cache.get_or_load_many(plan.keys, load, **options)
            return cache.get_or_load(plan.keys[0], load, verify=how == "verified", **options)

        def script() -> Script:
            if how != "anew":
                return (yield effect)
            with cache.refreshed():
                return (yield effect)

        return script()

    def _start(self, call: Call, script: Script, *, busy: bool) -> None:
        self.alone = self.exact = False
        stats = call.actor.cache.stats
        before = stats()
        call.job = job = self.world.start(script)
        self.calls.append(call)

        def has_settled() -> bool:
            now = stats()
            waits = busy and (now.joined, now.misses) != (before.joined, before.misses)
            return job.done or call.load.parked or waits

        self.world.until(has_settled, 0.1 if busy else PATIENCE)

    def _open(self, call: Call) -> None:
        call.open = True

        def script() -> Script:
            call.load.gate.set()
            return
            yield

        self.world.run(script())

    def _collect(self) -> None:
        """Check the calls that no load stands in the way of."""
        blocked: set[str] = set()
        waiting: list[Call] = []
        rest = list(self.calls)
        while found := [c for c in rest if not c.open or c.load.plan.touches & blocked]:
            waiting += found
            blocked |= {key for call in found for key in call.load.plan.touches}
            rest = [call for call in rest if call not in found]
        self.calls = [call for call in self.calls if call in waiting]
        for call in rest:
            job = call.job
            assert job is not None
            assert self.world.until(lambda job=job: job.done), f"{call.load.plan} never ended"
            self._check(call)

    def _check(self, call: Call) -> None:
        job, load = call.job, call.load
        assert job is not None
        for made in load.made:
            self.truth.landed(made, self.now + load.plan.life(made))
        if isinstance(job.error, Boom):
            assert load.raised or not self.alone, "a loader's error came from nowhere"
            return
        if job.error is not None:
            raise job.error
        values = job.value if call.many else {load.plan.keys[0]: job.value}
        assert set(values) == set(load.plan.keys)
        for key, value in values.items():
            self.truth.check(call.reading, key, value)

    def _check_kept(self, call: Call) -> None:
        """What was loaded undisturbed is a hit."""
        plan, cache = call.load.plan, call.actor.cache
        made = {made.key: made.value for made in call.load.made}
        names = {name for key in plan.keys for name in (*own_names(key), *tag_names(plan.tags))}
        if self.calls or not plan.is_plain or self.truth.marked(SERVER, names):
            return
        for key in list(made)[-1:]:
            call.actor.reads += 1
            assert self.do(lambda key=key: cache.get(key)) == made[key], f"{key} was not kept"

    # ---------------------------------------------------------------- stores

    @rule(who=WHO, keys=SOME_KEYS, ttl=st.sampled_from([0.0, *TTLS]), tags=SOME_TAGS, settled=st.booleans())
    def set(self, who: int, keys: tuple[str, ...], ttl: float, tags: tuple[str, ...], settled: bool) -> None:
        actor = self.actor(who)
        if settled:
            self.settle(actor)
        self.truth.commit([f"key {key}" for key in keys])
        made = {key: self.truth.make(key, tags, until=self.now + ttl) for key in keys}
        values = {key: it.value for key, it in made.items()}
        if len(keys) == 1:
            stored = {keys[0]: self.do(lambda: actor.cache.set(keys[0], values[keys[0]], ttl=ttl, tags=tags))}
        else:
            stored = self.do(lambda: actor.cache.set_many(values, ttl=ttl, tags=tags))
        for key, was_stored in stored.items():
            self._was_set(actor, key, tags, stored=was_stored, removed=ttl == 0, settled=settled)
        if ttl and settled and not self.calls and not self.worn and stored[keys[-1]]:
            self._check_there(actor, keys[-1], values[keys[-1]])

    def _was_set(self, actor: Actor, key: str, tags: tuple[str, ...], *, stored: bool, removed: bool, settled: bool) -> None:
        marked_key = self.truth.marked(SERVER, [f"key {key}"])
        marked_tags = self.truth.marked(actor.view if stored else SERVER, tag_names(tags))
        if not removed:
            assert not stored or not (marked_key or marked_tags), f"{key} was filled under a mark"
            assert stored or marked_key or marked_tags, f"{key} was not stored for no reason"
        if stored or not marked_key:
            self.truth.invalidated(actor.view, [f"key {key}"])

    def _check_there(self, actor: Actor, key: str, value: object) -> None:
        for verify in (False, True):
            actor.reads += 1
            found = self.do(lambda verify=verify: actor.cache.get(key, verify=verify))
            assert found == value or (verify and len(self.actors) == 1), f"{key} was not kept: {found}"

    @rule(who=WHO, key=KEY, ttl=st.sampled_from(TTLS), tags=SOME_TAGS)
    def add(self, who: int, key: str, ttl: float, tags: tuple[str, ...]) -> None:
        """`add` stores where a verified read finds nothing, and only there."""
        actor = self.actor(who)
        self.settle(actor)
        found = self._there(actor, key)
        marked = self.truth.marked(SERVER, [f"key {key}", *tag_names(tags)])
        self.truth.commit([f"key {key}"])
        made = self.truth.make(key, tags, until=self.now + ttl)
        added = self.do(lambda: actor.cache.add(key, made.value, ttl=ttl, tags=tags))
        if not self.calls and not self.worn:
            assert added == (found is MISSING and not marked), f"found {found}, added {added}"
        if added:
            self.truth.invalidated(actor.view, [f"key {key}"])

    def _there(self, actor: Actor, key: str) -> Any:
        actor.reads += 1
        return self.do(lambda: actor.cache.get(key, verify=len(self.actors) > 1))

    @rule(who=WHO, key=KEY, ttl=st.sampled_from([0.0, *TTLS]))
    def touch(self, who: int, key: str, ttl: float) -> None:
        actor = self.actor(who)
        reading = self.truth.reading(actor.view, self.now)
        touched = self.do(lambda: actor.cache.touch(key, ttl=ttl))
        found = self.truth.candidates(reading, key)
        assert found or not touched, f"{key} is dead and was touched"
        if not ttl:
            self.truth.invalidated(actor.view, [f"key {key}"])
        elif touched:
            for made in found:
                for view in made.until:
                    exact = len(found) == 1 and view in (actor.view, SERVER)
                    end = self.now + ttl
                    made.until[view] = end if exact else max(made.until[view], end)

    @rule(who=WHO, key=st.sampled_from(COUNTERS), delta=st.sampled_from([1, 5]))
    def incr(self, who: int, key: str, delta: int) -> None:
        actor = self.actor(who)
        own = self.truth.reading(actor.view, self.now)
        server = self.truth.reading(SERVER, self.now)
        last = next(iter(self.truth.made.get(key, [])[-1:]), None)
        if self.truth.marked(SERVER, [f"key {key}"]):
            try:
                self.do(lambda: actor.cache.incr(key, delta, ttl=60))
            except RemoteError:
                return
            raise AssertionError(f"{key} was counted under a mark")
        self.lossy |= any(
            own.floors.get(name) != server.floors.get(name) for name in own_names(key)
        )
        self.truth.commit([f"key {key}"])
        for value in {delta, delta + (last.value if last else 0)}:
            self.truth.keep(key, value, self.truth.read(own_names(key)))
        count = self.do(lambda: actor.cache.incr(key, delta, ttl=60))
        goes_on = last is not None and count == last.value + delta and own.allows(last)  # type: ignore[operator]
        began = count == delta and (last is None or self.lossy or not server.allows(last))
        assert goes_on or began, f"{key} went from {last} to {count}"
        until = last.until[SERVER] if goes_on and last else self.now + 60
        self.truth.only(key, count, until)
        self.truth.invalidated(actor.view, [f"key {key}"])

    # ---------------------------------------------------------------- invalidations, time

    @rule(who=WHO, death=st.sampled_from(DEATHS))
    def invalidate(self, who: int, death: tuple[dict[str, Any], list[str]]) -> None:
        self.kill(self.actor(who), death)

    def kill(self, actor: Actor, death: tuple[dict[str, Any], list[str]]) -> None:
        """Write to the source, and invalidate what depends on it."""
        arguments, names = death
        rest = {name: value for name, value in arguments.items() if name != "keys"}
        self.truth.commit(names)
        self.do(lambda: actor.cache.invalidate(*arguments.get("keys", ()), **rest))
        self.truth.invalidated(actor.view, names)

    @rule(who=WHO)
    def clear(self, who: int) -> None:
        actor = self.actor(who)
        self.truth.commit([ALL])
        self.do(actor.cache.clear)
        self.truth.invalidated(actor.view, [ALL])

    @rule(seconds=st.sampled_from([1.0, 6.0, 40.0, 400.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # ---------------------------------------------------------------- always

    @invariant()
    def l1_keeps_its_bound(self) -> None:
        for actor in self.actors:
            assert actor.cache.stats().entries <= actor.cache.engine.memory.max_entries

    def teardown(self) -> None:
        try:
            for call in self.calls:
                self._open(call)
            if sys.exception() is None:  # what a rule raised is not to be hidden by what follows
                self._collect()
                self._check_stats()
        finally:
            for actor in self.actors:
                self.world.retire(actor.cache)

    def _check_stats(self) -> None:
        for actor in self.actors:
            stats = actor.cache.stats()
            assert stats.loads == len(actor.loads), (stats.loads, actor.loads)
            assert stats.load_errors == len(actor.errors), (stats, actor.errors)
            told = stats.hits + stats.misses + stats.joined
            assert told == actor.reads if self.exact else told >= actor.reads, (told, actor.reads)
