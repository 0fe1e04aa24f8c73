"""Selectors, with Kubernetes's meaning: all of matchLabels and all of matchExpressions must hold.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ (a missing label satisfies NotIn).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UnsetType

from fleet.model.spec.selector import MatchExpression, Selector


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    wanted = selector.match_labels
    if not isinstance(wanted, UnsetType) and any(labels.get(key) != value for key, value in wanted.items()):
        return False
    expressions = selector.match_expressions
    return isinstance(expressions, UnsetType) or all(_holds(e, labels) for e in expressions)


def _holds(expression: MatchExpression, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression.key)
    values = () if isinstance(expression.values, UnsetType) else expression.values
    match expression.operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
