"""What every check looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import Document
from costlens_policy.expressions import TypedExpr
from costlens_policy.source.located import Path

__all__ = ["Check", "Subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A linked bundle whose expressions are typed. ``day`` (UTC) says which prices are in force."""

    bundle: LinkedBundle
    expressions: Mapping[LinkedDocument[Document], Mapping[Path, TypedExpr]]
    day: date


Check: TypeAlias = Callable[[Subject], Iterator[Diagnostic]]
"""A check looks at a subject and yields what it finds. All that one check finds carries the same code."""
