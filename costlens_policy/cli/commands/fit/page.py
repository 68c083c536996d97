"""What `fit` prints: a summary, and the curve of a fit under its finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from costlens_policy.cli.formats import Formats
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from rich.table import Table

    from costlens_policy.fit.fitting import Fitted
    from costlens_policy.replay.tables import Summary

__all__ = ["FORMATS", "Page"]

FORMATS: Final = Formats(
    text="costlens_policy.cli.commands.fit.page:as_text",
    json="costlens_policy.cli.commands.fit.page:as_json",
    markdown="costlens_policy.cli.commands.fit.page:as_markdown",
)


@frozen(eq=False)
class Page:
    """What is printed, and the fit that a chart is drawn of."""

    fitted: Fitted | None
    summary: Summary


def as_text(page: Page) -> Iterator[str | Table]:
    """Yield a fit for the terminal, with its curve under the finding."""
    from costlens_policy.cli.formats import summary_text
    from costlens_policy.fit.summary import curve_chart

    first, *rest = summary_text(page.summary)
    yield from (first, *([] if page.fitted is None else [curve_chart(page.fitted)]), *rest)


def as_json(page: Page) -> str:
    from costlens_policy.replay.tables import as_json

    return as_json(page.summary)


def as_markdown(page: Page) -> str:
    from costlens_policy.replay.tables import markdown

    return markdown(page.summary)
