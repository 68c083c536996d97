"""What the guard reports: thresholds that were reached, calls that were refused, a ledger that was lost."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.ledger.alerts import AlertClaim

__all__ = ["Event", "EventKind", "JsonLinesSink", "LoggingSink", "Sink"]


EventKind: TypeAlias = Literal["alert", "denied", "approval", "ledger-lost", "ledger-back"]

_TIMES = ("time", "resets_at")


@frozen
class Event:
    """Something that people want to know.

    ``alert``: the ``threshold`` of a budget was reached. ``denied``: the limit of a budget refused a call, for
    the first time in this period. ``approval``: calls need one to go past the ``threshold`` of a budget, for the first
    time in this period; the field of that name is its id. ``ledger-lost`` and ``ledger-back``: the store cannot be
    reached, and can again.

    Amounts are decimal texts in ``unit``. ``id`` is the same however often the event is delivered.
    """

    id: str
    kind: EventKind
    time: datetime
    text: str
    policy_set: str = ""
    budget: str = ""
    key: str = ""
    unit: str = ""
    threshold: str = ""
    used: str = ""
    held: str = ""
    limit: str = ""
    period: str = ""
    resets_at: datetime | None = None
    approval: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON data. What does not apply is left out."""
        data = {name: value for name, value in asdict(self).items() if value not in ("", None)}
        if self.budget:
            data["key"] = self.key
        for name in _TIMES:
            if name in data:
                data[name] = data[name].isoformat().replace("+00:00", "Z")
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Return the event that ``to_dict`` described; what a later version may have added is passed over."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        if "rung" in data:  # the word of older ledgers, whose alerts may still wait to be delivered
            known.setdefault("threshold", data["rung"])
        for name in _TIMES:
            if isinstance(known.get(name), str):
                known[name] = datetime.fromisoformat(known[name])
        return cls(**known)

    def claim(self) -> AlertClaim:
        """Return what the ledger lets one caller claim, once for the budget, key, period and threshold."""
        return AlertClaim(self.budget, self.key, self.period, self.threshold, self.to_dict())


Sink: TypeAlias = Callable[[Event], object]
"""Takes an event to where it is read. It raises when it could not, and is then called again later."""


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


class JsonLinesSink:
    """Appends to a file. Each line is one write, so several processes can share it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path: Final = Path(path)

    def __call__(self, event: Event) -> None:
        line = json.dumps(event.to_dict(), ensure_ascii=False) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
