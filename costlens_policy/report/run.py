"""A report on traffic files in one call."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.replay import READY, Mapping, find_files
from costlens_policy.replay.settings import START
from costlens_policy.report.errors import ReportError
from costlens_policy.report.prices import Prices
from costlens_policy.report.result import Report, Settings
from costlens_policy.report.sources.labels import Extras
from costlens_policy.report.sources.read import Asked
from costlens_policy.report.sources.traffic import TrafficSource
from costlens_policy.report.summarize import summarize

__all__ = ["report_on"]


def report_on(
    files: Sequence[str],
    *,
    mapping: Mapping = READY["plain"],
    settings: Settings | None = None,
    prices: Prices | None = None,
    baseline: str | None = None,
) -> Report:
    """Report on files, folders or globs of traffic; ``baseline`` is a model that savings are shown against.

    Raises ``TrafficError`` for what cannot be read, ``ReportError`` where no call is left or the baseline has no price.
    """
    chosen, known = settings or Settings(), prices or Prices()
    model = None if baseline is None else known.model(baseline)
    if baseline is not None and model is None:
        raise ReportError(f"no price for the baseline `{baseline}`")
    extras = Extras.of(mapping, {}, {}, chosen.by, START)
    source = TrafficSource(find_files(files), extras.reader_mapping, extras, known, START, baseline=model)
    return summarize(source.read(Asked(chosen.by)), chosen)
