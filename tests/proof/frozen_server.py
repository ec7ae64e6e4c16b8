"""A server that freezes and one that restarts again and again, while callers read, store and invalidate.

What must not be here: a server that stays dead (`dead_server`), and error replies (`error_replies`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
import redis

from cachewright import Cache
from cachewright.embedded import EmbeddedServer
from cachewright.redis.repairs import Repairs
from proof.callers import Callers, Costs, timing_calls
from proof.experiment import Experiment, Measured, Number, Run

VICTIMS = 40
"""Keys that are invalidated while the server is of no use, and never stored again."""
BUDGET, CONNECT, REFUSAL = 0.110, 0.510, 0.002
"""Seconds: a call over an open connection, one that has to connect, one that the open breaker refuses."""
REPAIRED = 2.0
"""Seconds after recovery until all failed invalidations are to be applied."""
PATIENCE = 5.0
OLD = "old"
HANG = 1.0
"""Seconds after which a caller of plain code counts as hung."""


# -------------------------------------------------------------------- what happens


@dataclass(frozen=True)
class Verbs:
    """What the faults try on a cache or a client: `name` is what a key is called at the server."""

    store: Callable[[str], object]
    drop: Callable[[str], object]
    read: Callable[[str], object]
    name: Callable[[str], str] = str


class Trouble:
    """The faults, one after the other; what is invalidated amid them has to be gone afterwards."""

    def __init__(self, server: EmbeddedServer, how: Run, verbs: Verbs) -> None:
        self._server = server
        self._how = how
        self._verbs = verbs
        self.repair_times: list[float] = []
        self.survivors = 0
        self.stale = 0
        """Reads in the invalidating process that brought what it had invalidated."""

    def all_of_it(self, *, restarts: int) -> None:
        """One freeze, then so many times killed and started again."""
        self._round(self._freeze)
        for _ in range(restarts):
            self._round(self._restart)

    def _round(self, fault: Callable[[list[str]], None]) -> None:
        victims = [f"victim-{n}" for n in range(VICTIMS)]
        for victim in victims:
            assert _until(partial(self._verbs.store, victim)), "the server does not come back"
        fault(victims)
        began = time.monotonic()
        self._look_at(victims)
        names = [self._verbs.name(victim) for victim in victims]
        with redis.Redis.from_url(self._server.url) as raw:
            gone = _until(lambda: not raw.exists(*names))
            self.repair_times.append(time.monotonic() - began)
            self.survivors += 0 if gone else int(raw.exists(*names))

    def _freeze(self, victims: list[str]) -> None:
        self._server.pause()
        end = time.monotonic() + self._how.pick(ci=3.0, full=30.0)
        aside = threading.Thread(target=self._drop, args=(victims,), daemon=True)
        aside.start()
        time.sleep(max(0.0, end - time.monotonic()))
        self._server.resume()
        aside.join(PATIENCE)

    def _restart(self, victims: list[str]) -> None:
        self._server.kill()
        self._drop(victims)
        self._server.restart()

    def _drop(self, victims: list[str]) -> None:
        for victim in victims:
            self._verbs.drop(victim)
        self._look_at(victims)

    def _look_at(self, victims: list[str]) -> None:
        self.stale += sum(self._verbs.read(victim) == OLD for victim in victims)


def _until(true: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE
    while not (done := bool(true())) and time.monotonic() < end:
        time.sleep(0.01)
    return done


@contextmanager
def keeping_server() -> Iterator[EmbeddedServer]:
    """A server whose entries outlive a restart: only so can an invalidation that got lost be seen."""
    with EmbeddedServer(config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


# -------------------------------------------------------------------- ours and the control


def ours(how: Run) -> Measured:
    """The engine as it is."""
    costs = Costs()
    with timing_calls(costs), keeping_server() as server, Cache(server.url) as cache:
        return _through(cache, server, how, costs, restarts=how.pick(ci=3, full=50))


def control(how: Run) -> Measured:
    """The engine without its memory of failed invalidations."""
    costs = Costs()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Repairs, "add", lambda self, *what: None)
        with timing_calls(costs), keeping_server() as server, Cache(server.url) as cache:
            return _through(cache, server, how, costs, restarts=how.pick(ci=1, full=5))


def _through(
    cache: Cache, server: EmbeddedServer, how: Run, costs: Costs, *, restarts: int
) -> Measured:
    verbs = Verbs(
        store=lambda key: cache.set(key, OLD),
        drop=cache.invalidate,
        read=lambda key: cache.get(key, None),
        name=cache.engine.keys.entry,
    )
    trouble = Trouble(server, how, verbs)
    with Callers(_busy(cache)) as callers:
        trouble.all_of_it(restarts=restarts)
    violations = len(callers.raised) + callers.hung + trouble.survivors + trouble.stale
    return Measured(violations, _numbers(callers, trouble, costs), _missed(trouble, costs))


def _numbers(callers: Callers, trouble: Trouble, costs: Costs) -> dict[str, Number]:
    return {
        "calls": callers.calls,
        "raised": len(callers.raised),
        "hung": callers.hung,
        "invalidations lost": trouble.survivors,
        "stale reads": trouble.stale,
        "repaired after s": max(trouble.repair_times),
        **{f"slowest {end} ms": costs.slowest(end) for end in LIMITS},
        "refused over 2 ms": costs.share_over("refused by the breaker", REFUSAL),
    }


def _missed(trouble: Trouble, costs: Costs) -> tuple[str, ...]:
    missed = [
        f"{end} ≤ {1000 * limit:.0f} ms"
        for end, limit in LIMITS.items()
        if costs.slowest(end) > 1000 * limit
    ]
    late = max(trouble.repair_times) > REPAIRED
    return (*missed, *([f"repaired ≤ {REPAIRED:.0f} s"] if late else []))


LIMITS = {
    "answered": BUDGET,
    "failed": BUDGET,
    "connecting": CONNECT,
    "refused by the breaker": REFUSAL,
}


def _busy(cache: Cache) -> list[Callable[[int], object]]:
    return [
        lambda n: cache.get(f"k{n % 50}", verify=True),
        lambda n: cache.get_or_load(f"k{n % 50}", lambda: n, tags=[f"t{n % 10}"]),
        lambda n: cache.set(f"s{n % 50}", n),
        lambda n: cache.get_many([f"k{n % 50}", f"s{n % 50}"], verify=True),
        lambda n: cache.invalidate(f"k{n % 50}", tags=[f"t{n % 10}"]),
    ]


# -------------------------------------------------------------------- peer


def redis_py(how: Run) -> Measured:
    """Cache-aside over redis-py as it comes: no time-out, and what fails is raised."""
    raised: list[str] = []

    def quietly(call: Callable[[], object]) -> object:
        try:
            return call()
        except redis.RedisError as error:
            raised.append(repr(error))
            return None

    with keeping_server() as server, redis.Redis.from_url(server.url) as client:
        verbs = Verbs(
            store=lambda key: quietly(lambda: client.set(key, OLD)),
            drop=lambda key: quietly(lambda: client.delete(key)),
            read=lambda key: quietly(lambda: client.get(key)) == OLD.encode() and OLD,
        )
        trouble = Trouble(server, how, verbs)
        busy: list[Callable[[int], object]] = [
            lambda n: client.get(f"k{n % 50}"),
            lambda n: client.set(f"s{n % 50}", n),
            lambda n: client.delete(f"k{n % 50}"),
        ]
        with Callers(busy) as callers:
            trouble.all_of_it(restarts=how.pick(ci=1, full=5))
    raised += callers.raised
    numbers = {
        "calls": callers.calls,
        "raised": len(raised),
        "invalidations lost": trouble.survivors,
        "stale reads": trouble.stale,
        "slowest call ms": 1000 * callers.slowest,
    }
    hung = callers.slowest > HANG
    return Measured(len(raised) + trouble.survivors + trouble.stale + hung, numbers)


EXPERIMENT = Experiment(
    name="frozen_server",
    what="the server is stopped for 30 s and killed and restarted 50 times under 8 busy threads; "
    "40 keys are invalidated amid each fault",
    target="0 uncaught; a remote call ≤ its budget (100 ms) + 10 ms, refused by the open breaker ≤ 2 ms; "
    "failed invalidations all applied ≤ 2 s after recovery",
    ours=ours,
    control=control,
    control_is="the engine without its memory of failed invalidations",
    peers={"redis-py": redis_py},
)
