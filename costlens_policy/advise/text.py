"""The parts of a report as text for a terminal, and as Markdown for a page or a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from costlens_policy.advise.advice import Advice
from costlens_policy.advise.report import Part, Picture, Sentences, Table, headline, parts_of
from costlens_policy.diagnostics.text import printable

__all__ = ["as_markdown", "as_text", "markdown_of", "text_of"]


def as_text(advice: Advice) -> str:
    """Return the advice for a terminal."""
    return text_of(headline(advice), parts_of(advice))


def as_markdown(advice: Advice) -> str:
    """Return the advice as Markdown; pictures stand in code blocks."""
    return markdown_of(headline(advice), parts_of(advice))


def text_of(heading: str, parts: Iterable[Part]) -> str:
    """Return parts under a heading for a terminal."""
    shown = ("\n".join([part.title, *(f"  {line}".rstrip() for line in _text_lines(part))]) for part in parts)
    return "\n\n".join([heading, *shown]) + "\n"


def markdown_of(heading: str, parts: Iterable[Part]) -> str:
    """Return parts under a heading as Markdown."""
    shown = ("\n".join([f"## {_capital(part.title)}", "", *_markdown_lines(part)]) for part in parts)
    return "\n\n".join([f"# {heading}", *shown]) + "\n"


def _text_lines(part: Part) -> Iterator[str]:
    if isinstance(part, Table):
        yield from _columns([part.headings, *part.rows])
    else:
        yield from part.lines


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([f"{first:{widths[0]}}", *cells])


def _markdown_lines(part: Part) -> Iterator[str]:
    match part:
        case Table():
            yield f"| {' | '.join(part.headings)} |"
            yield f"|---|{'---:|' * (len(part.headings) - 1)}"
            yield from (f"| {' | '.join(map(_escaped, row))} |" for row in part.rows)
        case Sentences():
            yield from (f"- {_escaped(line)}" for line in part.lines)
        case Picture():
            yield from ("```text", *part.lines, "```")


def _escaped(text: str) -> str:
    """Return a text that can end no cell and begin no tag; the names of tasks are whatever a log says."""
    return printable(text).replace("|", "\\|").replace("<", "&lt;")


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]
