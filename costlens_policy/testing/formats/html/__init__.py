"""Coverage as one page: the policies as they are written, with what is covered, and what would cover the rest.

``page.html.j2`` is the page, and escapes all that it is given. Nothing is loaded from elsewhere, and no script runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.testing.coverage import Coverage, Item, Measure, PolicyCoverage, percent_of
from costlens_policy.testing.formats.lines import CoveredLine, files_of
from costlens_policy.testing.formats.sentences import reach_sentence, summary_line
from costlens_policy.testing.results import Run

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render"]

_HERE: Final = "costlens_policy.testing.formats.html"
_TITLES: Final[dict[Measure, str]] = {
    Measure.RULES: "Rules matched",
    Measure.CONDITIONS: "Outcomes of conditions",
    Measure.MCDC: "Operands that decide",
    Measure.MODELS: "Models of routes",
    Measure.SHARES: "Shares of splits",
    Measure.OVERFLOWS: "Overflows",
    Measure.DOWNGRADES: "Downgrades",
}


class _Piece(NamedTuple):
    """A part of a line. ``state`` is ``full``, ``part`` or ``none`` for what can be covered, else empty."""

    text: str
    state: str = ""
    title: str = ""


class _Note(NamedTuple):
    """What is not covered: its name, the reason, and which request would cover it."""

    name: str
    why: str
    reach: str


@frozen
class _Line:
    number: int
    state: str
    pieces: Sequence[_Piece]
    notes: Sequence[_Note]
    title: str


@frozen
class _File:
    name: str
    state: str
    summary: str
    lines: Sequence[_Line]


def render(run: Run, *, color: bool = False) -> str:
    """Return the page. Needs Jinja2."""
    from markupsafe import Markup  # as Jinja2, of the extra `report`

    found = [_file(run, name, lines) for name, lines in _lines_of(run)]
    return _template().render(
        style=Markup(files(_HERE).joinpath("style.css").read_text(encoding="utf-8")),  # a file of this package
        cases=summary_line(run) if run.suites else "",
        sets=[
            {
                "name": coverage.policy_set,
                "file": coverage.file,
                "tiles": list(_tiles(coverage)),
                "table": _table(coverage),
            }
            for coverage in run.coverage
        ],
        files=found,
        words={"full": "covered", "part": "partly covered", "none": "not covered"},
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # of the extra `report`

    environment = Environment(
        autoescape=True, finalize=_visible, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    return environment.from_string(files(_HERE).joinpath("page.html.j2").read_text(encoding="utf-8"))


def _visible(value: object) -> object:
    """Return a text without what is invisible or turns what follows."""
    return printable(value) if type(value) is str else value


def _tiles(coverage: Coverage) -> Iterator[dict[str, Any]]:
    for measure in Measure:
        items = list(coverage.of(measure))
        if items:
            percent = percent_of(items)
            yield {"title": _TITLES[measure], "percent": percent, "share": _share(items), "state": _state(items)}


def _table(coverage: Coverage) -> dict[str, Any]:
    measures = [measure for measure in Measure if any(coverage.of(measure))]
    return {
        "headings": [str(measure) for measure in measures],
        "rows": [(policy.policy, [_cell(policy, measure) for measure in measures]) for policy in coverage.policies],
    }


def _cell(policy: PolicyCoverage, measure: Measure) -> tuple[str, str]:
    items = list(policy.of(measure))
    return (_share(items), _state(items)) if items else ("", "")


def _share(items: Sequence[Item]) -> str:
    unreachable = sum(not item.counts for item in items)
    left_out = f", {unreachable} no request can" if unreachable else ""
    return f"{sum(item.covered for item in items)} of {len(items) - unreachable}{left_out}"


def _state(items: Iterable[Item]) -> str:
    covered = [item.covered for item in items if item.counts]
    return "full" if all(covered) else "part" if any(covered) else "none"


def _lines_of(run: Run) -> Iterator[tuple[str, dict[int, CoveredLine]]]:
    for file in files_of(run):
        if file.name in run.sources:
            yield file.name, {line.number: line for line in file.lines}


def _file(run: Run, name: str, covered: dict[int, CoveredLine]) -> _File:
    items = [item for line in covered.values() for item in line.items]
    lines = [_line(number, text, covered.get(number), items) for number, text in enumerate(run.lines_of(name) or (), 1)]
    missing = sum(not item.covered for item in items)
    summary = f"{len(items) - missing} of {len(items)} covered"
    return _File(name, _state(items), summary, lines)


def _line(number: int, text: str, line: CoveredLine | None, items: Sequence[Item]) -> _Line:
    marked = [item for item in items if item.measure in (Measure.RULES, Measure.MCDC, Measure.MODELS)]
    pieces = list(_pieces(number, text, marked))
    if line is None:
        return _Line(number, "", pieces, (), "")
    missing = [item for item in line.items if not item.covered]
    notes = [_note(item) for item in missing]
    cases = "1 case" if line.hits == 1 else f"{line.hits:,} cases"
    return _Line(number, _state(line.items), pieces, notes, cases)


def _note(item: Item) -> _Note:
    return _Note(item.name if item.detail else f"{item.kind} {item.name}", item.why, reach_sentence(item))


def _pieces(number: int, text: str, items: Sequence[Item]) -> Iterator[_Piece]:
    """Yield the parts of a line, those that belong to an item apart."""
    at = 0
    for start, end, item in sorted(_extents(number, text, items), key=lambda found: found[:2]):
        if start < at:
            continue
        yield _Piece(text[at:start])
        yield _Piece(text[start:end], _mark(item), _hover(item))
        at = end
    yield _Piece(text[at:])


def _extents(number: int, text: str, items: Sequence[Item]) -> Iterator[tuple[int, int, Item]]:
    for item in items:
        span = item.span
        if span is not None and span.start.line <= number <= span.end.line:
            start = span.start.column - 1 if span.start.line == number else len(text) - len(text.lstrip())
            end = span.end.column - 1 if span.end.line == number else len(text.rstrip())
            if start < end:
                yield start, end, item


def _mark(item: Item) -> str:
    """Return the state of one item: an operand that decides with one of its values only is covered in part."""
    return (
        "part"
        if not item.covered and item.measure is Measure.MCDC and item.was_true + item.was_false
        else _state([item])
    )


def _hover(item: Item) -> str:
    if item.measure is Measure.MCDC:
        return f"decides as true in {item.was_true}, as false in {item.was_false} cases"
    return f"{item.kind}: {item.count} cases" + (f"; {item.why}" if item.why else "")
