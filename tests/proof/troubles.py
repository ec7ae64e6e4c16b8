"""Servers that answer with errors: each known one injected by a proxy, some provoked in a real server.

What must not be here: a cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import redis

from cachewright.embedded import EmbeddedServer
from proof.experiment import Run
from rig.refusing import RefusingProxy
from rig.servers import acl_user

ERRORS = (
    "ERR unknown command",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the command",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOSCRIPT No matching script. Please use EVAL.",
    "EXECABORT Transaction discarded because of previous errors.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "MOVED 866 127.0.0.1:7002",
    "ASK 866 127.0.0.1:7002",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.",
    "UNKILLABLE Sorry the script already executed write commands against the dataset.",
    "NOTBUSY No scripts in execution right now.",
    "BUSYKEY Target key name already exists.",
    "BUSYGROUP Consumer Group name already exists",
    "INPROG Failover already in progress.",
    "NOGOODSLAVE No suitable replica to promote.",
    "NOPROTO unsupported protocol version",
    "IOERR error or timeout",
    "LATE the caller has given up",
    "SOMETHING nobody has thought of yet",
)


@dataclass
class Trouble:
    """A server with a fault to switch on and off; `url` for the cache, `raw_url` to look behind it."""

    name: str
    url: str
    raw_url: str
    begin: Callable[[], object]
    end: Callable[[], object]
    lasts: float = 6.0
    """Seconds, at full size."""


def _injected(
    server: EmbeddedServer, error: str, *, greetings_too: bool
) -> AbstractContextManager[Trouble]:
    """Every command is answered with this error; `greetings_too`: and no connection can be opened."""

    @contextmanager
    def trouble() -> Iterator[Trouble]:
        with RefusingProxy(server.tcp_url) as proxy:

            def begin() -> None:
                proxy.refuse(error, greetings_too=greetings_too)
                if greetings_too:
                    proxy.cut()

            word = error.split(maxsplit=1)[0] + (" from the start" if greetings_too else "")
            # As long as a large data set takes to load: whatever backs off has backed off far by then.
            lasts = 40.0 if word == "LOADING" else Trouble.lasts
            yield Trouble(word, proxy.url, server.url, begin, proxy.heal, lasts)

    return trouble()


@contextmanager
def _by_commands(name: str, begin: list[str], end: list[str]) -> Iterator[Trouble]:
    """A real server of its own that these commands bring into trouble and out of it."""
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as admin:

        def run(commands: list[str]) -> Callable[[], object]:
            return lambda: [admin.execute_command(*command.split(",")) for command in commands]

        yield Trouble(name, server.tcp_url, server.url, run(begin), run(end))


@contextmanager
def _no_permission() -> Iterator[Trouble]:
    with EmbeddedServer() as server, acl_user(server, "~*", "&*", "+@all") as url:
        user = url.partition("://")[2].partition(":")[0]
        with redis.Redis.from_url(server.url) as admin:

            def allow(rule: str) -> Callable[[], object]:
                return lambda: [
                    admin.execute_command("ACL", "SETUSER", user, f"{rule}{command}")
                    for command in ("evalsha", "get", "mget", "pttl")
                ]

            yield Trouble("NOPERM for real", url, server.url, allow("-"), allow("+"))


@contextmanager
def _busy() -> Iterator[Trouble]:
    with EmbeddedServer(config={"busy-reply-threshold": "5"}) as server:
        script = threading.Thread(target=_run_for_ever, args=(server.url,), daemon=True)
        with redis.Redis.from_url(server.url) as admin:
            yield Trouble(
                "BUSY for real", server.tcp_url, server.url, script.start, admin.script_kill
            )


def _run_for_ever(url: str) -> None:
    with redis.Redis.from_url(url) as client, suppress(redis.RedisError):  # it is killed
        client.eval("while true do end", 0)


@contextmanager
def _wrong_types() -> Iterator[Trouble]:
    """Whatever the cache has stored becomes a list, stamps and leases too; nobody puts that right."""
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as admin:

        def spoil() -> None:
            for name in admin.keys("*"):
                admin.delete(name)
                admin.lpush(name, "x")

        yield Trouble("WRONGTYPE for real", server.tcp_url, server.url, spoil, spoil)


def _provoked() -> list[AbstractContextManager[Trouble]]:
    """Troubles of real servers."""
    return [
        _by_commands("OOM for real", ["CONFIG,SET,maxmemory,1"], ["CONFIG,SET,maxmemory,0"]),
        _by_commands("READONLY for real", ["REPLICAOF,127.0.0.1,1"], ["REPLICAOF,NO,ONE"]),
        _by_commands(
            "NOAUTH for real",
            ["CONFIG,SET,requirepass,secret", "CLIENT,KILL,TYPE,normal", "CLIENT,KILL,TYPE,pubsub"],
            ["CONFIG,SET,requirepass,"],
        ),
        _by_commands("NOSCRIPT for real", ["SCRIPT,FLUSH"], ["SCRIPT,FLUSH"]),
        _by_commands(
            "NOREPLICAS for real",
            ["CONFIG,SET,min-replicas-to-write,1"],
            ["CONFIG,SET,min-replicas-to-write,0"],
        ),
        _no_permission(),
        _busy(),
        _wrong_types(),
    ]


def all_troubles(how: Run, server: EmbeddedServer) -> list[AbstractContextManager[Trouble]]:
    made = [_injected(server, error, greetings_too=False) for error in ERRORS]
    refused = (
        ERRORS
        if how.size == "full"
        else ("NOAUTH Authentication required.", "ERR max number of clients reached")
    )
    made += [_injected(server, error, greetings_too=True) for error in refused]
    return made + _provoked()
