"""Reads and loads of one cache against the model of what it may answer. `machine` adds what changes things.

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
from model.plans import COUNTERS, KEYS, SLOW, SOME_KEYS, Actor, Boom, Load, Plan, plans
from model.truth import SERVER, Reading, Truth, own_names, tag_names
from model.worlds import PATIENCE, Job, Script, World

from cachewright import ABSENT, MISSING, Policy, Timeouts
from cachewright.testing import FakeClock

How = Literal["plain", "settled", "verified", "anew"]
"""As it is; when the bus is drained; with `verify`; inside `refreshed()`."""

WHO = st.sampled_from([0, 1])
KEY = st.sampled_from(KEYS)
READ: st.SearchStrategy[How] = st.sampled_from(["plain", "settled", "verified"])
POLICY = Policy(lease=3.0, timeouts=Timeouts(call=5.0, connect=5.0))
"""Budgets that a loaded machine keeps; a lease that the server loses holds others up for so long."""
SOON = 2.5
"""Seconds for what need not wait for another load: less than a lease."""
MOST_AT_ONCE = 4


@dataclass(eq=False)
class Call:
    """A read that may load."""

    actor: Actor
    load: Load
    reading: Reading
    many: bool
    open: bool
    """Whether it stands still no more."""
    loads: bool = True
    job: Job | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What is read."""
        return self.load.plan.keys


class LoadingMachine(RuleBasedStateMachine):
    """Reads of caches that stand for processes; some stand still while other things happen."""

    views: tuple[str, ...] = ("alone",)

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__()
        self.world = world
        self.clock = FakeClock()
        self.truth = Truth(self.views)
        self.actors = [
            Actor(view, self._make_cache(view, max_entries=3 + 3 * n, **options))
            for n, view in enumerate(self.views)
        ]
        self.calls: list[Call] = []
        """Those that run beside the machine."""
        self.alone = True
        """Whether no two calls were ever under way at once."""
        self.exact = True
        """Whether every read is counted once."""

    def _make_cache(self, view: str, **options: Any) -> Any:
        server = self.server(view)
        return self.world.make_cache(
            *server, hierarchy=True, policy=POLICY, clock=self.clock, **options
        )

    def server(self, view: str) -> tuple[str, ...]:
        """What the cache connects to: nothing."""
        return ()

    @property
    def now(self) -> float:
        """By the caches' clock."""
        return self.clock.monotonic()

    def actor(self, who: int) -> Actor:
        """One of the caches."""
        return self.actors[who % len(self.actors)]

    def do(self, effect: Callable[[], Any]) -> Any:
        """Call something on a cache, and complain if it takes as long as waiting for a lost lease."""

        def script() -> Script:
            return (yield effect)

        return self._run(script())

    def _run(self, script: Script) -> Any:
        began = time.monotonic()
        try:
            return self.world.run(script)
        finally:
            assert time.monotonic() - began < SOON, "it waited for what does not come"

    def settle(self, actor: Actor) -> None:
        """Wait until the cache has heard everything."""
        self.truth.drained(actor.view)

    def listen(self) -> None:
        """Act on what has arrived over the bus."""

    def reading(self, actor: Actor, how: How, reads: int = 1) -> Reading:
        """A read that starts now."""
        if how == "settled":
            self.settle(actor)
        actor.reads += reads
        return self.truth.reading(SERVER if how == "verified" else actor.view, self.now)

    # ---------------------------------------------------------------- reads

    @rule(who=WHO, key=st.sampled_from([*KEYS, *COUNTERS]), how=READ)
    def get(self, who: int, key: str, how: How) -> None:
        self._get(self.actor(who), key, how)

    def _get(self, actor: Actor, key: str, how: How) -> None:
        reading = self.reading(actor, how)
        value = self.do(lambda: actor.cache.get(key, verify=how == "verified"))
        if value is not MISSING:
            self.truth.check(reading, key, value)

    @rule(who=WHO, keys=SOME_KEYS, how=READ)
    def get_many(self, who: int, keys: tuple[str, ...], how: How) -> None:
        actor = self.actor(who)
        reading = self.reading(actor, how, len(keys))
        found = self.do(lambda: actor.cache.get_many(keys, verify=how == "verified"))
        for key, value in found.items():
            self.truth.check(reading, key, value)

    def inspect(self, actor: Actor, key: str) -> None:
        """What the cache serves for a key: verified, before it may have heard of anything, and settled."""
        ways: list[How] = ["verified", "settled"] if len(self.actors) > 1 else ["plain"]
        for how in ways:
            self._get(actor, key, how)
        self._look(actor, key)

    @rule()
    def audit(self) -> None:
        """Whatever any cache would serve."""
        for actor in self.actors:
            for key in (*KEYS, *COUNTERS):
                self.inspect(actor, key)

    def _look(self, actor: Actor, key: str) -> None:
        """`contains` and `ttl` promise no more than a read may be served.

        What that is, is asked after the reply: a load that runs beside the machine may land before it.
        """
        reading = self.reading(actor, "plain")
        if self.do(lambda: actor.cache.contains(key)):
            found = self.truth.candidates(reading, key)
            assert any(made.value is not ABSENT for made in found), f"{key} should be dead"
        left = self.do(lambda: actor.cache.ttl(key))
        if left is not None:
            found = self.truth.candidates(reading, key)
            assert found, f"{key} has {left} s to live and should be dead"
            end = max(made.until[reading.view] for made in found)
            assert left <= end - self.now + 0.001, f"{key} has {left} s to live"

    # ---------------------------------------------------------------- loads

    @rule(who=WHO, plan=plans(), how=st.sampled_from(["plain", "settled", "verified", "anew"]))
    def get_or_load(self, who: int, plan: Plan, how: How) -> None:
        self.call(self.actor(who), plan, how)

    @rule(who=WHO, plan=plans(many=True), how=st.sampled_from(["plain", "settled", "anew"]))
    def get_or_load_many(self, who: int, plan: Plan, how: How) -> None:
        self.call(self.actor(who), plan, how, many=True)

    @precondition(lambda self: len(self.calls) < MOST_AT_ONCE)
    @rule(
        who=WHO, plan=plans(held=True), how=st.sampled_from(["plain", "anew", "verified", "anew"])
    )
    def hold(self, who: int, plan: Plan, how: How) -> None:
        """A load that stands still until `release`."""
        self.call(self.actor(who), plan, how)

    @precondition(lambda self: len(self.calls) < MOST_AT_ONCE)
    @rule(who=WHO, plan=plans(many=True, held=True))
    def hold_many(self, who: int, plan: Plan) -> None:
        self.call(self.actor(who), plan, "plain", many=True)

    @precondition(lambda self: len(self.calls) < MOST_AT_ONCE)
    @rule(who=WHO, keys=SOME_KEYS, how=st.sampled_from(["plain", "verified"]))
    def hold_get(self, who: int, keys: tuple[str, ...], how: How) -> None:
        """A read without a loader that stands still when the server has replied."""
        plan = Plan(keys, hold="reply 1")
        self.call(self.actor(who), plan, how, many=len(keys) > 1, loads=False)

    @precondition(lambda self: any(not call.open for call in self.calls))
    @rule(n=st.integers(0, MOST_AT_ONCE - 1))
    def release(self, n: int) -> None:
        """A call goes on; whoever waited for it alone is done soon."""
        held = [call for call in self.calls if not call.open]
        self._open(held[n % len(held)])
        self._collect()

    def call(
        self, actor: Actor, plan: Plan, how: How, *, many: bool = False, loads: bool = True
    ) -> None:
        """Load here, or beside the machine where the call stands still or may have to wait for one."""
        busy = any(plan.touches & call.load.plan.touches for call in self.calls)
        if busy and len(self.calls) >= MOST_AT_ONCE:
            return
        # A batch inside `refreshed()` is loaded key by key, and the first error ends it.
        reading = self.reading(actor, how, 1 if how == "anew" else len(plan.keys))
        self.exact &= how != "anew" or not many
        load = Load(self.world, self.truth, actor, plan, lambda: self.now, how == "anew")
        call = Call(actor, load, reading, many, open=not plan.hold, loads=loads)
        if busy or not call.open:
            self._start(call, self._script(call, how), busy=busy)
            return
        call.job = Job()
        try:
            call.job.end(self._run(self._script(call, how)), None)
        except Boom as error:
            call.job.end(None, error)
        self._check(call)
        if how == "settled":
            self._check_kept(call)

    def _script(self, call: Call, how: How) -> Script:
        SLOW.set(call.load if call.load.plan.hold else None)
        effect = self._effect(call, verify=how == "verified")
        if how != "anew":
            return (yield effect)
        with call.actor.cache.refreshed():
            return (yield effect)

    def _effect(self, call: Call, *, verify: bool) -> Callable[[], Any]:
        cache, plan = call.actor.cache, call.load.plan
        if not call.loads and call.many:
            return lambda: cache.get_many(plan.keys, verify=verify)
        if not call.loads:
            return lambda: cache.get(plan.keys[0], verify=verify)
        options: dict[str, Any] = {"tags": plan.tags, "ttl": plan.ttl, "default": ABSENT}
        if call.many:
            load_many = self.world.loader(call.load.many)
            return lambda: cache.get_or_load_many(plan.keys, load_many, **options)
        load = self.world.loader(call.load.one)
        return lambda: cache.get_or_load(plan.keys[0], load, verify=verify, **options)

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
            yield from ()

        self.world.run(script())

    # ---------------------------------------------------------------- what they came to

    def _collect(self) -> None:
        """Check the calls that no other stands in the way of."""
        blocked: set[str] = set()
        free = list(self.calls)
        while found := [c for c in free if not c.open or c.load.plan.touches & blocked]:
            blocked = blocked.union(*(call.load.plan.touches for call in found))
            free = [call for call in free if call not in found]
        self.calls = [call for call in self.calls if call not in free]
        for call in free:
            self._wait_for(call)
            self._check(call)

    def _wait_for(self, call: Call) -> None:
        job = call.job
        assert job is not None
        if not self.world.until(lambda: job.done, 0.05):
            self.listen()  # it may wait to hear that another's lease was revoked
            assert self.world.until(lambda: job.done), f"{call.load.plan} hangs"

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
        values = job.value if call.many else {call.keys[0]: job.value}
        assert not call.loads or set(values) == set(call.keys)
        for key, value in values.items():
            if call.loads or value is not MISSING:
                self.truth.check(call.reading, key, value)

    def _check_kept(self, call: Call) -> None:
        """What was loaded undisturbed is a hit."""
        plan, made = call.load.plan, call.load.made
        names = {name for key in plan.keys for name in (*own_names(key), *tag_names(plan.tags))}
        if self.calls or not made or not plan.is_plain or self.truth.marked(SERVER, names):
            return
        call.actor.reads += 1
        found = self.do(lambda: call.actor.cache.get(made[-1].key))
        assert found == made[-1].value, f"{made[-1].key} was not kept"

    # ---------------------------------------------------------------- always

    @invariant()
    def l1_keeps_its_bound(self) -> None:
        for actor in self.actors:
            assert actor.cache.stats().entries <= actor.cache.engine.memory.max_entries

    def teardown(self) -> None:
        """Let go what stands still. What a rule raised is not to be hidden by what follows from it."""
        failed = sys.exception() is not None
        try:
            for call in self.calls:
                self._open(call)
            if not failed:
                self._collect()
                self.audit()
                self._check_stats()
        finally:
            for actor in self.actors:
                self.world.retire(actor.cache)

    def _check_stats(self) -> None:
        for actor in self.actors:
            stats = actor.cache.stats()
            assert stats.loads == len(actor.loads), (stats, actor.loads)
            assert stats.load_errors == len(actor.errors), (stats, actor.errors)
            told = stats.hits + stats.misses + stats.joined
            assert told == actor.reads if self.exact else told >= actor.reads, (stats, actor.reads)
