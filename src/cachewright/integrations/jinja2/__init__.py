"""Jinja2: cached parts of templates. Needs the extra `jinja2`."""

from __future__ import annotations

from cachewright.integrations.jinja2.extension import CacheExtension

__all__ = ["CacheExtension"]
