"""What an expression can take at worst, found without evaluating it: steps, and the size of its result.

A step is one operation on scalars, about a tenth of a microsecond. Sizes come from declarations; where nobody declared
one, from the limits' assumptions. These do not bind a request: what comes larger is held back by the run time's own
limits.
"""

from __future__ import annotations

from costlens_policy.expressions.cost.limit import too_dear
from costlens_policy.expressions.cost.sizes import Sizes
from costlens_policy.expressions.cost.worst_case import WorstCase, worst_case

__all__ = ["Sizes", "WorstCase", "too_dear", "worst_case"]
