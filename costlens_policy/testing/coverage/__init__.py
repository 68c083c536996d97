"""What the cases of suites made a policy set do, what they left out, and why."""

from costlens_policy.testing.coverage.counting import OutcomeCounts
from costlens_policy.testing.coverage.items import Coverage, Item, Measure, PolicyCoverage, Reach, percent_of
from costlens_policy.testing.coverage.measuring import measure
from costlens_policy.testing.coverage.minimums import Minimums, Shortfall, minimums_of, parsed_minimums, shortfalls
from costlens_policy.testing.coverage.reasons import never_evaluated

__all__ = [
    "Coverage", "Item", "Measure", "Minimums", "OutcomeCounts", "PolicyCoverage", "Reach", "Shortfall", "measure",
    "minimums_of", "never_evaluated", "parsed_minimums", "percent_of", "shortfalls",
]  # fmt: skip
