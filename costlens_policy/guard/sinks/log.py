"""Events into a log."""

from __future__ import annotations

import logging
from typing import Final

from costlens_policy.guard.events import Event

__all__ = ["LoggingSink"]


class LoggingSink:
    """Logs each event as a warning, with the event itself as ``record.event``."""

    def __init__(self, logger: logging.Logger | None = None, level: int = logging.WARNING) -> None:
        self._logger: Final = logger or logging.getLogger("costlens_policy.alerts")
        self._level: Final = level

    def __call__(self, event: Event) -> None:
        level = logging.INFO if event.kind == "ledger-back" else self._level
        whose = f" of `{event.key}`" if event.key else ""
        where = f"budget `{event.budget}`{whose}: " if event.budget else ""
        self._logger.log(level, "%s%s", where, event.text, extra={"event": event.to_dict()})
