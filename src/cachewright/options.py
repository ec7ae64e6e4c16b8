"""The options of a cache, checked at construction, and the parts they name. Nothing is opened here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cachewright.codecs import Compressor, PayloadCodec, codec_for, compressor_for
from cachewright.core.policy import Policy
from cachewright.core.tag_index import TagIndex
from cachewright.errors import ConfigurationError
from cachewright.observe.events import Listener
from cachewright.redis.target import Target, from_client, from_url
from cachewright.types import Clock, Codec


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a cache.

    `namespace`: what all names on the server begin with; caches that share it share entries and invalidations.
    `policy`: how long and how fresh. `max_entries`, `max_bytes`: the bounds of L1.
    `codec`: "msgpack", "json" or a `Codec`; `type`: what values are decoded as, such as a dataclass.
    `compress`: "zlib", "zstd", "lz4" or None, from `compress_above` bytes on. `seal`: a `Sealer` for AES-GCM.
    `max_value_bytes`: larger values are not stored. `hierarchy`: `a` and `a:b` can be invalidated as prefixes of
    `a:b:c`. `scope`: keys belong to a user or the like, and `scoped()` says to whom. `max_loads`: loads at once in this process.
    `max_refreshes`: background refreshes at once; beyond that a hit is served without one. `max_tags`: tags of one entry,
    beyond which rows are replaced by their table, see `core.overflow`. `tag_index`: a `TagIndex` of the keys that are stored,
    for `cachewright tags`. `insecure`: allow an unencrypted connection to another machine without a warning; False refuses
    it. `debug`: report shared values that were mutated.
    """

    namespace: str = "cachewright"
    policy: Policy = field(default_factory=Policy)
    max_entries: int = 10_000
    max_bytes: int | None = None
    codec: str | Codec = "msgpack"
    type: Any = Any
    compress: str | Compressor | None = None
    compress_above: int = 1024
    seal: Any = None
    max_value_bytes: int = 8 * 1024 * 1024
    hierarchy: bool = False
    scope: str | None = None
    max_loads: int | None = None
    max_refreshes: int = 16
    max_tags: int = 1_000
    tag_index: TagIndex | None = None
    insecure: bool | None = None
    listeners: Iterable[Listener] = ()
    clock: Clock = field(default_factory=SystemClock)
    debug: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            raise ConfigurationError(
                f"policy must be a Policy, not {self.policy!r}: write Policy(ttl=60)"
            )
        for name, least in (
            ("max_loads", 1),
            ("max_refreshes", 1),
            ("max_tags", 1),
            ("max_value_bytes", 1),
            ("compress_above", 0),
        ):
            value = getattr(self, name)
            optional = name == "max_loads" and value is None
            if not optional and (type(value) is not int or value < least):
                raise ConfigurationError(f"{name} must be an int of {least} or more, not {value!r}")
        for name in ("hierarchy", "debug", "insecure"):
            if type(getattr(self, name)) is not bool and not (
                name == "insecure" and self.insecure is None
            ):
                raise ConfigurationError(
                    f"{name} must be True or False, not {getattr(self, name)!r}"
                )
        if self.scope is not None and not (isinstance(self.scope, str) and self.scope):
            raise ConfigurationError("scope must name what keys belong to, such as 'user'")
        self._check_parts()

    def _check_parts(self) -> None:
        if self.tag_index is not None and not isinstance(self.tag_index, TagIndex):
            raise ConfigurationError(
                f"tag_index must be a TagIndex, not {self.tag_index!r}: write TagIndex(keys=10_000, share=0.1)"
            )
        if not isinstance(self.clock, Clock):
            raise ConfigurationError("clock must have monotonic() and time(), both in seconds")
        if self.seal is not None and not (
            hasattr(self.seal, "seal") and hasattr(self.seal, "open")
        ):
            raise ConfigurationError(
                "seal must be a Sealer: cachewright.codecs.aesgcm.Sealer(keys)"
            )
        if not isinstance(self.listeners, Iterable) or not all(map(callable, self.listeners)):
            raise ConfigurationError("listeners must be a sequence of functions that take an Event")

    @staticmethod
    def from_env(environ: Mapping[str, str]) -> tuple[str | None, dict[str, Any]]:
        """(server, options) from variables that begin with CACHEWRIGHT_."""
        found = {
            name[12:]: value for name, value in environ.items() if name.startswith("CACHEWRIGHT_")
        }
        server = found.pop("URL", None) or None
        options: dict[str, Any] = {}
        for name, value in found.items():
            if name == "NAMESPACE":
                options["namespace"] = value
            elif name == "MAX_ENTRIES":
                options["max_entries"] = _number(name, value, int)
            elif name == "TTL":
                options["policy"] = Policy(ttl=_number(name, value, float))
            elif not name.startswith("TEST_"):  # those are read by our own tests
                raise ConfigurationError(
                    f"CACHEWRIGHT_{name} is no option: use CACHEWRIGHT_URL, _NAMESPACE, _TTL or _MAX_ENTRIES"
                )
        return server, options


def _number(name: str, value: str, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ConfigurationError(f"CACHEWRIGHT_{name} must be a number, not {value!r}") from None


def payloads_of(options: Options) -> PayloadCodec:
    """How values become bytes."""
    return PayloadCodec(
        codec_for(options.codec, options.type),
        compressor=compressor_for(options.compress),
        compress_above=options.compress_above,
        sealer=options.seal,
        max_bytes=options.max_value_bytes,
    )


def target_of(server: Any, options: Options) -> Target | None:
    """Where the server is, or None for a cache without one."""
    if server is None:
        return None
    if isinstance(server, str):
        if server.startswith("embedded://"):
            from cachewright.embedded import shared_server

            server = shared_server().url
        target = from_url(server)
    else:
        target = from_client(server)
    if target.tls is None and not target.is_local:
        _warn_of_plain_text(target, options)
    return target


def _warn_of_plain_text(target: Target, options: Options) -> None:
    message = (
        f"{target.label} is another machine and the connection is not encrypted: use rediss://"
    )
    if options.insecure is False:
        raise ConfigurationError(message)
    if options.insecure is None:
        warnings.warn(message + ", or insecure=True if the network is trusted", stacklevel=5)
