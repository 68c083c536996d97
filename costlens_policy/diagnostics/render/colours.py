"""The few colours of a terminal that are used, and none where they are not wanted."""

from __future__ import annotations

from typing import Final

from costlens_policy.diagnostics.model import Severity

__all__ = ["BOLD", "FRAME", "Painter", "of_severity"]

BOLD: Final = "1"
FRAME: Final = "1;34"
_SEVERITIES: Final = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}


def of_severity(severity: Severity) -> str:
    """Return the colour in which a diagnostic and its carets are shown."""
    return _SEVERITIES[severity]


class Painter:
    """Colours texts when switched on, else leaves them as they are."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._on and text.strip() else text
