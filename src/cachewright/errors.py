"""Every error cachewright raises, in one tree that says whose fault it was.

    CacheError
    ├── ConfigurationError   the caller built a cache, policy or codec that cannot work (also a ValueError)
    ├── InvalidKey           a key, tag or argument has no unambiguous spelling (also a TypeError)
    ├── Unstorable           a value that cannot be cached at all, such as a generator (also a TypeError)
    ├── CodecError           bytes or a value that a codec could not turn into the other
    ├── LoadTimeout          a load outlived its hard timeout (also a TimeoutError)
    ├── QueueFull            the source is slower than the writers: a write-behind holds all that it may
    └── RemoteError          the server's or the network's fault
        ├── RemoteTimeout        no answer within the time budget
        └── RemoteUnavailable    no connection, or the circuit breaker is open

What must not be here: errors of loaders. They reach the caller as they are.
"""


class CacheError(Exception):
    """The root: catch it to catch all that cachewright raises."""


class ConfigurationError(CacheError, ValueError):
    """An option that cannot work. The message names the option and the remedy."""


class InvalidKey(CacheError, TypeError):
    """A key, tag or argument that has no unambiguous spelling."""


class Unstorable(CacheError, TypeError):
    """A value that no cache can hold, such as a generator, a coroutine or an open file."""


class CodecError(CacheError):
    """Bytes that could not be decoded, or a value that could not be encoded."""


class LoadTimeout(CacheError, TimeoutError):
    """A load that outlived its hard timeout (`Policy.load_timeout`)."""


class QueueFull(CacheError):
    """A write was refused: its partition holds as many changes as it may, and none left in time. Nothing was written."""


class RemoteError(CacheError):
    """The server or the network failed. Reads raise it only with `on_error="raise"`."""


class RemoteTimeout(RemoteError):
    """The server did not answer within the time budget."""


class RemoteUnavailable(RemoteError):
    """No connection to the server, or the circuit breaker is open."""
