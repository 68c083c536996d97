"""What is found by deciding: one file and one code each, in the order of their codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from costlens_policy.assurance.findings.ambiguous_keys import find_ambiguous_keys
from costlens_policy.assurance.findings.constant_keys import find_constant_keys
from costlens_policy.assurance.findings.constant_parts import find_constant_parts
from costlens_policy.assurance.findings.covered_rules import find_covered_rules
from costlens_policy.assurance.findings.dead_end_downgrades import find_dead_end_downgrades
from costlens_policy.assurance.findings.dead_shares import find_dead_shares
from costlens_policy.assurance.findings.denied_rules import find_denied_rules
from costlens_policy.assurance.findings.dropped_prompts import find_dropped_prompts
from costlens_policy.assurance.findings.empty_lists import find_empty_lists
from costlens_policy.assurance.findings.endless_overflows import find_endless_overflows
from costlens_policy.assurance.findings.evaded_budgets import find_evaded_budgets
from costlens_policy.assurance.findings.evaded_denies import find_evaded_denies
from costlens_policy.assurance.findings.fixed_offsets import find_fixed_offsets
from costlens_policy.assurance.findings.hidden_characters import find_hidden_characters
from costlens_policy.assurance.findings.idle_allows import find_idle_allows
from costlens_policy.assurance.findings.idle_downgrades import find_idle_downgrades
from costlens_policy.assurance.findings.idle_overflows import find_idle_overflows
from costlens_policy.assurance.findings.idle_rewrites import find_idle_rewrites
from costlens_policy.assurance.findings.impossible_downgrades import find_impossible_downgrades
from costlens_policy.assurance.findings.late_alerts import find_late_alerts
from costlens_policy.assurance.findings.late_texts import find_late_texts
from costlens_policy.assurance.findings.loose_patterns import find_loose_patterns
from costlens_policy.assurance.findings.misread_texts import find_misread_texts
from costlens_policy.assurance.findings.mixed_zones import find_mixed_zones
from costlens_policy.assurance.findings.narrow_budgets import find_narrow_budgets
from costlens_policy.assurance.findings.near_names import find_near_names
from costlens_policy.assurance.findings.odd_comparisons import find_odd_comparisons
from costlens_policy.assurance.findings.odd_shares import find_odd_shares
from costlens_policy.assurance.findings.past_times import find_past_times
from costlens_policy.assurance.findings.range_edges import find_range_edges
from costlens_policy.assurance.findings.refused_everything import find_refused_everything
from costlens_policy.assurance.findings.repeated_parts import find_repeated_parts
from costlens_policy.assurance.findings.searched_conditions import find_searched_conditions
from costlens_policy.assurance.findings.unit_slips import find_unit_slips
from costlens_policy.assurance.findings.unknown_facts import find_unknown_facts
from costlens_policy.assurance.findings.unmatched_patterns import find_unmatched_patterns
from costlens_policy.assurance.findings.unmet_model_rules import find_unmet_model_rules
from costlens_policy.assurance.findings.unreachable_budgets import find_unreachable_budgets
from costlens_policy.assurance.findings.unreached_soft_limits import find_unreached_soft_limits
from costlens_policy.assurance.findings.unrouted_models import find_unrouted_models
from costlens_policy.assurance.findings.unservable_candidates import find_unservable_candidates
from costlens_policy.assurance.findings.unservable_routes import find_unservable_routes
from costlens_policy.assurance.findings.wrong_orders import find_wrong_orders
from costlens_policy.assurance.findings.zero_limits import find_zero_limits
from costlens_policy.assurance.subject import Subject
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["FINDINGS", "Find"]

Find: TypeAlias = Callable[[Subject], Iterator[Diagnostic]]

FINDINGS: Final[tuple[Find, ...]] = (
    find_evaded_denies,
    find_evaded_budgets,
    find_covered_rules,
    find_denied_rules,
    find_constant_parts,
    find_unservable_routes,
    find_impossible_downgrades,
    find_constant_keys,
    find_zero_limits,
    find_unreachable_budgets,
    find_unrouted_models,
    find_late_alerts,
    find_unreached_soft_limits,
    find_idle_rewrites,
    find_odd_shares,
    find_loose_patterns,
    find_near_names,
    find_hidden_characters,
    find_range_edges,
    find_fixed_offsets,
    find_unit_slips,
    find_idle_overflows,
    find_endless_overflows,
    find_idle_allows,
    find_idle_downgrades,
    find_dead_shares,
    find_past_times,
    find_narrow_budgets,
    find_unservable_candidates,
    find_unmatched_patterns,
    find_unmet_model_rules,
    find_dead_end_downgrades,
    find_late_texts,
    find_dropped_prompts,
    find_misread_texts,
    find_refused_everything,
    find_unknown_facts,
    find_odd_comparisons,
    find_mixed_zones,
    find_wrong_orders,
    find_ambiguous_keys,
    find_repeated_parts,
    find_empty_lists,
    find_searched_conditions,
)
"""CL430, CL431 and so on. None depends on another; the order is that of their codes."""
