"""The chart of a label: one bar for each of its groups.

Names of users are data of text marks, never part of an expression or a key, where JavaScript might see more in them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from costlens_policy.diagnostics.text import printable
from costlens_policy.diagnostics.text import width as width_of
from costlens_policy.report.groups import Grouping
from costlens_policy.report.html.charts import Spec
from costlens_policy.report.html.drawing import COLOURS
from costlens_policy.report.result import Report
from costlens_policy.report.words import NOT_RECORDED, shown_cost, shown_count

__all__ = ["group_bars", "shortened"]

_BAR: Final = 26
_LABEL_WIDTH: Final = 92


def group_bars(report: Report, grouping: Grouping, width: int) -> Spec:
    """One bar for each group of a label, the dearest first; what nothing is known of has none."""
    rows: list[dict[str, Any]] = []
    for group in grouping.groups:
        amount = group.figures.cost if report.priced else Decimal(group.figures.tokens)
        if amount or group.value is not None:
            name = NOT_RECORDED if group.value is None else printable(group.value)
            shown = shown_cost(group.figures) if report.priced else shown_count(group.figures.tokens)
            says = f"{name}: {shown}"
            rows.append({"place": len(rows), "name": name, "amount": float(amount), "shown": shown, "says": says})
    left = 150 if width > 400 else 112
    for row in rows:
        row["name"] = shortened(row["name"], left // 7)
    y = {"field": "place", "type": "ordinal", "axis": None}
    most = max((row["amount"] for row in rows), default=0) or 1
    reach = {"domain": [0, most], "range": [left, width - _LABEL_WIDTH], "nice": False}
    x = {"field": "amount", "type": "quantitative", "axis": None, "scale": reach}
    bar = {"type": "bar", "cornerRadiusEnd": 3, "height": {"band": 0.66}}
    names = {"y": y, "x": {"value": left - 8}, "text": {"field": "name"}}
    return {
        "width": width, "height": {"step": _BAR}, "data": {"values": rows},
        "layer": [
            {
                "mark": bar,
                "encoding": {"y": y, "x": x, "color": {"value": COLOURS[0]}, "description": {"field": "says"}},
            },
            {
                "mark": {"align": "left", "dx": 6, "type": "text"},
                "encoding": {"y": y, "x": x, "text": {"field": "shown"}},
            },
            {"mark": {"align": "right", "fontSize": 12, "type": "text"}, "encoding": names},
        ],
    }  # fmt: skip


def shortened(text: str, columns: int) -> str:
    """Return a text that is no wider. The drawing library must not cut it: it cuts characters in half."""
    if width_of(text) <= columns:
        return text
    while text and width_of(text) >= columns:
        text = text[:-1]
    return text + "…"
