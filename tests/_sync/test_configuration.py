# Generated from _async/test_configuration.py by tools/unasync.py. Do not edit.
"""What a cache is told at construction: nonsense is refused by name, and secrets are not repeated."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from cachewright import MISSING, Cache, ConfigurationError, Policy
from cachewright.testing import RecordingListener

pytestmark = pytest.mark.usefixtures("patient")


@pytest.mark.parametrize(
    ("option", "nonsense"),
    [
        ("namespace", ""),
        ("namespace", "with space"),
        ("namespace", "a:b"),
        ("namespace", None),
        ("policy", {"ttl": 60}),
        ("policy", None),
        ("policy", Policy),
        ("max_entries", 0),
        ("max_entries", -1),
        ("max_entries", 1.5),
        ("max_entries", True),
        ("max_bytes", 0),
        ("max_bytes", "1M"),
        ("codec", "yaml"),
        ("codec", "pickle"),
        ("codec", object()),
        ("type", lambda: 1),
        ("compress", "gzip"),
        ("compress", object()),
        ("compress_above", -1),
        ("compress_above", "1k"),
        ("seal", object()),
        ("seal", b"a key"),
        ("max_value_bytes", 0),
        ("max_value_bytes", "1M"),
        ("scope", ""),
        ("scope", 7),
        ("max_loads", 0),
        ("max_loads", "many"),
        ("max_refreshes", 0),
        ("max_refreshes", None),
        ("max_refreshes", True),
        ("listeners", 7),
        ("listeners", [7]),
        ("clock", object()),
        ("hierarchy", "no"),
        ("debug", "no"),
        ("insecure", "no"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(option: str, nonsense: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cache(**{option: nonsense})
    word = {"compress": "compress", "max_value_bytes": "max_"}.get(option, option)
    assert word in str(caught.value)


def test_an_option_that_does_not_exist_is_refused() -> None:
    for options in ({"ttl": 60}, {"name_space": "x"}):
        with pytest.raises((ConfigurationError, TypeError), match=next(iter(options))):
            Cache(**options)


@pytest.mark.parametrize(
    "server",
    ["http://h", "memcached://h", "localhost", "", 7, object(), b"redis://h", ["redis://h"]],
)
def test_a_server_that_is_none_is_refused(server: Any) -> None:
    with pytest.raises(ConfigurationError):
        Cache(server)


@pytest.mark.parametrize("scheme", ["redis+sentinel", "redis+cluster"])
def test_a_scheme_that_is_planned_says_so(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match="not in this release"):
        Cache(f"{scheme}://h:1,h:2/svc/0")


# -------------------------------------------------------------------- the environment


def test_the_environment_configures_a_cache(valkey: Any, namespace: str) -> None:
    environ = {
        "CACHEWRIGHT_URL": valkey.url,
        "CACHEWRIGHT_NAMESPACE": namespace,
        "CACHEWRIGHT_TTL": "60",
        "CACHEWRIGHT_MAX_ENTRIES": "5",
        "HOME": "/somewhere",
    }
    with Cache.from_env(environ) as cache:
        cache.set("k", 1)
        assert cache.ttl("k") == pytest.approx(60, abs=5)
        assert cache.namespace == namespace
        assert cache.stats().link == "up"
        cache.set_many({f"k{n}": n for n in range(9)})
        assert cache.stats().entries <= 5


def test_without_variables_it_is_a_cache_in_memory() -> None:
    with Cache.from_env({}) as cache:
        assert cache.stats().link == "none"


def test_arguments_win_over_the_environment() -> None:
    environ = {"CACHEWRIGHT_NAMESPACE": "theirs", "CACHEWRIGHT_TTL": "60"}
    with Cache.from_env(environ, namespace="mine") as cache:
        assert cache.namespace == "mine"
        assert cache.policy.ttl == 60


def test_the_processes_own_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHEWRIGHT_NAMESPACE", "from-here")
    monkeypatch.delenv("CACHEWRIGHT_URL", raising=False)
    with Cache.from_env() as cache:
        assert cache.namespace == "from-here"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TTL", "an hour"),
        ("TTL", "-1"),
        ("TTL", ""),
        ("MAX_ENTRIES", "1.5"),
        ("MAX_ENTRIES", "0"),
        ("TLL", "60"),
        ("", "x"),
    ],
)
def test_a_variable_that_cannot_work_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(
        ConfigurationError, match=name.lower() if value in ("-1", "0") else f"CACHEWRIGHT_{name}"
    ):
        Cache.from_env({f"CACHEWRIGHT_{name}": value})


# -------------------------------------------------------------------- opening and closing


def test_a_cache_is_opened_and_closed_as_a_context(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        assert cache.set("k", 1)
        assert cache.stats().link == ("none" if place is None else "up")
    cache.close()


def test_a_cache_needs_no_opening(place: Any, namespace: str) -> None:
    cache = Cache(place, namespace=namespace)
    assert cache.set("k", 1)
    assert cache.get("k") == 1
    cache.close()


def test_a_cache_that_was_never_used_can_be_closed(place: Any, namespace: str) -> None:
    Cache(place, namespace=namespace).close()


def test_defect_12_construction_connects_to_nothing(namespace: str) -> None:
    """Defect 12: what is opened in a constructor dies with the next fork."""
    cache = Cache("redis://127.0.0.1:1/0", namespace=namespace)
    assert cache.stats().remote_errors == 0
    assert len(cache.engine.background) == 0
    assert cache.engine.bus is None
    cache.close()


def test_the_servers_of_the_embedded_scheme_start_by_themselves(namespace: str) -> None:
    one, other = (Cache("embedded://", namespace=namespace) for _ in range(2))
    with one, other:
        one.set("k", 1)
        assert other.get("k") == 1


# -------------------------------------------------------------------- what is told and what is not

SECRET = "s3cr3t-pass"


@pytest.mark.parametrize("host", ["10.1.2.3", "db.example.org", "0.0.0.0"])
def test_security_18_a_plain_connection_to_another_machine_is_warned_of(host: str) -> None:
    with pytest.warns(UserWarning, match=r"not encrypted.*rediss://") as caught:
        Cache(f"redis://alice:{SECRET}@{host}:6379/0")
    assert SECRET not in str(caught[0].message)
    assert caught[0].filename.endswith("test_configuration.py"), "it points at who wrote the URL"


def test_security_18_the_strict_mode_refuses_it() -> None:
    with pytest.raises(ConfigurationError, match=r"not encrypted.*rediss://") as caught:
        Cache(f"redis://alice:{SECRET}@db.example.org:6379/0", insecure=False)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("insecure", [None, False, True])
@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "unix:///x.sock", "rediss://db.example.org"]
)
def test_security_18_what_is_encrypted_or_stays_here_is_not_warned_of(
    url: str, insecure: Any
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Cache(url, insecure=insecure)
        Cache("redis://db.example.org", insecure=True)


def test_security_19_no_password_is_shown(namespace: str) -> None:
    events = RecordingListener()
    url = f"redis://alice:{SECRET}@127.0.0.1:1/0"
    with Cache(url, namespace=namespace, listeners=[events]) as cache:
        assert cache.get("k") is MISSING
        cache.invalidate("k")
        shown = [repr(cache), str(cache.stats()), repr(cache.engine.target)]
    assert events.of("remote_error")
    for event in events.events:
        shown += [repr(event), str(vars_of(event))]
    assert SECRET not in "".join(shown)


def vars_of(event: Any) -> dict[str, Any]:
    """Every field of an event, errors in full."""
    fields = {name: getattr(event, name) for name in type(event).__slots__}
    error = fields["error"]
    while error is not None:
        fields[f"error {len(fields)}"] = (repr(error), str(error), error.args)
        error = error.__cause__ or error.__context__
    return fields


def test_security_19_with_errors_raised_no_password_is_shown(namespace: str) -> None:
    url = f"redis://alice:{SECRET}@127.0.0.1:1/0"
    policy = Policy(on_error="raise")
    with Cache(url, namespace=namespace, policy=policy) as cache:
        with pytest.raises(Exception, match=r"127\.0\.0\.1") as caught:
            cache.get("k")
    assert SECRET not in repr(caught.value)


def test_defect_09_an_event_shows_a_digest_and_no_key() -> None:
    """Security 43: what is logged names nobody and breaks no line."""
    events = RecordingListener()
    with Cache(listeners=[events]) as cache:
        for _ in range(2):
            cache.get_or_load("user:ann@example.org\r\nFAKE", lambda: 1)
            cache.invalidate("user:ann@example.org\r\nFAKE")
    shown = [repr(event) for event in events.events]
    assert len(set(shown)) == 1, "one key, one digest"
    assert "ann@" not in shown[0]
    assert "\n" not in shown[0]


def test_a_listener_that_raises_is_logged_and_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Any] = []

    def broken(event: Any) -> None:
        told.append(event)
        raise RuntimeError("mine")

    events = RecordingListener()
    with Cache(listeners=[broken, events]) as cache:
        cache.get_or_load("ann@example.org", lambda: 1)
        cache.get_or_load("l", lambda: 1)
    assert len(told) == 1
    assert len(events.of("load")) == 2
    assert "listener raised" in caplog.text
    assert "ann@" not in caplog.text
