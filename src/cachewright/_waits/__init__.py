"""The only place where the two worlds differ: `aio` and `threads` hold the same names. Nothing about caching."""
