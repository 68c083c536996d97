"""What was given beside the policies cannot be used: a request, balances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from costlens_policy.diagnostics.model import Diagnostic, Severity, Span, in_order
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.source.located import SourceText

__all__ = ["RejectedError", "bad_balances", "bad_request"]

_REQUEST: Final = "CL921"
_BALANCES: Final = "CL922"


class RejectedError(CostlensPolicyError):
    """Nothing is wrong with the policies. ``sources`` are the texts that the diagnostics are about."""

    def __init__(self, diagnostics: Iterable[Diagnostic] = (), sources: Sequence[SourceText] = ()) -> None:
        self.diagnostics = in_order(diagnostics)
        self.sources = tuple(sources)
        super().__init__("; ".join(item.message for item in self.diagnostics))


def bad_request(message: str, span: Span | None, help: str = "") -> Diagnostic:
    """Return the problem of a request that cannot be decided."""
    return Diagnostic(_REQUEST, Severity.ERROR, message, span, help=help)


def bad_balances(message: str, span: Span | None, help: str = "") -> Diagnostic:
    """Return the problem of balances that cannot be used."""
    return Diagnostic(_BALANCES, Severity.ERROR, message, span, help=help)
