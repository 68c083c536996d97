"""Tables as Markdown that is fit for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from costlens_policy.diagnostics.text import printable
from costlens_policy.replay.report.table import Table

__all__ = ["markdown"]


def markdown(title: str, verdict: str, tables: Iterable[Table], notes: Iterable[str], assumed: Iterable[str]) -> str:
    """Return the whole report; the assumptions are folded away, never left out."""
    parts = [f"### {title}", "\n".join(f"- {_safe(line)}" for line in verdict.splitlines())]
    parts.extend(_table(table) for table in tables if table.rows)
    if noted := [f"- {_safe(note)}" for note in notes]:
        parts.append("**Notes on the traffic**\n\n" + "\n".join(noted))
    if listed := "\n".join(f"- {_safe(line)}" for line in assumed):
        parts.append(f"<details><summary>Assumptions</summary>\n\n{listed}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    rule = " | ".join("---:" if index in table.numbers else "---" for index in range(len(table.headings)))
    lines = [f"**{_safe(table.title)}**", "", f"| {' | '.join(table.headings)} |", f"| {rule} |"]
    lines += [f"| {' | '.join(_safe(cell) for cell in row)} |" for row in table.rows]
    return "\n".join(lines)


def _safe(text: str) -> str:
    """Keep text of a file or policy from being read as Markdown or HTML, or from mentioning people."""
    text = printable(" ".join(text.split())).replace("\\", "\\\\")
    for sign in "`*_[]|#":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
