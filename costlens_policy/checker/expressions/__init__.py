"""The expressions of a bundle: typed, and their names linked."""

from __future__ import annotations

from costlens_policy.checker.expressions.analyse import Analysis, analyse_alone, analyse_bundle
from costlens_policy.checker.expressions.names import check_budget_names, check_variables

__all__ = ["Analysis", "analyse_alone", "analyse_bundle", "check_budget_names", "check_variables"]
