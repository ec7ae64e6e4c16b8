"""Where the server is: URLs, client objects and TLS files; what is said first; and that nothing shows a secret."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from cachewright.errors import ConfigurationError, RemoteUnavailable
from cachewright.redis import wire
from cachewright.redis.scripts import loading
from cachewright.redis.target import Target, from_client, from_url
from cachewright.redis.wire import ServerError
from rig.certificates import make_certificates

SECRET = "s3cr3t-pass"


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_url_says_where_and_as_whom(scheme: str) -> None:
    target = from_url(f"{scheme}://alice:{SECRET}@db.example:7000/3")
    assert (target.host, target.port, target.db, target.path) == ("db.example", 7000, 3, None)
    assert target.login() == ("alice", SECRET)
    assert target.tls is None
    assert target.label == "redis://db.example:7000/3"


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("redis://h", ()),
        (f"redis://:{SECRET}@h", (SECRET,)),
        ("redis://bob:p%40ss%3A@h", ("bob", "p@ss:")),
        (f"redis://h?username=carol&password={SECRET}", ("carol", SECRET)),
    ],
)
def test_logins(url: str, login: tuple[str, ...]) -> None:
    assert from_url(url).login() == login


def test_a_bare_url_is_the_usual_server() -> None:
    target = from_url("redis://")
    assert (target.host, target.port, target.db) == ("localhost", 6379, 0)


def test_a_unix_socket() -> None:
    target = from_url("unix:///run/valkey.sock?db=2")
    assert (target.path, target.db, target.is_local) == ("/run/valkey.sock", 2, True)
    assert target.label == "unix:///run/valkey.sock?db=2"


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_security_18_tls_checks_certificate_and_host_name_unless_told_by_name(scheme: str) -> None:
    context = from_url(f"{scheme}://db.example").tls
    assert context is not None
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    loose = from_url(f"{scheme}://db.example?ssl_check_hostname=false").tls
    assert loose is not None
    assert (loose.check_hostname, loose.verify_mode) == (False, ssl.CERT_REQUIRED)
    none = from_url(f"{scheme}://db.example?ssl_cert_reqs=none").tls
    assert none is not None
    assert (none.check_hostname, none.verify_mode) == (False, ssl.CERT_NONE)


@pytest.mark.parametrize("nonsense", ["nnoe", "yes", "0", "optional"])
def test_security_18_a_word_that_is_not_understood_never_loosens_tls(nonsense: str) -> None:
    try:
        context = from_url(f"rediss://h?ssl_cert_reqs={nonsense}").tls
    except ConfigurationError:
        return
    assert context is not None
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_tls_files_are_read_at_construction(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    context = from_url(
        f"rediss://h?ssl_ca_certs={files.authority}&ssl_certfile={files.certificate}&ssl_keyfile={files.key}"
    ).tls
    assert context is not None
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
@pytest.mark.parametrize("broken", [True, False])
def test_a_tls_file_that_cannot_be_read_is_refused_at_construction(
    tmp_path: Path, option: str, broken: bool
) -> None:
    path = tmp_path / "x.pem"
    if broken:
        path.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    with pytest.raises(ConfigurationError, match="TLS"):
        from_url(f"rediss://h?{option}={path}")


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "memcached://h",
        "localhost:6379",
        "",
        "unix://",
        "redis://h:port",
        "redis://h:70000",
        "redis://h/zero",
        "redis://h?db=x",
        "redis://h/-1",
        "REDIS",
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        from_url(url)


@pytest.mark.parametrize(
    "scheme", ["redis+sentinel", "redis+cluster", "valkey+sentinel", "valkey+cluster"]
)
def test_what_is_not_in_this_release_is_refused_and_says_so(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match="not in this release"):
        from_url(f"{scheme}://h1:1,h2:2/svc/0")


@pytest.mark.parametrize(
    "url",
    [
        f"rdis://alice:{SECRET}@h",
        f"redis+cluster://alice:{SECRET}@h",
        f"redis://alice:{SECRET}@h:port/0",
        f"redis://alice:{SECRET}@h/zero",
        f"alice:{SECRET}@h",
        f"redis://h?password={SECRET}&db=x",
        f"rediss://alice:{SECRET}@h?ssl_ca_certs=/does/not/exist",
        f"redis://alice:{SECRET}#hash@h:1/0",
        f"redis://alice:{SECRET}/slash@h:1/0",
    ],
)
def test_security_19_no_error_about_a_url_shows_its_password(url: str) -> None:
    try:
        target = from_url(url)
    except ConfigurationError as error:
        chain: BaseException | None = error
        while chain is not None and not (chain is not error and error.__suppress_context__):
            assert SECRET not in str(chain)
            chain = chain.__cause__ or chain.__context__
        return
    assert SECRET not in repr(target) + target.label


def test_security_19_no_repr_shows_a_password() -> None:
    target = from_url(f"redis://alice:{SECRET}@h/0")
    for shown in (repr(target), str(target), target.label, f"{[target]}"):
        assert SECRET not in shown


class Rotating:
    """As redis-py's credential providers."""

    def __init__(self) -> None:
        self.asked = 0

    def get_credentials(self) -> tuple[str, str]:
        self.asked += 1
        return "alice", f"{SECRET}-{self.asked}"

    def __repr__(self) -> str:
        return f"Rotating({SECRET})"


@pytest.mark.parametrize("module", [redis, redis.asyncio])
def test_security_19_a_credential_provider_is_asked_at_each_connection(module: Any) -> None:
    provider = Rotating()
    target = from_client(module.Redis(host="db.example", credential_provider=provider))
    assert [target.login()[1] for _ in range(2)] == [f"{SECRET}-1", f"{SECRET}-2"]
    assert SECRET not in repr(target)


@pytest.mark.parametrize("module", [redis, redis.asyncio])
def test_a_client_object_says_where_and_as_whom(module: Any, tmp_path: Path) -> None:
    plain = from_client(module.Redis(host="h", port=7000, db=3, username="a", password=SECRET))
    assert (plain.host, plain.port, plain.db, plain.login()) == ("h", 7000, 3, ("a", SECRET))
    assert plain.tls is None
    assert SECRET not in repr(plain)
    assert from_client(module.Redis(unix_socket_path="/run/x.sock")).path == "/run/x.sock"
    authority = make_certificates(tmp_path).authority
    tls = from_client(module.Redis(host="h", ssl=True, ssl_ca_certs=str(authority))).tls
    assert tls is not None
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("module", [redis, redis.asyncio])
def test_a_client_that_checks_no_certificate_checks_none_here(module: Any) -> None:
    tls = from_client(module.Redis(host="h", ssl=True, ssl_cert_reqs="none")).tls
    assert tls is not None
    assert tls.verify_mode == ssl.CERT_NONE


def test_defect_10_a_client_that_decodes_replies_is_used_for_its_address_alone() -> None:
    assert from_client(redis.Redis(host="h", decode_responses=True)).host == "h"


@pytest.mark.parametrize("thing", [object(), 7, b"redis://h", ["redis://h"], redis.Redis])
def test_what_is_no_server_is_refused(thing: Any) -> None:
    with pytest.raises(ConfigurationError, match="as a server"):
        from_client(thing)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.example.com", False),
        ("0.0.0.0", False),
    ],
)
def test_security_18_what_stays_on_this_machine(host: str, local: bool) -> None:
    assert Target(host=host).is_local is local


# -------------------------------------------------------------------- what is said first


def test_the_greeting_says_who_and_where_before_all_else_and_asks_for_the_node_last() -> None:
    said = wire.greeting(Target(username="a", password="p", db=3, client_name="me"))
    assert said[:3] == [("AUTH", "a", "p"), ("SELECT", 3), ("CLIENT", "SETNAME", "me")]
    assert said[-1] == ("INFO", "replication")
    assert [command for command in said if command[0] == "SCRIPT"] == loading()
    assert wire.greeting(Target())[0] == loading()[0]


@pytest.mark.parametrize(
    ("target", "hello"),
    [
        (Target(), ("HELLO", 3)),
        (Target(username="a", password="p"), ("HELLO", 3, "AUTH", "a", "p")),
        (Target(password="p"), ("HELLO", 3, "AUTH", "default", "p")),
    ],
)
def test_a_connection_that_listens_says_who_in_its_first_word(target: Target, hello: Any) -> None:
    said = wire.listening_greeting(target)
    assert said[0] == hello
    assert said[-1] == ("INFO", "replication")


class Locked:
    """A credential provider whose vault is away."""

    def get_credentials(self) -> tuple[str, ...]:
        raise OSError(SECRET)


def test_a_credential_provider_that_fails_is_a_connection_that_fails() -> None:
    for greeting in (wire.greeting, wire.listening_greeting):
        with pytest.raises(RemoteUnavailable, match="no credentials") as caught:
            greeting(Target(credentials=Locked()))
        assert SECRET not in str(caught.value)


def info(role: bytes = b"master", replid: bytes = b"f" * 40) -> bytes:
    return b"# Replication\r\nrole:%s\r\nmaster_replid:%s\r\nmaster_replid2:000\r\n" % (
        role,
        replid,
    )


def test_the_node_is_named_by_its_replication_id() -> None:
    assert wire.node_of([b"OK", info()], Target()) == b"f" * 16


def test_a_replica_is_refused() -> None:
    with pytest.raises(RemoteUnavailable, match="replica"):
        wire.node_of([info(role=b"slave")], Target())


@pytest.mark.parametrize("replid", [b"", b"\r\n"])
def test_a_server_that_does_not_say_who_it_is_is_refused(replid: bytes) -> None:
    """Without a replication id a failover could not be noticed."""
    with pytest.raises(RemoteUnavailable):
        wire.node_of([info(replid=replid)], Target())


def test_a_refused_greeting_names_the_server_and_no_password() -> None:
    replies = [ServerError("WRONGPASS invalid username-password pair"), info()]
    with pytest.raises(RemoteUnavailable, match=r"redis://h:1/0.*WRONGPASS") as caught:
        wire.node_of(replies, Target(host="h", port=1, username="alice", password=SECRET))
    assert SECRET not in str(caught.value)


def test_commands_become_bytes_and_errors_stay_in_their_place() -> None:
    assert wire.pack([("GET", "k"), ("SET", b"k", 1, 2.5)]) == (
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n$3\r\n2.5\r\n"
    )
    reader = wire.reader()
    reader.feed(b"+OK\r\n-NOSCRIPT x\r\n$2\r\n\xff\xfe\r\n")
    replies = [reader.gets() for _ in range(3)]
    assert isinstance(replies[1], ServerError)
    assert replies[2] == b"\xff\xfe"
    assert wire.lost_scripts(replies)
    assert not wire.lost_scripts([b"NOSCRIPT", ServerError("ERR NOSCRIPT")])


def test_defect_10_bytes_that_are_no_utf_8_in_an_error_break_nothing() -> None:
    reader = wire.reader()
    reader.feed(b"-ERR \xff\r\n")
    assert isinstance(reader.gets(), ServerError)
