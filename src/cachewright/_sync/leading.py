# Generated from _async/leading.py by tools/unasync.py. Do not edit.
"""The right to do one job, held by one process of the fleet at a time: a lease at the server, renewed while it works.

It saves work and protects nothing: a process that is frozen past its lease and goes on finds another at the same job.
Whoever leads must therefore do only what two may do at once; every fill still needs the lease of its own key.
Without a server one process is the fleet, and its flights decide.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cachewright._sync.flights import Flight
from cachewright.core.keys import own_key
from cachewright.errors import RemoteError
from cachewright.redis.replies import Ask

if TYPE_CHECKING:
    from cachewright._sync.cache import Cache


class Leader:
    """A job: `with Leader(cache, "warm", "users") as leader: if leader.leads: ...`.

    `lease`: seconds for which a silent leader keeps the job; a live one renews every third. `keep`: do not give
    the job back at the end of the block, so that this process has it again next time, if that is within the lease.
    """

    def __init__(
        self, cache: Cache, *job: str, lease: float = 10.0, keep: bool = False
    ) -> None:
        self.leads = False
        self._engine = cache.engine
        # The cache's own: each further one would have to be told of every fork.
        self._leases = cache._leases
        self._key = own_key("leader", *job)
        self._ask = Ask(key=self._key, tags=[])
        self._lease = lease
        self._keep = keep
        self._flight: Flight | None = None
        self._keeping: AbstractContextManager[None] = nullcontext()

    def __enter__(self) -> Self:
        self._flight, self.leads = self._engine.flights.join(self._key, ())
        if not self.leads:  # another caller in this process is at it
            self._flight = None
            return self
        try:
            self.leads = self._take()
        except BaseException:
            self._land()
            raise
        if self.leads:
            self._keeping = self._leases.keeping(
                self._renew, every=self._lease / 3, limit=float("inf")
            )
            self._keeping.__enter__()
        else:
            self._land()
        return self

    def _take(self) -> bool:
        store = self._engine.open()
        if store is None:
            return True
        try:
            got = (store.acquire([self._ask], self._lease, wait=False))[0]
            if got.outcome == "lease":
                self._renew()  # one that was kept begins its time anew
        except RemoteError as error:
            self._engine.remote_failed("lead", error)
            return False
        return got.outcome == "lease"

    def _renew(self) -> None:
        store = self._engine.store
        if store is not None:
            store.renew([(self._key, self._ask.token, self._lease)])

    def give_up(self) -> None:
        """Let another process have the job at once."""
        store = self._engine.store
        if store is not None:
            self._leases.give_back(store, [self._ask])

    def _land(self) -> None:
        if self._flight is not None:
            self._engine.flights.close(self._flight)
            self._flight = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.leads:
            return
        self._keeping.__exit__(None, None, None)
        self._land()
        if not self._keep:
            self.give_up()
