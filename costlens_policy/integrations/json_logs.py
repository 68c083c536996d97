"""Log records as lines of JSON, for whoever collects what services print."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["JsonFormatter"]

_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, what was given as ``extra``, an exception.

    Where OpenTelemetry is in use, the ids of the current trace and span are added.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD},
        }
        if "opentelemetry.trace" in sys.modules:
            from costlens_policy.integrations.otel import trace_context

            line |= trace_context()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            text = _json(line)
        except (TypeError, ValueError, RecursionError):  # keys of another type, or a value that holds itself
            text = _json({name: value if isinstance(value, str) else repr(value) for name, value in line.items()})
        return text.encode("utf-8", "backslashreplace").decode()  # half of a pair of surrogates is an escape of JSON


def _json(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, default=str)
