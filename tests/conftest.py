"""Makes the rig's fixtures known to all tests: valkey, server, own_server, namespace, raw, tls_server."""

from __future__ import annotations

pytest_plugins = ["rig.servers"]
