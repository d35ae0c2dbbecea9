"""The registry: one strategy per resource, `strategy_for(resource)`.

PURE. Owns what happens to an object between decoding and the store: preparation, validation,
generation, status. It must never touch the store.
"""

from __future__ import annotations

from apiserver.api.scheme import Resource
from apiserver.registry.kinds import RULES
from apiserver.registry.strategy import Rules, Strategy

__all__ = ["Rules", "Strategy", "strategy_for"]

_strategies: dict[tuple[str, str, str], Strategy] = {}
_COMMON = Rules()


def strategy_for(resource: Resource) -> Strategy:
    """The strategy of a resource; the same object at each call."""
    key = (resource.group, resource.version, resource.plural)
    strategy = _strategies.get(key)
    if strategy is None:
        rules = RULES.get((resource.group, resource.kind), _COMMON)
        strategy = _strategies[key] = Strategy(resource, rules)
    return strategy
