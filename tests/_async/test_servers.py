# Real servers, and what stands between.
"""Ways to a server: sockets, TLS, users with few rights, client objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from _async.steps import until

from cachewright import MISSING, AsyncCache, Policy, RemoteError
from cachewright._async import redis as verbs
from cachewright.redis.replies import Ask
from cachewright.redis.scripts import NAMES, QUEUE, script
from cachewright.testing import RecordingListener
from rig.certificates import make_certificates
from rig.servers import TlsServer, acl_user

pytestmark = pytest.mark.usefixtures("patient")

COMMANDS = (
    "+time",
    "+info",  # role and replication id of the node; in @dangerous, though it changes nothing
    "+script|load",
    "+evalsha",
    "+subscribe",
    "+get",
    "+mget",
    "+pttl",
    # those that the scripts run
    "+set",
    "+unlink",
    "+getrange",
    "+setrange",
    "+append",
    "+pexpire",
    "+publish",
)
"""Security 20: all that a user of a standalone server needs, by name."""


def minimal_rules(namespace: str) -> list[str]:
    """The rules of a user of one namespace; with a database in the URL it needs +select as well."""
    return [f"~{namespace}:*", f"~{namespace}#*", "resetchannels", f"&{namespace}:*", *COMMANDS]


async def use_everything(cache: AsyncCache) -> None:
    """Every verb that speaks to the server, in all its ways."""
    await cache.set("k", [1], tags=["t"])
    assert await cache.get("k", verify=True) == [1]
    assert await cache.get_or_load("l" * 600, lambda: 2, tags=["t"]) == 2
    assert await cache.get_or_load("sliding", lambda: 3, sliding=60) == 3
    assert await cache.get_or_load("sliding", lambda: 4, sliding=60) == 3
    assert await cache.get_many(["k", "l" * 600]) == {"k": [1], "l" * 600: 2}
    loaded = await cache.get_or_load_many(["m", "n"], lambda keys: dict.fromkeys(keys, 5))
    assert loaded == {"m": 5, "n": 5}
    assert await cache.add("added", 1)
    assert await cache.touch("added", ttl=60)
    assert await cache.ttl("sliding") is not None
    assert [await cache.incr("count"), await cache.incr("count")] == [1, 2]

    store = cache.engine.store
    assert store is not None
    await store.acquire([Ask(key="held", tags=["n:"])], 0.05, wait=False)
    assert await cache.get_or_load("held", lambda: 6) == 6, "after another's lease ran out"

    async def parent() -> Any:
        return await cache.get_or_load("k", lambda: 0)

    assert await cache.get_or_load("parent", parent) == [1]
    async with cache.writing(keys=["k"], tags=["t"]) as write:
        await write.before_commit()
    assert await cache.get("parent") is MISSING
    await cache.invalidate("m", tags=["t"])
    await cache.clear()
    assert await cache.get_many(["k", "n"]) == {}


async def test_every_verb_works_on_every_server(
    server: Any, namespace: str, events: RecordingListener
) -> None:
    async with AsyncCache(server.url, namespace=namespace, listeners=[events]) as cache:
        await use_everything(cache)
        seen = cache.stats()
    assert (seen.remote_errors, seen.unreadable, seen.link) == (0, 0, "up")
    assert {event.kind for event in events.events} <= {"load", "link_up"}


# -------------------------------------------------------------------- few rights


async def test_security_20_a_user_with_the_minimal_rules_can_do_everything(
    server: Any, namespace: str, events: RecordingListener
) -> None:
    with acl_user(server, *minimal_rules(namespace)) as url:
        async with AsyncCache(url, namespace=namespace, listeners=[events]) as cache:
            await use_everything(cache)
            seen = cache.stats()
    assert (seen.remote_errors, seen.unreadable, seen.link) == (0, 0, "up")
    assert {event.kind for event in events.events} <= {"load", "link_up"}


@pytest.mark.parametrize("left_out", COMMANDS)
async def test_security_20_none_of_the_rules_can_be_left_out(
    valkey: Any, namespace: str, events: RecordingListener, left_out: str
) -> None:
    rules = [rule for rule in minimal_rules(namespace) if rule != left_out]
    with acl_user(valkey, *rules) as url:
        async with AsyncCache(url, namespace=namespace, listeners=[events]) as cache:
            try:
                await use_everything(cache)
            except (AssertionError, RemoteError):
                return
            kinds = {event.kind for event in events.events}
    assert kinds & {"remote_error", "link_lost"}, f"{left_out} was not needed"


async def test_security_20_a_user_of_one_namespace_reaches_no_other(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    with acl_user(valkey, *minimal_rules(namespace)) as url:
        other = f"{namespace}-2"
        async with AsyncCache(url, namespace=other, listeners=[events]) as cache:
            assert not await cache.set("k", 1)
            assert await cache.get_or_load("k", lambda: 2) == 2
            assert events.of("remote_error") or events.of("link_lost")


async def test_security_20_the_rules_name_every_command_that_is_sent() -> None:
    """Statically: whatever the scripts and the verbs send is in the list, and the list holds nothing else.

    What write-behind needs beyond it is in tests/patterns/_async/test_queue.py.
    """
    sent = {"evalsha", "script|load", "info", "subscribe"}
    for name in set(NAMES) - set(QUEUE):
        sent |= {
            c.lower()
            for c in re.findall(r"redis\.p?call\('([A-Z]+)'", script(name).source.decode())
        }
    source = Path(str(verbs.__file__)).read_text()
    sent |= {command.lower() for command in re.findall(r'\("([A-Z]{3,})"', source)}
    assert {f"+{command}" for command in sent} == set(COMMANDS)


# -------------------------------------------------------------------- sockets and clients


async def test_a_unix_socket_and_a_port_lead_to_one_cache(server: Any, namespace: str) -> None:
    by_path = AsyncCache(server.url, namespace=namespace)
    by_port = AsyncCache(server.tcp_url, namespace=namespace)
    async with by_path, by_port:
        assert by_path.engine.target is not None
        assert by_path.engine.target.path
        await by_path.set("k", 1)
        assert await by_port.get("k") == 1


async def test_the_schemes_of_valkey_are_those_of_redis(valkey: Any, namespace: str) -> None:
    async with AsyncCache(
        valkey.tcp_url.replace("redis://", "valkey://"), namespace=namespace
    ) as cache:
        assert await cache.set("k", 1)


@pytest.mark.parametrize("module", [redis, redis.asyncio], ids=["redis", "redis_asyncio"])
@pytest.mark.parametrize("decode", [True, False])
async def test_defect_10_a_client_object_serves_as_a_server(
    valkey: Any, namespace: str, module: Any, decode: bool
) -> None:
    client = module.Redis.from_url(valkey.tcp_url, decode_responses=decode)
    async with AsyncCache(client, namespace=namespace) as cache:
        await cache.set("k", b"\xff")
        assert await cache.get("k", verify=True) == b"\xff"
        assert cache.stats().remote_errors == 0


async def test_a_database_of_its_own(valkey: Any, raw: Any, namespace: str) -> None:
    url = valkey.tcp_url.rpartition("/")[0] + "/3"
    async with AsyncCache(url, namespace=namespace) as cache:
        assert await cache.set("k", 1)
        assert await cache.get("k", verify=True) == 1
    assert raw(url).exists(f"{namespace}:{{k}}")
    assert not raw(valkey).exists(f"{namespace}:{{k}}")


async def test_a_wrong_password_is_a_miss_and_an_event_that_does_not_show_it(
    valkey: Any, namespace: str, events: RecordingListener
) -> None:
    with acl_user(valkey, *minimal_rules(namespace)) as url:
        wrong = re.sub(r":[^:@/]+@", ":s3cr3t-wrong@", url)
        async with AsyncCache(wrong, namespace=namespace, listeners=[events]) as cache:
            assert await cache.get_or_load("k", lambda: "source") == "source"
    errors: list[Any] = events.of("remote_error")
    assert "WRONGPASS" in str(errors[0].error)
    assert "s3cr3t-wrong" not in "".join(str(event.error) for event in errors)


async def test_security_19_a_rotated_password_is_taken_at_the_next_connection(
    valkey: Any, namespace: str
) -> None:
    """Without a restart: the provider is asked anew."""
    with acl_user(valkey, *minimal_rules(namespace)) as url:
        user, password = url.partition("://")[2].partition("@")[0].split(":")

        class Provider(redis.CredentialProvider):
            now = "outdated"

            def get_credentials(self) -> tuple[str, str]:
                return user, self.now

        provider = Provider()
        client = redis.Redis(host="127.0.0.1", port=valkey.port, credential_provider=provider)
        async with AsyncCache(client, namespace=namespace) as cache:
            assert not await cache.set("k", 1)
            provider.now = password
            await until(lambda: cache.stats().link == "up")
            assert await cache.set("k", 1)


# -------------------------------------------------------------------- TLS


async def test_security_18_tls_with_its_own_authority(
    tls_server: TlsServer, namespace: str, events: RecordingListener
) -> None:
    async with AsyncCache(tls_server.url, namespace=namespace, listeners=[events]) as cache:
        await use_everything(cache)
        assert cache.stats().link == "up"
        assert cache.stats().remote_errors == 0


@pytest.mark.parametrize("which", ["none", "another", "another name"])
async def test_security_18_a_server_that_cannot_prove_itself_is_a_miss_and_an_event(
    tls_server: TlsServer, namespace: str, *, events: RecordingListener, which: str, tmp_path: Path
) -> None:
    url = tls_server.bare_url
    if which == "another":
        url = f"{url}?ssl_ca_certs={make_certificates(tmp_path).authority}"
    elif which == "another name":
        url = tls_server.url.replace("localhost", "127.1")
    async with AsyncCache(url, namespace=namespace, listeners=[events]) as cache:
        assert await cache.get_or_load("k", lambda: "source") == "source"
        assert not await cache.set("k", "v")
        assert cache.stats().link == "lost"
    errors: list[Any] = events.of("remote_error")
    assert "certificate" in str(errors[0].error).lower()


async def test_security_18_what_cannot_prove_itself_is_used_only_by_name(
    tls_server: TlsServer, namespace: str
) -> None:
    async with AsyncCache(
        f"{tls_server.bare_url}?ssl_cert_reqs=none", namespace=namespace
    ) as cache:
        assert await cache.set("k", 1)


async def test_security_18_plain_text_to_a_port_of_tls_is_a_miss(
    tls_server: TlsServer, namespace: str
) -> None:
    """No silent downgrade, no hang."""
    url = tls_server.bare_url.replace("rediss://", "redis://")
    async with AsyncCache(url, namespace=namespace) as cache:
        assert await cache.get_or_load("k", lambda: "source") == "source"
        assert cache.stats().remote_errors >= 1


async def test_with_errors_raised_the_caller_hears_of_a_bad_certificate(
    tls_server: TlsServer, namespace: str
) -> None:
    policy = Policy(on_error="raise")
    async with AsyncCache(tls_server.bare_url, namespace=namespace, policy=policy) as cache:
        with pytest.raises(RemoteError, match="certificate"):
            await cache.get("k")
