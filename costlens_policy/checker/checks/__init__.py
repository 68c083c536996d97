"""The checks on meaning: one file and one code each, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Check, Subject
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["CHECKS", "Check", "Subject", "run_checks"]

CHECKS: Final[tuple[Check, ...]] = ()


def run_checks(subject: Subject) -> Iterator[Diagnostic]:
    """Yield what any check finds."""
    for check in CHECKS:
        yield from check(subject)
