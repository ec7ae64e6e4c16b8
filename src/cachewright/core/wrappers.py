"""The hit path of a decorated function, compiled to the function's own signature. Pure: what it reads is given to it.

Spelling a key takes a microsecond, a hit a tenth of one. So the wrapper remembers which key the arguments of a call
came to, and asks no further while they are plain: of exactly the types `str` and `int`. True, 1 and 1.0 are equal to a
table and have three keys. Names of parameters, which Python has checked, are all that goes into the source, as in
`collections.namedtuple`.

Invariant (tests/core/test_wrappers.py): a remembered key is the one that `CallKeys.key` gives for the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter
from typing import Any

from cachewright.core.calls import spelled
from cachewright.core.loading import LIVE, hands_up

_PREFIX = "_cw_"
_STARRED = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

_SOURCE = """
def make({given}):
    {define} wrapper({signature}):
        try:
            _cw_entry = _cw_table[_cw_keys[{short}]]
        except (KeyError, TypeError):
            pass
        else:
            if (
                _cw_monotonic() < _cw_entry.hot_until
                and (_cw_entry.epoch == _cw_tags.epoch or _cw_tags.renew(_cw_entry))
                and {plain}
                and (not _cw_live or _cw_hands_up(_cw_entry, _cw_domain))
            ):
                if _cw_entry.freq < 3:
                    _cw_entry.freq += 1
                for _cw_ in _cw_hits:
                    break
                return _cw_entry.value
        return {wait}_cw_read({short}, {plain}, ({positional}), {{{named}}})
    return wrapper
"""


def remember(keys: dict[Any, str], short: Any, key: str, *, most: int) -> None:
    """Keep a key for calls to come. When there are too many, all are forgotten: each costs one spelling to have again."""
    if len(keys) >= most:
        keys.clear()
    keys[short] = key


def compile_wrapper(
    parameters: list[Parameter], names: Iterable[str], *, define: str, wait: str, **given: Any
) -> Callable[..., Any] | None:
    """A function of these parameters that serves hits and leaves all else to `read(short, plain, args, kwargs)`.

    `names`: the parameters that the key depends on; `short` is their values, and `plain` whether the key may be
    remembered by them. `define` and `wait`: "async def" and "await ", or what stands in their place. `given`: `table`,
    `domain`, `keys` (short → key), `tags`, `monotonic`, `hits`, `read`.
    None for a signature that cannot be compiled: one with stars, or with our own names.
    """
    if any(p.kind in _STARRED or p.name.startswith(_PREFIX) for p in parameters):
        return None
    wanted = [p.name for p in parameters if p.name in frozenset(names)]
    named = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    given |= {"live": LIVE, "hands_up": hands_up}
    values = {_PREFIX + name: value for name, value in given.items()}
    values |= {f"default_{n}": p.default for n, p in enumerate(parameters)}
    source = _SOURCE.format(
        given=", ".join(values),
        define=define,
        wait=wait,
        signature=", ".join(spelled(parameters)),
        short=wanted[0] if len(wanted) == 1 else f"({', '.join(wanted)})",
        plain=" and ".join(f"(type({n}) is str or type({n}) is int)" for n in wanted) or "True",
        positional="".join(f"{p.name}, " for p in parameters if p.name not in named),
        named=", ".join(f"{name!r}: {name}" for name in named),
    )
    scope: dict[str, Any] = {}
    exec(source, scope)  # noqa: S102 - see the module's docstring
    wrapper: Callable[..., Any] = scope["make"](**values)
    return wrapper
