"""What is cached for how long: one rule for a query, a model or a whole application. Read from settings, no query.

What must not be here: Django's models themselves (rules name them by label), and anything that waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cachewright.core.policy import Policy, Seconds, seconds
from cachewright.core.reads import Tags, listed
from cachewright.errors import ConfigurationError

MAX_VALUES = 200_000
"""Columns times rows of the largest result that is kept unless a rule says otherwise."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How the results of a query are cached.

    `ttl`: seconds; None for the policy of the cache. `tags`: beside those that are found in the statement. `limit`: the
    largest result that is kept, as columns times rows; a larger one is returned and not cached.
    """

    ttl: Seconds | None = None
    tags: Sequence[str | tuple[Any, ...]] = ()
    limit: int = MAX_VALUES

    def __post_init__(self) -> None:
        if self.ttl is not None:
            seconds("ttl", self.ttl)
        if type(self.limit) is not int or self.limit < 1:
            raise ConfigurationError(f"limit must be a number of values, not {self.limit!r}")

    def policy(self, of: Policy) -> Policy:
        """The policy of a cache with what this rule changes. `copy` is left to us, who build new rows for each caller."""
        changed: dict[str, Any] = {"copy": False, "store_if": self._fits}
        if self.ttl is not None:
            changed["ttl"] = self.ttl
            if of.negative_ttl is not None:
                changed["negative_ttl"] = None
        return replace(of, **changed)

    def _fits(self, value: Any) -> bool:
        return not isinstance(value, list) or len(value[1]) <= self.limit


def rule_of(value: object, where: str) -> Rule:
    """A rule as settings say it: seconds, or a mapping with `ttl`, `tags` and `limit`."""
    if isinstance(value, Rule):
        return value
    if isinstance(value, Mapping):
        unknown = sorted(value.keys() - {"ttl", "tags", "limit"})
        if unknown:
            raise ConfigurationError(
                f"{where}: a rule has ttl, tags and limit, not {', '.join(unknown)}"
            )
        return Rule(**{**value, "tags": tuple(listed(value.get("tags", ())))})
    return Rule(ttl=seconds(where, value))


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of an application: `{"shop.Book": 300, "shop.*": 60}`, labels as Django spells them.

    The whole label wins over that of its application.
    """

    models: Mapping[str, Rule] = field(default_factory=dict)

    @classmethod
    def of(cls, models: Mapping[str, object]) -> Rules:
        """Checks and folds what settings say."""
        found = {}
        for label, value in models.items():
            if not isinstance(label, str) or label.count(".") != 1:
                raise ConfigurationError(
                    f"a rule is for a model such as 'shop.Book' or for 'shop.*', not {label!r}"
                )
            found[label.lower()] = rule_of(value, f"the rule for {label}")
        return cls(found)

    def find(self, label: str) -> Rule | None:
        """The rule for a model, by its `label_lower`."""
        rule = self.models.get(label)
        return self.models.get(label.partition(".")[0] + ".*") if rule is None else rule

    def labels(self) -> Collection[str]:
        """The models that are named one by one."""
        return [label for label in self.models if not label.endswith(".*")]


def call_rule(ttl: Seconds | None, tags: Tags, limit: int = MAX_VALUES) -> Rule:
    """The rule of one call."""
    return Rule(ttl, tuple(listed(tags)), limit)
