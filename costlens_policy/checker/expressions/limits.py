"""The limits of expressions, as a policy set states them."""

from __future__ import annotations

from costlens_policy.documents.policy_set import ExpressionLimits
from costlens_policy.expressions import Limits

__all__ = ["limits_of"]


def limits_of(stated: ExpressionLimits) -> Limits:
    """Return what the front end holds expressions to.

    ``iterations`` and ``value_size`` are not among it: they count when an expression runs.
    """
    return Limits(
        source=stated.expression_length,
        nesting=stated.expression_depth,
        literal=stated.literal_length,
        elements=stated.literal_elements,
        cost=stated.cost,
        assumed_list=stated.assumed_list,
        assumed_map=stated.assumed_map,
        assumed_text=stated.assumed_text,
    )
