"""A report as one page that needs nothing else: no network, no scripts, no fonts; charts are drawings inside it."""

from __future__ import annotations

from costlens_policy.report.html.page import as_html

__all__ = ["as_html"]
