"""The semantic checks: one file and one code each, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.budget_scopes import check_budget_scopes
from costlens_policy.checker.checks.cold_sessions import check_cold_sessions
from costlens_policy.checker.checks.constant_conditions import check_constant_conditions
from costlens_policy.checker.checks.dead_thresholds import check_dead_thresholds
from costlens_policy.checker.checks.denied_by_default import check_denied_by_default
from costlens_policy.checker.checks.downgrades import check_downgrades
from costlens_policy.checker.checks.empty_policies import check_empty_policies
from costlens_policy.checker.checks.escaped_runs import check_escaped_runs
from costlens_policy.checker.checks.excluded_candidates import check_excluded_candidates
from costlens_policy.checker.checks.few_cases import check_few_cases
from costlens_policy.checker.checks.idle_holds import check_idle_holds
from costlens_policy.checker.checks.markers import check_markers
from costlens_policy.checker.checks.misplaced_targets import check_misplaced_targets
from costlens_policy.checker.checks.mixed_scripts import check_mixed_scripts
from costlens_policy.checker.checks.model_values import check_model_values
from costlens_policy.checker.checks.noisy_quality import check_noisy_quality
from costlens_policy.checker.checks.old_measurements import check_old_measurements
from costlens_policy.checker.checks.outdated_candidates import check_outdated_candidates
from costlens_policy.checker.checks.parameters import check_parameters
from costlens_policy.checker.checks.patterns import check_patterns
from costlens_policy.checker.checks.placeholders import check_placeholders
from costlens_policy.checker.checks.regions import check_regions
from costlens_policy.checker.checks.repeated_candidates import check_repeated_candidates
from costlens_policy.checker.checks.rewrite_conflicts import check_rewrite_conflicts
from costlens_policy.checker.checks.shadowed_rules import check_shadowed_rules
from costlens_policy.checker.checks.skipped_denies import check_skipped_denies
from costlens_policy.checker.checks.soft_limits import check_soft_limits
from costlens_policy.checker.checks.spelled_models import check_spelled_models
from costlens_policy.checker.checks.splits import check_splits
from costlens_policy.checker.checks.steered_access import check_steered_access
from costlens_policy.checker.checks.steering_parameters import check_steering_parameters
from costlens_policy.checker.checks.subject import Check, Subject
from costlens_policy.checker.checks.thresholds import check_thresholds
from costlens_policy.checker.checks.time_zones import check_time_zones
from costlens_policy.checker.checks.unmeasured_tasks import check_unmeasured_tasks
from costlens_policy.checker.checks.unmeetable_choices import check_unmeetable_choices
from costlens_policy.checker.checks.unpriced_candidates import check_unpriced_candidates
from costlens_policy.checker.checks.unpriced_tiers import check_unpriced_tiers
from costlens_policy.checker.checks.unreachable_routes import check_unreachable_routes
from costlens_policy.checker.checks.unused_catalogues import check_unused_catalogues
from costlens_policy.checker.checks.unused_keys import check_unused_keys
from costlens_policy.checker.checks.windows import check_windows
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["CHECKS", "Check", "Subject", "run_checks"]

CHECKS: Final[tuple[Check, ...]] = (
    check_rewrite_conflicts,
    check_soft_limits,
    check_thresholds,
    check_time_zones,
    check_windows,
    check_budget_scopes,
    check_downgrades,
    check_repeated_candidates,
    check_unpriced_candidates,
    check_outdated_candidates,
    check_splits,
    check_unreachable_routes,
    check_shadowed_rules,
    check_skipped_denies,
    check_unmeetable_choices,
    check_unused_catalogues,
    check_unused_keys,
    check_patterns,
    check_placeholders,
    check_mixed_scripts,
    check_parameters,
    check_model_values,
    check_constant_conditions,
    check_empty_policies,
    check_denied_by_default,
    check_steering_parameters,
    check_excluded_candidates,
    check_spelled_models,
    check_regions,
    check_misplaced_targets,
    check_markers,
    check_unpriced_tiers,
    check_steered_access,
    check_escaped_runs,
    check_dead_thresholds,
    check_idle_holds,
    check_few_cases,
    check_old_measurements,
    check_noisy_quality,
    check_unmeasured_tasks,
    check_cold_sessions,
)
"""CL401, CL402 and so on. None depends on another; the order is that of their codes."""


def run_checks(subject: Subject) -> Iterator[Diagnostic]:
    """Yield what any check finds."""
    for check in CHECKS:
        yield from check(subject)
