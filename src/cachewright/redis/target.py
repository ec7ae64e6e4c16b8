"""Where the server is and how to greet it: URLs and client objects become one `Target`. Opens nothing."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from cachewright.errors import ConfigurationError

SCHEMES = "redis://, rediss://, valkey://, valkeys://, unix://, embedded://"
_LATER = ("redis+sentinel", "redis+cluster", "valkey+sentinel", "valkey+cluster")


class Credentials(Protocol):
    """What redis-py's credential providers are: asked anew at each connection, so that passwords can rotate."""

    def get_credentials(self) -> tuple[str, ...]:
        """(user name, password), or (password,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One standalone server. Its repr holds no secret."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credentials: Credentials | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    client_name: str | None = None

    @property
    def label(self) -> str:
        """The server for people: no user, no password."""
        if self.path:
            return f"unix://{self.path}?db={self.db}"
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}/{self.db}"

    @property
    def is_local(self) -> bool:
        """Whether what is sent stays on this machine."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def login(self) -> tuple[str, ...]:
        """The arguments of AUTH, or nothing."""
        if self.credentials is not None:
            return tuple(self.credentials.get_credentials())
        if self.password is None:
            return ()
        return (self.username, self.password) if self.username else (self.password,)


def from_url(url: str) -> Target:
    """The target of a URL; `ConfigurationError` for one that cannot be used."""
    from redis.connection import parse_url

    scheme = url.partition("://")[0]
    if scheme in _LATER:
        raise ConfigurationError(f"{scheme}:// is not in this release: use one of {SCHEMES}")
    plain = url.replace("valkeys://", "rediss://", 1).replace("valkey://", "redis://", 1)
    try:
        options: dict[str, Any] = parse_url(plain)  # type: ignore[no-untyped-call]
    except ValueError:
        # Its message may repeat the URL, and with it the password.
        raise ConfigurationError(
            f"the server's URL cannot be used: it must be one of {SCHEMES}, and a password with "
            "'#', '/', '@' or ':' must be percent-encoded"
        ) from None
    _check_path(plain)
    return from_options(options, tls=plain.startswith("rediss://"))


def _check_path(url: str) -> None:
    """redis-py passes over what it cannot read: a database of another name would silently be database 0."""
    parts = urlsplit(url)
    if parts.scheme == "unix" and not parts.path:
        raise ConfigurationError(
            "a unix:// URL needs the path of the socket: unix:///run/valkey.sock"
        )
    if parts.scheme != "unix" and not re.fullmatch(r"/?|/\d+/?", parts.path):
        raise ConfigurationError(
            "the path of a server's URL is the number of a database, as in redis://host:6379/0"
        )


def from_client(client: Any) -> Target:
    """The target of a redis-py client object, sync or asyncio. The client itself is not used."""
    pool = getattr(client, "connection_pool", None)
    options = getattr(pool, "connection_kwargs", None)
    if pool is None or not isinstance(options, Mapping):
        raise ConfigurationError(
            f"cannot use a {type(client).__name__} as a server: give a URL ({SCHEMES}) or a redis.Redis client"
        )
    return from_options(options, tls="SSL" in pool.connection_class.__name__)


def from_options(options: Mapping[str, Any], *, tls: bool) -> Target:
    """The target of redis-py's connection options."""
    db = options.get("db") or 0
    if "path" in options and not options["path"]:
        raise ConfigurationError(
            "a unix:// URL needs the path of the socket: unix:///run/valkey.sock"
        )
    return Target(
        host=options.get("host") or "localhost",
        port=int(options.get("port") or 6379),
        path=options.get("path"),
        db=int(db),
        username=options.get("username"),
        password=options.get("password"),
        credentials=options.get("credential_provider"),
        tls=_tls(options) if tls else None,
        client_name=options.get("client_name"),
    )


def _tls(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Certificate and host name are checked unless the options say otherwise by name."""
    try:
        context = ssl.create_default_context(
            cafile=options.get("ssl_ca_certs"),
            capath=options.get("ssl_ca_path"),
            cadata=options.get("ssl_ca_data"),
        )
        if options.get("ssl_certfile"):
            context.load_cert_chain(
                options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password")
            )
    except OSError as error:
        raise ConfigurationError(f"the TLS files cannot be read: {error}") from None
    required = str(options.get("ssl_cert_reqs", "required")).lower()
    hostname = options.get("ssl_check_hostname", True)
    if required in ("none", "verifymode.cert_none"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif str(hostname).lower() in ("false", "0", "no"):
        context.check_hostname = False
    return context
