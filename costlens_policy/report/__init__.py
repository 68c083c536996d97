"""Report: where the money went. Calls of logs and ledgers, summed exactly by label and time.

Data flow one way: ``traffic`` and ``ledger`` give calls in columns, ``summarize`` makes a ``Report`` of them, and
``export``, ``spreadsheet``, ``text`` and ``html`` show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand
from costlens_policy.report.calls import DIMENSIONS, CallQuery, Read, ReportError
from costlens_policy.report.ledger import LedgerSource
from costlens_policy.report.prices import Prices
from costlens_policy.report.summarize import Report, Settings, summarize
from costlens_policy.report.traffic import Extras, TrafficSource, report_on

if TYPE_CHECKING:
    from costlens_policy.report.html import as_html
    from costlens_policy.report.parts.arrow import report_arrow
    from costlens_policy.report.parts.ray import report_ray
    from costlens_policy.report.parts.spark import report_spark

__all__ = [
    "DIMENSIONS", "CallQuery", "Extras", "LedgerSource", "Prices", "Read", "Report", "ReportError", "Settings",
    "TrafficSource", "as_html", "report_arrow", "report_on", "report_ray", "report_spark", "summarize",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "as_html": "costlens_policy.report.html",
        "report_arrow": "costlens_policy.report.parts.arrow",
        "report_ray": "costlens_policy.report.parts.ray",
        "report_spark": "costlens_policy.report.parts.spark",
    },
)
