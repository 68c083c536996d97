"""What is found by deciding: one file and one code each, in the order of their codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from costlens_policy.assurance.findings.evaded_budgets import find_evaded_budgets
from costlens_policy.assurance.findings.evaded_denies import find_evaded_denies
from costlens_policy.assurance.subject import Subject
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["FINDINGS", "Find"]

Find: TypeAlias = Callable[[Subject], Iterator[Diagnostic]]

FINDINGS: Final[tuple[Find, ...]] = (
    find_evaded_denies,
    find_evaded_budgets,
)
