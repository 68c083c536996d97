"""One line that says how much was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from costlens_policy.diagnostics.model import Diagnostic, Severity, in_order

__all__ = ["summary"]


def summary(diagnostics: Iterable[Diagnostic], files: int) -> str:
    """Return a line such as ``2 errors, 1 warning in 3 files``, or ``no problems in 1 file``."""
    counts = Counter(item.severity for item in in_order(diagnostics))
    found = ", ".join(_counted(counts[severity], severity.value) for severity in Severity if counts[severity])
    return f"{found or 'no problems'} in {_counted(files, 'file')}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
